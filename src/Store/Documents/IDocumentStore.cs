using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The durable home of what is not a fact of the books and may change: files, batches, stored responses, sessions, encrypted secrets. A document is bytes under a kind, a tenant and an id;
/// it lies in the same database as the books, so that one backup holds both, and is committed by the same writer.
/// An expired document is gone: it is neither found nor listed, and its key is free again, also before <see cref="DeleteExpiredAsync"/> has made room.</summary>
public interface IDocumentStore
{
    Task<StoredDocument?> FindAsync(DocumentKey key, CancellationToken cancel = default);

    /// <summary>A page of documents of one kind by the time they were created.</summary>
    Task<ImmutableArray<StoredDocument>> ListAsync(DocumentQuery query, CancellationToken cancel = default);

    /// <summary>How many documents of a kind a tenant has and how large they are; those that have expired count until they are deleted. Read from a count that is kept, however many they are.</summary>
    Task<DocumentSum> SumAsync(string kind, TenantId? tenant, CancellationToken cancel = default);

    /// <summary>Stores a document under a key that is free. Its version, durable; null: there is one already and it stays as it is.</summary>
    /// <exception cref="DocumentsFullException">It would pass the bounds that it is to stay within.</exception>
    /// <exception cref="StoreException">The document breaks a limit or could not be written.</exception>
    Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel = default);

    /// <summary>Changes content and expiry if the document is still at the version that the caller has read. The new version, durable; null: it has changed since, or is gone.</summary>
    /// <exception cref="StoreException">The document breaks a limit or could not be written.</exception>
    Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Instant? expiresAt = null, CancellationToken cancel = default);

    /// <summary>Deletes the document, or only if it is still at a version. False: there is none, or it has changed since.</summary>
    Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected = null, CancellationToken cancel = default);

    /// <summary>Makes room: deletes documents that have expired, at most so many of them. How many it deleted.</summary>
    Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel = default);
}

/// <param name="Kind">What it is, one word for all of a kind: "file", "batch".</param>
/// <param name="Tenant">Whose it is: nobody finds a document without naming its tenant. Null: the installation's.</param>
/// <param name="Id">Its name, unique in its kind and tenant.</param>
public sealed record DocumentKey(string Kind, TenantId? Tenant, string Id);

/// <summary>Never used twice, not even for a document that was deleted and added again.</summary>
public readonly record struct DocumentVersion(long Value);

/// <param name="Content">At most <see cref="StoreOptions.DocumentBytesMax"/>: what is larger is kept in parts, as documents of a kind of their own.</param>
/// <param name="ExpiresAt">From then on it is gone. Null: it stays.</param>
/// <param name="Within">What its tenant may have of its kind with it: looked at where it is written, so that documents that come at the same time cannot pass it. Null: as much as it likes.</param>
public sealed record NewDocument(DocumentKey Key, Instant CreatedAt, ReadOnlyMemory<byte> Content, Instant? ExpiresAt = null, DocumentBounds? Within = null);

/// <summary>How much a tenant may have of one kind.</summary>
public readonly record struct DocumentBounds(long DocumentsMax, long ContentBytesMax)
{
    public bool Hold(DocumentSum sum) => sum.Documents <= DocumentsMax && sum.ContentBytes <= ContentBytesMax;
}

/// <summary>How much there is of one kind.</summary>
public readonly record struct DocumentSum(long Documents, long ContentBytes);

/// <summary>The tenant has as much of this kind as it may; nothing was stored.</summary>
public sealed class DocumentsFullException : StoreException
{
    public DocumentsFullException(string message) : base(message) { }
    public DocumentsFullException(string message, Exception inner) : base(message, inner) { }
    public DocumentsFullException() { }
}

public sealed record StoredDocument(DocumentKey Key, DocumentVersion Version, Instant CreatedAt, Instant? ExpiresAt, ReadOnlyMemory<byte> Content)
{
    public DocumentPosition Position => new(CreatedAt, Key.Id, Key.Tenant);
}

/// <summary>A place in a list. It stays valid when the document is deleted.</summary>
public readonly record struct DocumentPosition(Instant CreatedAt, string Id, TenantId? Tenant);

/// <param name="Tenant">Null: all documents of the kind, whosever they are.</param>
/// <param name="After">Only what comes after this place in the order asked for (keyset paging).</param>
public sealed record DocumentQuery(string Kind, TenantId? Tenant = null, DocumentPosition? After = null, bool NewestFirst = false, int Limit = 100);
