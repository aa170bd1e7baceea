using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>Four published quarters beside their published year.</summary>
public sealed record TieOutResult(Measure Measure, string Year, ImmutableArray<Fact> Quarters, Fact? Total, string? Refused)
{
    public double Sum => Quarters.Sum(Printed);
    public double Difference => Total is null ? double.NaN : Sum - Printed(Total);
    public bool Holds => Refused is null && Difference == 0;

    /// <summary>The printed number: the middle of what it can mean, exactly, because half a rounding is added and taken away again.</summary>
    private static double Printed(Fact fact) => double.Parse(fact.Printed.AsSpan().TrimStart("<>"), System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture);

    public static ImmutableArray<TieOutResult> Check(CompanyBook book) =>
        [.. book.Model.TieOuts.SelectMany(t => t.Years.Select(year => Check(book, t.Measure, year)))];

    private static TieOutResult Check(CompanyBook book, Measure measure, string year)
    {
        Fact[] facts = [.. book.Facts.Where(f => f.Measure == measure && f.Value is not null)];
        Fact[] quarters = [.. facts.Where(f => f.Span == Span.Quarter && f.FiscalPeriod.StartsWith(year, StringComparison.Ordinal)).OrderBy(f => f.PeriodEnd)];
        Fact? total = facts.FirstOrDefault(f => f.FiscalPeriod == year);
        string? refused = quarters.Length != 4 ? $"{quarters.Length} of 4 quarters are published"
            : total is null ? "the year is not published"
            : quarters.Append(total).Select(f => f.Definition).Distinct().Count() > 1 ? "segment versions are spliced: the quarters and the year are on different definitions"
            : null;
        return new TieOutResult(measure, year, [.. quarters], total, refused);
    }
}

/// <summary>A line that was published for the same quarter under two definitions of segments.</summary>
public sealed record Restatement(ModelLine Line, Quarter Quarter, Fact Before, Fact After, string Because)
{
    public Interval Change => After.Value!.Value - Before.Value!.Value;

    public static ImmutableArray<Restatement> Find(CompanyBook book)
    {
        var found = ImmutableArray.CreateBuilder<Restatement>();
        foreach (ModelLine line in book.Model.Lines)
        {
            Fact[] facts = [.. line.Facts.SelectMany(b => book.Facts.Where(f => f.Measure == b.Measure && f.Span == Span.Quarter && f.Value is not null))];
            foreach (Recast recast in book.Model.Recasts)
            {
                Fact? before = facts.FirstOrDefault(f => f.Quarter == recast.Quarter && f.Measure.Segment == recast.From && f.Definition != recast.Definition);
                Fact? after = facts.FirstOrDefault(f => f.Quarter == recast.Quarter && f.Measure.Segment == recast.To && f.Definition == recast.Definition);
                if (before is not null && after is not null) found.Add(new Restatement(line, recast.Quarter, before, after, recast.Because));
            }
        }
        return found.ToImmutable();
    }
}
