using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Kept prompts and answers over HTTP: a tenant's own identities see their tenant's only.</summary>
internal sealed class TranscriptApi(DirectoryState directory, TranscriptStore store, TranscriptChanges changes, IBookStore books)
{
    private const int PageStandard = 20;

    public void Map(AdminRoutes routes)
    {
        routes.Put("/api/tenants/{id}/keeping", Permission.ChangeTranscripts, KeepAsync, new(Tags.Kept, "Say how long a tenant's prompts and answers are kept")
        {
            Body = Schema.Object(Field.Needed("days", Schema.Integer("How long each is kept; null: none is", 1, TranscriptChanges.DaysMax).OrNull())),
        });
        routes.Get("/api/transcripts", Permission.SeeTranscripts, ListAsync, new(Tags.Kept, "Which requests of a tenant have their prompt and answer kept, newest first")
        {
            Query = [OfTenant, Field.May("before", Schema.Id("The id that the page before ended with")), Asked.Limit(PageStandard, PageStandard)],
            Answer = Schema.Rows("Requests"),
        });
        routes.Get("/api/transcripts/{id}", Permission.SeeTranscripts, ShowAsync, new(Tags.Kept, "A prompt and its answer; the audit log says who read it") { Query = [OfTenant], Answer = Transcript.Schema });
        routes.Delete("/api/transcripts", Permission.ChangeTranscripts, DeleteAllAsync, new(Tags.Kept, "Delete all that is kept of a tenant's prompts and answers") { Query = [OfTenant] });
        routes.Delete("/api/transcripts/{id}", Permission.ChangeTranscripts, DeleteAsync, new(Tags.Kept, "Delete a prompt and its answer") { Query = [OfTenant] });
    }

    private static Field OfTenant => Field.May("tenant", Schema.Text("A tenant by its id or name; whoever sees one only need not name it"));

    public async Task<JsonObject> KeepAsync(AdminRequest request, JsonFields fields)
    {
        if (!fields.Says("days")) throw Refusal.Missing("days");
        Tenant tenant = directory.Current.FindTenant(request.Id) is { } found && request.Sees(found.Id) ? found : throw DirectoryNames.Unknown("tenant", request.Id);
        return Of(await changes.KeepAsync(request.Who, tenant.Id, (int?)fields.Integer("days", 1, TranscriptChanges.DaysMax), request.Cancel));
    }

    public async Task<JsonObject> ListAsync(AdminRequest request)
    {
        TenantId tenant = TenantOf(request);
        DocumentPosition? before = null;
        if (request.Query("before") is { } last)
        {
            RequestId id = new(AdminRequest.ParseId(last, "before"));
            before = await store.PositionAsync(tenant, id, request.Cancel) ?? throw DirectoryNames.Unknown("transcript", last);
        }
        return AdminJson.List((await store.ListAsync(tenant, before, request.Limit(PageStandard, PageStandard), request.Cancel)).Select(each => new JsonObject
        {
            ["id"] = each.Key.Id,
            ["kept_at"] = AdminJson.Text((Instant?)each.CreatedAt),
            ["expires_at"] = AdminJson.Text(each.ExpiresAt),
        }));
    }

    public async Task<JsonObject> ShowAsync(AdminRequest request)
    {
        (TenantId tenant, RequestId id) = await WhoseAsync(request);
        Transcript transcript = await changes.ReadAsync(request.Who, tenant, id, request.Cancel) ?? throw DirectoryNames.Unknown("transcript", request.Id);
        return JsonNode.Parse(transcript.ToText())!.AsObject();
    }

    public async Task<JsonObject> DeleteAsync(AdminRequest request)
    {
        (TenantId tenant, RequestId id) = await WhoseAsync(request);
        if (!await changes.DeleteAsync(request.Who, tenant, id, request.Cancel)) throw DirectoryNames.Unknown("transcript", request.Id);
        return new JsonObject { ["id"] = id.ToString(), ["deleted"] = true };
    }

    public async Task<JsonObject> DeleteAllAsync(AdminRequest request) =>
        new() { ["deleted"] = await changes.DeleteAllAsync(request.Who, directory.Current.Tenant(TenantOf(request)), request.Cancel) };

    private TenantId TenantOf(AdminRequest request) => request.Tenant(directory.Current) ?? throw Refusal.Missing("tenant");

    /// <summary>Whose a request was: the caller's own tenant's, or the one that the query names, or the books know it.</summary>
    private async Task<(TenantId, RequestId)> WhoseAsync(AdminRequest request)
    {
        RequestId id = new(AdminRequest.ParseId(request.Id, "id"));
        if (request.Tenant(directory.Current) is { } named) return (named, id);
        UsageRecord? record = (await books.ReadUsageAsync(new UsageQuery(Period.All, request.Only, Id: id, Limit: 1), request.Cancel)).FirstOrDefault();
        return record is null ? throw DirectoryNames.Unknown("transcript", request.Id) : (record.Party.Tenant, id);
    }

    private static JsonObject Of(Tenant tenant) => new() { ["id"] = tenant.Id.ToString(), ["name"] = tenant.Name, ["keep_days"] = TenantTerms.Of(tenant).KeepDays };
}
