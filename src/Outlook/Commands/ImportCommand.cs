using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Outlook;

/// <summary>qanat outlook import exhibit: one page of a release, and which of its cells are wanted.</summary>
/// <param name="Html">The page.</param> <param name="Map">A CSV text, one wanted cell a row: see docs/outlook.md.</param>
public sealed record ExhibitImport(string Html, string File, string Company, Uri Source, Tier Tier, string Map, string MapFile);

public static partial class OutlookCommands
{
    private static readonly string[] Columns = ["company", "fiscal_period", "period_end", "metric", "segment", "definition", "value", "unit", "rounding", "of", "tier", "source_url", "formula", "note"];
    private static readonly string[] MapColumns = ["row", "column", "metric", "segment", "fiscal_period", "period_end", "unit", "rounding"];

    /// <summary>Facts as a fact file, ready to be appended to a company's own.</summary>
    public static string FactFileOf(ImmutableArray<Fact> facts) => Csv.Write(facts.Select(f => (IEnumerable<string>)
        [f.Company, f.FiscalPeriod, f.PeriodEnd.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), f.Measure.Metric, f.Measure.Segment, f.Definition, f.Printed, f.Unit,
            f.Value is { IsBounded: true } v && !f.IsDerived ? (Math.Round(v.Width * (f.IsPercent ? 100 : 1), 9)).ToString(CultureInfo.InvariantCulture) : "", f.Of, f.IsDerived ? "D" : f.Tier.ToString(), f.Source.OriginalString, f.Formula, f.Note])
        .Prepend(Columns));

    /// <summary>Company facts of the SEC as a fact file.</summary>
    /// <param name="maps">"us-gaap:Revenues=revenue/Group" each.</param>
    /// <exception cref="OutlookDataException">A map is not understood, or the file is not company facts.</exception>
    public static string ImportXbrl(string json, string file, string company, ImmutableArray<string> maps) =>
        FactFileOf(CompanyFacts.Read(json, file, company, [.. maps.Select(m => m.Split('=', '/') is [var concept, var metric, var segment]
            ? new ConceptMapping(concept, new Measure(metric, segment))
            : throw new OutlookDataException(new Fault(new Place("--map", 0), $"'{m}' maps nothing: write us-gaap:Revenues=revenue/Group.")))]));

    /// <summary>Cells of a results exhibit as a fact file.</summary>
    /// <exception cref="OutlookDataException">The map has faults, or the page lacks a cell or prints it twice with different numbers.</exception>
    public static string ImportExhibit(ExhibitImport import) =>
        FactFileOf(ExhibitTables.Facts(import.Html, import.File, import.Company, import.Source, import.Tier, ReadMap(import.Map, import.MapFile)));

    private static ImmutableArray<ExhibitMapping> ReadMap(string text, string file)
    {
        CsvRow[] rows = [.. Csv.Read(text.TrimStart('\uFEFF'), file)];
        if (rows.Length == 0 || MapColumns.Except(rows[0].Cells, StringComparer.Ordinal).Any())
            throw new OutlookDataException(new Fault(new Place(file, 1), $"the first line names the columns {string.Join(", ", MapColumns)}, and, where they are wanted, span, definition, of."));
        Dictionary<string, int> at = rows[0].Cells.Select((name, i) => (name, i)).DistinctBy(p => p.name).ToDictionary(p => p.name, p => p.i, StringComparer.Ordinal);
        var faults = new List<Fault>();
        var mappings = ImmutableArray.CreateBuilder<ExhibitMapping>();
        foreach (CsvRow row in rows.Skip(1))
        {
            var place = new Place(file, row.Line);
            string Cell(string name) => at.TryGetValue(name, out int i) && i < row.Cells.Count ? row.Cells[i] : "";
            if (MapColumns.FirstOrDefault(name => Cell(name).Length == 0) is { } empty) faults.Add(new Fault(place, $"the cell '{empty}' is empty."));
            else if (!DateOnly.TryParseExact(Cell("period_end"), "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly end)) faults.Add(new Fault(place, $"'{Cell("period_end")}' is not a date: write 2026-06-30."));
            else if (!double.TryParse(Cell("rounding"), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double rounding) || rounding <= 0) faults.Add(new Fault(place, $"'{Cell("rounding")}' is not a rounding: write what the last printed place is worth, such as 1."));
            else if (!Enum.TryParse(Cell("span").Length == 0 ? nameof(Span.Quarter) : Cell("span"), ignoreCase: true, out Span span)) faults.Add(new Fault(place, $"'{Cell("span")}' is not a span: use quarter, half, year or moment."));
            else mappings.Add(new ExhibitMapping(Cell("row"), [.. Cell("column").Split(' ', StringSplitOptions.RemoveEmptyEntries)], new Measure(Cell("metric"), Cell("segment")), Cell("fiscal_period"), end, span, Cell("definition"), Cell("unit"), Cell("of"), rounding));
        }
        return faults.Count == 0 ? mappings.ToImmutable() : throw new OutlookDataException([.. faults]);
    }
}
