using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>A row that holds a bound where it is.</summary>
/// <param name="Multiplier">Its factor in the proof.</param> <param name="End">The end of its range that binds.</param>
/// <param name="Slope">How far the bound moves when that end moves by one: one unit of money, or 100 percentage points of a ratio. NaN where the bound is only approached.</param>
public sealed record Binding(SystemRow Row, double Multiplier, double End, double Slope);

/// <summary>
/// The proof of one end of a range: numbers y, one per row, so that for every point of the system
/// n(x) - level d(x) = sum of y_i (row_i(x) - end_i) + terms that cannot be negative, hence n/d cannot pass the level (weak duality).
/// Whoever has the rows can check it without a solver: <see cref="CertificateCheck"/>.
/// </summary>
/// <param name="Level">The proven level of numerator / denominator.</param>
/// <param name="IsLow">A low end (n/d is at least the level) or a high end (at most).</param>
public sealed record Certificate(double Level, CertificateEnd End, ImmutableArray<Binding> Bindings)
{
    private const double Negligible = 1e-9;

    public static Certificate? Of(LinearSystem system, Objective objective, RangeEnd end, CertificateEnd side)
    {
        if (end.Status == EndStatus.Unbounded) return null;
        double largest = end.Multipliers.Select(Math.Abs).DefaultIfEmpty(0).Max();
        var bindings = ImmutableArray.CreateBuilder<Binding>();
        for (int i = 0; i < system.Rows.Length; i++)
        {
            double y = end.Multipliers[i];
            if (Math.Abs(y) <= largest * Negligible) continue;
            // In a low end a positive multiplier leans on the row's low end; in a high end it is the other way round.
            bool leansLow = y > 0 == (side == CertificateEnd.Low);
            double at = leansLow ? system.Rows[i].Range.Low : system.Rows[i].Range.High;
            if (double.IsFinite(at)) bindings.Add(new Binding(system.Rows[i], y, at, Slope(objective, end, system.Rows[i], y)));
        }
        return new Certificate(end.Value, side, bindings.ToImmutable());
    }

    /// <summary>The rows that hold both ends of a range.</summary>
    public static ImmutableArray<SystemRow> RowsOf(LinearSystem system, Objective objective, RangeEnd low, RangeEnd high) =>
        [.. (Of(system, objective, low, CertificateEnd.Low)?.Bindings ?? []).Concat(Of(system, objective, high, CertificateEnd.High)?.Bindings ?? []).Select(b => b.Row).Distinct<SystemRow>(ReferenceEqualityComparer.Instance)];

    /// <summary>The published rows that hold both ends of a range.</summary>
    public static ImmutableArray<Fact> FactsOf(LinearSystem system, Objective objective, RangeEnd low, RangeEnd high) =>
        [.. RowsOf(system, objective, low, high).SelectMany(r => r.Facts).DistinctBy(f => f.Place)];

    private static double Slope(Objective objective, RangeEnd end, SystemRow row, double multiplier)
    {
        if (end.Point.IsEmpty) return double.NaN;
        double perUnit = multiplier / objective.Denominator.At(end.Point);
        return row.Ratio is { } ratio ? perUnit * ratio.Denominator.At(end.Point) : perUnit;
    }
}

public enum CertificateEnd { Low, High }

/// <summary>Checks a certificate by arithmetic alone. It knows nothing of how the multipliers were found.</summary>
public static class CertificateCheck
{
    /// <summary>How far the multipliers fall short of proving the level, in units of the target; at most rounding error for a valid certificate, infinite for one that proves nothing.</summary>
    public static double Shortfall(LinearSystem system, Objective objective, Certificate certificate, double denominatorLeast)
    {
        double sign = certificate.End == CertificateEnd.Low ? 1 : -1;
        // For a low end: n - level d >= 0 must follow. For a high end: level d - n >= 0.
        var residual = new double[system.Variables.Length];
        double constant = sign * (objective.Numerator.Constant - certificate.Level * objective.Denominator.Constant);
        foreach (FormTerm term in objective.Numerator.Terms) residual[term.Variable] += sign * term.Factor;
        foreach (FormTerm term in objective.Denominator.Terms) residual[term.Variable] -= sign * certificate.Level * term.Factor;
        double weight = residual.Select(Math.Abs).DefaultIfEmpty(0).Max();
        foreach (Binding binding in certificate.Bindings)
        {
            double y = sign * binding.Multiplier;
            // y (row - end) is not negative: y > 0 leans on the low end, y < 0 on the high end.
            double end = y > 0 ? binding.Row.Range.Low : binding.Row.Range.High;
            if (!double.IsFinite(end) || Math.Abs(end - binding.End) > 1e-9 * Math.Max(1, Math.Abs(end))) return double.PositiveInfinity;
            foreach (FormTerm term in binding.Row.Terms) residual[term.Variable] -= y * term.Factor;
            constant += y * end;
        }
        double tolerance = 1e-7 * Math.Max(1, weight);
        for (int i = 0; i < residual.Length; i++)
        {
            // What is left over must be unknowns that cannot be negative, with factors that are not.
            if (residual[i] < -tolerance) return double.PositiveInfinity;
            if (system.Variables[i].Line.Sign == LineSign.Signed && residual[i] > tolerance) return double.PositiveInfinity;
        }
        return Math.Max(0, -constant) / Math.Max(denominatorLeast, double.Epsilon);
    }
}
