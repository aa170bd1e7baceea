namespace Qanat.Outlook;

/// <summary>The report on an investment as a page that stands alone: measures by scenario, the fan of all cases, what moves it, where it breaks even, and every driver with its reason.</summary>
public static class InvestmentReport
{
    private const double Width = 760;

    public static string Write(InvestmentAnalysis analysis) => Fill(analysis).ToString();

    /// <summary>The report without its frame, section by section.</summary>
    public static System.Collections.Immutable.ImmutableArray<ReportSection> Sections(InvestmentAnalysis analysis) => Fill(analysis).Sections;

    private static Page Fill(InvestmentAnalysis analysis)
    {
        Investment investment = analysis.Investment;
        MonteCarloResult drawn = analysis.MonteCarlo;
        string money = investment.Currency.Code;
        var page = new Page($"{investment.Title}: when does it pay back?");
        page.Raw($"<h1>{Page.Text(investment.Title)}</h1>");
        page.Paragraph($"From {investment.Start}, {investment.Months} months, {money}, discounted at {Texts.Percent(investment.DiscountRate, 1)} a year, tax {Texts.Percent(investment.TaxRate, 1)}. {(investment.Actuals.IsEmpty ? "No month is closed yet: all figures are drawn from the drivers." : $"{investment.Actuals.Length} months are taken from the books as they were.")}", "sub");

        page.Section("answer", "The short answer");
        page.Raw("<div class=\"key\">");
        Card(page, "Pays back within its useful life", Texts.Percent(drawn.ProbabilityOfPayback), "of all cases");
        Card(page, "Payback", PaybackWords(drawn.PaybackMonths), double.IsInfinity(drawn.PaybackMonths.P50) ? "P10 to P90; more than half of the cases never" : $"P10 to P90; half of the cases by month {InvestmentTables.Months(drawn.PaybackMonths.P50)}");
        Card(page, "Net present value", $"{Short(drawn.NetPresentValue.P10)} to {Short(drawn.NetPresentValue.P90)} {money}", $"P10 to P90, median {Short(drawn.NetPresentValue.P50)}; above zero in {Texts.Percent(drawn.ProbabilityOfGain)} of cases");
        Card(page, "Internal rate a year", drawn.ShareWithOneRate == 0 ? "none" : $"{Texts.Percent(drawn.InternalRate.P10)} to {Texts.Percent(drawn.InternalRate.P90)}", $"P10 to P90 of the {Texts.Percent(drawn.ShareWithOneRate)} of cases that have exactly one");
        page.Raw("</div>");
        foreach (string note in investment.Notes) page.Paragraph(note, "note");

        page.Section("scenarios", "Measures");
        page.Table("", ["", .. analysis.Scenarios.Select(s => s.Name)], InvestmentTables.Measures(analysis).Select(m => (IEnumerable<string>)[Page.Text(m.Name), .. analysis.Scenarios.Select(s => Page.Figure(m.Say(s.Measures)))]));
        page.Section("fan", "Cumulated cash", $"{Texts.Number(drawn.Paths, 0)} cases, seed {drawn.Seed}: the same seed gives the same cases.");
        page.Chart("Fan of all cases", $"{money}; bands hold 50 %, 80 % and 90 % of the cases, line: median; dashed: base case", Fan(analysis));
        page.Section("moves", "What moves it");
        if (!analysis.Tornado.IsEmpty) page.Chart("Net present value", $"{money}; one driver from its P10 (ochre) to its P90 (blue), the others at their medians", Tornado(analysis));
        page.Section("map", "Life and utilisation");
        page.Chart("Net present value as a share of all outlays", "the other drivers at their medians", MoneyCharts.HeatMap(analysis.LifeByUtilisation));
        page.Section("even", "Break-even");
        page.Table("The value of one driver at which the net present value is zero", ["Driver", "Median", "Break-even", "Source"], analysis.BreakEvens.Select(b => (IEnumerable<string>)
            [Page.Text(b.Setting.Label), Page.Figure(Texts.Number(b.Median, 4)), Page.Figure(b.Value is { } v ? Texts.Number(v, 4) : "none in range"), Link(b.Setting)]));
        if (analysis.Backtest is { } score)
        {
            page.Section("backtest", "Forecast against the books", $"Mean score {Texts.Number(score.MeanScore, 0)} {money} against a mean of {Texts.Number(score.MeanAbsoluteActual, 0)} a month; the P10 to P90 range held {Texts.Percent(score.Coverage80)} of the months (80 % if the drivers were right).");
            ReportTable table = InvestmentTables.Of(analysis).Last();
            page.Table("", table.Headers, table.Rows.Select(r => r.Cells.Select(Page.Figure)));
        }
        page.Section("drivers", "Drivers and outlays", $"Lines of {investment.File}. What has no reason is an assumption like what has one: nobody else confirms it.");
        page.Table("", ["Line", "Driver", "Value", "Because"], investment.Drivers.Select(d => (IEnumerable<string>)[$"<td id=\"l{d.Place.Line}\">{d.Place.Line}</td>", Page.Text(d.Label), Page.Text(d.Distribution.ToString()!), Page.Text(d.Because)])
            .Concat(investment.Outlays.Select(o => (IEnumerable<string>)[$"<td id=\"l{o.Place.Line}\">{o.Place.Line}</td>", Page.Text(o.Label), Page.Text($"{Texts.Number(o.Amount, 0)} in {o.Month}"), Page.Text(o.Because)])));
        return page;
    }

    private static void Card(Page page, string title, string big, string words) => page.Raw($"<div><b>{Page.Text(title)}</b><span class=\"big\">{Page.Text(big)}</span><span>{Page.Text(words)}</span></div>");

    private static string Link(DriverSetting setting) => $"<a class=\"src\" href=\"#l{setting.Place.Line}\">line {setting.Place.Line}</a>";

    private static string Short(double value)
    {
        double size = Math.Abs(value);
        string text = size switch
        {
            >= 1e9 => $"{Texts.Number(size / 1e9, 2)} bn",
            >= 1e6 => $"{Texts.Number(size / 1e6, 1)} m",
            >= 1e4 => $"{Texts.Number(size / 1e3, 0)} k",
            _ => Texts.Number(size, 0),
        };
        return value < 0 ? $"({text})" : text;
    }

    /// <summary>"24 to 40 months", "24 months to never", "never".</summary>
    private static string PaybackWords(Percentiles months) => double.IsInfinity(months.P10) ? "never"
        : double.IsInfinity(months.P90) ? $"{InvestmentTables.Months(months.P10)} months to never" : $"{InvestmentTables.Months(months.P10)} to {InvestmentTables.Months(months.P90)} months";

    private static string Fan(InvestmentAnalysis analysis)
    {
        const double Top = 12, Chart = 260, Height = 310, Left = 78;
        FanPoint[] points = [.. analysis.MonteCarlo.Fan];
        double low = points.Min(p => p.Cumulated.P5), high = points.Max(p => p.Cumulated.P95);
        (low, high) = (Math.Min(low, 0), Math.Max(high, 1));
        var x = new Axis(0, Math.Max(1, points[^1].Index), Left, Width - Left - 24);
        double Y(double v) => Top + Chart - (v - low) / (high - low) * Chart;
        var svg = new Svg(Width, Height, "Cumulated cash over all cases", analysis.Investment.Currency.Code);
        foreach (double tick in new Axis(low, high, 0, 1).Ticks(6))
        {
            svg.Line(Left, Y(tick), Width - 24, Y(tick), "grid");
            svg.Text(Left - 8, Y(tick) + 4, Short(tick), "t quiet", Anchor.End);
        }
        void Band(Func<Percentiles, double> from, Func<Percentiles, double> to, string style) =>
            svg.Polygon([.. points.Select(p => (x[p.Index], Y(to(p.Cumulated)))), .. points.Reverse().Select(p => (x[p.Index], Y(from(p.Cumulated))))], style);
        Band(p => p.P5, p => p.P95, "band quietband");
        Band(p => p.P10, p => p.P90, "band quietband");
        Band(p => p.P25, p => p.P75, "band");
        svg.Polyline(points.Select(p => (x[p.Index], Y(p.Cumulated.P50))), "path");
        double sum = 0;
        var baseline = new List<(double, double)>();
        for (int t = 0; t <= points[^1].Index; t++)
        {
            sum += analysis.Table.Net[t];
            baseline.Add((x[t], Y(Math.Clamp(sum, low, high))));
        }
        svg.Polyline(baseline, "thin");
        svg.Line(Left, Y(0), Width - 24, Y(0), "zero");
        for (int t = 0; t <= points[^1].Index; t += Math.Max(6, points[^1].Index / 60 * 6)) svg.Text(x[t], Top + Chart + 20, analysis.Investment.Start.Plus(t).ToString(), "t small", Anchor.Middle);
        return svg.ToString();
    }

    private static string Tornado(InvestmentAnalysis analysis)
    {
        double middle = analysis.Base.NetPresentValue;
        double[] ends = [.. analysis.Tornado.SelectMany(b => new[] { b.ValueAtP10, b.ValueAtP90 }).Append(middle)];
        double pad = (ends.Max() - ends.Min()) * 0.18 + 1e-9;
        var axis = new Axis(ends.Min() - pad, ends.Max() + pad, 270, Width - 290);
        double height = 40 * analysis.Tornado.Length + 40;
        var svg = new Svg(Width, height, "What moves the net present value", analysis.Investment.Currency.Code);
        BoundCharts.Grid(svg, axis, height - 28, Short);
        for (int i = 0; i < analysis.Tornado.Length; i++)
        {
            DriverBar bar = analysis.Tornado[i];
            double y = 8 + 40 * i, a = axis[bar.ValueAtP10], b = axis[bar.ValueAtP90], m = axis[middle];
            svg.Text(0, y + 13, BoundCharts.Cut(bar.Setting.Label, 40), "t strong");
            svg.Text(0, y + 28, $"{Texts.Number(bar.P10, 3)} to {Texts.Number(bar.P90, 3)}", "t quiet");
            svg.Rect(Math.Min(a, m), y + 2, Math.Abs(a - m), 20, "bar low");
            svg.Rect(Math.Min(b, m), y + 2, Math.Abs(b - m), 20, "bar high");
            svg.Text(Math.Min(Math.Min(a, b), m) - 5, y + 17, Short(Math.Min(bar.ValueAtP10, bar.ValueAtP90)), "t value", Anchor.End);
            svg.Text(Math.Max(Math.Max(a, b), m) + 5, y + 17, Short(Math.Max(bar.ValueAtP10, bar.ValueAtP90)), "t value");
        }
        svg.Line(axis[middle], 4, axis[middle], height - 28, "zero");
        return svg.ToString();
    }
}
