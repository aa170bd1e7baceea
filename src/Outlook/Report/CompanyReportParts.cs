using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>The parts of the report about money, time and sources.</summary>
public sealed partial class CompanyReport
{
    private void Bridge()
    {
        _page.Section("bridge", "From reported to derived", "Figures that no source prints, as the ranges that the published ones force.");
        LinearSystem system = _analysis.Systems.Layers[0].System;
        using var solver = new RangeSolver(system);
        SystemVariable[] own = [.. system.Variables.Where(v => v.Quarter == _analysis.Quarter && (v.Line.IsShared || v.Definition == _analysis.Definition))];
        _page.Table("", ["Line", "Range", "Published as", "Source"], own.Select(v => (v, Range: Span(solver, v)))
            .Where(p => p.Range.IsBounded || p.Range.Low > 0 || double.IsFinite(p.Range.High)).Select(p =>
            {
                Fact[] facts = [.. system.Rows.Where(r => r.Kind == RowKind.Reported && r.Terms.Length == 1 && r.Terms[0].Variable == p.v.Index).SelectMany(r => r.Facts)];
                return (IEnumerable<string>)[Page.Text(p.v.Line.Label), Page.Figure($"{Texts.Range(p.Range, false, 1)} {p.v.Line.Unit}"), facts.Length == 0 ? "derived" : Page.Text(string.Join(", ", facts.Select(f => f.Printed))), Links(facts)];
            }));
        foreach (Waterfall waterfall in Model.Waterfalls) DrawWaterfall(waterfall, system, solver);
    }

    private void DrawWaterfall(Waterfall waterfall, LinearSystem system, RangeSolver solver)
    {
        var identity = Model.Statements.OfType<Identity>().First(i => i.Name == waterfall.Identity);
        if (!identity.Reach.Covers(_analysis.Quarter)) return;
        var steps = ImmutableArray.CreateBuilder<WaterfallStep>();
        foreach (ModelTerm term in identity.Form.Terms)
        {
            if (system.Find(term.Reference.Line, _analysis.Quarter.Plus(term.Reference.Lag), _analysis.Definition) is not { } variable) return;
            Interval range = Span(solver, variable);
            if (!range.IsBounded) return;
            // The identity reads whole - parts = 0.
            steps.Add(new WaterfallStep(variable.Line.Label, steps.Count == 0 ? range : range * -term.Factor));
        }
        ImmutableArray<WaterfallStep> drawn = [.. steps.Skip(1), steps[0]];
        _page.Chart(waterfall.Label, $"{Model.Unit}, middle of each range", MoneyCharts.Waterfall(waterfall.Label, Model.Unit, drawn));
    }

    private static Interval Span(RangeSolver solver, SystemVariable v) => solver.Range(new Objective(new LinearForm([new FormTerm(v.Index, 1)], 0), LinearForm.One));

    private void Capital()
    {
        if (_analysis.Payback is null && _analysis.Glide is null) return;
        _page.Section("capital", "Capital: when is it back?");
        if (_analysis.Payback is { } payback) Payback(payback);
        if (_analysis.Glide is { } glide)
        {
            _page.Chart("Depreciation on its way", $"{Model.Unit} a quarter; life {Texts.Range(glide.Setting.LifeYears, false, 0)} years, in service after {Texts.Range(glide.Setting.LagQuarters, false, 0)} quarters, {Texts.Range(glide.Setting.Depreciable, true, 0)} of spending depreciates: assumptions", MoneyCharts.Glide(glide, Model.Unit));
            GlidePoint ahead = glide.Points[^1], now = glide.Points.First(p => p.Quarter == _analysis.Quarter);
            if (ahead.Expected is { } expected)
                _page.Raw($"<p>{Page.Text($"Capital already spent takes group depreciation from {Texts.Number(glide.PublishedPerQuarter.Middle, 0)} a quarter ({glide.Published.FiscalPeriod}) to {Texts.Range(now.Expected ?? expected, false, 0)} in {now.Quarter} and {Texts.Range(expected, false, 0)} by {ahead.Quarter}, before anything more is spent and before older equipment runs off.")} {Links([glide.Published, .. glide.CapitalFacts])}</p>");
        }
    }

    private void Payback(PaybackResult payback)
    {
        PaybackSetting setting = payback.Setting;
        _page.Raw($"<p>{Page.Text($"Capital of the last {setting.Quarters} quarters is {Texts.Range(payback.CapitalSpent, false, 0)} {Model.Unit}; {Texts.Range(setting.Share, true, 0)} of it for AI is assumed, so {Texts.Range(payback.Capital, false, 0)}. AI revenue runs at {Texts.Number(payback.RevenuePerYear.Middle, 0)} a year, of which {Texts.Range(setting.CashMargin, true, 0)} is assumed to be left as cash before depreciation. {char.ToUpperInvariant(setting.Because[0])}{setting.Because[1..]}.")} {Links([.. payback.RevenueFacts, .. payback.CapitalFacts])}</p>");
        _page.Table("Payback in years, static and on a growth path", ["Growth of AI revenue a year", "If growth takes no further capital", $"If each unit of yearly revenue added takes {Texts.Number(setting.Reinvested.High, 1)} of capital"],
            payback.Rows.Select(r => (IEnumerable<string>)[r.Growth == 0 ? "none (static)" : Page.Text(Texts.Percent(r.Growth)), Page.Figure(Years(r.Years)), Page.Figure(Years(r.YearsReinvesting))]));
        double[] cash = [.. payback.Needs.Select(n => n.Cash).Distinct()], shares = [.. payback.Needs.Select(n => n.Share).Distinct()];
        GrowthNeed At(double share, double c) => payback.Needs.First(n => n.Share == share && n.Cash == c);
        _page.Chart($"Growth a year that a {Texts.Number(setting.Years, 1)}-year payback needs", "least growth of AI revenue; growth takes no further capital", MoneyCharts.HeatMap(new HeatMap("Growth needed", "green: up to 40 % a year; red: 200 % and more", "AI share of capital",
            [.. shares.Select(s => Texts.Percent(s))], "cash left of AI revenue", [.. cash.Select(c => Texts.Percent(c))], [.. shares.Select(s => cash.Select(c => At(s, c).Growth).ToImmutableArray())], 0.4, 2, v => double.IsNaN(v) ? "none" : Texts.Percent(v))));
        GrowthNeed best = payback.Needs.Where(n => setting.CashMargin.Contains(n.Cash, 1e-9)).MaxBy(n => n.ReinvestedMost)!;
        _page.Paragraph($"Growth itself takes capital. Even in the most favourable corner a {Texts.Number(setting.Years, 1)}-year payback holds only while a unit of yearly revenue added takes less than {Texts.Number(Math.Max(0, best.ReinvestedMost), 2)} of new capital; so far it has taken at least {Texts.Number(payback.CapitalPerRevenueLeast, 1)}. A {Texts.Number(setting.Years, 1)}-year payback is therefore feasible only if growth is served from capacity that is already paid for, or capacity becomes much cheaper.");
        double[] lives = [3, 4, 5, 6, 8], uses = [0.5, 0.75, 1, 1.5, 2, 3];
        double perCapital = payback.RevenuePerYear.Middle / payback.Capital.Middle * setting.CashMargin.Middle;
        _page.Chart("Does a vintage earn its cost back within its life?", $"cash over the life as a multiple of capital, at a cash margin of {Texts.Percent(setting.CashMargin.Middle)}", MoneyCharts.HeatMap(new HeatMap("Life and utilisation", "1.0 is break-even; utilisation counts revenue per unit of capital, today = 100 %", "useful life, years",
            [.. lives.Select(l => Texts.Number(l, 0))], "utilisation, revenue per unit of capital", [.. uses.Select(u => Texts.Percent(u))], [.. lives.Select(l => uses.Select(u => l * u * perCapital).ToImmutableArray())], 2, 0, v => Texts.Number(v, 2))));
    }

    private static string Years(Interval years) => double.IsInfinity(years.Low) ? "never" : double.IsInfinity(years.High) ? $"{Texts.Number(years.Low, 1)} to never" : Texts.Range(years, false, 1);

    private void History()
    {
        if (_history.Value.Length < 2) return;
        _page.Section("quarters", "Every quarter");
        Target[] targets = [.. _analysis.Headlines, .. Model.Targets.Where(t => t.Name is "ai_share" or "internal_growth")];
        string layer = Model.Layers.IsEmpty ? LayerSystems.Published : Model.Layers[^1].Name;
        _page.Table($"After {_analysis.Systems[layer].Label.ToLowerInvariant()}", ["Quarter", "Segments", .. targets.Distinct().Select(t => t.Label)], _history.Value.Select(a => (IEnumerable<string>)
            [Page.Text(a.Quarter.ToString()), Page.Text(a.Definition), .. targets.Distinct().Select(t => a.Bound(layer, t.Name) is { } b ? $"<td class=\"n\">{Page.Text(Texts.Range(b.Range, t.Quantity.IsRatio, t.Name == "ai_share" ? 1 : 0))} {TierMark(b)}</td>" : Page.Figure("not published"))]));
    }

    private void Checks()
    {
        _page.Section("checks", "How the figures were checked");
        if (!_analysis.TieOuts.IsEmpty)
            _page.Table("Tie-outs: four quarters make the year", ["Measure", "Year", "Sum of quarters", "Published", "Difference", ""], _analysis.TieOuts.Select(t => (IEnumerable<string>)
                [Page.Text(t.Measure.ToString()), t.Year, Page.Figure(Texts.Number(t.Sum, 1)), Page.Figure(t.Total?.Printed ?? "none"), Page.Figure(t.Refused ?? Texts.Number(t.Difference, 1)), Links(t.Total is null ? t.Quarters : [.. t.Quarters, t.Total])]));
        if (!_analysis.Restatements.IsEmpty)
            _page.Table("Restatements: the same quarter under two definitions of segments", ["Line", "Quarter", "Before", "After", "Change", "Why"], _analysis.Restatements.Select(r => (IEnumerable<string>)
                [Page.Text(r.Line.Label), r.Quarter.ToString(), $"<td class=\"n\">{Page.Text(r.Before.Printed)} {Links([r.Before])}</td>", $"<td class=\"n\">{Page.Text(r.After.Printed)} {Links([r.After])}</td>", Page.Figure(Texts.Range(r.Change, false, 1)), Page.Text(r.Because)]));
        string? layer = Model.Layers.Length > 1 ? Model.Layers[1].Name : Model.Layers.IsEmpty ? null : Model.Layers[0].Name;
        ImmutableArray<HiddenLine> hidden = HiddenLineTest.Run(_analysis.Book, _analysis.Quarter, layer);
        if (hidden.IsEmpty) return;
        _page.Table($"Hiding each published line of the quarter, after {(layer is null ? "published figures alone" : _analysis.Systems[layer].Label.ToLowerInvariant())}: do the others cover it?", ["Hidden line", "It was", "The others allow", "Covered"],
            hidden.Select(h => (IEnumerable<string>)[$"{Page.Text(h.Quantity)} {Links([h.Fact])}", Page.Figure(h.Fact.IsPercent ? Texts.Range(h.Truth, true, 1) : Texts.Range(h.Truth, false, 1)), Page.Figure(Texts.Range(h.Range, h.Fact.IsPercent, 1)), h.IsCovered ? "yes" : "<b>no</b>"]));
    }

    private void Sources()
    {
        _page.Section("sources", "Source rows", $"Every number with what it can mean by its rounding, its basis, its tier (T1 issuer text, T2 quotes a named filing, T3 press or call, D derived) and its source. Rows are lines of {Model.FactsFile}.");
        _page.Table("", ["Row", "Period", "Measure", "Printed", "Means", "Tier", "Source"], _analysis.Book.Facts.Select(f => (IEnumerable<string>)
            [$"<td id=\"{f.Id}\">{f.Place.Line}</td>", Page.Text(f.FiscalPeriod), $"{Page.Text(f.Measure.ToString())}{(f.Of.Length > 0 ? $" <span class=\"note\">({Page.Text(f.Of)})</span>" : "")}{(f.Definition.Length > 0 ? $" <span class=\"tier\">{Page.Text(f.Definition)}</span>" : "")}",
             Page.Figure($"{f.Printed} {(f.Unit == "text" ? "" : f.Unit)}"), Page.Figure(f.Value is { } v ? Texts.Range(v, f.IsPercent, 2) : "words"), f.IsDerived ? $"D · {f.Tier}" : f.Tier.ToString(),
             $"<a href=\"{Page.Text(f.Source.OriginalString)}\" rel=\"noreferrer\">{Page.Text(f.Source.Host)}</a>{(f.Note.Length > 0 ? $"<br><span class=\"note\">{Page.Text(f.Note)}</span>" : "")}{(f.IsDerived ? $"<br><span class=\"note\">{Page.Text(f.Formula)}</span>" : "")}"]));
    }
}
