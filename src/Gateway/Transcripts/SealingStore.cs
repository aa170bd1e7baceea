using System.Collections.Immutable;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>A document store that seals what is written through it with the installation's key, each for its own place, and opens it again (ADR 71). What was written in the clear before is read as it is.
/// What does not open, because it was sealed under another key or was changed, is not there: a warning says so.</summary>
internal sealed class SealingStore(IDocumentStore documents, SecretBox box, ILogger<SealingStore> log) : IDocumentStore
{
    /// <summary>Nothing that was written in the clear begins like this: no JSON, and no text.</summary>
    private static readonly byte[] Mark = [0, (byte)'Q', (byte)'S', 1];

    public async Task<StoredDocument?> FindAsync(DocumentKey key, CancellationToken cancel = default) => await documents.FindAsync(key, cancel) is { } found ? Open(found) : null;

    public async Task<ImmutableArray<StoredDocument>> ListAsync(DocumentQuery query, CancellationToken cancel = default)
    {
        while (true)
        {
            ImmutableArray<StoredDocument> page = await documents.ListAsync(query, cancel);
            ImmutableArray<StoredDocument> open = [.. page.Select(Open).OfType<StoredDocument>()];
            // An empty page is the end to whoever asks.
            if (page.IsEmpty || !open.IsEmpty) return open;
            query = query with { After = page[^1].Position };
        }
    }

    public Task<DocumentSum> SumAsync(string kind, Books.TenantId? tenant, CancellationToken cancel = default) => documents.SumAsync(kind, tenant, cancel);

    public Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel = default) =>
        documents.TryAddAsync(document with { Content = Seal(document.Key, document.Content) }, cancel);

    public Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Books.Instant? expiresAt = null, CancellationToken cancel = default) =>
        documents.TryReplaceAsync(key, expected, Seal(key, content), expiresAt, cancel);

    public Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected = null, CancellationToken cancel = default) => documents.TryDeleteAsync(key, expected, cancel);
    public Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel = default) => documents.DeleteExpiredAsync(documentsMax, cancel);

    private byte[] Seal(DocumentKey key, ReadOnlyMemory<byte> content) => box.Seal(SealedDocuments.OwnerOf(key), content.Span, Mark);

    private StoredDocument? Open(StoredDocument found)
    {
        if (!found.Content.Span.StartsWith(Mark)) return found;
        try
        {
            return found with { Content = box.UnsealBytes(SealedDocuments.OwnerOf(found.Key), found.Content.Span[Mark.Length..]) };
        }
        catch (CryptographicException)
        {
            log.LogWarning("The {Kind} {Id} was sealed under another key than secrets.key, or was changed: it is taken for deleted. Put the right secrets.key back and start again.", found.Key.Kind, found.Key.Id);
            return null;
        }
    }
}
