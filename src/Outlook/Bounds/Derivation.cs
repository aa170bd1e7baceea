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
        var search = new DerivationSearch(system, end, [.. certificate.Bindings.Select(b => new DerivationRow(b.Row, b.End)), .. Active(system, end, certificate)], certificate.Bindings.Length);
        int[] wanted = [.. objective.Numerator.Terms.Concat(objective.Denominator.Terms).Select(t => t.Variable).Distinct()];
        return new Derivation(bound, side, Needed(search.Run(wanted), wanted));
    }

    /// <summary>Leaves out steps that the target does not rest on.</summary>
    private static ImmutableArray<DerivationStep> Needed(List<DerivationStep> order, IEnumerable<int> wanted)
    {
        HashSet<int> needed = [.. wanted];
        for (int i = order.Count - 1; i >= 0; i--)
            if (needed.Contains(order[i].Variable.Index) && order[i].Row is { } row)
                foreach (int variable in VariablesOf(row)) needed.Add(variable);
        return [.. order.Where(s => needed.Contains(s.Variable.Index))];
    }

    /// <summary>A ratio at 0 % still speaks of its denominator: the step must follow when the level is moved.</summary>
    internal static IEnumerable<int> VariablesOf(SystemRow row) => row.Ratio is { } ratio
        ? row.Terms.Concat(ratio.Numerator.Terms).Concat(ratio.Denominator.Terms).Select(t => t.Variable).Distinct()
        : row.Terms.Select(t => t.Variable);

    /// <summary>Rows that hold with equality at the point without bearing on the bound; they give figures that the binding rows mention.</summary>
    private static IEnumerable<DerivationRow> Active(LinearSystem system, RangeEnd end, Certificate certificate)
    {
        HashSet<SystemRow> binding = new(certificate.Bindings.Select(b => b.Row), ReferenceEqualityComparer.Instance);
        foreach (SystemRow row in system.Rows.Where(r => !binding.Contains(r)).OrderBy(r => r.Kind))
        {
            double at = row.Terms.Sum(t => t.Factor * end.Point[t.Variable]), slack = 1e-7 * Math.Max(1, row.Terms.Max(t => Math.Abs(t.Factor * end.Point[t.Variable])));
            if (Math.Abs(at - row.Range.Low) <= slack) yield return new DerivationRow(row, row.Range.Low);
            else if (Math.Abs(at - row.Range.High) <= slack) yield return new DerivationRow(row, row.Range.High);
        }
    }
}

internal readonly record struct DerivationRow(SystemRow Row, double End);

/// <summary>Takes rows in the order in which each gives one more unknown, the first of those that can.</summary>
internal sealed class DerivationSearch
{
    private readonly LinearSystem _system;
    private readonly RangeEnd _end;
    private readonly ImmutableArray<DerivationRow> _rows;
    private readonly int[][] _variables;
    private readonly int[] _open, _openTerms;
    private readonly Dictionary<int, List<int>> _rowsOf = [];
    private readonly HashSet<int> _known = [];
    private readonly List<DerivationStep> _order = [];
    private readonly int _bindings;

    /// <param name="bindings">How many of the rows, from the first, bind the end.</param>
    public DerivationSearch(LinearSystem system, RangeEnd end, ImmutableArray<DerivationRow> rows, int bindings)
    {
        (_system, _end, _rows, _bindings) = (system, end, rows, bindings);
        _variables = [.. rows.Select(r => Derivation.VariablesOf(r.Row).ToArray())];
        _open = [.. _variables.Select(v => v.Length)];
        _openTerms = [.. rows.Select(r => r.Row.Terms.Length)];
        for (int i = 0; i < _variables.Length; i++)
            foreach (int variable in _variables[i])
            {
                if (!_rowsOf.TryGetValue(variable, out List<int>? of)) _rowsOf.Add(variable, of = []);
                of.Add(i);
            }
    }

    /// <summary>Steps until all the unknowns wanted are known.</summary>
    public List<DerivationStep> Run(int[] wanted)
    {
        while (true)
        {
            int at = NextRow();
            if (at >= 0)
                Know(_rows[at].Row.Terms.First(t => !_known.Contains(t.Variable)).Variable, _rows[at].Row, _rows[at].End);
            else if (wanted.All(_known.Contains))
                return _order;
            else
            {
                // No row gives the next unknown alone: one that rests at zero does, or one whose value does not matter.
                int[] open = [.. _variables.Take(_bindings).SelectMany(v => v).Concat(wanted).Where(v => !_known.Contains(v)).Distinct()];
                Know(open.FirstOrDefault(v => _system.Variables[v].Line.Sign == LineSign.Positive && Math.Abs(_end.Point[v]) < 1e-9, open[0]), null, 0);
            }
        }
    }

    private int NextRow()
    {
        for (int i = 0; i < _open.Length; i++)
            if (_open[i] <= 1 && _openTerms[i] > 0) return i;
        return -1;
    }

    private void Know(int variable, SystemRow? row, double rowEnd)
    {
        _known.Add(variable);
        _order.Add(new DerivationStep(_system.Variables[variable], _end.Point[variable], row, rowEnd));
        foreach (int i in _rowsOf.GetValueOrDefault(variable) ?? [])
        {
            _open[i]--;
            if (_rows[i].Row.Terms.Any(t => t.Variable == variable)) _openTerms[i]--;
        }
    }
}
