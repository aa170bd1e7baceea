using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Batches and the rows they have begun, kept as documents. A row is written before it is served, with the ids its requests will have in the books, and again with its result: so after a crash it is known of every
/// row whether it was served, and of every request whether it was charged.</summary>
internal sealed class BatchStore(IDocumentStore documents, GatewayOptions options, TimeProvider clock)
{
    private const string Kind = "batch";
    private const string RowKind = "batch_row";
    private const int RowsAtOnce = 64;

    /// <summary>Longer than a batch may take: rows are deleted with its end, and what a crash left goes by itself.</summary>
    private static readonly TimeSpan RowsKept = TimeSpan.FromDays(30);

    /// <exception cref="ApiException">429: the tenant keeps as many as it may.</exception>
    public async Task AddAsync(TenantId tenant, BatchState batch, CancellationToken cancel)
    {
        try
        {
            await documents.TryAddAsync(new NewDocument(new DocumentKey(Kind, tenant, batch.Id), Instant.Now(clock), Bytes(batch.Stored), Within: new DocumentBounds(options.Kept.BatchesMax, KeptOptions.Any)), cancel);
        }
        catch (DocumentsFullException)
        {
            throw KeptRefusal.TooMany(FormattableString.Invariant($"This tenant has {options.Kept.BatchesMax} batches, as many as are kept for it. Each goes by itself {options.BatchesKept.TotalDays:0.#} days after it has ended: send fewer, larger ones."));
        }
    }

    public async Task<BatchState?> FindAsync(TenantId tenant, string id, CancellationToken cancel) =>
        await documents.FindAsync(new DocumentKey(Kind, tenant, id), cancel) is { } found ? new BatchState(Read(found)) : null;

    /// <summary>Only the runner changes a batch, so whatever is there gives way. From its end on it expires.</summary>
    public async Task SaveAsync(TenantId tenant, BatchState batch, CancellationToken cancel)
    {
        DocumentKey key = new(Kind, tenant, batch.Id);
        Instant? expiry = batch.HasEnded ? Instant.From(clock.GetUtcNow() + options.BatchesKept) : null;
        while (await documents.FindAsync(key, cancel) is { } found)
        {
            if (await documents.TryReplaceAsync(key, found.Version, Bytes(batch.Stored), expiry, cancel) is not null) return;
        }
    }

    /// <summary>All batches, of one tenant or of all, oldest first.</summary>
    public async Task<IReadOnlyList<(TenantId Tenant, BatchState Batch)>> ListAsync(TenantId? tenant, CancellationToken cancel)
    {
        List<(TenantId, BatchState)> all = [];
        DocumentPosition? after = null;
        while (true)
        {
            ImmutableArray<StoredDocument> page = await documents.ListAsync(new DocumentQuery(Kind, tenant, after), cancel);
            if (page.IsEmpty) return all;
            all.AddRange(page.Select(each => (each.Key.Tenant!.Value, new BatchState(Read(each)))));
            after = page[^1].Position;
        }
    }

    public async Task<KeptRow?> FindRowAsync(TenantId tenant, string batch, int line, CancellationToken cancel)
    {
        if (await documents.FindAsync(RowKey(tenant, batch, line), cancel) is not { } found) return null;
        JsonObject row = Read(found);
        ImmutableArray<Guid> requests = row["requests"] is JsonArray ids ? [.. ids.Select(id => Guid.Parse((string)id!))] : [];
        return new KeptRow(found.Version, requests, (bool?)row["ok"], row["line"]?.AsObject(), row["charged_before"] is { } lost ? Money.Parse((string)lost["amount"]!, new Currency((string)lost["currency"]!)) : null);
    }

    /// <summary>Before it is served. Returns the version that its end replaces.</summary>
    public Task<DocumentVersion> BeginRowAsync(TenantId tenant, string batch, int line, IEnumerable<Guid> requests, CancellationToken cancel) =>
        PutRowAsync(RowKey(tenant, batch, line), new JsonObject { ["requests"] = new JsonArray([.. requests.Select(id => (JsonNode)id.ToString("D"))]) }, cancel);

    /// <param name="begun">What was written before it was served; null: it never was.</param>
    public async Task EndRowAsync(TenantId tenant, string batch, int line, DocumentVersion? begun, KeptEnd end, CancellationToken cancel)
    {
        (DocumentKey key, JsonObject row) = (RowKey(tenant, batch, line), new JsonObject { ["ok"] = end.Ok, ["line"] = end.Result });
        if (end.ChargedBefore is { } lost) row["charged_before"] = new JsonObject { ["amount"] = lost.ToDecimalText(), ["currency"] = lost.Currency.Code };
        if (begun is { } version && await documents.TryReplaceAsync(key, version, Bytes(row), Expiry, cancel) is not null) return;
        await PutRowAsync(key, row, cancel);
    }

    /// <summary>Some at a time, so that they share commits.</summary>
    public async Task DeleteRowsAsync(TenantId tenant, string batch, IEnumerable<int> lines, CancellationToken cancel)
    {
        foreach (int[] some in lines.Chunk(RowsAtOnce))
            await Task.WhenAll(some.Select(line => documents.TryDeleteAsync(RowKey(tenant, batch, line), cancel: cancel)));
    }

    private Instant Expiry => Instant.From(clock.GetUtcNow() + RowsKept);

    private async Task<DocumentVersion> PutRowAsync(DocumentKey key, JsonObject row, CancellationToken cancel)
    {
        while (true)
        {
            if (await documents.TryAddAsync(new NewDocument(key, Instant.Now(clock), Bytes(row), Expiry), cancel) is { } added) return added;
            if (await documents.FindAsync(key, cancel) is not { } found) continue;
            if (await documents.TryReplaceAsync(key, found.Version, Bytes(row), Expiry, cancel) is { } replaced) return replaced;
        }
    }

    private static DocumentKey RowKey(TenantId tenant, string batch, int line) => new(RowKind, tenant, FormattableString.Invariant($"{batch}/{line:D6}"));
    private static byte[] Bytes(JsonObject json) => JsonSerializer.SerializeToUtf8Bytes(json, GatewayJson.Default.JsonObject);
    private static JsonObject Read(StoredDocument found) => JsonNode.Parse(found.Content.Span)!.AsObject();
}

/// <param name="Requests">The ids of its requests while it is being served, of every attempt; empty: it is done.</param>
/// <param name="Ok">Null: it is not done.</param>
/// <param name="ChargedBefore">What was charged for answers that were lost; the one that replaces them is not charged.</param>
internal sealed record KeptRow(DocumentVersion Version, ImmutableArray<Guid> Requests, bool? Ok, JsonObject? Result, Money? ChargedBefore);

/// <summary>How a row ended; as in <see cref="KeptRow"/>.</summary>
internal sealed record KeptEnd(bool Ok, JsonObject Result, Money? ChargedBefore);
