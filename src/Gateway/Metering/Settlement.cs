using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The usage record of a call that has ended, however it ended.</summary>
public static class Settlement
{
    /// <summary>Charge from the price version and contract that held when it was placed; cost at the pool's rate when it ended, or what the upstreams ask that served it. A call that failed on our side is not charged; its cost stays.</summary>
    public static UsageRecord Record(Hold hold, UsageProgress used, Outcome outcome, Instant firstTokenAt, Instant at, PoolName pool, RequestTerms terms, CacheMode cache, long freeTokens, CostBook costs)
    {
        ArgumentNullException.ThrowIfNull(hold);
        ArgumentNullException.ThrowIfNull(used);
        ArgumentNullException.ThrowIfNull(terms);
        ArgumentNullException.ThrowIfNull(costs);
        // The clock may have been set back meanwhile, and the engine's own goes on by itself: nothing ends before it began.
        if (firstTokenAt < hold.PlacedAt) firstTokenAt = hold.PlacedAt;
        if (at < firstTokenAt) at = firstTokenAt;
        RatedUsage usage = new(used.Tokens, hold.Operation, outcome, cache);
        if (used.Upstream is { Attempts: [.., { Upstream: var name }] } use)
        {
            RatedCharge? charge = terms.Rate(usage, freeTokens, use.Cost);
            return new UsageRecord(hold.Id, hold.PlacedAt, firstTokenAt, at, hold.Party, hold.Model, UpstreamSpec.DeploymentOf(name), UpstreamSpec.PoolOf(name), hold.Operation, outcome, used.Tokens, used.Device,
                charge is null ? null : terms.Price?.Id, charge?.Charge, null, use.Cost, charge?.Basis, use);
        }
        UsageCost? cost = costs.Cost(pool, at, used.Device);
        RatedCharge? rated = terms.Rate(usage, freeTokens, cost?.Amount);
        return new UsageRecord(hold.Id, hold.PlacedAt, firstTokenAt, at, hold.Party, hold.Model, hold.Deployment, pool, hold.Operation, outcome, used.Tokens, used.Device,
            rated is null ? null : terms.Price?.Id, rated?.Charge, cost?.Rate, cost?.Amount, rated?.Basis);
    }
}
