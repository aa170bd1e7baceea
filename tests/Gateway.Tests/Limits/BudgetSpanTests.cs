using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.Books.Tests;

namespace Qanat.Gateway.Tests;

/// <summary>Days and months; and that a restart knows what the running process knew.</summary>
public sealed class BudgetSpanTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task A_daily_budget_comes_back_at_midnight()
    {
        ManualClock clock = new();
        BudgetLimits limits = new(new BudgetOptions(), clock);
        Caller caller = With(new TenantTerms { DailyBudget = "10 USD" });
        limits.Settle(await limits.PlaceAsync(caller, Usd("10"), None), Usd("10"));
        ApiException daily = await Assert.ThrowsAsync<ApiException>(() => limits.PlaceAsync(caller, Usd("0.01"), None));
        Assert.Equal((402, "budget_exceeded"), (daily.Status, daily.Code));
        Assert.Contains("daily budget", daily.Message, StringComparison.Ordinal);
        clock.Advance(TimeSpan.FromHours(12));
        limits.Settle(await limits.PlaceAsync(caller, Usd("5"), None), Usd("5"));
    }

    [Fact]
    public async Task A_restart_counts_a_request_where_it_was_placed_whenever_it_ended()
    {
        ManualClock clock = new();
        clock.Advance(new DateTimeOffset(2026, 11, 30, 23, 59, 50, TimeSpan.Zero) - clock.GetUtcNow());
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        DirectoryState directory = gateway.Get<DirectoryState>();
        Tenant tenant = directory.Current.FindTenant("acme")!;
        Project project = directory.Current.FindProject(tenant.Id, DirectoryState.DefaultProject)!;
        Caller caller = new(tenant, project, directory.Current.Keys.First(key => key.Tenant == tenant.Id));
        BudgetLimits running = new(new BudgetOptions(), clock);

        async Task<Action<string>> PlaceAsync()
        {
            Reservation held = await running.PlaceAsync(caller, Usd("5"), None);
            Hold hold = new(RequestId.New(clock), Instant.Now(clock), new Party(tenant.Id, project.Id, caller.Key.Id, null), new ModelName("scripted"), new DeploymentName("d"), Operation.Chat, TestGateway.PriceId, Usd("5"), TestGateway.Pool);
            await gateway.Store.AppendAsync(new HoldPlaced(hold), None);
            return charge =>
            {
                Instant now = Instant.Now(clock);
                gateway.Store.AppendAsync(new HoldSettled(new UsageRecord(hold.Id, hold.PlacedAt, now, now, hold.Party, hold.Model, hold.Deployment, TestGateway.Pool, Operation.Chat, Outcome.Completed,
                    new TokenCounts(1, 0, 0, 1, 0), default, TestGateway.PriceId, Usd(charge), null, null)), None).GetAwaiter().GetResult();
                running.Settle(held, Usd(charge));
            };
        }

        (await PlaceAsync())("1");
        Action<string> across = await PlaceAsync();
        clock.Advance(TimeSpan.FromSeconds(20));
        across("2");
        (await PlaceAsync())("3.5");

        BudgetLimits restarted = new(new BudgetOptions(), clock);
        await restarted.RestoreAsync(gateway.Store, None);
        foreach (BudgetLimits limits in (BudgetLimits[])[running, restarted])
        {
            Assert.Equal("3.5", limits.Use(tenant.Id.Value, Currency.Usd).Spent.ToDecimalText());
            Assert.Equal("3.5", limits.Use(project.Id.Value, Currency.Usd).Spent.ToDecimalText());
            Assert.Equal("3.5", limits.UseToday(tenant.Id, Currency.Usd).Spent.ToDecimalText());
        }
    }

    /// <summary>Each level by itself, each in both spans; what one user has spent is nobody else's.</summary>
    [Theory]
    [InlineData("user", SpanKind.Day)]
    [InlineData("user", SpanKind.Month)]
    [InlineData("model", SpanKind.Day)]
    [InlineData("model", SpanKind.Month)]
    [InlineData("project", SpanKind.Day)]
    [InlineData("key", SpanKind.Day)]
    public async Task Every_level_has_budgets_of_its_own(string level, SpanKind kind)
    {
        ManualClock clock = new();
        BudgetLimits limits = new(new BudgetOptions(), clock);
        (string? day, string? month) = kind == SpanKind.Day ? ("10 USD", (string?)null) : (null, "10 USD");
        PartTerms part = new() { DailyBudget = day, MonthlyBudget = month };
        Caller caller = With(level switch
        {
            "user" => new TenantTerms { EachUser = part },
            "model" => new TenantTerms { Models = ImmutableDictionary<string, PartTerms>.Empty.Add("BIG", part) },
            _ => new TenantTerms(),
        });
        if (level == "project") caller = caller with { Project = caller.Project with { Settings = new ProjectTerms { DailyBudget = day }.ToSettings() } };
        if (level == "key") caller = caller with { Key = caller.Key with { Settings = new KeyTerms { DailyBudget = day }.ToSettings() } };
        CallParts mine = new("ann", new ModelName("big"));
        await limits.KnowPartsAsync(caller);

        Reservation held = await limits.PlaceAsync(caller, Usd("6"), None, mine);
        Assert.Equal(Usd("4"), limits.Available(caller, Currency.Usd, mine));
        limits.Settle(held, Record(clock, caller, mine, "4"));
        Assert.Equal(Usd("6"), limits.Available(caller, Currency.Usd, mine));
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => limits.PlaceAsync(caller, Usd("6.01"), None, mine));
        Assert.Equal((402, "budget_exceeded"), (refused.Status, refused.Code));
        Assert.Contains($"{(kind == SpanKind.Day ? "daily" : "monthly")} budget of this {level}", refused.Message, StringComparison.Ordinal);
        // Another user, another model: not bound by it, unless the level is neither.
        CallParts other = new("bob", new ModelName("small"));
        if (level is "user" or "model") limits.Release(await limits.PlaceAsync(caller, Usd("9"), None, other));
        clock.Advance(TimeSpan.FromDays(kind == SpanKind.Day ? 1 : 31));
        limits.Release(await limits.PlaceAsync(caller, Usd("10"), None, mine));
    }

    /// <summary>Whenever a budget is set, what was spent in its span counts, once, also what is settled while the books are read for it.</summary>
    [Fact]
    public async Task A_budget_of_a_part_counts_what_was_spent_before_it_was_set()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        DirectoryState directory = gateway.Get<DirectoryState>();
        Tenant tenant = directory.Current.FindTenant("acme")!;
        Caller caller = new(tenant, directory.Current.FindProject(tenant.Id, DirectoryState.DefaultProject)!, directory.Current.Keys.First(key => key.Tenant == tenant.Id));
        CallParts ann = new("ann", new ModelName("scripted"));
        GatedReader store = new(gateway.Store);
        BudgetLimits limits = new(new BudgetOptions(), clock);
        await limits.RestoreAsync(store, None);

        async Task<UsageRecord> StoredAsync(string charge, string user)
        {
            UsageRecord record = Record(clock, caller, ann with { User = user }, charge);
            Hold hold = new(record.Id, record.PlacedAt, record.Party, record.Model, record.Deployment, Operation.Chat, TestGateway.PriceId, Usd("5"), TestGateway.Pool);
            await gateway.Store.AppendAsync(new Together([new HoldPlaced(hold), new HoldSettled(record)]), None);
            return record;
        }

        limits.Settle(await limits.PlaceAsync(caller, Usd("5"), None, ann), await StoredAsync("1", "ann"));
        limits.Settle(await limits.PlaceAsync(caller, Usd("5"), None, ann), await StoredAsync("2", "bob"));
        Reservation across = await limits.PlaceAsync(caller, Usd("5"), None, ann);
        caller = caller with { Tenant = caller.Tenant with { Settings = new TenantTerms { EachUser = new PartTerms { MonthlyBudget = "10 USD", DailyBudget = "9 USD" } }.ToSettings() } };
        // The first time the books cannot be read; what is settled then is not lost, nor counted twice the next time.
        store.Failures = 1;
        await Assert.ThrowsAsync<StoreException>(() => limits.KnowPartsAsync(caller));
        limits.Settle(await limits.PlaceAsync(caller, Usd("5"), None, ann), await StoredAsync("0.5", "ann"));
        Task knowing = limits.KnowPartsAsync(caller);
        await store.Asked.Task;
        limits.Settle(across, await StoredAsync("2.5", "ann"));
        store.Go.SetResult();
        await knowing;
        foreach (SpanKind kind in (SpanKind[])[SpanKind.Month, SpanKind.Day])
        {
            Assert.Equal(Usd("4"), limits.UseOfUser(tenant.Id, "ann", kind, Currency.Usd).Spent);
            Assert.Equal(Usd("2"), limits.UseOfUser(tenant.Id, "bob", kind, Currency.Usd).Spent);
        }
        Assert.Equal(Usd("5"), limits.Available(caller, Currency.Usd, ann));
        BudgetLimits restarted = new(new BudgetOptions(), clock);
        await restarted.RestoreAsync(gateway.Store, None);
        await restarted.KnowPartsAsync(caller);
        Assert.Equal(Usd("5"), restarted.Available(caller, Currency.Usd, ann));
    }

    private static UsageRecord Record(ManualClock clock, Caller caller, CallParts parts, string charge)
    {
        Instant now = Instant.Now(clock);
        return new UsageRecord(RequestId.New(clock), now, now, now, new Party(caller.Tenant.Id, caller.Project.Id, caller.Key.Id, parts.User), parts.Model!.Value, new DeploymentName("d"), TestGateway.Pool, Operation.Chat,
            Outcome.Completed, new TokenCounts(1, 0, 0, 1, 0), default, TestGateway.PriceId, Usd(charge), null, null);
    }

    private static Caller With(TenantTerms terms)
    {
        Caller caller = Callers.With();
        return caller with { Tenant = caller.Tenant with { Settings = terms.ToSettings() } };
    }

    /// <summary>Reads of one tenant's records wait until they may.</summary>
    private sealed class GatedReader(IBookReader inner) : ForwardingBookReader(inner)
    {
        private readonly IBookReader inner = inner;

        public int Failures { get; set; }
        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public TaskCompletionSource Go { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override async IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, [EnumeratorCancellation] CancellationToken cancel = default)
        {
            if (query.Tenant is not null)
            {
                if (Failures-- > 0) throw new StoreException("They are away.");
                Asked.TrySetResult();
                await Go.Task;
            }
            await foreach (UsageRecord record in inner.StreamUsageAsync(query, cancel)) yield return record;
        }
    }

    private static Money Usd(string amount) => Money.Parse(amount, Currency.Usd);
}
