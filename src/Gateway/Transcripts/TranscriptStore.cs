using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Transcripts of tenants that want them kept: encrypted, under the tenant and the id of the request, until they expire or are deleted.</summary>
public sealed class TranscriptStore(IDocumentStore documents, SecretBox box, TimeProvider clock)
{
    private const string Kind = "transcript";
    private const int PageMax = 20;

    internal async Task KeepAsync(TenantId tenant, RequestId id, Transcript transcript, int days, CancellationToken cancel)
    {
        Instant now = Instant.Now(clock);
        DocumentKey key = new(Kind, tenant, id.ToString());
        await documents.TryAddAsync(new NewDocument(key, now, box.Seal(OwnerOf(key), transcript.ToText()), Instant.From(clock.GetUtcNow().AddDays(days))), cancel);
    }

    public async Task<Transcript?> FindAsync(TenantId tenant, RequestId id, CancellationToken cancel)
    {
        DocumentKey key = new(Kind, tenant, id.ToString());
        return await documents.FindAsync(key, cancel) is { } found ? Transcript.Parse(box.Unseal(OwnerOf(key), found.Content.Span)) : null;
    }

    public async Task<bool> IsKeptAsync(TenantId tenant, RequestId id, CancellationToken cancel) => await documents.FindAsync(new DocumentKey(Kind, tenant, id.ToString()), cancel) is not null;

    /// <summary>What is kept, newest first, without what was said.</summary>
    /// <param name="before">The last one of the page before; null: the first page.</param>
    internal async Task<ImmutableArray<StoredDocument>> ListAsync(TenantId tenant, DocumentPosition? before, int limit, CancellationToken cancel) =>
        await documents.ListAsync(new DocumentQuery(Kind, tenant, before, NewestFirst: true, Math.Min(limit, PageMax)), cancel);

    internal async Task<DocumentPosition?> PositionAsync(TenantId tenant, RequestId id, CancellationToken cancel) => (await documents.FindAsync(new DocumentKey(Kind, tenant, id.ToString()), cancel))?.Position;

    public Task<bool> DeleteAsync(TenantId tenant, RequestId id, CancellationToken cancel) => documents.TryDeleteAsync(new DocumentKey(Kind, tenant, id.ToString()), cancel: cancel);

    /// <summary>Deletes all of a tenant's, or those kept before an instant, oldest first. How many they were.</summary>
    public async Task<int> DeleteAllAsync(TenantId tenant, Instant? before, CancellationToken cancel)
    {
        int deleted = 0;
        while (true)
        {
            ImmutableArray<StoredDocument> oldest = await documents.ListAsync(new DocumentQuery(Kind, tenant, Limit: PageMax), cancel);
            foreach (StoredDocument each in oldest)
            {
                if (each.CreatedAt >= before) return deleted;
                if (await documents.TryDeleteAsync(each.Key, cancel: cancel)) deleted++;
            }
            if (oldest.Length < PageMax) return deleted;
        }
    }

    /// <summary>What it is sealed for: moved to another tenant or request it does not open.</summary>
    private static string OwnerOf(DocumentKey key) => $"{Kind}/{key.Tenant}/{key.Id}";
}
