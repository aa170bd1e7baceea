using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Qanat.Books;

/// <summary>Sums settled usage into postings: one transaction for each hour, tenant, project, model, deployment, pool, price version and pool rate, with the list of the records in it.
/// A transaction is never about two tenants, so that a tenant's usage can be followed, and a demo tenant's removed.</summary>
public static class UsagePoster
{
    /// <summary>Postings for records that no transaction sums up yet. The same records always give the same transactions with the same ids, in the same order, whatever order they come in.</summary>
    /// <param name="closedThrough">Usage completed before is posted there, as late usage: a closed period is not changed.</param>
    public static ImmutableArray<TransactionPosted> Post(IEnumerable<UsageRecord> unposted, Instant closedThrough = default) =>
        [.. unposted.GroupBy(GroupOf).Select(g => Sum(g, closedThrough)).OrderBy(p => p.Transaction.At).ThenBy(p => p.Transaction.Id.Value)];

    /// <summary>What a transaction that sums up exactly these records of one group must hold: <see cref="BooksCheck"/> compares it with what is stored.</summary>
    internal static TransactionPosted Sum(IEnumerable<UsageRecord> group, Instant closedThrough)
    {
        ImmutableArray<UsageRecord> records = [.. group.OrderBy(r => r.Id.Value)];
        Instant last = records.Max(r => r.CompletedAt);
        bool late = last < closedThrough;
        Instant at = late ? closedThrough : last;
        UsageRecord first = records[0];
        var dimensions = new Dimensions(first.Party.Tenant, first.Party.Project, first.Model, first.Deployment, first.Pool);
        Money? charge = first.Charge is null ? null : records.Aggregate(Money.Zero(first.Charge.Value.Currency), (sum, r) => sum + r.Charge!.Value);
        Money? cost = first.Cost is null ? null : records.Aggregate(Money.Zero(first.Cost.Value.Currency), (sum, r) => sum + r.Cost!.Value);
        ImmutableArray<RequestId> ids = [.. records.Select(r => r.Id)];
        return new TransactionPosted(Templates.Usage(IdOf(at, ids), at, Memo(records) + (late ? $", of {last}" : ""), dimensions, charge, cost,
            Sum(records, b => b.Discount), Sum(records, b => b.Free), late ? Templates.LateUsageName : Templates.UsageName, first.Upstream is not null), ids);
    }

    internal static UsageGroup GroupOf(UsageRecord record) => new(record.CompletedAt.HourStart, record.Party.Tenant, record.Party.Project, record.Model, record.Deployment, record.Pool,
        record.Price, record.Charge?.Currency, record.PoolRate, record.Cost?.Currency, record.Upstream is not null);

    private static Money? Sum(ImmutableArray<UsageRecord> records, Func<ChargeBasis, Money> part) =>
        records.Where(r => r.Basis is not null).Aggregate((Money?)null, (sum, r) => sum is { } before ? before + part(r.Basis!) : part(r.Basis!));

    private static TransactionId IdOf(Instant at, ImmutableArray<RequestId> records)
    {
        var content = new StringBuilder(Templates.UsageName);
        foreach (RequestId id in records)
            content.Append(' ').Append(id);
        return TransactionId.OfContent(at, content.ToString());
    }

    private static string Memo(ImmutableArray<UsageRecord> records)
    {
        TokenCounts tokens = records.Aggregate(default(TokenCounts), (sum, r) => sum + r.Tokens);
        string memo = string.Create(CultureInfo.InvariantCulture, $"{records.Length} {(records.Length == 1 ? "request" : "requests")}, {tokens.Input} input and {tokens.Output} output tokens");
        if (records[0].Charge is null) memo += ", unpriced";
        if (records[0].Cost is null) memo += ", uncosted";
        return memo;
    }
}

/// <summary>What the records of one posting have in common.</summary>
internal readonly record struct UsageGroup(Instant Hour, TenantId Tenant, ProjectId Project, ModelName Model, DeploymentName Deployment, PoolName Pool,
    PriceVersionId? Price, Currency? ChargeCurrency, PoolRateId? PoolRate, Currency? CostCurrency, bool Upstream);
