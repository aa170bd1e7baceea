using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What one pool cost in a period, by nature, on two bases, beside what its hourly rate charged to usage and to unused capacity.</summary>
/// <param name="Standard">Running time at the hourly rate: what the journal has spread.</param>
public sealed record PoolCostStatement(PoolName Pool, Period Period, ImmutableArray<PoolCostLine> Lines, Money Standard, long RunningNanoseconds, long BusyNanoseconds, int PracticalCapacityPermille)
{
    public Money Full => Lines.Aggregate(Money.Zero(Standard.Currency), (sum, l) => sum + l.Full);
    public Money Marginal => Lines.Aggregate(Money.Zero(Standard.Currency), (sum, l) => sum + l.Marginal);

    /// <summary>Positive: the pool cost more than its hourly rate said.</summary>
    public Money Variance => Full - Standard;

    /// <summary>What an hour of running really cost: the next hourly rate, if nothing changes.</summary>
    public Ratio FullPerHour => PerHour(Full, RunningNanoseconds);

    /// <summary>What an hour of device time really cost at practical capacity (time-driven costing's capacity cost rate).</summary>
    public Ratio FullPerPracticalHour => new((System.Numerics.BigInteger)Full.Picos * Instant.NanosecondsPerHour * 1000, (System.Numerics.BigInteger)RunningNanoseconds * PracticalCapacityPermille * Money.PicosPerUnit);

    /// <summary>What one more hour of device time cost.</summary>
    public Ratio MarginalPerBusyHour => PerHour(Marginal, BusyNanoseconds);

    /// <summary>The part of cost that is marginal, for transfer prices.</summary>
    public Ratio MarginalOfFull => new(Marginal.Picos, Full.Picos);

    /// <summary>One statement for each pool with any cost or capacity, in the order of their names.</summary>
    public static async Task<ImmutableArray<PoolCostStatement>> ReadAsync(IBookReader store, Period period, CancellationToken cancel = default)
    {
        Declarations declared = await Declarations.ReadAsync(store, cancel).ConfigureAwait(false);
        var rates = new CostBook(await store.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        ImmutableArray<PoolCostLine> lines = await PoolCosts.InAsync(store, declared, period, cancel).ConfigureAwait(false);
        var statements = ImmutableArray.CreateBuilder<PoolCostStatement>();
        foreach (PoolName pool in rates.Pools.Union(lines.Select(l => l.Pool)).OrderBy(p => p.Value, StringComparer.Ordinal))
        {
            PoolRate? rate = rates.RateAt(pool, period.To) ?? rates.Rates.FirstOrDefault(r => r.Pool == pool);
            Currency currency = rate?.HourlyCost.Currency ?? lines.First(l => l.Pool == pool).Full.Currency;
            var statement = new PoolCostStatement(pool, period, [.. lines.Where(l => l.Pool == pool && l.Full.Currency == currency)], Money.Zero(currency), 0, 0, rate?.PracticalCapacityPermille ?? 1000);
            await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, period, cancel).ConfigureAwait(false))
                statement = statement.With(record, rates);
            statements.Add(statement);
        }
        return statements.ToImmutable();
    }

    private PoolCostStatement With(CapacityRecord record, CostBook rates)
    {
        Instant from = record.From > Period.From ? record.From : Period.From, to = record.To < Period.To ? record.To : Period.To;
        if (to <= from || record.State == CapacityState.Down) return this;
        long wall = to.UnixNanoseconds - from.UnixNanoseconds;
        long busy = wall == record.WallNanoseconds ? record.BusyNanoseconds : Allocation.Split(record.BusyNanoseconds, [wall, record.WallNanoseconds - wall])[0];
        return this with
        {
            RunningNanoseconds = RunningNanoseconds + wall,
            BusyNanoseconds = BusyNanoseconds + busy,
            Standard = Standard + (rates.RunningCost(Pool, from, to)?.Amount ?? Money.Zero(Standard.Currency)),
        };
    }

    private static Ratio PerHour(Money money, long nanoseconds) =>
        new((System.Numerics.BigInteger)money.Picos * Instant.NanosecondsPerHour, (System.Numerics.BigInteger)nanoseconds * Money.PicosPerUnit);
}
