namespace Qanat.Books;

/// <summary>Cost of work that is not in the journal yet: device time of open holds, and records that are settled but not posted.</summary>
internal static class WorkInProgress
{
    public static async Task<Money> ReadAsync(IBookReader store, CostBook book, PoolName pool, Currency currency, Instant at, CancellationToken cancel)
    {
        Money total = Money.Zero(currency);
        foreach (OpenHold open in await store.ReadOpenHoldsAsync(cancel).ConfigureAwait(false))
        {
            if (PoolOf(book, open.Hold) == pool && book.Cost(pool, at, open.Progress.Device) is { } cost)
                total += cost.Amount;
        }
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All, Posted: false), cancel).ConfigureAwait(false))
        {
            if (record.Pool == pool && record.Cost is { } cost)
                total += cost;
        }
        return total;
    }

    /// <summary>Whose device time a hold uses: the pool it names, or the only one there is.</summary>
    public static PoolName? PoolOf(CostBook book, Hold hold) => hold.Pool ?? (book.Pools.Length == 1 ? book.Pools[0] : null);
}
