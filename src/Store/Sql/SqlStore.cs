using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>What both engines share: facts through one writer, questions through a pool of readers.</summary>
public abstract class SqlStore : SqlReader, IStore
{
    private readonly StoreOptions _options;
    private readonly CommitQueue _queue;
    private readonly ReaderPool _readers;
    private readonly DocumentWrites _documents;
    private int _disposed;

    /// <param name="openReader">Makes a connection that sees committed facts.</param> <param name="afterBatch">Housekeeping on the writer's thread.</param>
    /// <param name="flusher">Brings commits to the disk; null: they are there when <paramref name="commit"/> returns.</param> <param name="decide">Null: commits are never in doubt.</param>
    private protected SqlStore(CommitBatch commit, Func<SqlDatabase> openReader, Action afterBatch, StoreOptions options, TimeProvider clock, LogFlusher? flusher = null, DecideCommit? decide = null)
        : base(options.HomeCurrency)
    {
        _options = options;
        _readers = new ReaderPool(openReader, options.ReadersMax);
        _queue = new CommitQueue(commit, afterBatch, options.QueueFactsMax, options.BatchFactsMax, flusher, callersCommit: flusher is not null, decide);
        _documents = new DocumentWrites(_queue, clock, options.DocumentBytesMax);
    }

    public Task AppendAsync(Fact fact, CancellationToken cancel = default) => _queue.AppendAsync(fact, Durability.Power, cancel);
    public Task AppendAsync(Fact fact, Durability durability, CancellationToken cancel = default) => _queue.AppendAsync(fact, durability, cancel);

    public async Task<IBookSnapshot> SnapshotAsync(CancellationToken cancel = default) => new SqlSnapshot(await _readers.BeginAsync(cancel).ConfigureAwait(false), _options.HomeCurrency);

    public Task<StoredDocument?> FindAsync(DocumentKey key, CancellationToken cancel = default) => QueryAsync(reader => DocumentRows.Find(reader, key, _documents.Now), cancel);

    public Task<ImmutableArray<StoredDocument>> ListAsync(DocumentQuery query, CancellationToken cancel = default) =>
        QueryAsync(reader => DocumentRows.List(reader, query, _documents.Now), cancel);

    public Task<DocumentSum> SumAsync(string kind, TenantId? tenant, CancellationToken cancel = default) => QueryAsync(reader => DocumentRows.Sum(reader.Database, kind, tenant), cancel);

    public Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel = default) => _documents.TryAddAsync(document, cancel);

    public Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Instant? expiresAt = null, CancellationToken cancel = default) =>
        _documents.TryReplaceAsync(key, expected, content, expiresAt, cancel);

    public Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected = null, CancellationToken cancel = default) => _documents.TryDeleteAsync(key, expected, cancel);

    public Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel = default) => _documents.DeleteExpiredAsync(documentsMax, cancel);

    /// <summary>The end is near: nobody waits any longer than <see cref="StoreOptions.ReconnectMax"/> for a database server that is away. Facts can still be appended.</summary>
    public virtual void PrepareToClose()
    {
    }

    /// <summary>Writes what was handed over, then lets go of the database.</summary>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        PrepareToClose();
        await _queue.DisposeAsync().ConfigureAwait(false);
        await _readers.DisposeAsync().ConfigureAwait(false);
        Close();
    }

    private protected sealed override Task<T> QueryAsync<T>(Func<Reader, T> query, CancellationToken cancel) => _readers.QueryAsync(query, cancel);
    private protected sealed override IAsyncEnumerable<T> RowsAsync<T>(Func<Reader, IEnumerable<T>> query, CancellationToken cancel, int chunkRows = ReaderPool.StreamChunkRows) => _readers.StreamAsync(query, cancel, chunkRows);

    /// <summary>After the last fact and the last question.</summary>
    private protected abstract void Close();
}
