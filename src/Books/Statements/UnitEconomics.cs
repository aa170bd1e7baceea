using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Price, cost and margin of a million tokens by model, and how well each pool was used. Money is the books' own; every quotient stays a ratio until it is shown.</summary>
/// <param name="Unpriced">Requests left out of revenue.</param> <param name="Uncosted">Requests left out of cost.</param>
public sealed record UnitEconomics(Period Period, ImmutableArray<ModelEconomics> Models, ImmutableArray<PoolEconomics> Pools, long Unpriced, long Uncosted);

/// <summary>One token class of one model. Revenue is re-rated from the records at the price each of them used; cost follows device time: prefill to fresh input, decode to output.</summary>
public sealed record ClassEconomics(string Class, long Tokens, Money Revenue, Money Cost)
{
    private const int Million = 1_000_000;

    /// <summary>Money per million tokens of this class; as text with <see cref="Ratio.ToDecimalText"/>.</summary>
    public Ratio PricePerMillion => PerMillion(Revenue);
    public Ratio CostPerMillion => PerMillion(Cost);
    public Ratio MarginPerMillion => PerMillion(Revenue - Cost);
    public Ratio MarginOfRevenue => new((Revenue - Cost).Picos, Revenue.Picos);

    private Ratio PerMillion(Money money) => new((System.Numerics.BigInteger)money.Picos * Million, (System.Numerics.BigInteger)Tokens * Money.PicosPerUnit);
}

/// <summary>A model in one currency: by class, and all input and output together.</summary>
public sealed record ModelEconomics(ModelName Model, long Requests, ImmutableArray<ClassEconomics> Classes, ClassEconomics All);

/// <summary>A pool's wall time and money in the period. Revenue is what the requests that ran on it were charged.</summary>
public sealed record PoolEconomics(PoolName Pool, long RunningNanoseconds, long DownNanoseconds, long BusyNanoseconds, int PracticalCapacityPermille, Money PoolCost, Money Revenue)
{
    /// <summary>Busy time of running time.</summary>
    public Ratio Utilisation => new(BusyNanoseconds, RunningNanoseconds);

    /// <summary>Busy time of practical capacity; above 1 the pool worked beyond it.</summary>
    public Ratio UtilisationOfPracticalCapacity => new((System.Numerics.BigInteger)BusyNanoseconds * 1000, (System.Numerics.BigInteger)RunningNanoseconds * PracticalCapacityPermille);

    /// <summary>The utilisation at which the period's revenue per busy nanosecond would have paid for the whole pool; above 1: at no utilisation.</summary>
    public Ratio BreakEvenUtilisation => new((System.Numerics.BigInteger)PoolCost.Picos * BusyNanoseconds, (System.Numerics.BigInteger)Revenue.Picos * RunningNanoseconds);

    /// <summary>By what factor prices must change to pay for the whole pool at the period's utilisation.</summary>
    public Ratio BreakEvenPriceFactor => new(PoolCost.Picos, Revenue.Picos);
}
