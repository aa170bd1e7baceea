using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>The drawings of what disclosures allow: ranges by layer, what each missing line is worth, what moves the target.</summary>
internal static class BoundCharts
{
    private const double Width = 760, Left = 168, Right = 24;

    /// <summary>A bar per layer from the least to the most, on one axis; a tick in the bar where half the points of the set lie below.</summary>
    public static string FootballField(CompanyAnalysis analysis, Target target)
    {
        Bound[] bounds = [.. analysis.Bounds.Where(b => b.Target == target && b.Layer != LayerSystems.Published)];
        bool percent = target.Quantity.IsRatio;
        double[] ends = [.. bounds.SelectMany(b => new[] { b.Range.Low, b.Range.High }).Where(double.IsFinite)];
        double from = Math.Min(0, ends.DefaultIfEmpty(0).Min()), to = Math.Max(0, ends.DefaultIfEmpty(1).Max()), pad = (to - from) * 0.14 + 1e-9;
        var axis = new Axis(from - pad, to + pad, Left, Width - Left - Right);
        double height = 46 * bounds.Length + 44;
        var svg = new Svg(Width, height, $"{target.Label}, {analysis.Quarter}: range after each layer of assumptions", target.Basis);
        string Say(double value) => percent ? Texts.Percent(value) : Texts.Number(value, 0);
        Grid(svg, axis, height - 30, Say);
        for (int i = 0; i < bounds.Length; i++)
        {
            Bound bound = bounds[i];
            double y = 12 + 46 * i, low = axis[double.IsFinite(bound.Range.Low) ? bound.Range.Low : axis.From], high = axis[double.IsFinite(bound.Range.High) ? bound.Range.High : axis.To];
            svg.Text(0, y + 15, analysis.Systems[bound.Layer].Label, "t strong");
            svg.Text(0, y + 31, $"{(bound.IsOuter ? "outer" : "sharp")} · {bound.Tier}", "t quiet");
            svg.Rect(low, y, high - low, 26, $"bar l{Math.Min(i, 3)}", $"{analysis.Systems[bound.Layer].Label}: {Texts.Range(bound.Range, percent, 1)}");
            if (analysis.Distributions.FirstOrDefault(d => d.Layer == bound.Layer && d.Target == target) is { } distribution)
                svg.Line(axis[distribution.Distribution.Quantile(0.5)], y + 2, axis[distribution.Distribution.Quantile(0.5)], y + 24, "median");
            svg.Text(low - 6, y + 18, double.IsFinite(bound.Range.Low) ? Say(bound.Range.Low) : "no limit", "t value", Anchor.End);
            svg.Text(high + 6, y + 18, double.IsFinite(bound.Range.High) ? Say(bound.Range.High) : "no limit", "t value");
        }
        svg.Line(axis[0], 4, axis[0], height - 30, "zero");
        return svg.ToString();
    }

    /// <summary>How much of the width each line would take away: surely, and if it came out in the middle.</summary>
    public static string DisclosureRanking(ImmutableArray<DisclosureValue> values)
    {
        double widest = values.Select(v => v.Before).Where(double.IsFinite).DefaultIfEmpty(1).Max();
        var axis = new Axis(0, widest, 300, Width - 300 - 76);
        double height = 34 * values.Length + 40;
        Target target = values[0].Target;
        var svg = new Svg(Width, height, "Width removed by one more published line", $"{target.Label}, width today {AnalysisTables.Points(target, widest)}");
        Grid(svg, axis, height - 28, v => AnalysisTables.Points(target, v));
        for (int i = 0; i < values.Length; i++)
        {
            double y = 8 + 34 * i;
            svg.Text(0, y + 16, values[i].Line.Label, i == 0 ? "t strong" : "t");
            if (double.IsInfinity(values[i].Guaranteed)) { svg.Text(axis.At + 4, y + 16, "makes an unlimited range finite", "t value"); continue; }
            svg.Rect(axis.At, y + 3, axis[values[i].Expected] - axis.At, 18, "bar soft");
            svg.Rect(axis.At, y + 3, axis[values[i].Guaranteed] - axis.At, 18, i == 0 ? "bar l2" : "bar l1");
            svg.Text(axis[Math.Max(values[i].Guaranteed, values[i].Expected)] + 6, y + 16, AnalysisTables.Points(target, values[i].Guaranteed), "t value");
        }
        return svg.ToString();
    }

    /// <summary>One bar per input: from the target at the input's low end to the target at its high end, the others resting in their middles.</summary>
    public static string Tornado(Tornado tornado)
    {
        bool percent = tornado.Target.Quantity.IsRatio;
        string Say(double value) => percent ? Texts.Percent(value, 1) : Texts.Number(value, 0);
        double[] ends = [.. tornado.Bars.SelectMany(b => new[] { b.AtLow, b.AtHigh }).Append(tornado.Central).Where(double.IsFinite)];
        double pad = (ends.Max() - ends.Min()) * 0.16 + 1e-9;
        var axis = new Axis(ends.Min() - pad, ends.Max() + pad, 300, Width - 300 - 20);
        double height = 44 * tornado.Bars.Length + 40;
        var svg = new Svg(Width, height, $"What moves {tornado.Target.Label}", $"from {Say(tornado.Central)} in the middle of all ranges");
        Grid(svg, axis, height - 28, v => percent ? Texts.Percent(v) : Texts.Number(v, 0));
        for (int i = 0; i < tornado.Bars.Length; i++)
        {
            TornadoBar bar = tornado.Bars[i];
            double y = 8 + 44 * i, a = axis[double.IsNaN(bar.AtLow) ? tornado.Central : bar.AtLow], b = axis[double.IsNaN(bar.AtHigh) ? tornado.Central : bar.AtHigh];
            svg.Text(0, y + 14, Cut(bar.Label, 44), "t strong");
            svg.Text(0, y + 30, $"{Texts.Range(bar.Input, bar.IsRatio, 1)} · {Texts.Percent(tornado.Width == 0 ? 0 : bar.Share / tornado.Width, 0)} of the width", "t quiet");
            svg.Rect(Math.Min(a, axis[tornado.Central]), y + 2, Math.Abs(a - axis[tornado.Central]), 22, "bar low", $"at {Texts.Range(Interval.At(bar.Input.Low), bar.IsRatio, 1)}: {Say(bar.AtLow)}");
            svg.Rect(Math.Min(b, axis[tornado.Central]), y + 2, Math.Abs(b - axis[tornado.Central]), 22, "bar high", $"at {Texts.Range(Interval.At(bar.Input.High), bar.IsRatio, 1)}: {Say(bar.AtHigh)}");
            svg.Text(Math.Min(a, b) - 5, y + 18, Say(Math.Min(bar.AtLow, bar.AtHigh)), "t value", Anchor.End);
            svg.Text(Math.Max(a, b) + 5, y + 18, Say(Math.Max(bar.AtLow, bar.AtHigh)), "t value");
        }
        svg.Line(axis[tornado.Central], 4, axis[tornado.Central], height - 28, "zero");
        return svg.ToString();
    }

    internal static void Grid(Svg svg, Axis axis, double bottom, Func<double, string> say)
    {
        foreach (double tick in axis.Ticks(6))
        {
            svg.Line(axis[tick], 4, axis[tick], bottom, "grid");
            svg.Text(axis[tick], bottom + 16, say(tick), "t quiet", Anchor.Middle);
        }
    }

    internal static string Cut(string text, int length) => text.Length <= length ? text : text[..(length - 1)].TrimEnd() + "…";
}
