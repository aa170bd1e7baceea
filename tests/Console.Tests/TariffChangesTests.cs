using Qanat.Books;
using Qanat.Books.Tests;
using Qanat.Gateway;

namespace Qanat.Console.Tests;

public sealed class TariffChangesTests : IAsyncDisposable
{
    private static readonly PoolName Pool = new("this-machine");
    private readonly FixedClock clock = new("2026-11-01T12:00:00Z");
    private readonly MemoryBookStore store = new();

    public ValueTask DisposeAsync() => store.DisposeAsync();

    [Fact]
    public async Task Confirming_a_cost_adds_the_same_figures_from_now_on_without_the_assumption_and_says_who_did_it()
    {
        TariffState tariffs = await TariffState.LoadAsync(store, TestContext.Current.CancellationToken);
        TariffChanges changes = new(tariffs, clock);
        await changes.AddPoolRateAsync("first start", new NewPoolRate(Pool, new Instant(0), Money.Parse("0.10", Currency.Usd), 850, IsAssumption: true, "default"), TestContext.Current.CancellationToken);
        clock.Advance(TimeSpan.FromHours(1));
        await changes.ConfirmAsync("owner", tariffs.Costs.RateAt(Pool, Instant.Now(clock))!, TestContext.Current.CancellationToken);

        PoolRate now = tariffs.Costs.RateAt(Pool, Instant.Now(clock))!;
        Assert.False(now.IsAssumption);
        Assert.Equal((Money.Parse("0.10", Currency.Usd), 850), (now.HourlyCost, now.PracticalCapacityPermille));
        Assert.True(tariffs.Costs.RateAt(Pool, new Instant(1))!.IsAssumption);
        AuditEntry audit = (await store.ReadAuditAsync(1, TestContext.Current.CancellationToken))[0];
        Assert.Equal(("owner", "cost.add"), (audit.Who, audit.Action));
    }

    [Fact]
    public async Task Confirming_a_price_keeps_its_scope_and_its_rates()
    {
        TariffState tariffs = await TariffState.LoadAsync(store, TestContext.Current.CancellationToken);
        TariffChanges changes = new(tariffs, clock);
        TokenRates rates = TokenRates.PerMillion(Currency.Usd, "0.05", "0.40");
        await changes.AddPriceAsync("first start", new NewPrice(null, null, new Instant(0), rates, IsAssumption: true, "default"), TestContext.Current.CancellationToken);
        await changes.ConfirmAsync("owner", tariffs.Prices.Versions[0], TestContext.Current.CancellationToken);

        PriceVersion now = tariffs.Prices.Find(new ModelName("any"), TenantId.New(clock), Instant.Now(clock))!;
        Assert.False(now.IsAssumption);
        Assert.Equal((null, null, rates), (now.Model, now.Tenant, now.Rates));
    }
}
