using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>What both engines share: facts through one writer, questions through a pool of readers.</summary>
public abstract class SqlStore : IStore
{
    private readonly StoreOptions _options;
    private readonly CommitQueue _queue;
    private readonly ReaderPool _readers;
    private readonly DocumentWrites _documents;
    private int _disposed;

    /// <param name="openReader">Makes a connection that sees committed facts.</param> <param name="afterBatch">Housekeeping on the writer's thread.</param>
    /// <param name="flusher">Brings commits to the disk; null: they are there when <paramref name="commit"/> returns.</param>
    private protected SqlStore(CommitBatch commit, Func<SqlDatabase> openReader, Action afterBatch, StoreOptions options, TimeProvider clock, LogFlusher? flusher = null)
    {
        _options = options;
        _readers = new ReaderPool(openReader, options.ReadersMax);
        _queue = new CommitQueue(commit, afterBatch, options.QueueFactsMax, options.BatchFactsMax, flusher);
        _documents = new DocumentWrites(_queue, clock, options.DocumentBytesMax);
    }

    public Task AppendAsync(Fact fact, CancellationToken cancel = default) => _queue.AppendAsync(fact, Durability.Power, cancel);
    public Task AppendAsync(Fact fact, Durability durability, CancellationToken cancel = default) => _queue.AppendAsync(fact, durability, cancel);

    public Task<DirectorySnapshot> ReadDirectoryAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Directory, cancel);
    public Task<ImmutableArray<PriceVersion>> ReadPricesAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Prices, cancel);
    public Task<ImmutableArray<PoolRate>> ReadPoolRatesAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.PoolRates, cancel);
    public Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default) => _readers.QueryAsync(UsageQueries.OpenHolds, cancel);

    public Task<ImmutableArray<UsageRecord>> ReadUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageQueries.Page(reader, query), cancel);

    public IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        _readers.StreamAsync(reader => UsageQueries.Stream(reader, query), cancel);

    public Task<ImmutableArray<SpendRow>> ReadSpendAsync(Period period, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageSums.Spend(reader, period, _options.HomeCurrency), cancel);

    public Task<ImmutableArray<UsageSum>> SumUsageAsync(SumQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageSums.Sum(reader, query, _options.HomeCurrency), cancel);

    public Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => EntrySums.Sum(reader, query), cancel);

    public IAsyncEnumerable<Transaction> StreamJournalAsync(JournalQuery query, CancellationToken cancel = default) =>
        _readers.StreamAsync(reader => JournalQueries.Stream(reader, query), cancel);

    public Task<ImmutableArray<RequestId>> ReadPostedRecordsAsync(TransactionId transaction, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageQueries.PostedBy(reader, transaction), cancel);

    public IAsyncEnumerable<Posting> StreamPostingsAsync(CancellationToken cancel = default) => _readers.StreamAsync(JournalQueries.Postings, cancel, ReaderPool.StreamChunkPostings);

    public IAsyncEnumerable<CapacityRecord> StreamCapacityAsync(PoolName pool, Period period, CancellationToken cancel = default) =>
        _readers.StreamAsync(reader => DirectoryQueries.Capacity(reader, pool, period), cancel);

    public Task<ImmutableArray<ClearedUsage>> ReadClearedUsageAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Cleared, cancel);

    public Task<ImmutableArray<Declaration>> ReadDeclarationsAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Declarations, cancel);

    public Task<ImmutableArray<AuditEntry>> ReadAuditAsync(int limit, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => JournalQueries.Audit(reader, limit), cancel);

    public Task<StoredDocument?> FindAsync(DocumentKey key, CancellationToken cancel = default) => _readers.QueryAsync(reader => DocumentRows.Find(reader, key, _documents.Now), cancel);

    public Task<ImmutableArray<StoredDocument>> ListAsync(DocumentQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => DocumentRows.List(reader, query, _documents.Now), cancel);

    public Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel = default) => _documents.TryAddAsync(document, cancel);

    public Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Instant? expiresAt = null, CancellationToken cancel = default) =>
        _documents.TryReplaceAsync(key, expected, content, expiresAt, cancel);

    public Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected = null, CancellationToken cancel = default) => _documents.TryDeleteAsync(key, expected, cancel);

    public Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel = default) => _documents.DeleteExpiredAsync(documentsMax, cancel);

    /// <summary>The engine's own checks of its files and references, sums made afresh from the records, balance of every transaction, capacity without gaps.
    /// Reads everything: at ten million records this takes minutes.</summary>
    public Task<ImmutableArray<string>> VerifyAsync(CancellationToken cancel = default) => _readers.QueryAsync(StoreCheck.Run, cancel);

    /// <summary>Writes what was handed over, then lets go of the database.</summary>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _queue.DisposeAsync().ConfigureAwait(false);
        _readers.Dispose();
        Close();
    }

    /// <summary>After the last fact and the last question.</summary>
    private protected abstract void Close();
}
