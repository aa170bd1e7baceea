using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Responses that are to be stored: each with the items it was made from, sealed. Whose they are is a part of their key, and they expire.</summary>
public sealed class ResponseStore(IDocumentStore documents, SealedDocuments kept, GatewayOptions options, TimeProvider clock)
{
    private const string Kind = "sealed_response";

    /// <summary>How they were stored before they were sealed.</summary>
    private const string PlainKind = "response";

    private const int PlainAtOnce = 20;

    /// <summary>Longest chain of responses that one request may continue.</summary>
    private const int ChainMax = 1000;

    /// <summary>Before one is made that is to be stored.</summary>
    /// <exception cref="ApiException">400: the tenant keeps as much as it may.</exception>
    internal async Task DemandRoomAsync(TenantId tenant, CancellationToken cancel)
    {
        if (await documents.IsFullAsync(Kind, tenant, options.Kept.Responses, cancel))
            throw KeptRefusal.Full(FormattableString.Invariant($"much in stored responses ({options.Kept.ResponsesMax} responses, {options.Kept.ResponseBytesMax >> 20} MB)"),
                "Delete some (DELETE /v1/responses/ID; an owner all: DELETE /api/tenants/ID/responses), have them stored for fewer days, or say \"store\": false.");
    }

    /// <exception cref="StoreException">It is larger than a document may be, would be more than the tenant may keep, or could not be written.</exception>
    internal Task KeepAsync(Caller caller, string id, KeptResponse made, CancellationToken cancel)
    {
        JsonObject content = new() { ["response"] = made.Response, ["input"] = made.Input, [Owned.Project] = caller.Project.Id.ToString() };
        return kept.AddAsync(KeyOf(caller.Tenant.Id, id), JsonSerializer.Serialize(content, GatewayJson.Default.JsonObject), Instant.Now(clock), Instant.From(clock.GetUtcNow().AddDays(StoringTerms.Of(caller.Tenant).Days)), cancel, options.Kept.Responses);
    }

    /// <summary>Null: there is none that this caller reaches.</summary>
    internal async Task<KeptResponse?> FindAsync(Caller caller, string id, CancellationToken cancel)
    {
        TenantId tenant = caller.Tenant.Id;
        // The sealed one last: one that is sealed meanwhile is there before the plain one is gone.
        JsonNode? content = await documents.FindAsync(PlainKeyOf(tenant, id), cancel) is { } plain ? JsonNode.Parse(plain.Content.Span)
            : await kept.FindAsync(KeyOf(tenant, id), cancel) is { } text ? JsonNode.Parse(text)
            : null;
        return content is null || !caller.Reaches(Owned.ProjectIn(content)) ? null : new KeptResponse(content["response"]!.AsObject(), content["input"]!.AsArray());
    }

    /// <summary>Whoever it belongs to: ask with FindAsync first.</summary>
    internal async Task<bool> DeleteAsync(TenantId tenant, string id, CancellationToken cancel) =>
        await documents.TryDeleteAsync(PlainKeyOf(tenant, id), cancel: cancel) | await kept.DeleteAsync(KeyOf(tenant, id), cancel);

    /// <summary>Deletes all of a tenant's, or those stored before an instant. How many they were.</summary>
    public async Task<int> DeleteAllAsync(TenantId tenant, Instant? before, CancellationToken cancel) =>
        await kept.DeleteAllAsync(PlainKind, tenant, before, cancel) + await kept.DeleteAllAsync(Kind, tenant, before, cancel);

    /// <summary>Every item up to and with a response, oldest first.</summary>
    /// <exception cref="ApiException">404: the response, or one before it, is not stored here.</exception>
    internal async Task<IReadOnlyList<JsonObject>> HistoryAsync(Caller caller, string id, CancellationToken cancel)
    {
        Stack<KeptResponse> chain = [];
        for (string? next = id; next is not null; next = (string?)chain.Peek().Response["previous_response_id"])
        {
            if (chain.Count >= ChainMax) throw Refusal.Value("previous_response_id", FormattableString.Invariant($"a chain of responses may have at most {ChainMax}."));
            chain.Push(await FindAsync(caller, next, cancel) ?? throw NotKept(caller.Tenant, next, "previous_response_id"));
        }
        return [.. chain.SelectMany(each => each.Input.Concat(each.Response["output"]!.AsArray())).Select(item => item!.AsObject())];
    }

    /// <summary>An item by its id: of the output by the response that it names, else null.</summary>
    internal async Task<JsonObject?> FindItemAsync(Caller caller, string itemId, CancellationToken cancel)
    {
        if (ItemIds.ResponseOf(itemId) is not { } id || await FindAsync(caller, id, cancel) is not { } found) return null;
        return found.Input.Concat(found.Response["output"]!.AsArray()).Select(item => item!.AsObject()).FirstOrDefault(item => (string?)item["id"] == itemId);
    }

    /// <summary>Seals what was stored before responses were. Not for two at the same time: each would take the other for somebody who deletes.</summary>
    internal async Task SealPlainAsync(CancellationToken cancel)
    {
        DocumentPosition? after = null;
        while (true)
        {
            ImmutableArray<StoredDocument> page = await documents.ListAsync(new DocumentQuery(PlainKind, After: after, Limit: PlainAtOnce), cancel);
            if (page.IsEmpty) return;
            foreach (StoredDocument plain in page) await SealAsync(plain, cancel);
            after = page[^1].Position;
        }
    }

    internal static ApiException NotKept(Tenant tenant, string id, string? param) => new(404, Refusal.InvalidRequest, "response_not_found",
        $"Response '{id[..Math.Min(80, id.Length)]}' is not stored here: it was not to be, expired, was deleted, or belongs to another project or tenant. {StoringTerms.Of(tenant).Advice}", param);

    private async Task SealAsync(StoredDocument plain, CancellationToken cancel)
    {
        DocumentKey key = KeyOf(plain.Key.Tenant!.Value, plain.Key.Id);
        await kept.AddAsync(key, Encoding.UTF8.GetString(plain.Content.Span), plain.CreatedAt, plain.ExpiresAt, cancel);
        // Deleted meanwhile by whom it belongs to: then the sealed one is not wanted either.
        if (!await documents.TryDeleteAsync(plain.Key, cancel: cancel)) await kept.DeleteAsync(key, cancel);
    }

    private static DocumentKey KeyOf(TenantId tenant, string id) => new(Kind, tenant, id);
    private static DocumentKey PlainKeyOf(TenantId tenant, string id) => new(PlainKind, tenant, id);
}

internal sealed record KeptResponse(JsonObject Response, JsonArray Input);

/// <summary>Ids of items: each names the response that it belongs to.</summary>
internal static class ItemIds
{
    public const string ResponsePrefix = "resp_";

    public static string Of(string kind, string responseId, int index) => FormattableString.Invariant($"{kind}_{responseId[ResponsePrefix.Length..]}_{index}");

    /// <summary>Null: it is not one of ours.</summary>
    public static string? ResponseOf(string itemId)
    {
        string[] parts = itemId.Split('_');
        return parts is [_, { Length: 32 } response, _] ? ResponsePrefix + response : null;
    }
}
