using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>What the pages read from the books and from the running server. Nothing is kept here: every figure is read when it is asked for.</summary>
public sealed class ConsoleData(IBookStore store, DirectoryState directory, TariffState tariffs, BooksPoster poster, TimeProvider clock)
{
    public TimeProvider Clock => clock;
    public DirectoryModel Directory => directory.Current;
    public Names Names => new(directory.Current);
    public PriceBook Prices => tariffs.Prices;
    public CostBook Costs => tariffs.Costs;

    /// <summary>How far the figures of a glance may be behind.</summary>
    private static readonly TimeSpan GlanceBehind = TimeSpan.FromSeconds(10);

    /// <summary>The statement as the journal stands: up to some seconds behind, or as long as a posting takes that is under way.</summary>
    public async Task<ProfitAndLoss> GlanceAsync(Period period, CancellationToken cancel)
    {
        await poster.PostUnlessWithinAsync(GlanceBehind, cancel);
        return await Statements.ProfitAndLossAsync(store, period, GroupBy.None, cancel);
    }

    /// <summary>The statement after everything settled has been posted.</summary>
    public async Task<ProfitAndLoss> ProfitAndLossAsync(Period period, GroupBy by, CancellationToken cancel)
    {
        await poster.PostNowAsync(cancel);
        return await Statements.ProfitAndLossAsync(store, period, by, cancel);
    }

    public Task<UnitEconomics> UnitEconomicsAsync(Period period, CancellationToken cancel) => Statements.UnitEconomicsAsync(store, period, cancel);

    public async Task<UsageRecord?> FindRequestAsync(RequestId id, TenantId? only, CancellationToken cancel) =>
        (await store.ReadUsageAsync(new UsageQuery(Period.All, only, Id: id, Limit: 1), cancel)).FirstOrDefault();

    /// <summary>One page of requests, newest first, and whether there are older ones.</summary>
    public async Task<RequestPage> RequestsAsync(UsageQuery query, CancellationToken cancel)
    {
        ImmutableArray<UsageRecord> found = await store.ReadUsageAsync(query with { Limit = query.Limit + 1 }, cancel);
        bool more = found.Length > query.Limit;
        return new RequestPage(more ? found[..query.Limit] : found, more);
    }

    /// <summary>Requests under way, newest first.</summary>
    public async Task<ImmutableArray<OpenHold>> OpenAsync(CancellationToken cancel) =>
        [.. (await store.ReadOpenHoldsAsync(cancel)).OrderByDescending(open => open.Hold.Id.Value)];

    public Task<ImmutableArray<AuditEntry>> AuditAsync(int limit, CancellationToken cancel) => store.ReadAuditAsync(limit, cancel);

    /// <summary>The assumptions in force now: prices and pool rates that stand in for facts until somebody confirms them.</summary>
    public ImmutableArray<AssumptionInForce> Assumptions()
    {
        Instant now = Instant.Now(clock);
        IEnumerable<AssumptionInForce> prices = InForce(tariffs.Prices.Versions, version => (version.Model, version.Tenant), version => version.EffectiveFrom, now)
            .Where(version => version.IsAssumption)
            .Select(version => new AssumptionInForce($"Price of {ScopeOf(version)}", $"{Show.PerMillion(version.Rates.InputPerToken)} in, {Show.PerMillion(version.Rates.OutputPerToken)} out per million tokens"));
        IEnumerable<AssumptionInForce> rates = tariffs.Costs.Pools.Select(pool => tariffs.Costs.RateAt(pool, now)).OfType<PoolRate>().Where(rate => rate.IsAssumption)
            .Select(rate => new AssumptionInForce($"Hourly cost of {rate.Pool}", $"{Show.Amount(rate.HourlyCost)} per hour, {rate.PracticalCapacityPermille / 10m:0.#} % practical capacity"));
        return [.. prices, .. rates];
    }

    /// <summary>Whom and what a price is for, in words.</summary>
    public string ScopeOf(PriceVersion version)
    {
        ArgumentNullException.ThrowIfNull(version);
        string model = version.Model?.Value ?? "every model";
        return version.Tenant is { } tenant ? $"{model} for {Names.Of(tenant)}" : model;
    }

    /// <summary>Of each group the last one that has taken effect.</summary>
    public static IEnumerable<T> InForce<T, TScope>(IEnumerable<T> inOrder, Func<T, TScope> scope, Func<T, Instant> from, Instant now) =>
        inOrder.Where(each => from(each) <= now).GroupBy(scope).Select(group => group.Last());

    /// <summary>What each tenant, project and key with a budget has spent and holds this month.</summary>
    public async Task<ImmutableArray<BudgetUse>> BudgetsAsync(CancellationToken cancel)
    {
        Period month = PeriodChoice.Parse(PeriodChoice.Default, clock).Period;
        ImmutableArray<SpendRow> spend = await store.ReadSpendAsync(month, cancel);
        ImmutableArray<OpenHold> open = await store.ReadOpenHoldsAsync(cancel);
        DirectoryModel now = directory.Current;
        return
        [
            .. now.Tenants.Select(tenant => Use(tenant.Name, new BudgetSubject(tenant.Id), tenant.MonthlyBudget, row => row.Tenant == tenant.Id, hold => hold.Party.Tenant == tenant.Id)),
            .. now.Projects.Where(project => project.MonthlyBudget is not null)
                .Select(project => Use(project.Name, new BudgetSubject(project.Tenant, project.Id), project.MonthlyBudget, row => row.Project == project.Id, hold => hold.Party.Project == project.Id)),
            .. now.Keys.Where(key => key is { MonthlyBudget: not null, RevokedAt: null })
                .Select(key => Use(key.Name, new BudgetSubject(key.Tenant, key.Project, key.Id), key.MonthlyBudget, row => row.Key == key.Id, hold => hold.Party.Key == key.Id)),
        ];

        BudgetUse Use(string name, BudgetSubject subject, Money? budget, Func<SpendRow, bool> spentBy, Func<Hold, bool> heldBy)
        {
            Currency currency = budget?.Currency ?? spend.Where(spentBy).Select(row => row.Charge.Currency).FirstOrDefault(Currency.Usd);
            Money spent = spend.Where(spentBy).Select(row => row.Charge).Where(charge => charge.Currency == currency).Aggregate(Money.Zero(currency), (sum, charge) => sum + charge);
            Money held = open.Where(each => heldBy(each.Hold)).Select(each => each.Hold.Amount).Where(amount => amount.Currency == currency).Aggregate(Money.Zero(currency), (sum, amount) => sum + amount);
            return new BudgetUse(name, subject, budget, spent, held);
        }
    }

    /// <summary>Running and busy time of all pools in a period.</summary>
    public async Task<CapacityUse> CapacityAsync(Period period, CancellationToken cancel)
    {
        long running = 0, busy = 0;
        foreach (PoolName pool in tariffs.Costs.Pools)
        {
            await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, period, cancel))
            {
                if (record.State == CapacityState.Down) continue;
                running += record.WallNanoseconds;
                busy += record.BusyNanoseconds;
            }
        }
        return new CapacityUse(running, busy);
    }
}

public sealed record RequestPage(ImmutableArray<UsageRecord> Requests, bool HasOlder);

public sealed record AssumptionInForce(string What, string Figure);

/// <summary>Whose budget it is: a tenant's, or a project's of it, or a key's of that.</summary>
public readonly record struct BudgetSubject(TenantId Tenant, ProjectId? Project = null, KeyId? Key = null)
{
    public bool IsTenant => Project is null && Key is null;
}

/// <param name="Held">Reserved by requests under way.</param>
public sealed record BudgetUse(string Name, BudgetSubject Of, Money? Budget, Money Spent, Money Held);

/// <summary>Time in which pools ran, and the part of it that requests used, in nanoseconds.</summary>
public sealed record CapacityUse(long RunningNanoseconds, long BusyNanoseconds);
