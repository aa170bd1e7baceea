using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Responses that clients asked to have kept: each with the items it was made from. Whose they are is a part of their key, and they expire.</summary>
internal sealed class ResponseStore(IDocumentStore documents, GatewayOptions options, TimeProvider clock)
{
    private const string Kind = "response";

    /// <summary>Longest chain of responses that one request may continue.</summary>
    private const int ChainMax = 1000;

    /// <exception cref="StoreException">It is larger than a document may be, or could not be written.</exception>
    public async Task KeepAsync(TenantId tenant, string id, JsonObject response, JsonArray input, CancellationToken cancel)
    {
        JsonObject content = new() { ["response"] = response, ["input"] = input };
        Instant now = Instant.Now(clock);
        byte[] bytes = JsonSerializer.SerializeToUtf8Bytes(content, GatewayJson.Default.JsonObject);
        await documents.TryAddAsync(new NewDocument(new DocumentKey(Kind, tenant, id), now, bytes, new Instant(now.UnixNanoseconds + options.ResponsesKept.Ticks * 100)), cancel);
    }

    public async Task<KeptResponse?> FindAsync(TenantId tenant, string id, CancellationToken cancel)
    {
        if (await documents.FindAsync(new DocumentKey(Kind, tenant, id), cancel) is not { } found) return null;
        JsonObject content = JsonNode.Parse(found.Content.Span)!.AsObject();
        return new KeptResponse(content["response"]!.AsObject(), content["input"]!.AsArray());
    }

    public Task<bool> DeleteAsync(TenantId tenant, string id, CancellationToken cancel) => documents.TryDeleteAsync(new DocumentKey(Kind, tenant, id), cancel: cancel);

    /// <summary>Every item up to and with a response, oldest first.</summary>
    /// <exception cref="ApiException">404: the response, or one before it, is not kept here.</exception>
    public async Task<IReadOnlyList<JsonObject>> HistoryAsync(TenantId tenant, string id, CancellationToken cancel)
    {
        Stack<KeptResponse> chain = [];
        for (string? next = id; next is not null; next = (string?)chain.Peek().Response["previous_response_id"])
        {
            if (chain.Count >= ChainMax) throw Refusal.Value("previous_response_id", FormattableString.Invariant($"a chain of responses may have at most {ChainMax}."));
            chain.Push(await FindAsync(tenant, next, cancel) ?? throw NotKept(next, "previous_response_id"));
        }
        return [.. chain.SelectMany(each => each.Input.Concat(each.Response["output"]!.AsArray())).Select(item => item!.AsObject())];
    }

    /// <summary>An item by its id: of the output by the response that it names, else null.</summary>
    public async Task<JsonObject?> FindItemAsync(TenantId tenant, string itemId, CancellationToken cancel)
    {
        if (ItemIds.ResponseOf(itemId) is not { } id || await FindAsync(tenant, id, cancel) is not { } found) return null;
        return found.Input.Concat(found.Response["output"]!.AsArray()).Select(item => item!.AsObject()).FirstOrDefault(item => (string?)item["id"] == itemId);
    }

    public static ApiException NotKept(string id, string? param) => new(404, Refusal.InvalidRequest, "response_not_found",
        $"Response '{id[..Math.Min(80, id.Length)]}' is not kept here: it expired, was deleted, was not to be stored, or belongs to another tenant.", param);
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
