using System.Collections.Immutable;
using System.Numerics;

namespace Qanat.Books;

/// <summary>Energy in mW ns (10^-12 joule) and what it cost. Marginal: the part drawn because the pool was busy.</summary>
public sealed record EnergyCost(Money Full, Money Marginal, Int128 MilliwattNanoseconds);

/// <summary>Energy of a pool from its beginning up to an instant: idle power while it runs, busy power for its device time, or what a meter showed; times PUE, times tariff.
/// Added up first and turned into money once for each tariff, so that it does not matter how the time was cut into records.</summary>
internal sealed class Energy(PoolName pool, Declarations declared, Instant at)
{
    private readonly ImmutableArray<Tariff> tariffs = [.. declared.Tariffs.OrderBy(t => t.From)];
    private readonly ImmutableArray<PowerProfile> profiles = [.. declared.PowerProfiles.Where(p => p.Pool == pool).OrderBy(p => p.From)];
    private readonly ImmutableArray<EnergyReading> readings = [.. declared.EnergyReadings.Where(r => r.Pool == pool).OrderBy(r => r.Period.From)];
    private readonly Dictionary<string, (Int128 Idle, Int128 Busy)> byTariff = new(StringComparer.Ordinal);

    public bool IsKnown => !tariffs.IsEmpty && !(profiles.IsEmpty && readings.IsEmpty);

    /// <summary>Adds a stretch of the pool's time.</summary>
    public void Add(CapacityRecord record)
    {
        if (record.State == CapacityState.Down) return;
        long[] cuts = [.. Cuts(record).Distinct().Order()];
        long[] walls = [.. cuts.Zip(cuts.Skip(1), (from, to) => to - from)];
        ImmutableArray<long> busy = walls.Sum() == 0 ? [] : Allocation.Split(record.BusyNanoseconds, walls);
        for (int i = 0; i < busy.Length; i++)
        {
            var from = new Instant(cuts[i]);
            if (from >= at || readings.Any(r => r.Period.Contains(from)) || profiles.LastOrDefault(p => p.From <= from) is not { } profile) continue;
            Add(from, (Int128)walls[i] * profile.IdleMilliwatts, (Int128)busy[i] * profile.BusyMilliwatts);
        }
    }

    public EnergyCost Cost()
    {
        foreach (EnergyReading reading in readings.Where(r => r.Period.From < at)) AddReading(reading);
        Money full = Money.Zero(tariffs[0].PerKilowattHour.Currency), marginal = full;
        Int128 energy = 0;
        foreach (Tariff tariff in tariffs)
        {
            if (!byTariff.TryGetValue(tariff.Name, out var sums)) continue;
            full += Price(tariff, sums.Idle + sums.Busy);
            marginal += Price(tariff, sums.Busy);
            energy += sums.Idle + sums.Busy;
        }
        return new EnergyCost(full, marginal, energy);
    }

    /// <summary>A reading that has not ended yet counts for the time that has passed; cut at every change of tariff.</summary>
    private void AddReading(EnergyReading reading)
    {
        long[] cuts = [.. tariffs.Select(t => t.From).Append(at).Where(reading.Period.Contains).Append(reading.Period.From).Append(reading.Period.To).Select(i => i.UnixNanoseconds).Distinct().Order()];
        Int128[] walls = [.. cuts.Zip(cuts.Skip(1), (from, to) => (Int128)(to - from))];
        ImmutableArray<Int128> parts = Allocation.Split(reading.MilliwattNanoseconds, walls);
        for (int i = 0; i < parts.Length; i++)
            if (cuts[i] < at.UnixNanoseconds) Add(new Instant(cuts[i]), parts[i], 0);
    }

    private void Add(Instant from, Int128 idle, Int128 busy)
    {
        if (tariffs.LastOrDefault(t => t.From <= from) is not { } tariff) return;
        var sums = byTariff.GetValueOrDefault(tariff.Name);
        byTariff[tariff.Name] = (sums.Idle + idle, sums.Busy + busy);
    }

    private IEnumerable<long> Cuts(CapacityRecord record)
    {
        var period = new Period(record.From, record.To);
        IEnumerable<Instant> inside = [.. tariffs.Select(t => t.From), .. profiles.Select(p => p.From), .. readings.SelectMany(r => new[] { r.Period.From, r.Period.To }), at];
        return inside.Where(period.Contains).Append(record.From).Append(record.To).Select(i => i.UnixNanoseconds);
    }

    private static Money Price(Tariff tariff, Int128 energy)
    {
        BigInteger picos = (BigInteger)energy * tariff.PuePermille * tariff.PerKilowattHour.Picos / ((BigInteger)EnergyReading.PerKilowattHour * 1000);
        return new Money((Int128)picos, tariff.PerKilowattHour.Currency);
    }
}
