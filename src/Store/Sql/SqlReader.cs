using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The questions that books in SQL answer: those of a store each as of its own moment, those of a snapshot all as of one.</summary>
public abstract class SqlReader : IBookReader
{
    private readonly Currency _home;

    private protected SqlReader(Currency home) => _home = home;

    public Task<DirectorySnapshot> ReadDirectoryAsync(CancellationToken cancel = default) => QueryAsync(DirectoryQueries.Directory, cancel);
    public Task<ImmutableArray<PriceVersion>> ReadPricesAsync(CancellationToken cancel = default) => QueryAsync(DirectoryQueries.Prices, cancel);
    public Task<ImmutableArray<PoolRate>> ReadPoolRatesAsync(CancellationToken cancel = default) => QueryAsync(DirectoryQueries.PoolRates, cancel);
    public Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default) => QueryAsync(UsageQueries.OpenHolds, cancel);

    public Task<ImmutableArray<UsageRecord>> ReadUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        QueryAsync(reader => UsageQueries.Page(reader, query), cancel);

    public IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        RowsAsync(reader => UsageQueries.Stream(reader, query), cancel);

    public Task<ImmutableArray<SpendRow>> ReadSpendAsync(Period period, CancellationToken cancel = default) =>
        QueryAsync(reader => UsageSums.Spend(reader, period, _home), cancel);

    public Task<ImmutableArray<UsageSum>> SumUsageAsync(SumQuery query, CancellationToken cancel = default) =>
        QueryAsync(reader => UsageSums.Sum(reader, query, _home), cancel);

    public Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default) =>
        QueryAsync(reader => EntrySums.Sum(reader, query), cancel);

    public IAsyncEnumerable<Transaction> StreamJournalAsync(JournalQuery query, CancellationToken cancel = default) =>
        RowsAsync(reader => JournalQueries.Stream(reader, query), cancel);

    public Task<ImmutableArray<RequestId>> ReadPostedRecordsAsync(TransactionId transaction, CancellationToken cancel = default) =>
        QueryAsync(reader => UsageQueries.PostedBy(reader, transaction), cancel);

    public IAsyncEnumerable<Posting> StreamPostingsAsync(CancellationToken cancel = default) => RowsAsync(PostingQueries.Stream, cancel, ReaderPool.StreamChunkPostings);

    public IAsyncEnumerable<CapacityRecord> StreamCapacityAsync(PoolName pool, Period period, CancellationToken cancel = default) =>
        RowsAsync(reader => DirectoryQueries.Capacity(reader, pool, period), cancel);

    public Task<ImmutableArray<ClearedUsage>> ReadClearedUsageAsync(CancellationToken cancel = default) => QueryAsync(DirectoryQueries.Cleared, cancel);

    public Task<ImmutableArray<Declaration>> ReadDeclarationsAsync(CancellationToken cancel = default) => QueryAsync(DirectoryQueries.Declarations, cancel);

    public Task<ImmutableArray<AuditEntry>> ReadAuditAsync(int limit, CancellationToken cancel = default) =>
        QueryAsync(reader => JournalQueries.Audit(reader, limit), cancel);

    /// <summary>The engine's own checks of its files and references, sums made afresh from the records, balance of every transaction, capacity without gaps.
    /// Reads everything: at ten million records this takes minutes.</summary>
    public Task<ImmutableArray<string>> VerifyAsync(CancellationToken cancel = default) => QueryAsync(StoreCheck.Run, cancel);

    private protected abstract Task<T> QueryAsync<T>(Func<Reader, T> query, CancellationToken cancel);
    private protected abstract IAsyncEnumerable<T> RowsAsync<T>(Func<Reader, IEnumerable<T>> query, CancellationToken cancel, int chunkRows = ReaderPool.StreamChunkRows);
}
