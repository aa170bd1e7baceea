using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>One step of the way to a bound: an unknown, from a row that binds and from unknowns already known.</summary>
/// <param name="Row">Null for an unknown that rests at zero because it cannot be negative, or that may be anything.</param>
public sealed record DerivationStep(SystemVariable Variable, double Value, SystemRow? Row, double End);

/// <summary>A bound worked out by hand: the binding rows in an order in which each gives one more unknown, then the target. Empty where the rows only work together.</summary>
public sealed record Derivation(Bound Bound, CertificateEnd End, ImmutableArray<DerivationStep> Steps)
{
    public static Derivation? Of(LinearSystem system, Objective objective, Bound bound, CertificateEnd side)
    {
        RangeEnd end = side == CertificateEnd.Low ? bound.Low : bound.High;
        Certificate? certificate = side == CertificateEnd.Low ? bound.LowCertificate : bound.HighCertificate;
        if (certificate is null || end.Point.IsEmpty) return null;
        var known = new Dictionary<int, DerivationStep>();
        var order = new List<DerivationStep>();
        List<DerivationRow> rows = [.. certificate.Bindings.Select(b => new DerivationRow(b.Row, b.End)), .. Active(system, end, certificate)];
        HashSet<int> wanted = [.. objective.Numerator.Terms.Concat(objective.Denominator.Terms).Select(t => t.Variable)];

        int Open(SystemRow row) => VariablesOf(row).Count(v => !known.ContainsKey(v));

        void Know(int variable, SystemRow? row, double rowEnd)
        {
            var step = new DerivationStep(system.Variables[variable], end.Point[variable], row, rowEnd);
            known.Add(variable, step);
            order.Add(step);
        }

        while (true)
        {
            int at = rows.FindIndex(b => Open(b.Row) <= 1 && b.Row.Terms.Any(t => !known.ContainsKey(t.Variable)));
            if (at >= 0)
            {
                DerivationRow next = rows[at];
                rows.RemoveAt(at);
                Know(next.Row.Terms.First(t => !known.ContainsKey(t.Variable)).Variable, next.Row, next.End);
                continue;
            }
            if (wanted.All(known.ContainsKey)) break;
            // No row gives the next unknown alone: one that rests at zero does, or one whose value does not matter.
            int[] open = [.. certificate.Bindings.SelectMany(b => VariablesOf(b.Row)).Concat(wanted).Where(v => !known.ContainsKey(v)).Distinct()];
            int rest = open.FirstOrDefault(v => system.Variables[v].Line.Sign == LineSign.Positive && Math.Abs(end.Point[v]) < 1e-9, open[0]);
            Know(rest, null, 0);
        }
        return new Derivation(bound, side, Needed(order, wanted));
    }

    /// <summary>Leaves out steps that the target does not rest on.</summary>
    private static ImmutableArray<DerivationStep> Needed(List<DerivationStep> order, HashSet<int> wanted)
    {
        HashSet<int> needed = [.. wanted];
        for (int i = order.Count - 1; i >= 0; i--)
            if (needed.Contains(order[i].Variable.Index) && order[i].Row is { } row)
                foreach (int variable in VariablesOf(row)) needed.Add(variable);
        return [.. order.Where(s => needed.Contains(s.Variable.Index))];
    }

    /// <summary>A ratio at 0 % still speaks of its denominator: the step must follow when the level is moved.</summary>
    private static IEnumerable<int> VariablesOf(SystemRow row) => row.Ratio is { } ratio
        ? row.Terms.Concat(ratio.Numerator.Terms).Concat(ratio.Denominator.Terms).Select(t => t.Variable).Distinct()
        : row.Terms.Select(t => t.Variable);

    /// <summary>Rows that hold with equality at the point without bearing on the bound; they give figures that the binding rows mention.</summary>
    private static IEnumerable<DerivationRow> Active(LinearSystem system, RangeEnd end, Certificate certificate)
    {
        HashSet<SystemRow> binding = [.. certificate.Bindings.Select(b => b.Row)];
        foreach (SystemRow row in system.Rows.Where(r => !binding.Contains(r)).OrderBy(r => r.Kind))
        {
            double at = row.Terms.Sum(t => t.Factor * end.Point[t.Variable]), slack = 1e-7 * Math.Max(1, row.Terms.Max(t => Math.Abs(t.Factor * end.Point[t.Variable])));
            if (Math.Abs(at - row.Range.Low) <= slack) yield return new DerivationRow(row, row.Range.Low);
            else if (Math.Abs(at - row.Range.High) <= slack) yield return new DerivationRow(row, row.Range.High);
        }
    }

    private readonly record struct DerivationRow(SystemRow Row, double End);
}
