using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The usage record of a call that has ended, however it ended.</summary>
public static class Settlement
{
    /// <summary>Charge from the price version of the hold; cost at the pool's rate when it ended, or what the upstreams ask that served it. A call that failed on our side is not charged; its cost stays.</summary>
    public static UsageRecord Record(Hold hold, UsageProgress used, Outcome outcome, Instant firstTokenAt, Instant at, PoolName pool, PriceVersion? price, CostBook costs)
    {
        ArgumentNullException.ThrowIfNull(hold);
        ArgumentNullException.ThrowIfNull(used);
        ArgumentNullException.ThrowIfNull(costs);
        Money? charge = price is null ? null : Rating.Charge(price, new RatedUsage(used.Tokens, hold.Operation, outcome));
        if (used.Upstream is { Attempts: [.., { Upstream: var name }] } use)
        {
            return new UsageRecord(hold.Id, hold.PlacedAt, firstTokenAt, at, hold.Party, hold.Model, UpstreamSpec.DeploymentOf(name), UpstreamSpec.PoolOf(name), hold.Operation, outcome, used.Tokens, used.Device,
                price?.Id, charge, null, use.Cost, Upstream: use);
        }
        UsageCost? cost = costs.Cost(pool, at, used.Device);
        return new UsageRecord(hold.Id, hold.PlacedAt, firstTokenAt, at, hold.Party, hold.Model, hold.Deployment, pool, hold.Operation, outcome, used.Tokens, used.Device,
            price?.Id, charge, cost?.Rate, cost?.Amount);
    }
}
