using System.Collections.Immutable;
using CsCheck;
using Qanat.Books;
using Qanat.Outlook;

namespace Qanat.Outlook.Tests;

public class InvestmentTests
{
    private const string Simple = """
        investment simple "Simple"
        currency USD
        start 2026-01
        months 24
        discount 10%
        equipment "Node" price 1000 count 1 in 2026-01
        driver capacity = 100
        driver price = 1

        """;

    [Fact]
    public void A_certain_investment_gives_the_sums_of_a_pocket_calculator()
    {
        InvestmentAnalysis analysis = OutlookCommands.Invest(new InvestCommandOptions(Simple, "simple.invest", [], Paths: 100)).Analysis;
        // 100 a month from the first month against 1,000 at once: back after the tenth month's cash.
        Assert.Equal(-900, analysis.Table.Net[0]);
        Assert.Equal(10.0, analysis.Base.PaybackMonths);
        double worth = Enumerable.Range(0, 24).Sum(t => 100 * Math.Pow(1.1, -t / 12.0)) - 1000;
        Assert.Equal(worth, analysis.Base.NetPresentValue, 9);
        Assert.Equal(1.4, analysis.Base.ReturnOnInvestment, 12);
        Assert.Equal(1, analysis.MonteCarlo.ProbabilityOfPayback);
        Assert.Equal(worth, analysis.MonteCarlo.NetPresentValue.P50, 9);
        double rate = Assert.Single(analysis.Base.InternalRates);
        Assert.Equal(0, CashMeasures.NetPresentValue(analysis.Table.Net, rate), 6);
        Assert.Equal(rate, CashMeasures.InternalRate(analysis.Table.Net), 9);
    }

    [Fact]
    public void Several_internal_rates_are_all_found_and_none_is_chosen()
    {
        // -100, 230, -132: worth nothing at 10 % and at 20 % a month.
        double[] flows = [-100, 230, -132];
        Assert.Equal([Math.Pow(1.1, 12) - 1, Math.Pow(1.2, 12) - 1], CashMeasures.InternalRates(flows).Select(r => Math.Round(r, 6)), (a, b) => Math.Abs(a - b) < 1e-5);
        Assert.Equal(2, CashMeasures.SignChanges(flows));
        Assert.True(double.IsNaN(CashMeasures.InternalRate(flows)));
        Assert.Empty(CashMeasures.InternalRates([10, 20]));
        // Spent 100, got 121 after two months, nothing reinvested meanwhile: 10 % a month whatever the rate.
        Assert.Equal(Math.Pow(1.1, 12) - 1, CashMeasures.ModifiedInternalRate([-100, 0, 121], 0.07), 9);
    }

    [Fact]
    public void Economic_value_added_has_the_present_value_of_the_cash()
    {
        Gen.Select(Gen.Double[0.2, 1], Gen.Double[0, 0.9], Gen.Double[1, 5], Gen.Double[0, 0.3], Gen.Double[0, 0.4]).Sample((use, decline, life, residual, tax) =>
        {
            Investment investment = InvestmentText.Read($"""
                investment eva "EVA"
                currency USD
                start 2026-01
                months 60
                discount 9%
                tax {tax * 100:F4}%
                equipment "First" cost 5000 in 2026-01
                equipment "Later" cost 700 in 2026-07
                training "Run" cost 300 in 2026-03
                driver capacity = 100
                driver price = 4
                driver price_decline = {decline * 100:F4}%
                driver utilisation_start = 10%
                driver utilisation_end = {use * 100:F4}%
                driver ramp_months = 9
                driver fixed_cost = 20
                driver useful_life = {life:F4}
                driver residual = {residual * 100:F4}%
                """, "eva.invest");
            var table = new CashTable(60);
            new CashModel(investment).Fill(table, CashModel.Medians(investment));
            InvestmentMeasures measures = InvestmentMeasures.Of(table, 0.09);
            return Math.Abs(measures.EconomicValue - measures.NetPresentValue) < 1e-6 * Math.Max(1, Math.Abs(measures.NetPresentValue));
        }, iter: 100, threads: 1);
    }

    [Fact]
    public void The_same_seed_gives_the_same_cases_and_another_seed_others()
    {
        Investment investment = InvestmentText.Read(OutlookCommands.InvestmentTextOf("deepseek", null), "deepseek.invest");
        MonteCarloResult one = MonteCarlo.Run(investment, 3500, 5), two = MonteCarlo.Run(investment, 3500, 5), other = MonteCarlo.Run(investment, 3500, 6);
        Assert.Equal(one.NetPresentValue, two.NetPresentValue);
        Assert.Equal(one.Fan.AsEnumerable(), two.Fan);
        Assert.NotEqual(one.NetPresentValue, other.NetPresentValue);
    }

    [Fact]
    public void Percentiles_follow_the_one_uncertain_driver()
    {
        Investment investment = InvestmentText.Read(Simple.Replace("driver price = 1", "driver price = uniform 0.5, 1.5", StringComparison.Ordinal), "u.invest");
        MonteCarloResult drawn = MonteCarlo.Run(investment, 40_000, 1);
        double factor = Enumerable.Range(0, 24).Sum(t => 100 * Math.Pow(1.1, -t / 12.0));
        Assert.Equal(0.6 * factor - 1000, drawn.NetPresentValue.P10, 0.02 * factor);
        Assert.Equal(1.4 * factor - 1000, drawn.NetPresentValue.P90, 0.02 * factor);
        // Back within 24 months needs a price of at least 1000 / 2400.
        Assert.Equal(1, drawn.ProbabilityOfPayback);
    }

    [Fact]
    public void Correlated_drivers_move_together()
    {
        const string Two = """
            investment c "C"
            currency USD
            start 2026-01
            months 1
            discount 0%
            driver capacity = normal 100, 10
            driver price = 1
            driver fixed_cost = normal 100, 10

            """;
        double Spread(string more)
        {
            Percentiles p = MonteCarlo.Run(InvestmentText.Read(Two + more, "c.invest"), 40_000, 1).NetPresentValue;
            return p.P90 - p.P10;
        }
        // The difference of two normals of deviation 10 has deviation 10 sqrt(2 - 2 rho); P10 to P90 is 2.563 deviations.
        Assert.Equal(2.563 * 10 * Math.Sqrt(2), Spread(""), 0.6);
        Assert.Equal(2.563 * 10 * Math.Sqrt(0.4), Spread("correlate capacity fixed_cost 0.8"), 0.4);
    }

    [Theory]
    [InlineData("driver capcity = 5", 9, "is not a driver")]
    [InlineData("driver price = 2", 9, "given twice")]
    [InlineData("driver pue = triangular 3, 2, 1", 9, "in this order")]
    [InlineData("driver pue = weibull 3, 2", 9, "is not a distribution")]
    [InlineData("driver utilisation_end = uniform 0.5, 1.5", 9, "between 0 % and 100 %")]
    [InlineData("correlate price tariff 0.5", 9, "is not given")]
    [InlineData("equipment \"x\" price 5 in 2026-01", 9, "'count' was expected")]
    [InlineData("training \"x\" cost 5 in January", 9, "is not a month")]
    [InlineData("actual 2025-12 revenue 1 cost 2", 9, "before the start")]
    [InlineData("profit 5", 9, "begins no statement")]
    public void A_bad_investment_is_refused_with_its_line(string statement, int line, string reason)
    {
        OutlookDataException e = Assert.Throws<OutlookDataException>(() => InvestmentText.Read(Simple + statement, "x.invest"));
        Fault fault = Assert.Single(e.Faults);
        Assert.Equal(line, fault.Place.Line);
        Assert.Contains(reason, fault.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Correlations_that_cannot_hold_together_are_refused()
    {
        OutlookDataException e = Assert.Throws<OutlookDataException>(() => InvestmentText.Read(Simple + """
            driver tariff = uniform 1, 2
            driver pue = uniform 1, 2
            driver power_kw = uniform 1, 2
            correlate tariff pue 0.9
            correlate pue power_kw 0.9
            correlate tariff power_kw -0.9
            """, "x.invest"));
        Assert.Contains("cannot all hold", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Closed_months_come_from_the_books_exactly()
    {
        ActualCashFlow actual = new(new Month(2026, 1), Money.Parse("40.25", Currency.Usd), Money.Parse("10", Currency.Usd), Money.Parse("900", Currency.Usd));
        InvestmentAnalysis analysis = OutlookCommands.Invest(new InvestCommandOptions(Simple, "s.invest", [actual], Paths: 100)).Analysis;
        Assert.Equal(-869.75, analysis.Table.Net[0]);
        Assert.Equal(100, analysis.Table.Net[1]);
        Assert.NotNull(analysis.Backtest);
        // A certain forecast scores its absolute error: -900 was expected, -869.75 came.
        Assert.Equal(30.25, analysis.Backtest.MeanScore, 9);
        ActualCashFlow yuan = actual with { Revenue = Money.Parse("1", new Currency("CNY")) };
        Assert.Throws<OutlookDataException>(() => OutlookCommands.Invest(new InvestCommandOptions(Simple, "s.invest", [yuan], Paths: 100)));
    }

    [Fact]
    public void The_score_of_a_normal_forecast_is_the_published_formula()
    {
        // CRPS of N(0, 1) at y: y (2 F(y) - 1) + 2 f(y) - 1 / sqrt(pi) (Gneiting and Raftery 2007).
        ImmutableArray<double> sample = [.. Enumerable.Range(0, 20_000).Select(i => MathNet.Numerics.Distributions.Normal.InvCDF(0, 1, (i + 0.5) / 20_000))];
        foreach (double y in new[] { -1.5, 0, 0.7 })
        {
            double exact = y * (2 * MathNet.Numerics.Distributions.Normal.CDF(0, 1, y) - 1) + 2 * MathNet.Numerics.Distributions.Normal.PDF(0, 1, y) - 1 / Math.Sqrt(Math.PI);
            Assert.Equal(exact, new ScoredForecast(new Month(2026, 1), sample, y).Score, 4);
        }
    }

    [Fact]
    public void Intervals_hold_as_often_as_they_say_when_the_drivers_are_right()
    {
        var random = new SeededRandom(3);
        ImmutableArray<double> sample = [.. Enumerable.Range(0, 2000).Select(_ => random.NextNormal()).Order()];
        NowcastScore score = NowcastScore.Of([.. Enumerable.Range(0, 2000).Select(i => new ScoredForecast(new Month(2026, 1).Plus(i % 12), sample, random.NextNormal()))]);
        Assert.InRange(score.Coverage80, 0.77, 0.83);
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.93)]
    public void Quantiles_invert_their_distributions(double p)
    {
        Assert.Equal(p, MathNet.Numerics.Distributions.Triangular.CDF(1, 5, 2, new TriangularRange(1, 2, 5).Quantile(p)), 9);
        Assert.Equal(p, MathNet.Numerics.Distributions.Beta.CDF(2, 4, (new PertRange(0, 1, 4).Quantile(p)) / 4), 4);
        Assert.Equal(3, new PertRange(3, 3, 3).Quantile(p));
    }

    [Fact]
    public void Break_even_is_where_the_value_is_zero()
    {
        InvestmentAnalysis analysis = OutlookCommands.Invest(new InvestCommandOptions(OutlookCommands.InvestmentTextOf("deepseek", null), "deepseek.invest", [], Paths: 1000)).Analysis;
        BreakEven price = analysis.BreakEvens.Single(b => b.Setting.Driver == Driver.PriceRealised);
        Investment at = analysis.Investment.With(Driver.PriceRealised, price.Value!.Value);
        var table = new CashTable(at.Months);
        new CashModel(at).Fill(table, CashModel.Medians(at));
        Assert.Equal(0, CashMeasures.NetPresentValue(table.Net, at.DiscountRate), 1.0);
        Assert.Contains("deepseek", OutlookCommands.Investments(null));
        Assert.Equal(["price_realised", "price_decline"], analysis.Tornado.Take(2).Select(b => InvestmentText.NameOf(b.Setting.Driver)).OrderByDescending(n => n == "price_realised"));
    }
}

/// <summary>Published cases that any cost model must reproduce.</summary>
public class PublishedCaseTests
{
    private const double Cost = 87_072, PublishedIncome = 562_027;
    private static readonly TokenSales[] Sales = [new("input, cached", 342e9, 0.14), new("input", 266e9, 0.55), new("output", 168e9, 2.19)];

    [Fact]
    public void DeepSeek_cost_income_margin_and_capacity()
    {
        Assert.Equal(Cost, ServingCost.Cost(226.75, 8, 24, 2));
        double income = ServingCost.Income(Sales);
        Assert.Equal(562_100, income, 6);
        Assert.InRange(income, PublishedIncome * (1 - 0.0002), PublishedIncome * (1 + 0.0002));
        ServingMargins margins = ServingCost.Margins(PublishedIncome, Cost);
        Assert.Equal(545, Math.Round(margins.OfCost * 100));
        Assert.Equal(84.5, Math.Round(margins.OfRevenue * 100, 1));
        Assert.Equal(5442, 226.75 * 24);
        Assert.Equal(5444.7, Math.Round(ServingCost.NodeHours(608e9, 73_700) + ServingCost.NodeHours(168e9, 14_800), 1));
    }

    [Theory]
    [InlineData(0.4, 91.7)]
    [InlineData(0.5, 90.0)]
    [InlineData(0.6, 87.5)]
    public void The_bridge_from_owned_to_rented(double lessor, double rented) => Assert.Equal(rented, Math.Round(ServingCost.RentedMargin(0.95, lessor) * 100, 1));

    [Fact]
    public void The_DeepSeek_day_runs_end_to_end_as_a_rented_investment()
    {
        InvestmentAnalysis rented = OutlookCommands.Invest(new InvestCommandOptions(OutlookCommands.InvestmentTextOf("deepseek-rented", null), "deepseek-rented.invest", [], Paths: 100)).Analysis;
        double revenue = rented.Table.Revenue[0], cost = rented.Table.OperatingCost[0];
        Assert.Equal(562_100, revenue / 30.4375, 0.5);
        Assert.Equal(Cost, cost / 30.4375, 0.5);
        Assert.Equal(545, ServingCost.Margins(revenue, cost).OfCost * 100, 1.0);
        Assert.Equal(0, rented.Base.PaybackMonths);
    }

    [Fact]
    public void The_DeepSeek_day_runs_end_to_end_as_an_owned_investment()
    {
        InvestmentAnalysis owned = OutlookCommands.Invest(new InvestCommandOptions(OutlookCommands.InvestmentTextOf("deepseek", null), "deepseek.invest", [], Paths: 5000)).Analysis;
        Assert.Equal(83_400_000, owned.Base.Outlays);
        Investment list = owned.Investment.With(Driver.PriceRealised, 1);
        var table = new CashTable(list.Months);
        new CashModel(list).Fill(table, CashModel.Medians(list));
        Assert.Equal(562_100, table.Revenue[0] / 30.4375, 20.0);
        Assert.True(owned.MonteCarlo.NetPresentValue.P10 < owned.MonteCarlo.NetPresentValue.P50 && owned.MonteCarlo.NetPresentValue.P50 < owned.MonteCarlo.NetPresentValue.P90);
        Assert.InRange(owned.MonteCarlo.ProbabilityOfPayback, 0, 1);
        Assert.Equal(owned.Investment.Months, owned.MonteCarlo.MonthSamples.Length);
    }

    [Fact]
    public void A_text_says_which_pools_or_models_the_investment_is_in_the_books()
    {
        string text = OutlookCommands.InvestmentTextOf("deepseek", null);
        Assert.Null(InvestmentText.Read(text, "x.invest").Books);
        Assert.Equal(["this-machine", "gpu-1"], InvestmentText.Read(text + "\nbooks pool this-machine, \"gpu-1\"", "x.invest").Books!.Pools.Select(p => p.Value));
        Assert.Equal(["qwen3-0.6b"], InvestmentText.Read(text + "\nbooks model \"qwen3-0.6b\"", "x.invest").Books!.Models.Select(m => m.Value));
        Assert.Contains("write books pool NAME", Assert.Throws<OutlookDataException>(() => InvestmentText.Read(text + "\nbooks tenant acme", "x.invest")).Message, StringComparison.Ordinal);
        Assert.Contains("said twice", Assert.Throws<OutlookDataException>(() => InvestmentText.Read(text + "\nbooks pool a\nbooks pool b", "x.invest")).Message, StringComparison.Ordinal);
    }
}
