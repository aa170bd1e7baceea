using System.Collections.Immutable;

namespace Qanat.Books.Tests;

/// <summary>A reader in front of another one: a test overrides what is to go differently.</summary>
internal class ForwardingBookReader(IBookReader inner) : IBookReader
{
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
}

/// <summary>A store in front of another one, likewise.</summary>
internal class ForwardingBookStore(IBookStore inner) : ForwardingBookReader(inner), IBookStore, IBookSnapshot
{
    protected IBookStore Inner { get; } = inner;

    public virtual Task AppendAsync(Fact fact, CancellationToken cancel = default) => Inner.AppendAsync(fact, cancel);

    /// <summary>Itself, so that what a test overrides counts there too: for tests in which nobody writes meanwhile.</summary>
    public virtual Task<IBookSnapshot> SnapshotAsync(CancellationToken cancel = default) => Task.FromResult<IBookSnapshot>(this);

    /// <summary>The store behind it goes on.</summary>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
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
