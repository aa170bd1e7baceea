using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>One cost of a pool. Marginal: the part that would not have arisen without use.</summary>
public sealed record PoolCostLine(PoolName Pool, CostNature Nature, string Name, Money Full, Money Marginal);

/// <summary>What pools really cost, from assets, bills, tariffs and staff: running totals from the beginning up to an instant. The cost of a period is the difference of two.</summary>
public static class PoolCosts
{
    /// <summary>Every cost up to an instant, in a fixed order.</summary>
    public static async Task<ImmutableArray<PoolCostLine>> UntilAsync(IBookReader store, Declarations declared, Instant at, CancellationToken cancel = default)
    {
        ImmutableArray<AssetLife> assets = AssetLife.All(declared);
        var lines = ImmutableArray.CreateBuilder<PoolCostLine>();
        IEnumerable<PoolName> pools = assets.Select(a => a.Asset.Pool).Concat(declared.Bills.Select(b => b.Pool)).Concat(declared.PowerProfiles.Select(p => p.Pool)).Concat(declared.EnergyReadings.Select(r => r.Pool));
        foreach (PoolName pool in pools.Distinct().OrderBy(p => p.Value, StringComparer.Ordinal))
        {
            AssetLife[] own = [.. assets.Where(a => a.Asset.Pool == pool)];
            var busy = new BusyTime(own.SelectMany(a => a.Marks(at)));
            var energy = new Energy(pool, declared, at);
            await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, new Period(Period.All.From, at), cancel).ConfigureAwait(false))
            {
                busy.Add(record);
                if (energy.IsKnown) energy.Add(record);
            }
            lines.AddRange(own.Select(a => Depreciated(a, at, busy)));
            lines.AddRange(declared.Bills.Where(b => b.Pool == pool && b.Period.From < at).OrderBy(b => b.Name, StringComparer.Ordinal).Select(b => Billed(b, at)));
            if (energy.IsKnown && energy.Cost() is var cost) lines.Add(new PoolCostLine(pool, CostNature.Energy, "energy", cost.Full, cost.Marginal));
        }
        return lines.ToImmutable();
    }

    /// <summary>The costs of a period.</summary>
    public static async Task<ImmutableArray<PoolCostLine>> InAsync(IBookReader store, Declarations declared, Period period, CancellationToken cancel = default)
    {
        var before = (await UntilAsync(store, declared, period.From, cancel).ConfigureAwait(false)).ToDictionary(l => (l.Pool, l.Nature, l.Name));
        return [.. (await UntilAsync(store, declared, period.To, cancel).ConfigureAwait(false))
            .Select(l => before.TryGetValue((l.Pool, l.Nature, l.Name), out PoolCostLine? b) ? l with { Full = l.Full - b.Full, Marginal = l.Marginal - b.Marginal } : l)
            .Where(l => !l.Full.IsZero)];
    }

    private static PoolCostLine Depreciated(AssetLife life, Instant at, BusyTime busy)
    {
        Money amount = Depreciation.Until(life, at, busy.Until);
        return new PoolCostLine(life.Asset.Pool, CostNature.Depreciation, life.Asset.Name, amount, life.Asset.Method == DepreciationMethod.UnitsOfProduction ? amount : Money.Zero(amount.Currency));
    }

    private static PoolCostLine Billed(Bill bill, Instant at)
    {
        Money amount = bill.Until(at);
        return new PoolCostLine(bill.Pool, bill.Nature, bill.Name, amount, Allocation.Part(amount, bill.MarginalPermille, 1000L - bill.MarginalPermille));
    }

    /// <summary>Device time of a pool up to each of some instants, in one pass. A record that an instant cuts counts by its wall time.</summary>
    private sealed class BusyTime(IEnumerable<Instant> marks)
    {
        private readonly Dictionary<Instant, Int128> until = marks.Distinct().ToDictionary(m => m, _ => Int128.Zero);

        public void Add(CapacityRecord record)
        {
            foreach (Instant mark in until.Keys)
            {
                if (mark >= record.To) until[mark] += record.BusyNanoseconds;
                else if (mark > record.From) until[mark] += Allocation.Split(record.BusyNanoseconds, [mark.UnixNanoseconds - record.From.UnixNanoseconds, record.To.UnixNanoseconds - mark.UnixNanoseconds])[0];
            }
        }

        public Int128 Until(Instant mark) => until[mark];
    }
}
