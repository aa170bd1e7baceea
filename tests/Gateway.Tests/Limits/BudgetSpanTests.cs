using Qanat.Books;

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

    private static Caller With(TenantTerms terms)
    {
        Caller caller = Callers.With();
        return caller with { Tenant = caller.Tenant with { Settings = terms.ToSettings() } };
    }

    private static Money Usd(string amount) => Money.Parse(amount, Currency.Usd);
}
