using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What happened, written once and never changed; a mistake is corrected by another fact. Appending the same fact twice changes nothing.</summary>
public abstract record Fact;

public enum Operation { Chat, Completion, Embedding, Rerank, Batch, Train }

/// <summary>How a request ended. Recovered: settled from its last durable checkpoint after the process died.</summary>
public enum Outcome { Completed, AbortedByClient, CutByLimit, Failed, Recovered }

/// <summary>Whose request it is.</summary>
public sealed record Party(TenantId Tenant, ProjectId Project, KeyId Key, string? UserTag);

// ---- tenants, projects, keys ---------------------------------------------------------------------------------

/// <summary>A customer or team. MonthlyBudget null: no limit at this level. Demo tenants are removable with everything they caused.</summary>
/// <param name="Settings">What else is agreed with it, as JSON that the front door reads and the books only keep. Null: nothing.</param>
public sealed record Tenant(TenantId Id, string Name, Instant CreatedAt, Money? MonthlyBudget, bool IsDemo, string? Settings = null);

/// <param name="Settings">As of a tenant.</param>
public sealed record Project(ProjectId Id, TenantId Tenant, string Name, Instant CreatedAt, Money? MonthlyBudget, string? Settings = null);

/// <summary>What an identity is for. Inference: a program that sends requests, and nothing else.</summary>
public enum KeyRole { Inference, Owner, Finance, Operator, Developer, Viewer }

/// <summary>An identity: an API key without its secret. Hash is SHA-256 over the key text; Prefix is what may be shown ("sk-ab12...").</summary>
/// <param name="Settings">How far it reaches and what bounds it, as of a tenant.</param>
public sealed record ApiKey(KeyId Id, TenantId Tenant, ProjectId Project, string Name, string Prefix, ImmutableArray<byte> Hash, KeyRole Role, Instant CreatedAt, Instant? RevokedAt, Money? MonthlyBudget,
    string? Settings = null);

/// <summary>Creates the tenant, or replaces its name and budget when it exists.</summary>
public sealed record TenantSaved(Tenant Tenant) : Fact;
public sealed record ProjectSaved(Project Project) : Fact;
public sealed record KeySaved(ApiKey Key) : Fact;

// ---- prices and cost -----------------------------------------------------------------------------------------

/// <summary>An immutable, effective-dated price. The version used for a request is the one with the latest EffectiveFrom at or before the request's placing,
/// looked up first for (model, tenant), then (model, any tenant), then (any model, tenant), then (any model, any tenant): the first of these that has a version in force wins.
/// Of two versions of one scope that take effect at the same instant, the one added later wins.</summary>
/// <param name="Terms">Tiers, batch, price of a request and the like. Null: none, only the rates.</param>
public sealed record PriceVersion(PriceVersionId Id, Instant EffectiveFrom, ModelName? Model, TenantId? Tenant, TokenRates Rates, bool IsAssumption, string Source, Instant AddedAt,
    PriceTerms? Terms = null);

public sealed record PriceAdded(PriceVersion Version) : Fact;

/// <summary>What a pool costs per hour of wall time, from an instant on. IsAssumption: a default that stands in for a fact until someone confirms it.</summary>
/// <param name="PracticalCapacityPermille">Practical capacity as a part of wall device time; 850 = 85 %.</param>
public sealed record PoolRate(PoolRateId Id, PoolName Pool, Instant EffectiveFrom, Money HourlyCost, int PracticalCapacityPermille, bool IsAssumption, string Source, Instant AddedAt);

public sealed record PoolRateAdded(PoolRate Rate) : Fact;

// ---- metering ------------------------------------------------------------------------------------------------

/// <summary>Money reserved durably before the first token. Amount is the worst case of what it allows; a stream that outgrows it extends it or stops.</summary>
/// <param name="Pool">Whose device time it uses, so that open work can be costed. Null: the only pool there is.</param>
public sealed record Hold(RequestId Id, Instant PlacedAt, Party Party, ModelName Model, DeploymentName Deployment, Operation Operation, PriceVersionId? Price, Money Amount,
    PoolName? Pool = null);

/// <summary>What one open request has used so far (cumulative). Durable before the client sees the tokens it counts.</summary>
/// <param name="Upstream">What it bought so far when an upstream serves it. Null: the built-in engine does.</param>
public sealed record UsageProgress(RequestId Id, TokenCounts Tokens, DeviceTime Device, UpstreamUse? Upstream = null);

/// <summary>One finished request: tokens, device time, outcome, charge and cost. Written exactly once per request id.</summary>
/// <param name="Charge">Null: unpriced.</param> <param name="Cost">Null: uncosted.</param>
/// <param name="Basis">What the charge was made from besides tokens and price version. Null: nothing else.</param>
/// <param name="Upstream">What was bought to serve it, which its cost is then made of. Null: the built-in engine served it.</param>
public sealed record UsageRecord(RequestId Id, Instant PlacedAt, Instant FirstTokenAt, Instant CompletedAt, Party Party, ModelName Model, DeploymentName Deployment, PoolName Pool,
    Operation Operation, Outcome Outcome, TokenCounts Tokens, DeviceTime Device, PriceVersionId? Price, Money? Charge, PoolRateId? PoolRate, Money? Cost, ChargeBasis? Basis = null,
    UpstreamUse? Upstream = null)
{
    /// <summary>What the price is applied to.</summary>
    public RatedUsage Rated => new(Tokens, Operation, Outcome, Basis?.Cache ?? CacheMode.Implicit);

    /// <summary>It was answered, and whoever answered never said what it used: a state of its own, never a charge of zero. Its charge is null.</summary>
    public bool IsUsageMissing => RatedUsage.IsMissing(Operation, Outcome, Tokens);

    /// <summary>The charge before discount and free quota; null: unpriced.</summary>
    public Money? ListCharge => Basis?.List ?? Charge;
}

public sealed record HoldPlaced(Hold Hold) : Fact;
public sealed record HoldExtended(RequestId Id, Money Amount) : Fact;

/// <summary>Another deployment serves the request than the one it was placed for: its device time is that pool's from now on.</summary>
public sealed record HoldMoved(RequestId Id, DeploymentName Deployment, PoolName Pool) : Fact;

/// <summary>Progress of every open request that one or more engine steps touched, with the device's busy time over the same steps: written together or not at all,
/// so that busy time always equals the device time of settled and open requests.</summary>
public sealed record StepsMetered(ImmutableArray<UsageProgress> Progress, ImmutableArray<CapacityRecord> Capacity) : Fact;

/// <summary>Ends the hold and stores the usage record.</summary>
public sealed record HoldSettled(UsageRecord Record) : Fact;

/// <summary>Ends a hold under which nothing was used and nothing is charged.</summary>
public sealed record HoldReleased(RequestId Id, Instant At, string Reason) : Fact;

public enum CapacityState { Loading, Serving, Down }

/// <summary>A stretch of one pool's wall time. Records of a pool follow each other without gap or overlap. BusyNanoseconds is what requests used of it (0 unless Serving); the rest is idle.</summary>
public sealed record CapacityRecord(PoolName Pool, Instant From, Instant To, CapacityState State, long BusyNanoseconds)
{
    public long WallNanoseconds => To.UnixNanoseconds - From.UnixNanoseconds;
}

// ---- journal -------------------------------------------------------------------------------------------------

/// <summary>Posts a balanced transaction and, in the same commit, marks the usage records it sums up.</summary>
public sealed record TransactionPosted(Transaction Transaction, ImmutableArray<RequestId> Records) : Fact;

/// <summary>Removes all demo tenants with their keys, holds, records and transactions, and posts Replacement so that the pool still ties out.</summary>
/// <remarks>Made by <see cref="DemoClearing"/>. Cleared keeps, per pool, the device time of the records that go, so that busy time still ties out; the store adds it up.</remarks>
public sealed record DemoCleared(Instant At, Transaction? Replacement) : Fact
{
    public ImmutableArray<ClearedUsage> Cleared { get; init; } = [];
}

/// <summary>Device time of a pool that belonged to usage which was removed with the demo.</summary>
public sealed record ClearedUsage(PoolName Pool, long DeviceNanoseconds, long Requests);

/// <summary>Who changed what: appended with every change to tenants, keys, prices and costs.</summary>
public sealed record AuditEntry(Instant At, string Who, string Action, string Subject, string? Before, string? After);
public sealed record Audited(AuditEntry Entry) : Fact;

/// <summary>Several facts that become durable together or not at all.</summary>
public sealed record Together(ImmutableArray<Fact> Facts) : Fact;
