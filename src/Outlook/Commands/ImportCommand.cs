using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Outlook;

public static partial class OutlookCommands
{
    private static readonly string[] Columns = ["company", "fiscal_period", "period_end", "metric", "segment", "definition", "value", "unit", "rounding", "of", "tier", "source_url", "formula", "note"];

    /// <summary>Facts as a fact file, ready to be appended to a company's own.</summary>
    public static string FactFileOf(ImmutableArray<Fact> facts) => Csv.Write(facts.Select(f => (IEnumerable<string>)
        [f.Company, f.FiscalPeriod, f.PeriodEnd.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), f.Measure.Metric, f.Measure.Segment, f.Definition, f.Printed, f.Unit,
            f.Value is { IsBounded: true } v && !f.IsDerived ? (Math.Round(v.Width * (f.IsPercent ? 100 : 1), 9)).ToString(CultureInfo.InvariantCulture) : "", f.Of, f.IsDerived ? "D" : f.Tier.ToString(), f.Source.OriginalString, f.Formula, f.Note])
        .Prepend(Columns));

    /// <summary>Company facts of the SEC as a fact file.</summary>
    /// <param name="maps">"us-gaap:Revenues=revenue/Group" each.</param>
    public static string ImportXbrl(string json, string file, string company, ImmutableArray<string> maps) =>
        FactFileOf(CompanyFacts.Read(json, file, company, [.. maps.Select(m => m.Split('=', '/') is [var concept, var metric, var segment]
            ? new ConceptMapping(concept, new Measure(metric, segment))
            : throw new OutlookDataException(new Fault(new Place("--map", 0), $"'{m}' maps nothing: write us-gaap:Revenues=revenue/Group.")))]));
}
