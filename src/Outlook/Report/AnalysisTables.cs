using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>A table ready for a terminal: cells are text, and every row says where its figures come from.</summary>
public sealed record ReportTable(string Title, string Basis, ImmutableArray<string> Headers, ImmutableArray<ReportRow> Rows);

/// <param name="Source">The rows of the data behind it: file and line.</param>
public sealed record ReportRow(ImmutableArray<string> Cells, string Source);

/// <summary>The tables of an analysis.</summary>
public static class AnalysisTables
{
    public static ImmutableArray<ReportTable> Of(CompanyAnalysis analysis)
    {
        var tables = ImmutableArray.CreateBuilder<ReportTable>();
        foreach (Target target in analysis.Model.Targets.Where(t => analysis.Bounds.Any(b => b.Target == t)))
            tables.Add(new ReportTable(target.Label, $"{target.Basis}; {analysis.Model.Title}, {analysis.Quarter}", ["After layer", "At least", "At most", "Tier", "Bound"],
                [.. analysis.Bounds.Where(b => b.Target == target).Select(b => BoundRow(analysis, b))]));
        foreach (Target target in analysis.Headlines)
            if (analysis.Disclosures.Any(d => d.Target == target))
                tables.Add(DisclosureTable(analysis, target));
        if (analysis.Payback is { } payback) tables.Add(PaybackTable(analysis, payback));
        return tables.ToImmutable();
    }

    private static ReportRow BoundRow(CompanyAnalysis analysis, Bound bound)
    {
        bool percent = bound.Target.Quantity.IsRatio;
        string One(double value) => percent ? Texts.Percent(value) : Texts.Number(value, 0);
        return new ReportRow([analysis.Systems[bound.Layer].Label, One(bound.Range.Low), One(bound.Range.High), bound.Bindings.Any() ? bound.Tier.ToString() : "", bound.IsOuter ? "outer" : "sharp"],
            string.Join(' ', bound.Facts.Select(f => f.Place)));
    }

    private static ReportTable DisclosureTable(CompanyAnalysis analysis, Target target) => new($"What one more published line would remove: {target.Label}",
        "width of the range, in percentage points; whatever value is published", ["After layer", "Line", "Width today", "Removed at least", "Removed if it came out in the middle"],
        [.. analysis.Disclosures.Where(d => d.Target == target && d.Layer != LayerSystems.Published).Select(d => new ReportRow(
            [analysis.Systems[d.Layer].Label, d.Line.Label, Points(target, d.Before), Points(target, d.Guaranteed), Points(target, d.Expected)], string.Join(' ', d.Rows.Where(r => r.Kind == RowKind.Assumption).Select(r => r.Place).Concat(d.Facts.Select(f => f.Place)).Distinct())))]);

    private static ReportTable PaybackTable(CompanyAnalysis analysis, PaybackResult payback) => new("Payback of the capital behind AI",
        $"capital of {payback.Setting.Quarters} quarters, share {Texts.Range(payback.Setting.Share, true, 0)}, cash {Texts.Range(payback.Setting.CashMargin, true, 0)} of revenue: assumptions",
        ["Growth of AI revenue a year", "Years", "Years if growth takes capital too"],
        [.. payback.Rows.Select(r => new ReportRow([r.Growth == 0 ? "none (static)" : Texts.Percent(r.Growth), Texts.Range(r.Years, false, 1), Texts.Range(r.YearsReinvesting, false, 1)],
            string.Join(' ', payback.RevenueFacts.Concat(payback.CapitalFacts).Select(f => f.Place))))]);

    internal static string Points(Target target, double width) => double.IsInfinity(width) ? "unlimited" : double.IsNaN(width) ? "n/a"
        : target.Quantity.IsRatio ? $"{Texts.Number(width * 100, 1)} pp" : Texts.Number(width, 0);
}
