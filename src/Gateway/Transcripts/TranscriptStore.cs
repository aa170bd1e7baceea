using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Transcripts of tenants that want them kept: sealed under the tenant and the id of the request, until they expire or are deleted.</summary>
public sealed class TranscriptStore(IDocumentStore documents, SealedDocuments kept, TimeProvider clock)
{
    private const string Kind = "transcript";
    private const int PageMax = 20;

    internal Task KeepAsync(TenantId tenant, RequestId id, Transcript transcript, int days, CancellationToken cancel) =>
        kept.AddAsync(KeyOf(tenant, id), transcript.ToText(), Instant.Now(clock), Instant.From(clock.GetUtcNow().AddDays(days)), cancel);

    public async Task<Transcript?> FindAsync(TenantId tenant, RequestId id, CancellationToken cancel) =>
        await kept.FindAsync(KeyOf(tenant, id), cancel) is { } text ? Transcript.Parse(text) : null;

    public async Task<bool> IsKeptAsync(TenantId tenant, RequestId id, CancellationToken cancel) => await documents.FindAsync(KeyOf(tenant, id), cancel) is not null;

    /// <summary>What is kept, newest first, without what was said.</summary>
    /// <param name="before">The last one of the page before; null: the first page.</param>
    internal async Task<ImmutableArray<StoredDocument>> ListAsync(TenantId tenant, DocumentPosition? before, int limit, CancellationToken cancel) =>
        await documents.ListAsync(new DocumentQuery(Kind, tenant, before, NewestFirst: true, Math.Min(limit, PageMax)), cancel);

    internal async Task<DocumentPosition?> PositionAsync(TenantId tenant, RequestId id, CancellationToken cancel) => (await documents.FindAsync(KeyOf(tenant, id), cancel))?.Position;

    public Task<bool> DeleteAsync(TenantId tenant, RequestId id, CancellationToken cancel) => kept.DeleteAsync(KeyOf(tenant, id), cancel);

    /// <summary>Deletes all of a tenant's, or those kept before an instant, oldest first. How many they were.</summary>
    public Task<int> DeleteAllAsync(TenantId tenant, Instant? before, CancellationToken cancel) => kept.DeleteAllAsync(Kind, tenant, before, cancel);

    private static DocumentKey KeyOf(TenantId tenant, RequestId id) => new(Kind, tenant, id.ToString());
}
