using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Qanat.Books.Tests;

/// <summary>The store's contract in memory, plainly: lists and LINQ, nothing kept twice. Other stores are compared with it.</summary>
public sealed class MemoryBookStore : IBookStore, IBookSnapshot
{
    private readonly Lock gate = new();
    private State state = State.Empty;

    public Task AppendAsync(Fact fact, CancellationToken cancel = default)
    {
        // Applied to a copy first: a fact that is refused halfway leaves nothing behind.
        lock (gate) state = state.With(fact);
        return Task.CompletedTask;
    }

    public Task<IBookSnapshot> SnapshotAsync(CancellationToken cancel = default) => Task.FromResult<IBookSnapshot>(new MemoryBookStore { state = state });

    public Task<DirectorySnapshot> ReadDirectoryAsync(CancellationToken cancel = default) =>
        Task.FromResult(new DirectorySnapshot([.. state.Tenants.Values], [.. state.Projects.Values], [.. state.Keys.Values]));

    public Task<ImmutableArray<PriceVersion>> ReadPricesAsync(CancellationToken cancel = default) => Task.FromResult<ImmutableArray<PriceVersion>>([.. state.Prices.Values]);

    public Task<ImmutableArray<PoolRate>> ReadPoolRatesAsync(CancellationToken cancel = default) => Task.FromResult<ImmutableArray<PoolRate>>([.. state.Rates.Values]);

    public Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<OpenHold>>([.. state.Holds.Values.OrderBy(h => h.Hold.Id.Value)]);

    public Task<ImmutableArray<UsageRecord>> ReadUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<UsageRecord>>([.. Select(query).OrderByDescending(r => r.Id.Value).Take(query.Limit)]);

    public IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        StreamAsync(Select(query).OrderBy(r => r.CompletedAt).ThenBy(r => r.Id.Value), cancel);

    public Task<ImmutableArray<SpendRow>> ReadSpendAsync(Period period, CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<SpendRow>>([.. state.Usage.Values.Where(r => period.Contains(r.CompletedAt) && r.Charge is not null)
            .GroupBy(r => (r.Party.Tenant, r.Party.Project, r.Party.Key, r.Charge!.Value.Currency))
            .Select(g => new SpendRow(g.Key.Tenant, g.Key.Project, g.Key.Key, Sum(g.Key.Currency, g.Select(r => r.Charge!.Value))))]);

    public Task<ImmutableArray<UsageSum>> SumUsageAsync(SumQuery query, CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<UsageSum>>([.. Select(new UsageQuery(query.Period, query.Tenant, query.Project, query.Model))
            .SelectMany(r => CurrenciesOf(r).Select((currency, index) => (Record: r, Currency: currency, Counts: index == 0)))
            .GroupBy(l => (Key: KeyOf(query.By, l.Record.Party.Tenant, l.Record.Party.Project, l.Record.Model, l.Record.Pool, l.Record.CompletedAt), l.Currency))
            .Select(g => (g.Key.Key, g.Key.Currency, All: g.Select(l => l.Record), Counted: g.Where(l => l.Counts).Select(l => l.Record)))
            .Select(g => new UsageSum(g.Key, g.Counted.LongCount(), g.Counted.LongCount(r => r.Charge is null), g.Counted.LongCount(r => r.Cost is null),
                g.Counted.Aggregate(default(TokenCounts), (sum, r) => sum + r.Tokens), g.Counted.Aggregate(default(DeviceTime), (sum, r) => sum + r.Device),
                Sum(g.Currency, g.Counted.Where(r => r.Charge is not null).Select(r => r.Charge!.Value)),
                Sum(g.Currency, g.All.Where(r => r.Cost?.Currency == g.Currency).Select(r => r.Cost!.Value))))]);

    /// <summary>The currency in which a record counts, and that of its cost when it is another.</summary>
    private static IEnumerable<Currency> CurrenciesOf(UsageRecord record)
    {
        Currency counted = record.Charge?.Currency ?? record.Cost?.Currency ?? Currency.Usd;
        yield return counted;
        if (record.Cost is { } cost && cost.Currency != counted) yield return cost.Currency;
    }

    public Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<EntrySum>>([.. state.Journal.Values.Where(t => query.Period.Contains(t.At))
            .SelectMany(t => t.Entries.Select(e => (Entry: e, t.At)))
            .Where(e => Matches(e.Entry.Dimensions, query.Tenant, query.Project, query.Model))
            .GroupBy(e => (Key: KeyOf(query.By, e.Entry.Dimensions.Tenant, e.Entry.Dimensions.Project, e.Entry.Dimensions.Model, e.Entry.Dimensions.Pool, e.At), e.Entry.Account, e.Entry.Amount.Currency))
            .Select(g => new EntrySum(g.Key.Key, g.Key.Account, Sum(g.Key.Currency, g.Select(e => e.Entry.Amount)), g.LongCount()))]);

    public IAsyncEnumerable<Transaction> StreamJournalAsync(JournalQuery query, CancellationToken cancel = default) =>
        StreamAsync(state.Journal.Values
            .Where(t => query.Period.Contains(t.At))
            .Where(t => (query.Account, query.Tenant, query.Project, query.Model, query.Pool) == default
                || t.Entries.Any(e => (query.Account is null || e.Account == query.Account) && (query.Pool is null || e.Dimensions.Pool == query.Pool) && Matches(e.Dimensions, query.Tenant, query.Project, query.Model)))
            .OrderBy(t => t.At).ThenBy(t => t.Id.Value).Take(query.Limit), cancel);

    public Task<ImmutableArray<RequestId>> ReadPostedRecordsAsync(TransactionId transaction, CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<RequestId>>([.. state.Posted.Where(p => p.Value == transaction).Select(p => p.Key).OrderBy(id => id.Value)]);

    public IAsyncEnumerable<CapacityRecord> StreamCapacityAsync(PoolName pool, Period period, CancellationToken cancel = default) =>
        StreamAsync(state.Capacity.Values.Where(c => c.Pool == pool && c.From < period.To && c.To > period.From).OrderBy(c => c.From), cancel);

    public Task<ImmutableArray<ClearedUsage>> ReadClearedUsageAsync(CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<ClearedUsage>>([.. state.Cleared.GroupBy(c => c.Pool).Select(g => new ClearedUsage(g.Key, g.Sum(c => c.DeviceNanoseconds), g.Sum(c => c.Requests)))]);

    public Task<ImmutableArray<Declaration>> ReadDeclarationsAsync(CancellationToken cancel = default) => Task.FromResult<ImmutableArray<Declaration>>([.. state.Declared.Values]);

    public Task<ImmutableArray<AuditEntry>> ReadAuditAsync(int limit, CancellationToken cancel = default) =>
        Task.FromResult<ImmutableArray<AuditEntry>>([.. state.Audit.Reverse().Take(limit)]);

    public Task<ImmutableArray<string>> VerifyAsync(CancellationToken cancel = default) => Task.FromResult(ImmutableArray<string>.Empty);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private IEnumerable<UsageRecord> Select(UsageQuery query) => state.Usage.Values.Where(r =>
        query.Period.Contains(r.CompletedAt)
        && (query.Tenant is null || r.Party.Tenant == query.Tenant)
        && (query.Project is null || r.Party.Project == query.Project)
        && (query.Model is null || r.Model == query.Model)
        && (query.Pool is null || r.Pool == query.Pool)
        && (query.Id is null || r.Id == query.Id)
        && (query.Before is null || r.Id.Value.CompareTo(query.Before.Value.Value) < 0)
        && (query.Posted is null || query.Posted == state.Posted.ContainsKey(r.Id))
        && (query.Transaction is null || state.Posted.TryGetValue(r.Id, out TransactionId posting) && posting == query.Transaction));

    private static GroupKey KeyOf(GroupBy by, TenantId? tenant, ProjectId? project, ModelName? model, PoolName? pool, Instant at) => new(
        by.HasFlag(GroupBy.Tenant) ? tenant : null, by.HasFlag(GroupBy.Project) ? project : null, by.HasFlag(GroupBy.Model) ? model : null, by.HasFlag(GroupBy.Pool) ? pool : null,
        by.HasFlag(GroupBy.Hour) ? at.HourStart : by.HasFlag(GroupBy.Day) ? at.DayStart : null);

    private static bool Matches(Dimensions dimensions, TenantId? tenant, ProjectId? project, ModelName? model) =>
        (tenant is null || dimensions.Tenant == tenant) && (project is null || dimensions.Project == project) && (model is null || dimensions.Model == model);

    private static Money Sum(Currency currency, IEnumerable<Money> amounts) => amounts.Aggregate(Money.Zero(currency), (sum, amount) => sum + amount);

    private static async IAsyncEnumerable<T> StreamAsync<T>(IEnumerable<T> items, [EnumeratorCancellation] CancellationToken cancel)
    {
        foreach (T item in items.ToList())
        {
            cancel.ThrowIfCancellationRequested();
            yield return item;
        }
        await Task.CompletedTask;
    }

    /// <summary>Everything stored; replaced as a whole with every fact.</summary>
    private sealed record State(
        ImmutableDictionary<TenantId, Tenant> Tenants, ImmutableDictionary<ProjectId, Project> Projects, ImmutableDictionary<KeyId, ApiKey> Keys,
        ImmutableDictionary<PriceVersionId, PriceVersion> Prices, ImmutableDictionary<PoolRateId, PoolRate> Rates,
        ImmutableDictionary<RequestId, OpenHold> Holds, ImmutableHashSet<RequestId> HoldsEver, ImmutableDictionary<RequestId, UsageRecord> Usage,
        ImmutableDictionary<(PoolName Pool, Instant From), CapacityRecord> Capacity,
        ImmutableDictionary<TransactionId, Transaction> Journal, ImmutableDictionary<RequestId, TransactionId> Posted,
        ImmutableList<ClearedUsage> Cleared, ImmutableList<AuditEntry> Audit, ImmutableDictionary<DeclarationId, Declaration> Declared)
    {
        public static readonly State Empty = new(
            ImmutableDictionary<TenantId, Tenant>.Empty, ImmutableDictionary<ProjectId, Project>.Empty, ImmutableDictionary<KeyId, ApiKey>.Empty,
            ImmutableDictionary<PriceVersionId, PriceVersion>.Empty, ImmutableDictionary<PoolRateId, PoolRate>.Empty,
            ImmutableDictionary<RequestId, OpenHold>.Empty, [], ImmutableDictionary<RequestId, UsageRecord>.Empty,
            ImmutableDictionary<(PoolName, Instant), CapacityRecord>.Empty,
            ImmutableDictionary<TransactionId, Transaction>.Empty, ImmutableDictionary<RequestId, TransactionId>.Empty, [], [], ImmutableDictionary<DeclarationId, Declaration>.Empty);

        public State With(Fact fact) => fact switch
        {
            Together together => together.Facts.Aggregate(this, (state, inner) => state.With(inner)),
            TenantSaved saved => this with { Tenants = Tenants.SetItem(saved.Tenant.Id, saved.Tenant) },
            ProjectSaved saved => this with { Projects = Projects.SetItem(saved.Project.Id, saved.Project) },
            KeySaved saved => this with { Keys = Keys.SetItem(saved.Key.Id, saved.Key) },
            PriceAdded added => Prices.ContainsKey(added.Version.Id) ? this : this with { Prices = Prices.Add(added.Version.Id, added.Version) },
            PoolRateAdded added => Rates.ContainsKey(added.Rate.Id) ? this : this with { Rates = Rates.Add(added.Rate.Id, added.Rate) },
            HoldPlaced placed => HoldsEver.Contains(placed.Hold.Id) ? this : this with
            {
                HoldsEver = HoldsEver.Add(placed.Hold.Id),
                Holds = Holds.Add(placed.Hold.Id, new OpenHold(placed.Hold, new UsageProgress(placed.Hold.Id, default, default))),
            },
            HoldExtended extended => this with { Holds = Holds.SetItem(extended.Id, Open(extended.Id) with { Hold = Open(extended.Id).Hold with { Amount = extended.Amount } }) },
            HoldMoved moved => this with { Holds = Holds.SetItem(moved.Id, Open(moved.Id) with { Hold = Open(moved.Id).Hold with { Deployment = moved.Deployment, Pool = moved.Pool } }) },
            StepsMetered metered => With(metered),
            HoldSettled settled => Usage.ContainsKey(settled.Record.Id) ? this : this with { Usage = Usage.Add(settled.Record.Id, settled.Record), Holds = Holds.Remove(settled.Record.Id) },
            HoldReleased released => this with { Holds = Holds.Remove(released.Id) },
            TransactionPosted posted => With(posted),
            DemoCleared cleared => With(cleared),
            Declared declared => Declared.ContainsKey(declared.Declaration.Id) ? this : this with { Declared = Declared.Add(declared.Declaration.Id, declared.Declaration) },
            Audited audited => this with { Audit = Audit.Add(audited.Entry) },
            _ => throw new StoreException($"{fact.GetType().Name} is not a fact this store knows."),
        };

        private State With(StepsMetered metered)
        {
            State next = this;
            foreach (UsageProgress progress in metered.Progress)
                next = next with { Holds = next.Holds.SetItem(progress.Id, next.Open(progress.Id) with { Progress = progress }) };
            foreach (CapacityRecord capacity in metered.Capacity)
                next = next with { Capacity = next.Capacity.ContainsKey((capacity.Pool, capacity.From)) ? next.Capacity : next.Capacity.Add((capacity.Pool, capacity.From), capacity) };
            return next;
        }

        private State With(TransactionPosted posted)
        {
            if (Journal.ContainsKey(posted.Transaction.Id)) return this;
            posted.Transaction.EnsureBalanced();
            foreach (RequestId id in posted.Records)
                if (!Usage.ContainsKey(id) || Posted.ContainsKey(id)) throw new StoreException($"Request {id} is not a settled record that waits to be posted.");
            return this with
            {
                Journal = Journal.Add(posted.Transaction.Id, posted.Transaction),
                Posted = Posted.AddRange(posted.Records.Select(id => KeyValuePair.Create(id, posted.Transaction.Id))),
            };
        }

        private State With(DemoCleared cleared)
        {
            var demo = Tenants.Values.Where(t => t.IsDemo).Select(t => t.Id).ToHashSet();
            var transactions = Journal.Values.Where(t => t.Entries.Any(e => e.Dimensions.Tenant is { } tenant && demo.Contains(tenant))).Select(t => t.Id).ToHashSet();
            var records = Usage.Values.Where(r => demo.Contains(r.Party.Tenant)).Select(r => r.Id).ToHashSet();
            transactions.UnionWith(Posted.Where(p => records.Contains(p.Key)).Select(p => p.Value));
            State next = this with
            {
                Tenants = Tenants.RemoveRange(demo),
                Projects = Projects.RemoveRange(Projects.Values.Where(p => demo.Contains(p.Tenant)).Select(p => p.Id)),
                Keys = Keys.RemoveRange(Keys.Values.Where(k => demo.Contains(k.Tenant)).Select(k => k.Id)),
                Holds = Holds.RemoveRange(Holds.Values.Where(h => demo.Contains(h.Hold.Party.Tenant)).Select(h => h.Hold.Id)),
                Usage = Usage.RemoveRange(records),
                Posted = Posted.RemoveRange(records),
                Journal = Journal.RemoveRange(transactions),
                Cleared = Cleared.AddRange(cleared.Cleared),
            };
            return cleared.Replacement is null ? next : next.With(new TransactionPosted(cleared.Replacement, []));
        }

        private OpenHold Open(RequestId id) => Holds.GetValueOrDefault(id) ?? throw new StoreException($"Request {id} has no open hold.");
    }
}
