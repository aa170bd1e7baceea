using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Sums settled usage into postings: one transaction (or, of very many records, several) for each hour, tenant, project, model, deployment, pool, price version and pool rate, with the list of the records in it.
/// A transaction is never about two tenants, so that a tenant's usage can be followed, and a demo tenant's removed.</summary>
public sealed class UsagePoster(Instant closedThrough)
{
    /// <summary>Records of one transaction: its commit marks each of them, and whoever is served meanwhile waits as long. More of one kind become several transactions.</summary>
    public const int RecordsMax = 500;

    private readonly Dictionary<UsageGroup, UsageDraft> drafts = [];
    private readonly List<TransactionPosted> postings = [];

    /// <summary>Postings for records that no transaction sums up yet. The same records always give the same transactions with the same ids, in the same order, whatever order they come in.</summary>
    /// <param name="closedThrough">Usage completed before is posted there, as late usage: a closed period is not changed.</param>
    public static ImmutableArray<TransactionPosted> Post(IEnumerable<UsageRecord> unposted, Instant closedThrough = default)
    {
        var poster = new UsagePoster(closedThrough);
        foreach (UsageRecord record in unposted.OrderBy(r => r.CompletedAt).ThenBy(r => r.Id.Value)) poster.Add(record);
        return poster.Finish();
    }

    /// <summary>Adds a record that no transaction sums up yet; each is completed after the one before, or its id follows. Only the last transaction of a group is not full, so that when some are posted the rest is cut as before.</summary>
    public void Add(UsageRecord record)
    {
        UsageGroup group = GroupOf(record);
        if (!drafts.TryGetValue(group, out UsageDraft? draft)) drafts[group] = draft = new UsageDraft(record);
        draft.Add(record);
        if (draft.Count < RecordsMax) return;
        postings.Add(draft.ToPosting(closedThrough));
        drafts.Remove(group);
    }

    /// <summary>The postings of all records that were added.</summary>
    public ImmutableArray<TransactionPosted> Finish()
    {
        postings.AddRange(drafts.Values.Select(draft => draft.ToPosting(closedThrough)));
        drafts.Clear();
        ImmutableArray<TransactionPosted> all = [.. postings.OrderBy(p => p.Transaction.At).ThenBy(p => p.Transaction.Id.Value)];
        postings.Clear();
        return all;
    }

    /// <summary>What a transaction that sums up exactly these records of one group must hold: <see cref="BooksCheck"/> compares it with what is stored.</summary>
    internal static TransactionPosted Sum(ImmutableArray<UsageRecord> group, Instant closedThrough)
    {
        var draft = new UsageDraft(group[0]);
        foreach (UsageRecord record in group) draft.Add(record);
        return draft.ToPosting(closedThrough);
    }

    internal static UsageGroup GroupOf(UsageRecord record) => new(record.CompletedAt.HourStart, record.Party.Tenant, record.Party.Project, record.Model, record.Deployment, record.Pool,
        record.Price, record.Charge?.Currency, record.PoolRate, record.Cost?.Currency, record.Upstream is not null);
}

/// <summary>What the records of one posting have in common.</summary>
internal readonly record struct UsageGroup(Instant Hour, TenantId Tenant, ProjectId Project, ModelName Model, DeploymentName Deployment, PoolName Pool,
    PriceVersionId? Price, Currency? ChargeCurrency, PoolRateId? PoolRate, Currency? CostCurrency, bool Upstream);
