using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Which of a tenant's responses are stored, over HTTP.</summary>
internal sealed class StoringApi(DirectoryState directory, ResponseChanges changes)
{
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/tenants/{id}/responses", Permission.SeeDirectory, Read, new(Tags.Kept, "Which of a tenant's responses are stored, and how long") { Answer = Shown });
        routes.Put("/api/tenants/{id}/responses", Permission.ChangeTranscripts, SetAsync, new(Tags.Kept, "Say which of a tenant's responses are stored, and how long; at least one of the two is said") { Body = Storing, Answer = Shown });
        routes.Delete("/api/tenants/{id}/responses", Permission.ChangeTranscripts, DeleteAllAsync, new(Tags.Kept, "Delete every response that is stored of a tenant"));
    }

    private static Schema Storing => Schema.Object(Field.May("store", Schema.OneOf<ResponseStoring>("Those whose request asks for it, all but those whose request declines, or none")),
        Field.May("days", Schema.Integer("How long each stays", 1, StoringTerms.DaysMax)));

    private static Schema Shown => Schema.Object(Field.Needed("id", Schema.Id("The tenant's")), Field.Needed("name", Schema.Text())).With(Storing.FieldOf("store"), Storing.FieldOf("days"));

    public JsonObject Read(AdminRequest request) => Of(Tenant(request));

    /// <summary>What is not said stays as it is.</summary>
    public async Task<JsonObject> SetAsync(AdminRequest request, JsonFields fields)
    {
        Tenant tenant = Tenant(request);
        if (!fields.Says("store") && !fields.Says("days")) throw Refusal.Missing("store");
        StoringTerms now = StoringTerms.Of(tenant);
        StoringTerms wanted = new(AdminJson.Parse<ResponseStoring>(fields.Text("store"), "store") ?? now.Which, (int)(fields.Integer("days", 1, StoringTerms.DaysMax) ?? now.Days));
        return Of(await changes.SetAsync(request.Who, tenant.Id, wanted, request.Cancel));
    }

    public async Task<JsonObject> DeleteAllAsync(AdminRequest request) => new() { ["deleted"] = await changes.DeleteAllAsync(request.Who, Tenant(request), request.Cancel) };

    private Tenant Tenant(AdminRequest request) =>
        directory.Current.FindTenant(request.Id) is { } found && request.Sees(found.Id) ? found : throw DirectoryNames.Unknown("tenant", request.Id);

    private static JsonObject Of(Tenant tenant)
    {
        StoringTerms terms = StoringTerms.Of(tenant);
        return new JsonObject { ["id"] = tenant.Id.ToString(), ["name"] = tenant.Name, ["store"] = AdminJson.Text(terms.Which), ["days"] = terms.Days };
    }
}
