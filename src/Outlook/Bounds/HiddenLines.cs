using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>A published row was hidden and bounded from the rest.</summary>
/// <param name="Truth">What was published.</param> <param name="Range">What the rest allows for it.</param>
/// <param name="Quantity">What was bounded, in words.</param>
public sealed record HiddenLine(Fact Fact, string Quantity, Interval Truth, Interval Range)
{
    /// <summary>Truth as a source rounds it: covered if some value it can mean is in the range.</summary>
    public bool IsCovered => Range.Meets(new Interval(Truth.Low - Slack, Truth.High + Slack));

    private double Slack => 1e-6 * Math.Max(1, Math.Abs(double.IsFinite(Truth.Low) ? Truth.Low : Truth.High));
}

/// <summary>The method's own test: hide a line that is published, and see whether the bounds from everything else cover it, and how wide they are.</summary>
public static class HiddenLineTest
{
    /// <summary>Every numeric row of the quarter (or of a year that ends in it) that the model uses; rows derived from a hidden row are hidden with it.</summary>
    public static ImmutableArray<HiddenLine> Run(CompanyBook book, Quarter quarter, string? layer)
    {
        LinearSystem full = book.System(SystemScope.Published with { Layer = layer });
        var results = ImmutableArray.CreateBuilder<HiddenLine>();
        foreach (Fact fact in book.Facts.Where(f => f.Quarter == quarter && f.Value is not null && !f.IsDerived))
        {
            SystemRow[] rows = [.. full.Rows.Where(r => r.Facts.Any(f => f.Place == fact.Place))];
            if (rows.Length == 0) continue;
            LinearSystem rest = book.System(SystemScope.Published with { Layer = layer, Hidden = [fact] });
            using var solver = new RangeSolver(rest);
            results.Add(Bound(full, rest, solver, fact, rows));
        }
        return results.ToImmutable();
    }

    private static HiddenLine Bound(LinearSystem full, LinearSystem rest, RangeSolver solver, Fact fact, SystemRow[] rows)
    {
        SystemRow row = rows[0];
        LinearForm numerator = row.Ratio?.Numerator ?? new LinearForm(row.Terms, 0), denominator = row.Ratio?.Denominator ?? LinearForm.One;
        Interval truth = row.Ratio is null ? Common(rows) : fact.Value!.Value;
        string words = row.Words.Split(" is ")[0];
        // The hidden row may have been the only one to speak of an unknown: then nothing limits it but its sign.
        return Translate(full, rest, numerator) is { } n && Translate(full, rest, denominator) is { } d && solver.IsFeasible
            ? new HiddenLine(fact, words, truth, solver.Range(new Objective(n, d)))
            : new HiddenLine(fact, words, truth, Interval.Everything);
    }

    private static Interval Common(SystemRow[] rows) => rows.Select(r => r.Range).Aggregate((a, b) => a.Intersect(b) ?? a);

    private static LinearForm? Translate(LinearSystem full, LinearSystem rest, LinearForm form)
    {
        var terms = new List<FormTerm>();
        foreach (FormTerm term in form.Terms)
        {
            SystemVariable variable = full.Variables[term.Variable];
            if (rest.Find(variable.Line.Name, variable.Quarter, variable.Definition) is not { } same) return null;
            terms.Add(new FormTerm(same.Index, term.Factor));
        }
        return new LinearForm([.. terms], form.Constant);
    }
}
