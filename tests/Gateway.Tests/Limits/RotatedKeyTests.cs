using System.Text;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>A rotated key has another secret and no more money or requests than before: it uses its budgets and rates together with the keys it was rotated from.</summary>
public sealed class RotatedKeyTests
{
    private const string Hello = """{"model":"scripted-1","messages":[{"role":"user","content":"hi"}]}""";
    private readonly ManualClock clock = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Its_rates_are_those_of_the_old_key_while_both_work_and_afterwards()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        Answer made = await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"acme","requests_per_minute":3}""");
        using HttpClient first = gateway.Client((string)made.Body["key"]!);
        Assert.Equal(200, await StatusAsync(first));
        Answer next = await gateway.AdminAsync("POST", $"/api/keys/{made.Body["id"]}/rotate", """{"overlap_seconds":3600}""");
        using HttpClient second = gateway.Client((string)next.Body["key"]!);
        Assert.Equal((200, 200), (await StatusAsync(second), await StatusAsync(first)));
        // The next one does not begin afresh either, nor after its terms were changed.
        Answer last = await gateway.AdminAsync("POST", $"/api/keys/{next.Body["id"]}/rotate", "{}");
        using HttpClient third = gateway.Client((string)last.Body["key"]!);
        Assert.Equal(200, (await gateway.AdminAsync("PUT", $"/api/keys/{last.Body["id"]}/terms", """{"models":["scripted-1"]}""")).Status);
        Assert.Equal((429, 429, 429), (await StatusAsync(first), await StatusAsync(second), await StatusAsync(third)));
    }

    /// <summary>By month and by day, in the running process and after a restart.</summary>
    [Fact]
    public async Task Its_budgets_know_what_the_old_key_has_spent()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        DirectoryState directory = gateway.Get<DirectoryState>();
        Answer made = await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"acme","monthly_budget":"10","daily_budget":"4"}""");
        Caller old = CallerOf(directory, made);
        BudgetLimits running = gateway.Get<BudgetLimits>();
        await running.RestoreAsync(gateway.Store, Cancel);
        await running.KnowPartsAsync(old);
        await SpendAsync(gateway, running, old, "3");
        Reservation held = await running.PlaceAsync(old, Usd("0.5"), Cancel);
        Answer next = await gateway.AdminAsync("POST", $"/api/keys/{made.Body["id"]}/rotate", """{"overlap_seconds":3600}""");
        Assert.Equal(("3", "0.5"), ((string)next.Body["spent"]!, (string)next.Body["held"]!));
        Caller young = CallerOf(directory, next);
        Assert.Equal(Usd("0.5"), running.Available(young, Currency.Usd));
        Assert.Equal(402, (await Assert.ThrowsAsync<ApiException>(() => running.PlaceAsync(young, Usd("1.01"), Cancel))).Status);
        await SpendAsync(gateway, running, young, "0.25");
        running.Release(held);

        BudgetLimits restarted = new(new BudgetOptions(), clock, directory: await DirectoryState.LoadAsync(gateway.Store, clock, Cancel));
        await restarted.RestoreAsync(gateway.Store, Cancel);
        await restarted.KnowPartsAsync(young);
        foreach (BudgetLimits limits in (BudgetLimits[])[running, restarted])
        {
            foreach (Caller caller in (Caller[])[old, young])
            {
                Assert.Equal(Usd("3.25"), limits.Use(caller.Key.Id.Value, Currency.Usd).Spent);
                Assert.Equal(Usd("3.25"), limits.UseToday(caller.Key.Id, Currency.Usd).Spent);
                Assert.Equal(Usd("0.75"), limits.Available(caller, Currency.Usd));
            }
        }
        // It is one budget, and told once: as the key's that replaced the other.
        BudgetStanding[] told = [.. new BudgetStandings(directory.Current, running).Of(young.Tenant).Where(each => each.Owner.Level == "key")];
        Assert.Equal([young.Key.Id, young.Key.Id], told.Select(each => each.Owner.Key!.Id));
        await gateway.AdminAsync("DELETE", $"/api/keys/{next.Body["id"]}");
        Assert.Contains(directory.Current.NewestKeys, key => key.Id == old.Key.Id);
    }

    private async Task SpendAsync(TestGateway gateway, BudgetLimits limits, Caller caller, string charge)
    {
        Instant now = Instant.Now(clock);
        Party party = new(caller.Tenant.Id, caller.Project.Id, caller.Key.Id, null);
        UsageRecord record = new(RequestId.New(clock), now, now, now, party, new ModelName("scripted"), new DeploymentName("d"), TestGateway.Pool, Operation.Chat, Outcome.Completed, new TokenCounts(1, 0, 0, 1, 0), default,
            TestGateway.PriceId, Usd(charge), null, null);
        Hold hold = new(record.Id, now, party, record.Model, record.Deployment, Operation.Chat, TestGateway.PriceId, Usd(charge), TestGateway.Pool);
        Reservation reservation = await limits.PlaceAsync(caller, Usd(charge), Cancel);
        await gateway.Store.AppendAsync(new Together([new HoldPlaced(hold), new HoldSettled(record)]), Cancel);
        limits.Settle(reservation, record);
    }

    private static Caller CallerOf(DirectoryState directory, Answer made)
    {
        ApiKey key = directory.Current.FindKey(new KeyId(Guid.Parse((string)made.Body["id"]!)))!;
        return new Caller(directory.Current.Tenant(key.Tenant), directory.Current.Project(key.Project), key);
    }

    private static async Task<int> StatusAsync(HttpClient http)
    {
        using HttpResponseMessage response = await http.PostAsync("/v1/chat/completions", new StringContent(Hello, Encoding.UTF8, "application/json"), Cancel);
        return (int)response.StatusCode;
    }

    private static Money Usd(string amount) => Money.Parse(amount, Currency.Usd);
}
