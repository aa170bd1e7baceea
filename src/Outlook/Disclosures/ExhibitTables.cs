using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using AngleSharp.Dom;
using AngleSharp.Html.Dom;
using AngleSharp.Html.Parser;

namespace Qanat.Outlook;

/// <summary>A table of an exhibit, every cell in its column: spans are filled out, so that a header stands above all it covers.</summary>
/// <param name="Line">Where the table starts in the file.</param>
public sealed record ExhibitTable(int Line, ImmutableArray<ImmutableArray<string>> Rows)
{
    /// <summary>The rows above the first that holds a number beside its label.</summary>
    public int HeaderRows => Math.Max(0, Rows.ToList().FindIndex(r => r.Skip(1).Any(c => ExhibitTables.Number(c) is not null && !ExhibitTables.IsYear(c))));

    public string HeaderOf(int column) => string.Join(' ', Rows.Take(HeaderRows).Select(r => column < r.Length ? r[column] : "").Where(c => c.Length > 0).Distinct());
}

/// <summary>Which cell of an exhibit becomes which fact.</summary>
/// <param name="RowLabel">The label at the left, as printed.</param> <param name="Column">Words that the column's header holds, such as "2026" and "RMB".</param>
public sealed record ExhibitMapping(string RowLabel, ImmutableArray<string> Column, Measure Measure, string FiscalPeriod, DateOnly PeriodEnd, Span Span, string Definition, string Unit, string Of, double Rounding);

/// <summary>Reads the HTML tables of a results exhibit (a 6-K's exhibit 99.1): labels at the left, periods above, negatives in brackets, dashes for nothing, the currency sign or the closing
/// bracket often in cells of their own.</summary>
public static partial class ExhibitTables
{
    private const int SpanMax = 200;

    public static ImmutableArray<ExhibitTable> Read(string html)
    {
        IHtmlDocument document = new HtmlParser(new HtmlParserOptions { IsKeepingSourceReferences = true }).ParseDocument(html);
        return [.. document.QuerySelectorAll("table").OfType<IHtmlTableElement>().Where(t => t.QuerySelector("table") is null).Select(Fill).Where(t => t.Rows.Length > 0)];
    }

    /// <exception cref="OutlookDataException">A mapped cell is not there, is there more than once with different numbers, or holds no number.</exception>
    public static ImmutableArray<Fact> Facts(string html, string file, string company, Uri source, Tier tier, ImmutableArray<ExhibitMapping> mappings)
    {
        ImmutableArray<ExhibitTable> tables = Read(html);
        var faults = new List<Fault>();
        var facts = ImmutableArray.CreateBuilder<Fact>();
        foreach (ExhibitMapping mapping in mappings)
        {
            (int Line, double Value)[] found = [.. tables.SelectMany(t => Find(t, mapping).Select(v => (t.Line, v))).DistinctBy(f => f.v)];
            if (found.Length == 0)
                faults.Add(new Fault(new Place(file, 1), $"no table has a number in the row '{mapping.RowLabel}' under '{string.Join(" ", mapping.Column)}'."));
            else if (found.Length > 1)
                faults.Add(new Fault(new Place(file, found[1].Line), $"'{mapping.RowLabel}' under '{string.Join(" ", mapping.Column)}' is printed as {string.Join(" and as ", found.Select(f => Texts.Plain(f.Value)))}: name the column more closely."));
            else if (mapping.Unit == "percent" && mapping.Of.Length == 0)
                faults.Add(new Fault(new Place(file, found[0].Line), $"'{mapping.RowLabel}' is a percentage without a basis."));
            else
            {
                double scale = mapping.Unit == "percent" ? 0.01 : 1;
                facts.Add(new Fact
                {
                    Place = new Place(file, found[0].Line),
                    Company = company,
                    FiscalPeriod = mapping.FiscalPeriod,
                    PeriodEnd = mapping.PeriodEnd,
                    Span = mapping.Span,
                    Measure = mapping.Measure,
                    Definition = mapping.Definition,
                    Printed = Texts.Plain(found[0].Value),
                    Unit = mapping.Unit,
                    Of = mapping.Of,
                    Tier = tier,
                    Source = source,
                    Note = "",
                    Formula = "",
                    Value = Interval.Rounded(found[0].Value * scale, mapping.Rounding * scale),
                });
            }
        }
        return faults.Count == 0 ? facts.ToImmutable() : throw new OutlookDataException([.. faults]);
    }

    /// <summary>12,376 and (13,860) and 35% and -; null for what is no number.</summary>
    internal static double? Number(string cell)
    {
        string text = Ornament().Replace(cell, "");
        bool negative = text.StartsWith('(') || text.StartsWith('-') || text.StartsWith('−');
        text = text.Trim('(', ')', '-', '−', '+').Replace(",", "", StringComparison.Ordinal);
        return double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number) ? (negative ? -number : number) : null;
    }

    internal static bool IsYear(string cell) => Number(cell) is { } n && n is >= 1990 and <= 2100 && n == Math.Floor(n) && !cell.Contains(',', StringComparison.Ordinal);

    private static IEnumerable<double> Find(ExhibitTable table, ExhibitMapping mapping)
    {
        foreach (ImmutableArray<string> row in table.Rows.Skip(table.HeaderRows).Where(r => r.Length > 0 && Same(r[0], mapping.RowLabel)))
            for (int c = 1; c < row.Length; c++)
                if (Number(row[c]) is { } number && mapping.Column.All(w => table.HeaderOf(c).Contains(w, StringComparison.OrdinalIgnoreCase)))
                    yield return number;
    }

    private static bool Same(string a, string b) => string.Equals(Footnote().Replace(a, "").Trim(), b.Trim(), StringComparison.OrdinalIgnoreCase);

    private static ExhibitTable Fill(IHtmlTableElement table)
    {
        var grid = new List<List<string?>>();
        int r = 0;
        foreach (IHtmlTableRowElement row in table.Rows)
        {
            while (grid.Count <= r) grid.Add([]);
            int c = 0;
            foreach (IHtmlTableCellElement cell in row.Cells)
            {
                while (c < grid[r].Count && grid[r][c] is not null) c++;
                string text = Blank().Replace(cell.TextContent, " ").Trim();
                for (int dr = 0; dr < Math.Clamp(cell.RowSpan, 1, SpanMax); dr++)
                {
                    while (grid.Count <= r + dr) grid.Add([]);
                    for (int dc = 0; dc < Math.Clamp(cell.ColumnSpan, 1, SpanMax); dc++)
                    {
                        while (grid[r + dr].Count <= c + dc) grid[r + dr].Add(null);
                        grid[r + dr][c + dc] = text;
                    }
                }
                c += Math.Clamp(cell.ColumnSpan, 1, SpanMax);
            }
            r++;
        }
        return new ExhibitTable(table.SourceReference?.Position.Line ?? 0, [.. grid.Select(g => g.Select(t => t ?? "").ToImmutableArray()).Where(g => g.Any(t => t.Length > 0))]);
    }

    [GeneratedRegex(@"[\s\u00A0%$¥]|RMB|US", RegexOptions.None, 1000)]
    private static partial Regex Ornament();

    [GeneratedRegex(@"[\s\u00A0]+", RegexOptions.None, 1000)]
    private static partial Regex Blank();

    [GeneratedRegex(@"\(\d{1,2}\)\s*$", RegexOptions.None, 1000)]
    private static partial Regex Footnote();
}
