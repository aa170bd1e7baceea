using System.Collections.Immutable;

namespace Qanat.Books.Tests;

/// <summary>A store in front of another one: a test overrides what is to go differently.</summary>
internal class ForwardingBookStore(IBookStore inner) : IBookStore
{
    public virtual Task AppendAsync(Fact fact, CancellationToken cancel = default) => inner.AppendAsync(fact, cancel);

    public virtual Task<DirectorySnapshot> ReadDirectoryAsync(CancellationToken cancel = default) => inner.ReadDirectoryAsync(cancel);
    public virtual Task<ImmutableArray<PriceVersion>> ReadPricesAsync(CancellationToken cancel = default) => inner.ReadPricesAsync(cancel);
    public virtual Task<ImmutableArray<PoolRate>> ReadPoolRatesAsync(CancellationToken cancel = default) => inner.ReadPoolRatesAsync(cancel);
    public virtual Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default) => inner.ReadOpenHoldsAsync(cancel);
    public virtual Task<ImmutableArray<UsageRecord>> ReadUsageAsync(UsageQuery query, CancellationToken cancel = default) => inner.ReadUsageAsync(query, cancel);
    public virtual IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, CancellationToken cancel = default) => inner.StreamUsageAsync(query, cancel);
    public virtual Task<ImmutableArray<SpendRow>> ReadSpendAsync(Period period, CancellationToken cancel = default) => inner.ReadSpendAsync(period, cancel);
    public virtual Task<ImmutableArray<UsageSum>> SumUsageAsync(SumQuery query, CancellationToken cancel = default) => inner.SumUsageAsync(query, cancel);
    public virtual Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default) => inner.SumEntriesAsync(query, cancel);
    public virtual IAsyncEnumerable<Transaction> StreamJournalAsync(JournalQuery query, CancellationToken cancel = default) => inner.StreamJournalAsync(query, cancel);
    public virtual Task<ImmutableArray<RequestId>> ReadPostedRecordsAsync(TransactionId transaction, CancellationToken cancel = default) => inner.ReadPostedRecordsAsync(transaction, cancel);
    public virtual IAsyncEnumerable<CapacityRecord> StreamCapacityAsync(PoolName pool, Period period, CancellationToken cancel = default) => inner.StreamCapacityAsync(pool, period, cancel);
    public virtual Task<ImmutableArray<ClearedUsage>> ReadClearedUsageAsync(CancellationToken cancel = default) => inner.ReadClearedUsageAsync(cancel);
    public virtual Task<ImmutableArray<Declaration>> ReadDeclarationsAsync(CancellationToken cancel = default) => inner.ReadDeclarationsAsync(cancel);
    public virtual Task<ImmutableArray<AuditEntry>> ReadAuditAsync(int limit, CancellationToken cancel = default) => inner.ReadAuditAsync(limit, cancel);
    public virtual Task<ImmutableArray<string>> VerifyAsync(CancellationToken cancel = default) => inner.VerifyAsync(cancel);
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await inner.DisposeAsync();
    }
}

/// <summary>Hands every fact over twice, as a client that retries does.</summary>
internal sealed class TwiceBookStore(IBookStore inner) : ForwardingBookStore(inner)
{
    public override async Task AppendAsync(Fact fact, CancellationToken cancel = default)
    {
        await base.AppendAsync(fact, cancel);
        await base.AppendAsync(fact, cancel);
    }
}
