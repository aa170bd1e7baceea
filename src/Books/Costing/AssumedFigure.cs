using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>A default that stands in for a fact until someone confirms it: a price nobody set, an hourly cost nobody knows.</summary>
/// <param name="What">"price" or "pool".</param> <param name="Subject">The model or pool; null model: every model.</param>
public sealed record AssumedFigure(string What, string? Subject, TenantId? Tenant, string Figure, string Source)
{
    /// <summary>The assumptions in force at an instant.</summary>
    public static ImmutableArray<AssumedFigure> InForce(PriceBook prices, CostBook costs, Instant at)
    {
        ArgumentNullException.ThrowIfNull(prices);
        ArgumentNullException.ThrowIfNull(costs);
        return
        [
            .. prices.Versions.Where(v => v.EffectiveFrom <= at).GroupBy(v => (v.Model, v.Tenant)).Select(g => g.Last()).Where(v => v.IsAssumption)
                .Select(v => new AssumedFigure("price", v.Model?.Value, v.Tenant, $"{v.Rates} {v.Rates.Currency} per million tokens", v.Source)),
            .. costs.Pools.Select(pool => costs.RateAt(pool, at)).OfType<PoolRate>().Where(r => r.IsAssumption)
                .Select(r => new AssumedFigure("pool", r.Pool.Value, null, $"{r.HourlyCost} an hour at {FactValue.PermilleText(r.PracticalCapacityPermille)} practical capacity", r.Source)),
        ];
    }
}
