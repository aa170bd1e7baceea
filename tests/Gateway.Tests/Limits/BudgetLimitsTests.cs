using CsCheck;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

public sealed class BudgetLimitsTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Fifty_concurrent_requests_against_a_budget_for_seven_admit_exactly_seven()
    {
        BudgetLimits limits = Limits();
        Caller caller = Callers.With(tenantBudget: Usd(70));
        Task<Reservation>[] placing = [.. Enumerable.Range(0, 50).Select(_ => Task.Run(() => limits.PlaceAsync(caller, Usd(10), None)))];

        List<Task<Reservation>> unknown = [.. placing];
        int admitted = 0;
        while (unknown.Count > 0)
        {
            Task<Reservation> next = await Task.WhenAny(unknown);
            unknown.Remove(next);
            if (next.IsCompletedSuccessfully)
            {
                // Whoever is admitted uses all it holds; whoever waits learns then that nothing is left.
                admitted++;
                limits.Settle(await next, Usd(10));
                continue;
            }
            ApiException error = await Assert.ThrowsAsync<ApiException>(() => next);
            Assert.Equal((402, "budget_exceeded"), (error.Status, error.Code));
        }
        Assert.Equal(7, admitted);
        Assert.Equal(Usd(70), limits.Use(caller.Tenant.Id.Value, Currency.Usd).Spent);
    }

    [Fact]
    public async Task Five_requests_whose_worst_cases_exceed_the_budget_together_all_run_when_what_they_use_fits()
    {
        BudgetLimits limits = Limits();
        Caller caller = Callers.With(keyBudget: Usd(100));
        Task<Reservation>[] placing = [.. Enumerable.Range(0, 5).Select(_ => limits.PlaceAsync(caller, Usd(60), None))];
        foreach (Task<Reservation> place in placing) limits.Settle(await place, Usd(10));
        Assert.Equal(Usd(50), limits.Use(caller.Key.Id.Value, Currency.Usd).Spent);
    }

    [Fact]
    public async Task A_request_that_fits_is_not_blocked_by_a_larger_one_that_waits()
    {
        BudgetLimits limits = Limits();
        Caller caller = Callers.With(projectBudget: Usd(100));
        Reservation running = await limits.PlaceAsync(caller, Usd(60), None);
        Task<Reservation> large = limits.PlaceAsync(caller, Usd(90), None);
        Reservation small = await limits.PlaceAsync(caller, Usd(40), None);
        Assert.False(large.IsCompleted);
        limits.Release(running);
        Assert.False(large.IsCompleted);
        limits.Release(small);
        Assert.Equal(Usd(90), (await large).Amount);
    }

    [Fact]
    public async Task Waiting_ends_with_429_and_when_to_try_again()
    {
        ManualClock clock = new();
        BudgetLimits limits = new(new BudgetOptions { HoldWaitMax = TimeSpan.FromSeconds(3) }, clock);
        Caller caller = Callers.With(tenantBudget: Usd(10));
        await limits.PlaceAsync(caller, Usd(10), None);
        Task<Reservation> waiting = limits.PlaceAsync(caller, Usd(10), None);
        clock.Advance(TimeSpan.FromSeconds(3));
        ApiException error = await Assert.ThrowsAsync<ApiException>(() => waiting);
        Assert.Equal((429, "budget_held"), (error.Status, error.Code));
        Assert.NotNull(error.RetryAfter);
    }

    [Fact]
    public async Task A_client_that_leaves_while_it_waits_holds_nothing()
    {
        BudgetLimits limits = Limits();
        Caller caller = Callers.With(tenantBudget: Usd(10));
        Reservation running = await limits.PlaceAsync(caller, Usd(10), None);
        using CancellationTokenSource leaving = new();
        Task<Reservation> waiting = limits.PlaceAsync(caller, Usd(5), leaving.Token);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        limits.Release(running);
        Assert.Equal((Usd(0), Usd(0)), limits.Use(caller.Tenant.Id.Value, Currency.Usd));
    }

    [Fact]
    public async Task The_line_of_waiting_requests_is_limited()
    {
        BudgetLimits limits = new(new BudgetOptions { WaitingMax = 1 }, new ManualClock());
        Caller caller = Callers.With(tenantBudget: Usd(10));
        Reservation running = await limits.PlaceAsync(caller, Usd(10), None);
        Task<Reservation> waiting = limits.PlaceAsync(caller, Usd(1), None);
        Assert.Equal(429, (await Assert.ThrowsAsync<ApiException>(() => limits.PlaceAsync(caller, Usd(1), None))).Status);
        limits.Release(running);
        await waiting;
    }

    [Fact]
    public async Task A_budget_in_another_currency_than_the_price_refuses_rather_than_not_counting()
    {
        Caller caller = Callers.With(tenantBudget: new Money(1, new Currency("CNY")));
        ApiException error = await Assert.ThrowsAsync<ApiException>(() => Limits().PlaceAsync(caller, Usd(1), None));
        Assert.Equal("budget_currency", error.Code);
    }

    [Fact]
    public void Spent_and_held_never_exceed_any_budget_whatever_happens()
    {
        Gen.Select(Gen.Int[1, 30], Gen.Int[0, 9]).Array[1, 200].Sample(operations =>
        {
            BudgetLimits limits = Limits();
            Caller caller = Callers.With(tenantBudget: Usd(60), keyBudget: Usd(45));
            List<Reservation> open = [];
            foreach ((int amount, int kind) in operations)
            {
                if (kind < 5 && limits.Available(caller, Currency.Usd) >= Usd(amount)) open.Add(limits.PlaceAsync(caller, Usd(amount), None).Result);
                else if (kind < 7 && open.Count > 0) limits.TryExtend(open[amount % open.Count], Usd(amount));
                else if (open.Count > 0)
                {
                    Reservation ended = open[amount % open.Count];
                    open.Remove(ended);
                    if (kind == 7) limits.Release(ended);
                    else limits.Settle(ended, new Money(ended.Amount.Picos / 2, Currency.Usd));
                }
                (Money spent, Money held) = limits.Use(caller.Key.Id.Value, Currency.Usd);
                Assert.True(spent + held <= Usd(45), $"{spent} spent and {held} held of {Usd(45)}");
                Assert.Equal(open.Aggregate(Usd(0), (sum, each) => sum + each.Amount), held);
            }
        });
    }

    /// <summary>Of one moment: no month ends meanwhile, and nobody has waited too long.</summary>
    private static BudgetLimits Limits() => new(new BudgetOptions(), new ManualClock());
    private static Money Usd(int picos) => new(picos, Currency.Usd);
}
