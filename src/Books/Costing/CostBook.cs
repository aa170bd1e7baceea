using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books;

/// <summary>Cost of a request's device time and the rate that made it.</summary>
public sealed record UsageCost(PoolRateId Rate, Money Amount);

/// <summary>Cost of a stretch of a pool's running time. UncostedNanoseconds lie before the pool's first rate: no cost is known for them.</summary>
public sealed record PoolCost(Money Amount, long UncostedNanoseconds);

/// <summary>An immutable snapshot of what every pool costs, and time-driven costing with it (Kaplan and Anderson, "Time-Driven Activity-Based Costing", 2004):
/// rate = cost of capacity supplied / practical capacity, cost of a request = its device time x rate.</summary>
/// <remarks>An hourly rate is the cost of an hour in which the pool runs (Loading or Serving). Time in which it is Down is recorded, but does not cost at such a rate.</remarks>
public sealed class CostBook
{
    public static readonly CostBook Empty = new([]);

    private readonly FrozenDictionary<PoolName, ImmutableArray<PoolRate>> byPool;
    private readonly FrozenDictionary<PoolRateId, PoolRate> byId;

    /// <exception cref="ArgumentException">A rate is negative, its practical capacity is not 1 to 1000 permille, or the rates of a pool mix currencies.</exception>
    public CostBook(IEnumerable<PoolRate> rates)
    {
        Rates = [.. rates.Distinct().OrderBy(r => r.EffectiveFrom).ThenBy(r => r.AddedAt).ThenBy(r => r.Id.Value)];
        foreach (PoolRate rate in Rates)
        {
            if (rate.HourlyCost.IsNegative) throw new ArgumentException($"{rate.HourlyCost} per hour for '{rate.Pool}' is negative: a cost is zero or more.", nameof(rates));
            if (rate.PracticalCapacityPermille is < 1 or > 1000)
                throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{rate.PracticalCapacityPermille} permille for '{rate.Pool}' is not a practical capacity: use 1 to 1000."), nameof(rates));
        }
        byId = Rates.ToFrozenDictionary(r => r.Id);
        byPool = Rates.GroupBy(r => r.Pool).ToFrozenDictionary(g => g.Key, g => g.ToImmutableArray());
        foreach (PoolName pool in byPool.Keys)
        {
            if (byPool[pool].Select(r => r.HourlyCost.Currency).Distinct().Skip(1).Any())
                throw new ArgumentException($"The rates of '{pool}' mix currencies: a pool is costed in one.", nameof(rates));
        }
    }

    /// <summary>In the order in which they take effect.</summary>
    public ImmutableArray<PoolRate> Rates { get; }

    public ImmutableArray<PoolName> Pools => [.. byPool.Keys.OrderBy(p => p.Value, StringComparer.Ordinal)];

    /// <summary>The rate with an id; null when this snapshot does not hold it.</summary>
    public PoolRate? Get(PoolRateId id) => byId.GetValueOrDefault(id);

    /// <summary>The rate in force at an instant; null: none yet.</summary>
    public PoolRate? RateAt(PoolName pool, Instant at) => byPool.TryGetValue(pool, out ImmutableArray<PoolRate> rates) ? rates.LastOrDefault(r => r.EffectiveFrom <= at) : null;

    /// <summary>A snapshot with one rate more.</summary>
    /// <exception cref="ArgumentException">As the constructor.</exception>
    public CostBook With(PoolRate rate) => new(Rates.Add(rate));

    /// <summary>Cost of device time at the rate in force at an instant (a request's CompletedAt); null: uncosted.</summary>
    public UsageCost? Cost(PoolName pool, Instant at, DeviceTime device) => RateAt(pool, at) is { } rate ? new UsageCost(rate.Id, Cost(rate, device)) : null;

    /// <summary>device time x hourly cost / practical capacity of an hour, to the nearest pico.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The device time is negative.</exception>
    public static Money Cost(PoolRate rate, DeviceTime device)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(device.PrefillNanoseconds);
        ArgumentOutOfRangeException.ThrowIfNegative(device.DecodeNanoseconds);
        long capacity = Instant.NanosecondsPerHour / 1000 * rate.PracticalCapacityPermille;
        (long hours, long rest) = Math.DivRem(device.TotalNanoseconds, capacity);
        return rate.HourlyCost * hours + Allocation.Part(rate.HourlyCost, rest, capacity - rest);
    }

    /// <summary>What a pool costs while it runs from one instant to another, at every rate in force in between. Differences of one running total:
    /// the cost of [a, b) and of [b, c) sum to that of [a, c) exactly, however often it is cut.</summary>
    /// <returns>Null: the pool has no rate at all.</returns>
    public PoolCost? RunningCost(PoolName pool, Instant from, Instant to)
    {
        if (from > to) throw new ArgumentException($"{from} is after {to}.", nameof(from));
        if (!byPool.TryGetValue(pool, out ImmutableArray<PoolRate> rates)) return null;
        long uncosted = Math.Max(0, Math.Min(to.UnixNanoseconds, rates[0].EffectiveFrom.UnixNanoseconds) - from.UnixNanoseconds);
        return new PoolCost(new Money(RunningTotal(rates, to) - RunningTotal(rates, from), rates[0].HourlyCost.Currency), uncosted);
    }

    /// <summary>Cost from the first rate up to an instant: each rate's own total is rounded down once, at its end.</summary>
    private static Int128 RunningTotal(ImmutableArray<PoolRate> rates, Instant at)
    {
        Int128 total = 0;
        for (int i = 0; i < rates.Length && rates[i].EffectiveFrom < at; i++)
        {
            Instant end = i + 1 < rates.Length && rates[i + 1].EffectiveFrom < at ? rates[i + 1].EffectiveFrom : at;
            total += Allocation.FloorOfProduct(rates[i].HourlyCost.Picos, end.UnixNanoseconds - rates[i].EffectiveFrom.UnixNanoseconds, Instant.NanosecondsPerHour);
        }
        return total;
    }
}
