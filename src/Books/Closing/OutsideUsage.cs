namespace Qanat.Books;

/// <summary>Usage that was metered somewhere else: a GPU farm, a second cloud. Source and Id together name it for ever, as in CloudEvents.</summary>
public sealed record OutsideUsage(string Source, string Id, Instant PlacedAt, Instant CompletedAt, Party Party, ModelName Model, DeploymentName Deployment, PoolName Pool,
    Operation Operation, Outcome Outcome, TokenCounts Tokens, CacheMode Cache = CacheMode.Implicit)
{
    /// <summary>The request id that this event always gets, however often and in whatever order it arrives.</summary>
    public RequestId RequestId => new(TransactionId.OfContent(new Instant(0), $"outside usage {Source.Length} {Source} {Id}").Value);

    /// <summary>The usage record: priced as of its placing, under its contract. Its cost is not known here unless its pool has a rate and no device time was used.</summary>
    public UsageRecord ToRecord(PriceBook prices, Declarations declared, long freeTokensLeft)
    {
        RequestTerms terms = RequestTerms.Find(prices, declared, Party.Tenant, Model, PlacedAt);
        var usage = new RatedUsage(Tokens, Operation, Outcome, Cache);
        RatedCharge? rated = terms.Rate(usage, ContractRating.FreeTokens(terms.Contract, usage, PlacedAt, freeTokensLeft), null);
        return new UsageRecord(RequestId, PlacedAt, PlacedAt, CompletedAt, Party, Model, Deployment, Pool, Operation, Outcome, Tokens, default, rated is null ? null : terms.Price?.Id, rated?.Charge, null, null, rated?.Basis);
    }
}

/// <summary>What to do with usage that arrives from outside.</summary>
public enum IngestDecision
{
    /// <summary>Not known yet: store it.</summary>
    New,

    /// <summary>Known and the same: answer as the first time, store nothing.</summary>
    Same,

    /// <summary>Known and different: refuse it. A fact never changes; correct it with another one.</summary>
    Conflict,
}

/// <summary>Same id, same fact.</summary>
public static class Ingest
{
    /// <param name="existing">The record with the event's request id; null: none.</param>
    public static IngestDecision Decide(UsageRecord? existing, OutsideUsage arriving)
    {
        if (existing is null) return IngestDecision.New;
        bool same = existing.Id == arriving.RequestId && existing.PlacedAt == arriving.PlacedAt && existing.CompletedAt == arriving.CompletedAt && existing.Party == arriving.Party
            && existing.Model == arriving.Model && existing.Deployment == arriving.Deployment && existing.Pool == arriving.Pool && existing.Operation == arriving.Operation
            && existing.Outcome == arriving.Outcome && existing.Tokens == arriving.Tokens && (existing.Basis?.Cache ?? CacheMode.Implicit) == arriving.Cache;
        return same ? IngestDecision.Same : IngestDecision.Conflict;
    }
}
