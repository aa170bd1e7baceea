using Qanat.Books;

namespace Qanat.Store;

/// <summary>A change to documents on its way through the writer's queue, in line with the facts.</summary>
internal abstract record DocumentChange : Fact
{
    /// <summary>What became of it, once it is durable: the document's new version, or how many were deleted; null: its condition did not hold and nothing changed.</summary>
    public long? Result { get; set; }
}

internal sealed record DocumentAdded(NewDocument Document, Instant Now) : DocumentChange
{
    /// <summary>It would have passed its bounds.</summary>
    public bool IsBeyond { get; set; }
}

internal sealed record DocumentReplaced(DocumentKey Key, DocumentVersion Expected, ReadOnlyMemory<byte> Content, Instant? ExpiresAt, Instant Now) : DocumentChange;

internal sealed record DocumentDeleted(DocumentKey Key, DocumentVersion? Expected, Instant Now) : DocumentChange;

internal sealed record ExpiredDeleted(int DocumentsMax, Instant Now) : DocumentChange;

/// <summary>What every store of documents does before a change is written and after it was.</summary>
internal sealed class DocumentWrites(CommitQueue queue, TimeProvider clock, long contentBytesMax)
{
    /// <summary>Longer kinds and ids are refused: keys stay small.</summary>
    private const int NameCharsMax = 256;

    public Instant Now => Instant.Now(clock);

    public async Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel)
    {
        Check(document.Key, document.Content);
        DocumentAdded added = new(document, Now);
        long? version = await RunAsync(added, cancel).ConfigureAwait(false);
        return added.IsBeyond ? throw new DocumentsFullException($"The tenant has as many documents of the kind {document.Key.Kind} as it may: delete some.") : Version(version);
    }

    public async Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Instant? expiresAt, CancellationToken cancel)
    {
        Check(key, content);
        return Version(await RunAsync(new DocumentReplaced(key, expected, content, expiresAt, Now), cancel).ConfigureAwait(false));
    }

    public async Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected, CancellationToken cancel) =>
        await RunAsync(new DocumentDeleted(key, expected, Now), cancel).ConfigureAwait(false) is not null;

    public async Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel) =>
        await RunAsync(new ExpiredDeleted(documentsMax, Now), cancel).ConfigureAwait(false) ?? 0;

    private async Task<long?> RunAsync(DocumentChange change, CancellationToken cancel)
    {
        await queue.AppendAsync(change, cancel).ConfigureAwait(false);
        return change.Result;
    }

    private void Check(DocumentKey key, ReadOnlyMemory<byte> content)
    {
        if (key.Kind.Length is 0 or > NameCharsMax || key.Id.Length is 0 or > NameCharsMax)
            throw new StoreException($"A document's kind and id have 1 to {NameCharsMax} characters.");
        if (content.Length > contentBytesMax)
            throw new StoreException($"The {key.Kind} {key.Id} has {content.Length} bytes; a document may have {contentBytesMax}: store it in parts.");
    }

    private static DocumentVersion? Version(long? result) => result is long version ? new DocumentVersion(version) : null;
}
