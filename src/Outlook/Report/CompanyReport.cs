using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>The report on a company as a page that stands alone. Every figure says its basis and its tier, is shown as the range it is, and leads to its source rows.</summary>
public sealed partial class CompanyReport
{
    private static readonly double[] Shown = [0.05, 0.5, 0.95];
    private readonly CompanyAnalysis _analysis;
    private readonly Page _page;
    private readonly Lazy<ImmutableArray<CompanyAnalysis>> _history;

    private CompanyReport(CompanyAnalysis analysis)
    {
        _analysis = analysis;
        _page = new Page($"{analysis.Model.Title}: what can be known about AI, {Named(analysis.Quarter)}");
        _history = new(() => CompanyAnalysis.RunAll(analysis.Book, analysis.Systems, AnalysisOptions.Everything with { Depth = AnalysisDepth.Bounds }));
    }

    public static string Write(CompanyAnalysis analysis)
    {
        var report = new CompanyReport(analysis);
        report.Header();
        report.WriteAll();
        return report._page.ToString();
    }

    /// <summary>The report without its frame, section by section.</summary>
    public static ImmutableArray<ReportSection> Sections(CompanyAnalysis analysis)
    {
        var report = new CompanyReport(analysis);
        report.WriteAll();
        return report._page.Sections;
    }

    /// <summary>What follows when an assumption moves: the short answer, the ranges and the certificates. Needs no more than <see cref="AnalysisDepth.Certificates"/>.</summary>
    public static ImmutableArray<ReportSection> MovedSections(CompanyAnalysis analysis)
    {
        var report = new CompanyReport(analysis);
        report.KeyFindings();
        report.Ranges();
        report.Reasons();
        return report._page.Sections;
    }

    private CompanyModel Model => _analysis.Model;

    private void WriteAll()
    {
        KeyFindings();
        Ranges();
        Reasons();
        Disclosures();
        Sensitivity();
        Bridge();
        Capital();
        History();
        Checks();
        Sources();
    }

    private void Header()
    {
        _page.Raw($"<h1>{Page.Text(Model.Title)}: what can be known about its AI margin</h1>");
        string definition = _analysis.Definition.Length == 0 ? "" : $" · {_analysis.Definition} definition of segments";
        _page.Paragraph($"{char.ToUpperInvariant(Named(_analysis.Quarter)[0])}{Named(_analysis.Quarter)[1..]} ({_analysis.Quarter}) · {Model.Unit}{definition} · bounds, not estimates: every range holds everything that the published figures and the named assumptions allow.", "sub");
    }

    private void KeyFindings()
    {
        _page.Section("findings", "The short answer");
        _page.Raw("<div class=\"key\">");
        Bound? last = _analysis.Bounds.LastOrDefault(b => b.Target == _analysis.Headlines.FirstOrDefault());
        foreach (Target target in _analysis.Headlines)
        {
            Bound bound = _analysis.Bounds.Last(b => b.Target == target), first = _analysis.Bounds.First(b => b.Target == target && (b.Layer != LayerSystems.Published || Model.Layers.IsEmpty));
            Card(target.Label, Texts.Range(bound.Range, target.Quantity.IsRatio, 0), $"of {target.Basis}, after every layer of assumptions{Money(bound)}. After {_analysis.Systems[first.Layer].Label.ToLowerInvariant()}: {Texts.Range(first.Range, target.Quantity.IsRatio, 0)}", Links(bound.Facts));
        }
        if (last is not null && Settling(last) is { } settling)
            Card("The line that would settle it", settling.Best.Line.Label, settling.Words, "");
        if (_analysis.Payback is { } payback)
            Card($"{Texts.Number(payback.Setting.Years, 1)}-year payback", PaybackWords(payback), $"if growth takes no new capital; capital of {payback.Setting.Quarters} quarters, {Texts.Range(payback.Setting.Share, true, 0)} of it for AI; static payback {Texts.Range(payback.StaticYears, false, 1)} years", Links(payback.RevenueFacts));
        _page.Raw("</div>");
        if (last is not null) _page.Paragraph(Why(last));
        foreach (ModelNote note in Model.Notes) _page.Paragraph(note.Text, "note");
    }

    /// <summary>The numerator of the bound in money, if it is asked too.</summary>
    private string Money(Bound bound)
    {
        Target? profit = Model.Targets.FirstOrDefault(t => !t.Quantity.IsRatio && t.Quantity.Numerator.Terms.SequenceEqual(bound.Target.Quantity.Numerator.Terms));
        return profit is not null && _analysis.Bound(bound.Layer, profit.Name) is { } money ? $": {Texts.Range(money.Range, false, 0)} {Model.Unit}" : "";
    }

    private void Card(string title, string big, string words, string links) =>
        _page.Raw($"<div><b>{Page.Text(title)}</b><span class=\"big\">{Page.Text(big)}</span><span>{Page.Text(words)} {links}</span></div>");

    private void Ranges()
    {
        _page.Section("ranges", "Range after each layer", "Layers go from what accounting alone allows to what peers make plausible. Each layer stands on those before it; they are never averaged.");
        foreach (Target target in _analysis.Headlines)
            _page.Chart(target.Label, $"% of {target.Basis}; white tick: half of the set lies below, if all its points are equally likely", BoundCharts.FootballField(_analysis, target));
        foreach (LayerSystem layer in _analysis.Systems.Layers.Where(l => _analysis.Bounds.Any(b => b.Layer == l.Name)))
            _page.Raw($"<p class=\"note\"><b>{Page.Text(layer.Label)}</b> — {Page.Text(layer.Because)}.</p>");
        _page.Table("Everything that was asked", ["", .. Layers().Select(l => l.Label)], Model.Targets.Where(t => _analysis.Bounds.Any(b => b.Target == t)).Select(t => (IEnumerable<string>)
            [$"{Page.Text(t.Label)}<br><span class=\"note\">{Page.Text(t.Basis)}</span>", .. Layers().Select(l => _analysis.Bound(l.Name, t.Name)!).Select(b => $"<td class=\"n\">{Page.Text(Texts.Range(b.Range, t.Quantity.IsRatio, t.Quantity.IsRatio ? 1 : 0))} {TierMark(b)}{(b.IsOuter ? " outer" : "")}</td>")]));
    }

    private void Reasons()
    {
        _page.Section("certificates", "Why not less, why not more", "Each end, worked out by hand: the rows that bind, in an order in which each gives one more figure. Whoever disputes the result must dispute one of these rows.");
        bool first = true;
        foreach (Derivation derivation in _analysis.Derivations.OrderByDescending(d => Layers().ToList().FindIndex(l => l.Name == d.Bound.Layer)).ThenBy(d => Model.Targets.IndexOf(d.Bound.Target)))
        {
            Bound bound = derivation.Bound;
            Certificate certificate = derivation.End == CertificateEnd.Low ? bound.LowCertificate! : bound.HighCertificate!;
            bool percent = bound.Target.Quantity.IsRatio;
            _page.OpenFold($"{bound.Target.Label}, {_analysis.Systems[bound.Layer].Label}: {(derivation.End == CertificateEnd.Low ? "at least" : "at most")} {(percent ? Texts.Percent(certificate.Level, 1) : Texts.Number(certificate.Level, 0))}", first ? FoldState.Open : FoldState.Closed);
            _page.Raw("<ol>");
            foreach (DerivationStep step in derivation.Steps)
                _page.Raw($"<li>{Page.Text($"{step.Variable.Line.Label}{(step.Variable.Quarter == _analysis.Quarter ? "" : $", {step.Variable.Quarter}")} = {Texts.Number(step.Value, 1)}")} — {Page.Text(step.Row?.Words ?? (step.Value == 0 ? "it cannot be negative" : "it may be anything; this is one choice"))} {Links(step.Row?.Facts ?? [])}</li>");
            _page.Raw("</ol>");
            _page.Table("How far the end moves", ["Row", "Kind", "If it moved by", "this end would move by"], certificate.Bindings.Where(b => b.Row.Kind != RowKind.Identity).OrderByDescending(b => Math.Abs(Effect(b)))
                .Select(b => (IEnumerable<string>)[$"{Page.Text(b.Row.Words)} {Links(b.Row.Facts)}", AnalysisJson.KindName(b.Row.Kind), b.Row.Ratio is null ? "1 " + Page.Text(Model.Unit) : "1 pp", Page.Figure(percent ? $"{Texts.Number(Effect(b) * 100, 4)} pp" : Texts.Number(Effect(b), 2))]));
            _page.CloseFold();
            first = false;
        }
        static double Effect(Binding b) => b.Slope * (b.Row.Ratio is null ? 1 : 0.01);
    }

    private void Disclosures()
    {
        if (_analysis.Disclosures.IsEmpty) return;
        _page.Section("disclosure", "What one more line would be worth", "Percentage points of width that a published line would remove: dark, whatever value it turns out to have; light, if it came out in the middle of its range.");
        foreach (Target target in _analysis.Headlines)
        {
            DisclosureValue[] last = [.. _analysis.Disclosures.Where(d => d.Target == target)];
            if (last.Length == 0) continue;
            string layer = last[^1].Layer;
            _page.Chart(target.Label, $"after {_analysis.Systems[layer].Label.ToLowerInvariant()}", BoundCharts.DisclosureRanking([.. last.Where(d => d.Layer == layer)]));
        }
        foreach (Target target in _analysis.Headlines.Take(1))
        {
            _page.OpenFold($"{target.Label}: all lines after all layers");
            _page.Table("", ["Line", "Layer", "The line must lie in", "Width today", "Removed at least", "If in the middle", "Rests on"],
                _analysis.Disclosures.Where(d => d.Target == target).Select(d => (IEnumerable<string>)[Page.Text(d.Line.Label), Page.Text(_analysis.Systems[d.Layer].Label),
                    Page.Figure(Texts.Range(d.LineRange, d.Line.Quantity.IsRatio, 1)), Page.Figure(AnalysisTables.Points(target, d.Before)), Page.Figure(AnalysisTables.Points(target, d.Guaranteed)), Page.Figure(AnalysisTables.Points(target, d.Expected)), Origin(d.Rows)]));
            _page.CloseFold();
        }
    }

    private void Sensitivity()
    {
        if (_analysis.Tornadoes.IsEmpty) return;
        _page.Section("sensitivity", "What moves it", "One input at a time from end to end, the others in the middle; and the share of the whole width that each answers for (Shapley values: they sum to the width).");
        foreach (Target target in _analysis.Headlines)
            if (_analysis.Tornadoes.LastOrDefault(t => t.Target == target) is { } tornado)
                _page.Chart(target.Label, $"after {_analysis.Systems[tornado.Layer].Label.ToLowerInvariant()}; ochre: input at its low end, blue: at its high end", BoundCharts.Tornado(tornado));
        _page.OpenFold("The inputs and where their ranges come from");
        _page.Table("", ["Target", "Input", "Range", "Share of the width", "Rests on"], _analysis.Headlines.Select(t => _analysis.Tornadoes.LastOrDefault(o => o.Target == t)).OfType<Tornado>().SelectMany(o => o.Bars.Select(b => (IEnumerable<string>)
            [Page.Text(o.Target.Label), Page.Text(b.Label), Page.Figure(Texts.Range(b.Input, b.IsRatio, 1)), Page.Figure(Texts.Percent(o.Width == 0 ? 0 : b.Share / o.Width)), Origin(b.Rows)])));
        _page.CloseFold();
        if (_analysis.Distributions.IsEmpty) return;
        _page.Table("Inside the range: an illustration, not knowledge", ["Target", "Layer", "If", "5 % lie below", "half", "95 %"],
            _analysis.Distributions.Select(d => (IEnumerable<string>)[Page.Text(d.Target.Label), Page.Text(_analysis.Systems[d.Layer].Label), Belief(d), .. Shown.Select(p => Page.Figure(Texts.Percent(d.Distribution.Quantile(p), 0)))]));
    }

    private IEnumerable<LayerSystem> Layers() => _analysis.Systems.Layers.Where(l => _analysis.Bounds.Any(b => b.Layer == l.Name));

    private static string TierMark(Bound bound) => bound.Bindings.Any() ? $"<span class=\"tier\" title=\"worst tier among the published rows that bind\">{bound.Tier}</span>" : "";

    internal static string Links(IEnumerable<Fact> facts) => string.Join(' ', facts.DistinctBy(f => f.Place).Select(f => $"<a class=\"src\" href=\"#{f.Id}\" title=\"{Page.Text($"{f.Measure}, {f.FiscalPeriod}: {f.Printed} {f.Unit}")}\">row {f.Place.Line}</a>"));

    private string Belief(TargetDistribution distribution) => distribution.Priors.IsEmpty
        ? "all points are equally likely"
        : string.Join("<br>", distribution.Priors.Select(p => $"{Page.Text(Model.Layers.SelectMany(l => l.Assumptions).First(a => a.Name == p.Assumption).Label)}: {Page.Text(p.Distribution.ToString()!)} <span class=\"note\">{Page.Text(p.Because)} ({Page.Text(Model.File)}:{p.Place.Line})</span>"));

    /// <summary>Published rows as links, assumptions by their words and their line in the model.</summary>
    private string Origin(IEnumerable<SystemRow> rows)
    {
        SystemRow[] all = [.. rows];
        IEnumerable<string> assumed = all.Where(r => r.Kind == RowKind.Assumption).DistinctBy(r => r.Place).Select(r => $"<span class=\"note\">{Page.Text($"{r.Words.Split(" is assumed")[0]}: assumed, {Model.File}:{r.Place.Line}")}</span>");
        return string.Join("<br>", assumed.Prepend(Links(all.SelectMany(r => r.Facts))).Where(s => s.Length > 0));
    }

    internal static string Named(Quarter quarter) => $"quarter ended {quarter.End.ToString("d MMMM yyyy", System.Globalization.CultureInfo.InvariantCulture)}";
}
