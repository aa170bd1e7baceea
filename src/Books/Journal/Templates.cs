using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>The only makers of transactions: each is one kind of business event with fixed accounts. Amounts of zero leave no entry.</summary>
public static class Templates
{
    public const string UsageName = "usage";
    public const string LateUsageName = "late usage";
    public const string CapacityName = "capacity";
    public const string AdjustmentName = "adjustment";
    public const string ReversalName = "reversal";
    public const string DemoClearedName = "demo cleared";

    /// <summary>Requests of one tenant, project, model and pool: the charge becomes a receivable and revenue, the cost leaves the clearing account for cost of revenue.
    /// Null: unpriced or uncosted, which the memo should say. With neither the transaction has no entries and only marks its records as posted.</summary>
    /// <param name="charge">What is owed.</param> <param name="discount">Taken off by contract.</param> <param name="free">List price of tokens from a free quota.</param>
    /// <param name="upstream">The cost is what an upstream asks, and owed to it.</param>
    /// <param name="template"><see cref="UsageName"/>, or <see cref="LateUsageName"/> for usage of a closed period.</param>
    public static Transaction Usage(TransactionId id, Instant at, string memo, Dimensions dimensions, Money? charge, Money? cost, Money? discount = null, Money? free = null, string template = UsageName, bool upstream = false) =>
        Make(id, at, template, memo,
        [
            .. Revenue(dimensions, charge),
            .. discount is { } off ? Pair(dimensions, Accounts.Discounts, Accounts.UsageRevenue, off) : [],
            .. free is { } gift ? Pair(dimensions, Accounts.FreeUsage, Accounts.UsageRevenue, gift) : [],
            .. upstream ? cost is { } asked ? Pair(dimensions, Accounts.UpstreamCost, Accounts.AccruedUpstream, asked) : [] : Cost(dimensions, cost),
        ]);

    /// <summary>An account moves to where it must be.</summary>
    /// <param name="change">What is added to the due's account and taken from its contra account.</param>
    internal static Transaction Due(TransactionId id, Instant at, Due due, Money change) =>
        Make(id, at, due.Template, due.Memo, Pair(due.Dimensions, due.Account, due.Contra, change));

    /// <summary>Whether a transaction sums up usage records.</summary>
    public static bool IsUsage(string template) => template is UsageName or LateUsageName;

    /// <summary>A pool ran: its cost accrues, and what no request used of it is unused capacity.</summary>
    /// <param name="accrued">Pool cost since the last such posting.</param> <param name="unused">Change of unused capacity; negative when work in progress turned out to be larger.</param>
    public static Transaction Capacity(TransactionId id, Instant at, string memo, PoolName pool, Money accrued, Money unused)
    {
        var dimensions = new Dimensions(Pool: pool);
        return Make(id, at, CapacityName, memo,
        [
            .. Pair(dimensions, Accounts.CapacityClearing, Accounts.AccruedCapacity, accrued),
            .. Pair(dimensions, Accounts.UnusedCapacity, Accounts.CapacityClearing, unused),
        ]);
    }

    /// <summary>Charge and cost of past usage change by these amounts, for a reason.</summary>
    public static Transaction Adjustment(TransactionId id, Instant at, string reason, Dimensions dimensions, Money? chargeChange, Money? costChange) =>
        Make(id, at, AdjustmentName, reason, [.. Revenue(dimensions, chargeChange), .. Cost(dimensions, costChange)]);

    /// <summary>Undoes a transaction, entry by entry.</summary>
    public static Transaction Reversal(TransactionId id, Instant at, string reason, Transaction original) =>
        Make(id, at, ReversalName, $"{reason} (reverses {original.Id})", [.. original.Entries.Select(e => e with { Amount = -e.Amount })]);

    /// <summary>Demo usage is removed: what it cost stays, as the cost of a demonstration.</summary>
    public static Transaction DemoCleared(TransactionId id, Instant at, string memo, ImmutableArray<PoolAmount> costs) =>
        Make(id, at, DemoClearedName, memo, [.. costs.SelectMany(c => Pair(new Dimensions(Pool: c.Pool), Accounts.Demonstration, c.Upstream ? Accounts.AccruedUpstream : Accounts.CapacityClearing, c.Amount))]);

    private static ImmutableArray<Entry> Revenue(Dimensions dimensions, Money? charge) =>
        charge is { } amount ? Pair(dimensions, Accounts.Receivables, Accounts.UsageRevenue, amount) : [];

    private static ImmutableArray<Entry> Cost(Dimensions dimensions, Money? cost) =>
        cost is { } amount ? Pair(dimensions, Accounts.ComputeCost, Accounts.CapacityClearing, amount) : [];

    private static ImmutableArray<Entry> Pair(Dimensions dimensions, Account debit, Account credit, Money amount) =>
        amount.IsZero ? [] : [new Entry(debit, amount, dimensions), new Entry(credit, -amount, dimensions)];

    private static Transaction Make(TransactionId id, Instant at, string template, string memo, ImmutableArray<Entry> entries)
    {
        var transaction = new Transaction(id, at, template, memo, entries);
        transaction.EnsureBalanced();
        return transaction;
    }
}

/// <summary>An amount that belongs to a pool; or, bought from outside, to an upstream under its pool.</summary>
public sealed record PoolAmount(PoolName Pool, Money Amount, bool Upstream = false);
