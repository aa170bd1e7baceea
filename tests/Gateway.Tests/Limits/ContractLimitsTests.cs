using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

public sealed class ContractLimitsTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly Caller Caller = Callers.With();
    private static readonly PriceVersion Price = new(new PriceVersionId(Guid.Parse("01930b2c-7a5e-7c1d-9f5e-0123456789ab")), new Instant(0), null, null, TokenRates.PerMillion(Currency.Usd, "1", "1"), false, "test", new Instant(0));

    [Fact]
    public async Task However_many_requests_run_at_once_the_free_quota_gives_no_token_too_many_and_the_next_request_the_rest()
    {
        FreeQuotas quotas = new();
        RequestTerms terms = Terms(1_000, WhenExhausted.Charge);
        long[] free = await Task.WhenAll(Enumerable.Range(0, 40).Select(index => Task.Run(() =>
        {
            QuotaHold hold = quotas.Hold(terms, 100, Operation.Chat, At(1));
            quotas.Extend(hold, 50);
            return quotas.Settle(hold, new RatedUsage(new TokenCounts(40, 0, 0, index, 0)), At(1));
        })));
        // Whoever ends while others hold the rest pays; what those give back later is there for the next.
        long used = free.Sum();
        Assert.InRange(used, 40, 1_000);
        Assert.Equal((used, 1_000 - used), (quotas.Used(terms.Contract!), quotas.Left(terms.Contract!)));
        Assert.Equal(1_000 - used, quotas.Settle(quotas.Hold(terms, 100, Operation.Chat, At(1)), new RatedUsage(new TokenCounts(2_000, 0, 0, 0, 0)), At(1)));
        Assert.Equal((1_000L, 0L), (quotas.Used(terms.Contract!), quotas.Left(terms.Contract!)));
    }

    [Fact]
    public void What_a_hold_did_not_use_is_free_again()
    {
        FreeQuotas quotas = new();
        RequestTerms terms = Terms(1_000, WhenExhausted.Stop);
        QuotaHold first = quotas.Hold(terms, 900, Operation.Chat, At(1)), second = quotas.Hold(terms, 900, Operation.Chat, At(1));
        Assert.Equal((900L, 100L, 0L), (first.Tokens, second.Tokens, quotas.Left(terms.Contract!)));
        Assert.Equal(10, quotas.Settle(first, new RatedUsage(new TokenCounts(5, 0, 0, 5, 0)), At(1)));
        Assert.Equal(890, quotas.Extend(second, 2_000));
        quotas.Release(second);
        Assert.Equal((10L, 990L), (quotas.Used(terms.Contract!), quotas.Left(terms.Contract!)));
    }

    [Fact]
    public void Batches_failed_requests_and_requests_after_its_time_take_nothing_from_a_quota()
    {
        FreeQuotas quotas = new();
        RequestTerms terms = Terms(1_000, WhenExhausted.Charge);
        TokenCounts tokens = new(5, 0, 0, 5, 0);
        Assert.Equal(0, quotas.Settle(quotas.Hold(terms, 10, Operation.Batch, At(1)), new RatedUsage(tokens, Operation.Batch), At(1)));
        Assert.Equal(0, quotas.Settle(quotas.Hold(terms, 10, Operation.Chat, At(1)), new RatedUsage(tokens, Outcome: Outcome.Failed), At(1)));
        Assert.Equal(0, quotas.Settle(quotas.Hold(terms, 10, Operation.Chat, At(100)), new RatedUsage(tokens), At(100)));
        Assert.Equal(1_000, quotas.Left(terms.Contract!));
    }

    [Fact]
    public async Task Credit_paid_in_advance_holds_like_a_budget_until_it_is_topped_up()
    {
        ManualClock clock = new();
        BudgetLimits limits = new(new BudgetOptions(), clock);
        Instant now = Instant.Now(clock);
        ImmutableArray<Credit> credits = [new("c1", Caller.Tenant.Id, Usd(10), now, null, WhenExhausted.Stop)];
        limits.Contracts.Credits.Declare(credits);

        Reservation first = await limits.PlaceAsync(Caller, Usd(7), None);
        Assert.Equal(Usd(3), limits.Available(Caller, Currency.Usd));
        limits.Contracts.Credits.Add(Caller.Tenant.Id, Usd(4), now);
        limits.Settle(first, Usd(4));
        Assert.Equal(Usd(6), limits.Available(Caller, Currency.Usd));
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => limits.PlaceAsync(Caller, Usd(7), None));
        Assert.Equal((402, "credit_exhausted"), (refused.Status, refused.Code));

        limits.Contracts.Credits.Declare(credits.Add(new Credit("c2", Caller.Tenant.Id, Usd(1), now, null, WhenExhausted.Stop)));
        Assert.Equal(Usd(7), (await limits.PlaceAsync(Caller, Usd(7), None)).Amount);
    }

    [Fact]
    public async Task A_cent_of_credit_that_pays_for_exactly_seventeen_admits_seventeen_of_two_hundred()
    {
        BudgetLimits limits = new(new BudgetOptions { HoldWaitMax = TimeSpan.FromMinutes(5) }, TimeProvider.System);
        Instant now = Instant.Now(TimeProvider.System);
        Money cent = Money.Parse("0.01", Currency.Usd);
        limits.Contracts.Credits.Declare([new Credit("c1", Caller.Tenant.Id, cent, now, null, WhenExhausted.Stop)]);
        Money each = new(cent.Picos / 17, Currency.Usd);
        bool[] served = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(async () =>
        {
            try
            {
                Reservation held = await limits.PlaceAsync(Caller, each, None);
                await Task.Yield();
                limits.Settle(held, new UsageRecord(RequestId.New(TimeProvider.System), now, now, now, new Party(Caller.Tenant.Id, Caller.Project.Id, Caller.Key.Id, null), new ModelName("m"), new DeploymentName("d"),
                    TestGateway.Pool, Operation.Chat, Outcome.Completed, new TokenCounts(1, 0, 0, 1, 0), default, TestGateway.PriceId, each, null, null));
                return true;
            }
            catch (ApiException error) when (error.Code == "credit_exhausted")
            {
                return false;
            }
        })));
        Assert.Equal(17, served.Count(one => one));
        (Money paid, Money used, Money open) = Assert.Single(limits.UsePrepaid(Caller.Tenant.Id));
        Assert.Equal((cent, new Money(each.Picos * 17, Currency.Usd), Money.Zero(Currency.Usd)), (paid, used, open));
    }

    [Fact]
    public async Task What_is_paid_in_advance_over_the_API_is_a_credit_of_the_books_and_the_limit()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer paid = await gateway.AdminAsync("POST", "/api/tenants/acme/credit", """{"amount":"2.50"}""");
        Assert.Equal((200, "2.5", "2.5"), (paid.Status, (string?)paid.Body["credits"]![0]!["paid"], (string?)paid.Body["credits"]![0]!["left"]));
        await gateway.AdminAsync("POST", "/api/tenants/acme/credit", """{"amount":"1"}""");
        Answer contracts = await gateway.AdminAsync("GET", "/api/contracts");
        Assert.Equal(["2.5", "1"], contracts.Body["credits"]!.AsArray().Select(credit => (string?)credit!["amount"]));
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(gateway.Key, out Caller caller));
        Assert.Equal("3.5", gateway.Get<BudgetLimits>().Available(caller, Currency.Usd)!.Value.ToDecimalText());
        Assert.Contains("budget=\"credit\"", await gateway.Owner.GetStringAsync("/metrics", None), StringComparison.Ordinal);
        foreach (string body in (string[])["""{"amount":"0"}""", """{"amount":"-1"}""", "{}"]) Assert.Equal((body, 400), (body, (await gateway.AdminAsync("POST", "/api/tenants/acme/credit", body)).Status));
        using HttpClient runs = await gateway.ClientOfAsync("house", KeyRole.Operator, Reach.Cloud);
        Assert.Equal(403, (await TestGateway.SendAsync(runs, new HttpRequestMessage(HttpMethod.Post, "/api/tenants/acme/credit") { Content = new StringContent("{}", System.Text.Encoding.UTF8, "application/json") })).Status);
    }

    [Fact]
    public void Expired_credit_pays_for_nothing_and_credit_that_may_be_exceeded_limits_nothing()
    {
        ManualClock clock = new();
        BudgetLimits limits = new(new BudgetOptions(), clock);
        Instant now = Instant.Now(clock);
        limits.Contracts.Credits.Declare([new Credit("c1", Caller.Tenant.Id, Usd(10), now, new Instant(now.UnixNanoseconds + 3_600_000_000_000), WhenExhausted.Stop)]);
        Assert.Equal(Usd(10), limits.Available(Caller, Currency.Usd));
        clock.Advance(TimeSpan.FromHours(2));
        Assert.Equal(Usd(0), limits.Available(Caller, Currency.Usd));
        limits.Contracts.Credits.Declare([new Credit("c2", Caller.Tenant.Id, Usd(1), now, null, WhenExhausted.Charge)]);
        Assert.Null(limits.Available(Caller, Currency.Usd));
    }

    private static RequestTerms Terms(long tokens, WhenExhausted then) =>
        new(Price, new Contract("c", Caller.Tenant.Id, null, Period.All, 0, null, new FreeQuota(tokens, At(100), then), null));

    private static Instant At(long seconds) => new(seconds * 1_000_000_000);
    private static Money Usd(int amount) => Money.Parse(amount.ToString(System.Globalization.CultureInfo.InvariantCulture), Currency.Usd);
}
