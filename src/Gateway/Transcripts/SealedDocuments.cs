using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Documents that hold what was said: encrypted with the installation's key, each for its own place, until they expire or are deleted.</summary>
public sealed class SealedDocuments(IDocumentStore documents, SecretBox box)
{
    private const int PageMax = 20;

    /// <exception cref="StoreException">It is larger than a document may be, or could not be written.</exception>
    internal Task AddAsync(DocumentKey key, string text, Instant createdAt, Instant? expiresAt, CancellationToken cancel, DocumentBounds? within = null) =>
        documents.TryAddAsync(new NewDocument(key, createdAt, box.Seal(OwnerOf(key), text), expiresAt, within), cancel);

    /// <exception cref="System.Security.Cryptography.CryptographicException">It was sealed for another place, or under another key.</exception>
    internal async Task<string?> FindAsync(DocumentKey key, CancellationToken cancel) =>
        await documents.FindAsync(key, cancel) is { } found ? box.Unseal(OwnerOf(key), found.Content.Span) : null;

    internal Task<bool> DeleteAsync(DocumentKey key, CancellationToken cancel) => documents.TryDeleteAsync(key, cancel: cancel);

    /// <summary>Deletes all of a kind that a tenant has, or those kept before an instant, oldest first. How many they were.</summary>
    internal async Task<int> DeleteAllAsync(string kind, TenantId tenant, Instant? before, CancellationToken cancel)
    {
        int deleted = 0;
        while (true)
        {
            ImmutableArray<StoredDocument> oldest = await documents.ListAsync(new DocumentQuery(kind, tenant, Limit: PageMax), cancel);
            foreach (StoredDocument each in oldest)
            {
                if (each.CreatedAt >= before) return deleted;
                if (await documents.TryDeleteAsync(each.Key, cancel: cancel)) deleted++;
            }
            if (oldest.Length < PageMax) return deleted;
        }
    }

    /// <summary>What it is sealed for: moved to another tenant or id it does not open.</summary>
    internal static string OwnerOf(DocumentKey key) => $"{key.Kind}/{key.Tenant}/{key.Id}";
}
