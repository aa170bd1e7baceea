using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>The tables of an investment.</summary>
public static class InvestmentTables
{
    public static ImmutableArray<ReportTable> Of(InvestmentAnalysis analysis)
    {
        Investment investment = analysis.Investment;
        string money = investment.Currency.Code, file = investment.File;
        var tables = ImmutableArray.CreateBuilder<ReportTable>();
        tables.Add(new ReportTable(investment.Title, $"{money}; discounted at {Texts.Percent(investment.DiscountRate, 1)} a year from {investment.Start}; before tax unless a rate is given ({Texts.Percent(investment.TaxRate, 1)})",
            ["", .. analysis.Scenarios.Select(s => s.Name)], [.. Measures(analysis).Select(m => new ReportRow([m.Name, .. analysis.Scenarios.Select(s => m.Say(s.Measures))], file))]));
        MonteCarloResult drawn = analysis.MonteCarlo;
        tables.Add(new ReportTable("Over all cases", $"{Texts.Number(drawn.Paths, 0)} cases drawn from the drivers, seed {drawn.Seed}", ["", "P10", "P50", "P90"],
        [
            Row("Net present value, " + money, drawn.NetPresentValue, v => Texts.Number(v, 0), file), Row("Payback, months", drawn.PaybackMonths, Months, file),
            Row($"Internal rate a year ({Texts.Percent(drawn.ShareWithOneRate)} of cases have one)", drawn.InternalRate, v => Texts.Percent(v), file), Row("Return on investment, of all outlays", drawn.ReturnOnInvestment, v => Texts.Percent(v), file),
            new ReportRow(["Pays back within its useful life", "", Texts.Percent(drawn.ProbabilityOfPayback), ""], file), new ReportRow(["Net present value above zero", "", Texts.Percent(drawn.ProbabilityOfGain), ""], file),
        ]));
        tables.Add(new ReportTable("What moves it", $"net present value in {money}, one driver from its P10 to its P90", ["Driver", "P10", "P90", "Value at P10", "Value at P90"],
            [.. analysis.Tornado.Select(b => new ReportRow([b.Setting.Label, Texts.Number(b.P10, 4), Texts.Number(b.P90, 4), Texts.Number(b.ValueAtP10, 0), Texts.Number(b.ValueAtP90, 0)], b.Setting.Place.ToString()))]));
        tables.Add(new ReportTable("Break-even", "the value of one driver at which the net present value is zero", ["Driver", "Median", "Break-even"],
            [.. analysis.BreakEvens.Select(b => new ReportRow([b.Setting.Label, Texts.Number(b.Median, 4), b.Value is { } v ? Texts.Number(v, 4) : "none in range"], b.Setting.Place.ToString()))]));
        if (analysis.Backtest is { } score)
            tables.Add(new ReportTable("Forecast against the books", $"net cash a month, {money}; continuous ranked probability score, 0 is perfect", ["Month", "P10", "P50", "P90", "Actual", "Score", "Inside"],
                [.. score.Months.Select(m => new ReportRow([m.Month.ToString(), Texts.Number(m.Sorted[m.Sorted.Length / 10], 0), Texts.Number(m.Sorted[m.Sorted.Length / 2], 0), Texts.Number(m.Sorted[m.Sorted.Length * 9 / 10], 0), Texts.Number(m.Actual, 0), Texts.Number(m.Score, 0), m.IsInside(0.8) ? "yes" : "no"], file))]));
        return tables.ToImmutable();
    }

    internal sealed record MeasureLine(string Name, Func<InvestmentMeasures, string> Say);

    internal static ImmutableArray<MeasureLine> Measures(InvestmentAnalysis analysis) =>
    [
        new("Net present value", m => Texts.Number(m.NetPresentValue, 0)), new("Payback, months", m => Months(m.PaybackMonths)), new("Discounted payback, months", m => Months(m.DiscountedPaybackMonths)),
        new("Internal rate a year", m => m.InternalRates.Count switch { 0 => "none", 1 => Texts.Percent(m.InternalRates[0], 1), _ => $"{m.InternalRates.Count} roots, no meaning: {string.Join(", ", m.InternalRates.Select(r => Texts.Percent(r, 1)))}" }),
        new("Modified internal rate a year", m => Texts.Percent(m.ModifiedInternalRate, 1)), new("Return on investment, of all outlays", m => Texts.Percent(m.ReturnOnInvestment, 1)),
        new("Return on capital a year, of mean book value", m => Texts.Percent(m.ReturnOnCapital, 1)), new("Economic value added, present value", m => Texts.Number(m.EconomicValue, 0)),
        new("Outlays", m => Texts.Number(m.Outlays, 0)), new("Useful life, months", m => Texts.Number(m.LifeMonths, 0)),
    ];

    internal static string Months(double months) => double.IsInfinity(months) ? "never" : Texts.Number(months, 1);

    private static ReportRow Row(string name, Percentiles p, Func<double, string> say, string source) => new([name, say(p.P10), say(p.P50), say(p.P90)], source);
}
