using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Follows every pool's time from its capacity records to the journal.</summary>
internal static class CapacityCheck
{
    public static async Task<ImmutableArray<Identity>> RunAsync(IBookReader store, CostBook costs, UsageCheck usage, JournalCheck journal, CancellationToken cancel)
    {
        var identities = ImmutableArray.CreateBuilder<Identity>();
        ImmutableArray<ClearedUsage> cleared = await store.ReadClearedUsageAsync(cancel).ConfigureAwait(false);
        var positions = (await PoolPositions.ReadAsync(store, [], cancel).ConfigureAwait(false)).ToDictionary(p => p.Pool);
        foreach (PoolName pool in costs.Pools.Union(usage.DeviceTime.Keys).OrderBy(p => p.Value, StringComparer.Ordinal))
        {
            CapacitySums sums = await SumAsync(store, costs, pool, cancel).ConfigureAwait(false);
            Int128 removed = cleared.Where(c => c.Pool == pool).Aggregate(Int128.Zero, (sum, c) => sum + c.DeviceNanoseconds);
            identities.Add(new Identity("capacity has no gap and no overlap", pool.Value, "capacity records", sums.Records, "of them that begin where the one before ends, busy for no longer than they last",
                sums.Records - sums.Broken.Count, IdentityUnit.Of("records"), sums.Broken.Texts));
            identities.Add(new Identity("device time is conserved", pool.Value, "busy time of capacity", sums.Busy, "device time of settled and open requests, and of demo requests removed",
                usage.DeviceTime.GetValueOrDefault(pool) + removed, IdentityUnit.Of("ns"), []));
            if (positions.TryGetValue(pool, out PoolPosition? position))
                identities.AddRange(PoolCost(position, sums, usage, journal));
            else
                identities.AddRange(UpstreamCost(pool, usage, journal));
        }
        return identities.ToImmutable();
    }

    /// <summary>A pool without a rate: its requests, if they cost anything, were bought from outside.</summary>
    private static IEnumerable<Identity> UpstreamCost(PoolName pool, UsageCheck usage, JournalCheck journal) =>
        usage.PostedCosts.Where(cost => cost.Key.Pool == pool).OrderBy(cost => cost.Key.Currency.Code, StringComparer.Ordinal).Select(cost => new Identity(
            "upstream cost is the cost of the posted records", pool.Value, "cost of revenue: compute: upstream", journal.PoolSum(pool, cost.Key.Currency, Accounts.UpstreamCost, Templates.IsUsage),
            "costs of posted records", cost.Value, IdentityUnit.Of(cost.Key.Currency), []));

    private static IEnumerable<Identity> PoolCost(PoolPosition position, CapacitySums sums, UsageCheck usage, JournalCheck journal)
    {
        PoolName pool = position.Pool;
        Currency currency = position.Accrued.Currency;
        Int128 accrued = -journal.PoolSum(pool, currency, Accounts.AccruedCapacity, _ => true);
        yield return new Identity("pool cost is its running time at its rates", pool.Value, "accrued in the journal, and due", accrued + position.Accrued.Picos,
            "capacity records at the pool's rates", sums.Cost, IdentityUnit.Of(currency), []);

        Int128 used = journal.PoolSum(pool, currency, Accounts.ComputeCost, Templates.IsUsage);
        yield return new Identity("compute cost is the cost of the posted records", pool.Value, "cost of revenue: compute", used,
            "costs of posted records", usage.PostedCosts.GetValueOrDefault((pool, currency)), IdentityUnit.Of(currency), []);

        Int128 taken = -journal.PoolSum(pool, currency, Accounts.CapacityClearing, t => !string.Equals(t, Templates.CapacityName, StringComparison.Ordinal));
        Int128 unused = journal.PoolSum(pool, currency, Accounts.UnusedCapacity, _ => true) + (position.IsDue ? position.Unused.Picos : 0);
        yield return new Identity("used + unused + in progress = pool cost", pool.Value, "used + unused + work in progress", taken + unused + position.WorkInProgress.Picos,
            "capacity records at the pool's rates", sums.Cost, IdentityUnit.Of(currency), []);
    }

    /// <summary>Adds a pool's records up. Running stretches that touch are costed as one, unlike in posting: both must agree.</summary>
    private static async Task<CapacitySums> SumAsync(IBookReader store, CostBook costs, PoolName pool, CancellationToken cancel)
    {
        long records = 0;
        Int128 busy = 0, cost = 0;
        var broken = new Findings();
        Instant? end = null;
        Period? running = null;
        await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, Period.All, cancel).ConfigureAwait(false))
        {
            records++;
            busy += record.BusyNanoseconds;
            if (end is { } previous && previous != record.From) broken.Add($"A record of '{pool}' begins at {record.From}; the one before it ends at {previous}.");
            else if (record.To < record.From || record.BusyNanoseconds < 0 || record.BusyNanoseconds > (record.State == CapacityState.Serving ? record.WallNanoseconds : 0))
                broken.Add($"A record of '{pool}' from {record.From} to {record.To} is busy for longer than it serves.");
            end = record.To;
            if (record.State != CapacityState.Down && running is { } stretch && stretch.To == record.From) running = new Period(stretch.From, record.To);
            else
            {
                cost += Cost(running);
                running = record.State == CapacityState.Down ? null : new Period(record.From, record.To);
            }
        }
        return new CapacitySums(records, broken, busy, cost + Cost(running));

        Int128 Cost(Period? stretch) => stretch is { } period ? costs.RunningCost(pool, period.From, period.To)?.Amount.Picos ?? 0 : 0;
    }

    private sealed record CapacitySums(long Records, Findings Broken, Int128 Busy, Int128 Cost);
}
