using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What assets, bills, energy and staff have made due at an instant, and by how much pools really cost more or less than their hourly rates said.</summary>
internal static class CostDues
{
    public static async Task<ImmutableArray<Due>> ReadAsync(IBookReader store, Declarations declared, CostBook rates, Instant at, CancellationToken cancel)
    {
        ImmutableArray<PoolCostLine> lines = await PoolCosts.UntilAsync(store, declared, at, cancel).ConfigureAwait(false);
        var dues = ImmutableArray.CreateBuilder<Due>();
        foreach (AssetLife life in AssetLife.All(declared).Where(a => a.Asset.InService < at))
            dues.AddRange(Of(life, lines.First(l => l.Nature == CostNature.Depreciation && l.Name == life.Asset.Name).Full, at));
        foreach (PoolCostLine line in lines)
            dues.Add(Cost(line));
        foreach (var pool in lines.GroupBy(l => (l.Pool, l.Full.Currency)))
        {
            Money zero = Money.Zero(pool.Key.Currency);
            Money actual = pool.Aggregate(zero, (sum, l) => sum + l.Full);
            Money standard = (await StandardAsync(store, rates, pool.Key.Pool, at, cancel).ConfigureAwait(false)) is { } cost && cost.Currency == zero.Currency ? cost : zero;
            dues.Add(new Due("rate variance", "pool cost above or below its hourly rate", Accounts.RateVariance, Accounts.AccruedCapacityVariance, new Dimensions(Pool: pool.Key.Pool), actual - standard));
        }
        return dues.ToImmutable();
    }

    /// <summary>Pool cost of a period that the journal has in the next one only: a pool's time is posted when it is over, and that may be after midnight. Usage already posted takes its part of it, the rest is unused.</summary>
    public static async Task<ImmutableArray<Due>> CutOffAsync(IBookReader store, CostBook rates, Instant at, CancellationToken cancel)
    {
        ImmutableArray<EntrySum> sums = await store.SumEntriesAsync(new SumQuery(new Period(Period.All.From, at), GroupBy.Pool), cancel).ConfigureAwait(false);
        var dues = ImmutableArray.CreateBuilder<Due>();
        foreach (PoolName pool in rates.Pools)
        {
            if (await StandardAsync(store, rates, pool, at, cancel).ConfigureAwait(false) is not { } standard) continue;
            Money Balance(Account account) => sums.Where(s => s.Account == account && s.Key.Pool == pool && s.Amount.Currency == standard.Currency).Aggregate(Money.Zero(standard.Currency), (sum, s) => sum + s.Amount);
            Money accrued = standard + Balance(Accounts.AccruedCapacity), clearing = Balance(Accounts.CapacityClearing);
            Money taken = clearing.IsNegative ? -clearing : Money.Zero(standard.Currency);
            var dimensions = new Dimensions(Pool: pool);
            dues.Add(new Due("cut-off", "pool time posted after the period", Accounts.AccruedCapacityCutOff, Accounts.CapacityClearingCutOff, dimensions, -accrued));
            dues.Add(new Due("cut-off", "pool time posted after the period, unused", Accounts.UnusedCapacityCutOff, Accounts.CapacityClearingCutOff, dimensions, accrued - taken));
        }
        return dues.ToImmutable();
    }

    /// <summary>Running time of a pool up to an instant at its hourly rates; null: the pool has none.</summary>
    private static async Task<Money?> StandardAsync(IBookReader store, CostBook rates, PoolName pool, Instant at, CancellationToken cancel)
    {
        if (rates.RunningCost(pool, at, at) is not { } nothing) return null;
        Money total = nothing.Amount;
        await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, new Period(Period.All.From, at), cancel).ConfigureAwait(false))
            if (record.State != CapacityState.Down) total += rates.RunningCost(pool, record.From, record.To < at ? record.To : at)!.Amount;
        return total;
    }

    private static Due Cost(PoolCostLine line)
    {
        var dimensions = new Dimensions(Pool: line.Pool);
        if (line.Nature == CostNature.Depreciation)
            return new Due("depreciation", $"depreciation of {line.Name}", Accounts.Equipment.Below(line.Name).Below("depreciation"), Accounts.ActualCapacityCost, dimensions, -line.Full);
        string nature = line.Nature.ToString().ToLowerInvariant();
        return new Due(nature, $"{nature} of {line.Pool}", Accounts.Payables.Below(nature), Accounts.ActualCapacityCost, dimensions, -line.Full);
    }

    private static IEnumerable<Due> Of(AssetLife life, Money depreciated, Instant at)
    {
        Asset asset = life.Asset;
        var dimensions = new Dimensions(Pool: asset.Pool);
        Account account = Accounts.Equipment.Below(asset.Name);
        yield return new Due("asset", $"{asset.Name} in service", account, Accounts.Payables, dimensions, asset.Price);
        if (life.Retired is not { } retired || retired.At >= at) yield break;
        yield return new Due("asset retired", $"{asset.Name} leaves service", account.Below("retired"), Accounts.RetiredEquipment, dimensions, depreciated - asset.Price);
        yield return new Due("asset sold", $"{asset.Name} sold", Accounts.RetiredEquipment.Below("proceeds").Below(asset.Name), Accounts.Cash, dimensions, -retired.Proceeds);
    }
}
