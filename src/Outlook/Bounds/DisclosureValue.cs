using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>What the publication of one more line would do to a range.</summary>
/// <param name="LineRange">Between what values the line must lie as things stand.</param>
/// <param name="Before">The width of the target's range today.</param>
/// <param name="Worst">The largest width that could remain, over the values the line could turn out to have.</param>
/// <param name="Middle">The width that would remain if the line came out in the middle of its range.</param>
/// <param name="Rows">What holds the line in its range and the target in its own: published rows and assumptions.</param>
public sealed record DisclosureValue(string Layer, Target Target, MissingLine Line, Interval LineRange, double Before, double Worst, double Middle, ImmutableArray<SystemRow> Rows)
{
    /// <summary>The published rows behind the figures.</summary>
    public ImmutableArray<Fact> Facts => [.. Rows.SelectMany(r => r.Facts).DistinctBy(f => f.Place)];

    /// <summary>Width that is removed whatever value is published.</summary>
    public double Guaranteed => Removed(Worst);
    public double Expected => Removed(Middle);

    private double Removed(double after) => double.IsInfinity(Before) ? (double.IsInfinity(after) ? 0 : double.PositiveInfinity) : Math.Max(0, Before - after);
}

/// <summary>Ranks the lines a company does not publish by how much each would narrow a target.</summary>
public static class DisclosureValuer
{
    /// <summary>Values of the line that are tried, evenly over its range. The width of a sum is concave in the value, so its largest lies inside and a coarse grid finds it closely.</summary>
    public const int ValuesTried = 5;

    /// <summary>All lines and targets over one system.</summary>
    public static ImmutableArray<DisclosureValue> Rank(LinearSystem system, CompanyModel model, Quarter quarter, string layer, IReadOnlyList<Target> targets)
    {
        string definition = model.DefinitionOf(quarter);
        Objective[] objectives = [.. targets.Select(t => SystemBuilder.ObjectiveOf(system, t.Quantity, quarter, definition) ?? throw new ArgumentException($"{t.Name} cannot be asked in {quarter}."))];
        // One solver serves every line, so that its basis stays warm: two rows are kept free for what is supposed to be published.
        using var solver = new RangeSolver(system);
        foreach (Interval free in new[] { Interval.AtLeast(0), Interval.AtMost(0) }) solver.AddRow(Published([], free, "nothing", default));
        (RangeEnd Low, RangeEnd High)[] today = [.. objectives.Select(o => (solver.Least(o), solver.Most(o)))];
        double[] before = [.. today.Select(t => RangeSolver.Between(t.Low.Value, t.High.Value).Width)];
        ImmutableArray<SystemRow>[] holding = [.. objectives.Select((o, k) => Certificate.RowsOf(system, o, today[k].Low, today[k].High))];
        var values = new List<DisclosureValue>();
        foreach (MissingLine line in model.MissingLines)
        {
            if (SystemBuilder.ObjectiveOf(system, line.Quantity, quarter, definition) is not { } published) continue;
            RangeEnd least = solver.Least(published), most = solver.Most(published);
            Interval range = RangeSolver.Between(least.Value, most.Value);
            // A line that is already known as finely as it would be printed is not missing.
            if (range.Width <= line.Rounding * 1.0001) continue;
            double[] worst = new double[targets.Count], middle = [.. targets.Select(_ => double.NaN)];
            Publish(solver, system.Rows.Length, line, published, range, value =>
            {
                for (int k = 0; k < objectives.Length; k++)
                {
                    // At the very end of its range the line may miss the set by the solver's tolerance: then it says nothing.
                    if (solver.TryRange(objectives[k]) is not { } after) return true;
                    double width = after.Width;
                    worst[k] = Math.Max(worst[k], width);
                    if (double.IsNaN(middle[k]) || value <= range.Middle) middle[k] = width;
                }
                // Once every width is unlimited no other value can make the worst any worse.
                return !worst.All(double.IsInfinity);
            });
            ImmutableArray<SystemRow> own = Certificate.RowsOf(system, published, least, most);
            values.AddRange(targets.Select((t, k) => new DisclosureValue(layer, t, line, range, before[k], worst[k], middle[k], [.. own.Concat(holding[k]).Distinct<SystemRow>(ReferenceEqualityComparer.Instance)])));
        }
        return [.. values.OrderBy(v => targets.ToList().IndexOf(v.Target)).ThenByDescending(v => v.Guaranteed).ThenByDescending(v => v.Expected).ThenBy(v => v.Line.Name, StringComparer.Ordinal)];
    }

    /// <summary>Visits the system with the line published at each value tried, until the visitor has seen enough.</summary>
    private static void Publish(RangeSolver solver, int first, MissingLine line, Objective published, Interval range, Func<double, bool> visit)
    {
        foreach (double value in Values(range))
        {
            (SystemRow low, SystemRow high) = Rows(published, line, value);
            solver.Replace(first, low);
            solver.Replace(first + 1, high);
            Count(RowState.Counted);
            if (!visit(value)) break;
        }
        Count(RowState.LeftOut);

        void Count(RowState state)
        {
            solver.Count(first, state);
            solver.Count(first + 1, state);
        }
    }

    /// <summary>A line without limits is tried at the limit it has, or at zero.</summary>
    private static IEnumerable<double> Values(Interval range)
    {
        if (!range.IsBounded) return [double.IsFinite(range.Low) ? range.Low : double.IsFinite(range.High) ? range.High : 0];
        return Enumerable.Range(0, ValuesTried).Select(i => range.Low + range.Width * i / (ValuesTried - 1));
    }

    // The line is known to half its rounding either side of the value.
    private static (SystemRow Low, SystemRow High) Rows(Objective line, MissingLine missing, double value)
    {
        SystemRow Row(double level, Interval zero)
        {
            LinearForm form = line.Numerator.Minus(line.Denominator, level);
            return Published(form.Terms, zero - Interval.At(form.Constant), missing.Label, missing.Place);
        }
        return (Row(value - missing.Rounding / 2, Interval.AtLeast(0)), Row(value + missing.Rounding / 2, Interval.AtMost(0)));
    }

    private static SystemRow Published(ImmutableArray<FormTerm> terms, Interval range, string words, Place place) =>
        new("published", words, RowKind.Supposed, terms, range, null, [], "", place);
}
