using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>One step of a waterfall; the last one is the total.</summary>
internal sealed record WaterfallStep(string Label, Interval Value);

/// <summary>The drawings of money: how parts make a whole, how capital becomes depreciation, when it is back.</summary>
internal static class MoneyCharts
{
    private const double Width = 760;

    public static string Waterfall(string title, string unit, ImmutableArray<WaterfallStep> steps)
    {
        const double Top = 30, Chart = 200, Height = 290;
        double running = 0, from = 0, to = 0;
        foreach (WaterfallStep step in steps.SkipLast(1))
        {
            running += step.Value.Middle;
            from = Math.Min(from, running);
            to = Math.Max(to, running);
        }
        to = Math.Max(to, steps[^1].Value.Middle);
        // The axis runs downwards in a drawing.
        double Y(double value) => Top + Chart - (value - from) / Math.Max(1e-9, to - from) * Chart;
        var svg = new Svg(Width, Height, title, unit);
        double slot = Width / steps.Length, at = 0;
        svg.Line(0, Y(0), Width, Y(0), "zero");
        for (int i = 0; i < steps.Length; i++)
        {
            bool total = i == steps.Length - 1;
            double value = steps[i].Value.Middle, start = total ? 0 : at, end = total ? value : at + value;
            svg.Rect(slot * i + slot * 0.16, Math.Min(Y(start), Y(end)), slot * 0.68, Math.Abs(Y(start) - Y(end)), total ? "bar l2" : value < 0 ? "bar bad" : "bar l1",
                $"{steps[i].Label}: {Texts.Range(steps[i].Value, false, 1)} {unit}");
            if (!total && i < steps.Length - 1) svg.Line(slot * i + slot * 0.84, Y(end), slot * (i + 1) + slot * 0.16, Y(end), "grid");
            svg.Text(slot * (i + 0.5), Math.Min(Y(start), Y(end)) - 6, Texts.Number(value, 0), "t value", Anchor.Middle);
            string[] words = Wrap(steps[i].Label, (int)(slot / 7));
            for (int w = 0; w < words.Length; w++) svg.Text(slot * (i + 0.5), Top + Chart + 20 + 14 * w, words[w], "t small", Anchor.Middle);
            at = end;
        }
        return svg.ToString();
    }

    /// <summary>Depreciation that capital already spent causes: the band over all lives and lags, and the published rate.</summary>
    public static string Glide(GlideResult glide, string unit)
    {
        const double Top = 12, Chart = 220, Height = 286, Left = 60;
        GlidePoint[] points = [.. glide.Points];
        double high = points.Max(p => Math.Max(p.FromVintages.High, p.Expected?.High ?? 0)) * 1.06;
        var x = new Axis(0, points.Length - 1, Left, Width - Left - 32);
        double Y(double value) => Top + Chart - value / high * Chart;
        var svg = new Svg(Width, Height, "Depreciation from capital already spent", unit);
        foreach (double tick in new Axis(0, high, 0, 1).Ticks(5))
        {
            svg.Line(Left, Y(tick), Width - 32, Y(tick), "grid");
            svg.Text(Left - 6, Y(tick) + 4, Texts.Number(tick, 0), "t quiet", Anchor.End);
        }
        (double, double)[] Band(Func<GlidePoint, Interval?> of) => [.. points.Select((p, i) => (i, of(p))).Where(p => p.Item2 is not null).Select(p => (x[p.i], Y(p.Item2!.Value.High))),
            .. points.Select((p, i) => (i, of(p))).Where(p => p.Item2 is not null).Reverse().Select(p => (x[p.i], Y(p.Item2!.Value.Low)))];
        svg.Polygon(Band(p => p.FromVintages), "band quietband");
        if (points.Any(p => p.Expected is not null)) svg.Polygon(Band(p => p.Expected), "band");
        int published = Array.FindIndex(points, p => p.Quarter == glide.Published.Quarter);
        if (published >= 0)
        {
            int span = glide.Published.Span == Span.Year ? 3 : 1;
            svg.Line(x[Math.Max(0, published - span)], Y(glide.PublishedPerQuarter.Middle), x[published], Y(glide.PublishedPerQuarter.Middle), "known");
            svg.Text(x[published], Y(glide.PublishedPerQuarter.Middle) - 8, $"published {glide.Published.FiscalPeriod}: {Texts.Number(glide.PublishedPerQuarter.Middle, 0)} a quarter", "t value", Anchor.End);
        }
        for (int i = 0; i < points.Length; i += 2) svg.Text(x[i], Top + Chart + 20, points[i].Quarter.ToString(), "t small", Anchor.Middle);
        svg.Text(Left, Height - 14, "dark band: expected from the published rate; light band: what the vintages on record cause alone", "t quiet");
        return svg.ToString();
    }

    /// <summary>A table of numbers as colours: green where the number is high enough, red where it is not.</summary>
    public static string HeatMap(HeatMap map)
    {
        const double Left = 118, Top = 46, CellHeight = 34;
        double cell = (Width - Left - 8) / map.Columns.Length, height = Top + CellHeight * map.Rows.Length + 34;
        var svg = new Svg(Width, height, map.Title, map.Description);
        svg.Text(Left, 16, map.ColumnTitle, "t quiet");
        svg.Text(0, Top - 8, map.RowTitle, "t quiet");
        for (int c = 0; c < map.Columns.Length; c++) svg.Text(Left + cell * (c + 0.5), Top - 8, map.Columns[c], "t small", Anchor.Middle);
        for (int r = 0; r < map.Rows.Length; r++)
        {
            double y = Top + CellHeight * r;
            svg.Text(Left - 10, y + 21, map.Rows[r], "t small", Anchor.End);
            for (int c = 0; c < map.Columns.Length; c++)
            {
                double value = map.Values[r][c];
                svg.Fill(Left + cell * c + 1, y + 1, cell - 2, CellHeight - 2, Colour(value, map.Good, map.Bad), $"{map.Rows[r]}, {map.Columns[c]}: {map.Say(value)}");
                svg.Text(Left + cell * (c + 0.5), y + 21, map.Say(value), "t cell", Anchor.Middle);
            }
        }
        svg.Text(Left, height - 10, map.Description, "t quiet");
        return svg.ToString();
    }

    /// <summary>From red over pale to green; grey where there is no number.</summary>
    private static string Colour(double value, double good, double bad)
    {
        if (double.IsNaN(value)) return "#e3e3e3";
        double at = Math.Clamp((value - bad) / (good - bad), 0, 1);
        (int R, int G, int B) = at < 0.5 ? Mix((240, 190, 180), (250, 243, 214), at * 2) : Mix((250, 243, 214), (172, 214, 186), at * 2 - 1);
        return $"#{R:x2}{G:x2}{B:x2}";
    }

    private static (int R, int G, int B) Mix((int R, int G, int B) a, (int R, int G, int B) b, double at) =>
        ((int)(a.R + (b.R - a.R) * at), (int)(a.G + (b.G - a.G) * at), (int)(a.B + (b.B - a.B) * at));

    private static string[] Wrap(string text, int width)
    {
        var lines = new List<string> { "" };
        foreach (string word in text.Split(' '))
        {
            if (lines[^1].Length > 0 && lines[^1].Length + word.Length + 1 > width) lines.Add("");
            lines[^1] = lines[^1].Length == 0 ? word : $"{lines[^1]} {word}";
        }
        return [.. lines.Take(3)];
    }
}

/// <summary>A map of a number over two drivers.</summary>
/// <param name="Good">The value that is drawn fully green.</param> <param name="Bad">The value that is drawn fully red.</param>
public sealed record HeatMap(string Title, string Description, string RowTitle, ImmutableArray<string> Rows, string ColumnTitle, ImmutableArray<string> Columns,
    ImmutableArray<ImmutableArray<double>> Values, double Good, double Bad, Func<double, string> Say);
