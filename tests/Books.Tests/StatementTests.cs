using System.Collections.Immutable;
using CsCheck;

namespace Qanat.Books.Tests;

public class StatementTests
{
    private const long Hour = Instant.NanosecondsPerHour;

    [Fact]
    public async Task The_balance_sheet_balances_after_any_month() => await RandomMonth.Gen.SampleAsync(async month =>
    {
        await using var store = new MemoryBookStore();
        await month.RecordAsync(store);
        await new Bookkeeper(store).PostAsync();
        foreach (BalanceSheet sheet in await Statements.BalanceSheetAsync(store, Period.All.To)) Assert.True(sheet.IsBalanced);
        Assert.True((await Statements.TrialBalanceAsync(store, Sample.Start.Plus(Hour * 48))).IsZero);
    }, iter: 20);

    [Fact]
    public async Task A_balance_sheet_shows_what_is_owned_owed_and_earned()
    {
        await using MemoryBookStore store = await RecordAsync();
        BalanceSheet sheet = Assert.Single(await Statements.BalanceSheetAsync(store, Period.All.To, TestContext.Current.CancellationToken));
        Assert.Equal(Sample.Usd("3"), sheet.TotalAssets);
        Assert.Equal(Sample.Usd("2"), sheet.TotalLiabilities);
        Assert.Equal(Sample.Usd("1"), sheet.EarningsToDate);
    }

    [Fact]
    public async Task Unit_economics_give_price_cost_and_margin_of_a_million_tokens_by_class()
    {
        await using MemoryBookStore store = await RecordAsync();
        UnitEconomics economics = await Statements.UnitEconomicsAsync(store, Period.All, TestContext.Current.CancellationToken);
        ModelEconomics model = Assert.Single(economics.Models);
        ClassEconomics input = model.Classes.Single(c => c.Class == "input"), cached = model.Classes.Single(c => c.Class == "cache read"), output = model.Classes.Single(c => c.Class == "output");
        Assert.Equal("0.5000", input.PricePerMillion.ToDecimalText(4));
        Assert.Equal("0.1000", input.CostPerMillion.ToDecimalText(4));
        Assert.Equal("0.2500", cached.PricePerMillion.ToDecimalText(4));
        Assert.Equal("0.0000", cached.CostPerMillion.ToDecimalText(4));
        Assert.Equal("4.0000", output.PricePerMillion.ToDecimalText(4));
        Assert.Equal("1.5200", output.CostPerMillion.ToDecimalText(4));
        Assert.Equal("62.0", output.MarginOfRevenue.ToPercentText(1));
        Assert.Equal("n/a", model.Classes.Single(c => c.Class == "reasoning").PricePerMillion.ToDecimalText(2));
        Assert.Equal(Sample.Usd("3"), model.All.Revenue);
        Assert.Equal(Sample.Usd("1"), model.All.Cost);

        PoolEconomics pool = Assert.Single(economics.Pools);
        Assert.Equal("25.0", pool.Utilisation.ToPercentText(1));
        Assert.Equal("50.0", pool.UtilisationOfPracticalCapacity.ToPercentText(1));
        // USD 3 from half an hour of work: USD 6 a busy hour pays for a pool of USD 1 an hour at 1/6.
        Assert.Equal("16.7", pool.BreakEvenUtilisation.ToPercentText(1));
        Assert.Equal("0.667", pool.BreakEvenPriceFactor.ToDecimalText(3));
        Assert.Equal(1, economics.Unpriced);
    }

    [Fact]
    public async Task Rows_say_what_is_not_posted_yet()
    {
        await using MemoryBookStore store = await RecordAsync(post: false);
        ProfitAndLoss statement = await Statements.ProfitAndLossAsync(store, Period.All, GroupBy.Tenant, TestContext.Current.CancellationToken);
        Assert.Equal(2, statement.Unposted);
        Assert.Equal(2, Assert.Single(statement.Rows).Requests);
        Assert.Equal(Sample.Usd("0"), statement.Rows[0].Revenue);
        Assert.Equal(1, statement.Rows[0].Unpriced);
    }

    [Fact]
    public async Task Rows_come_in_a_fixed_order()
    {
        await using MemoryBookStore store = await RecordAsync();
        ProfitAndLoss statement = await Statements.ProfitAndLossAsync(store, Period.All, GroupBy.Hour | GroupBy.Model, TestContext.Current.CancellationToken);
        Assert.Equal(statement.Rows.Select(r => (r.Key.Start!.Value, r.Key.Model!.Value.Value)).Order(), statement.Rows.Select(r => (r.Key.Start!.Value, r.Key.Model!.Value.Value)));
    }

    /// <summary>Two hours of a machine at USD 1 an hour and 50 % practical capacity; one request of half an hour: 500,000 fresh input tokens, 1,000,000 cached, 625,000 output. One more that is unpriced and used nothing.</summary>
    private static async Task<MemoryBookStore> RecordAsync(bool post = true)
    {
        var store = new MemoryBookStore();
        PriceVersion price = Sample.Price("list", Sample.Start, TokenRates.PerMillion(Currency.Usd, "0.5", "4", cacheRead: "0.25"));
        PoolRate rate = Sample.Rate("rate", Sample.Start, "1", permille: 1000);
        await store.AppendAsync(new PriceAdded(price));
        await store.AppendAsync(new PoolRateAdded(rate with { PracticalCapacityPermille = 500, HourlyCost = Sample.Usd("1") }));
        var costs = new CostBook(await store.ReadPoolRatesAsync());
        var tokens = new TokenCounts(1_500_000, 1_000_000, 0, 625_000, 0);
        var device = new DeviceTime(Hour / 40, Hour / 2 - Hour / 40);
        UsageCost cost = costs.Cost(Sample.Pool, Sample.Start, device)!;
        await store.AppendAsync(new StepsMetered([], [new CapacityRecord(Sample.Pool, Sample.Start, Sample.Start.Plus(2 * Hour), CapacityState.Serving, device.TotalNanoseconds)]));
        foreach (string name in new[] { "priced", "unpriced" })
        {
            bool priced = name == "priced";
            await store.AppendAsync(new HoldSettled(new UsageRecord(new RequestId(Sample.Id(name)), Sample.Start, Sample.Start, Sample.Start.Plus(priced ? 0 : Hour), Sample.Party(), Sample.Model, Sample.Deployment, Sample.Pool,
                Operation.Chat, Outcome.Completed, priced ? tokens : default, priced ? device : default, priced ? price.Id : null, priced ? Rating.Charge(price.Rates, tokens) : null, cost.Rate, priced ? cost.Amount : Sample.Usd("0"))));
        }
        if (post) await new Bookkeeper(store).PostAsync();
        return store;
    }
}
