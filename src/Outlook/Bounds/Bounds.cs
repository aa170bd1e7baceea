using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>What may be said of a target after one layer of assumptions, with what holds it there.</summary>
public sealed record Bound
{
    public required string Layer { get; init; }
    public required Target Target { get; init; }
    public required Quarter Quarter { get; init; }
    public required Interval Range { get; init; }
    public required RangeEnd Low { get; init; }
    public required RangeEnd High { get; init; }
    public Certificate? LowCertificate { get; init; }
    public Certificate? HighCertificate { get; init; }
    /// <summary>The true range may be narrower: a product of unknowns was enveloped.</summary>
    public required BoundKind Kind { get; init; }
    /// <summary>The worst tier among the published rows that bind.</summary>
    public required Tier Tier { get; init; }

    public bool IsOuter => Kind == BoundKind.Outer;
    public IEnumerable<Binding> Bindings => (LowCertificate?.Bindings ?? []).Concat(HighCertificate?.Bindings ?? []);

    /// <summary>The published rows that the two certificates use.</summary>
    public IEnumerable<Fact> Facts => Bindings.SelectMany(b => b.Row.Facts).DistinctBy(f => f.Place);
}

public enum BoundKind { Sharp, Outer }

/// <summary>Bounds of targets over one system.</summary>
public static class BoundFinder
{
    private const double ProductSlack = 1e-6;

    public static Bound Find(LinearSystem system, RangeSolver solver, Objective objective, Target target, Quarter quarter, string layer)
    {
        RangeEnd low = solver.Least(objective), high = solver.Most(objective);
        Certificate? lowProof = Certificate.Of(system, objective, low, CertificateEnd.Low), highProof = Certificate.Of(system, objective, high, CertificateEnd.High);
        Interval range = RangeSolver.Between(low.Value, high.Value);
        Bound bound = new()
        {
            Layer = layer,
            Target = target,
            Quarter = quarter,
            Range = range,
            Low = low,
            High = high,
            LowCertificate = lowProof,
            HighCertificate = highProof,
            Kind = Breaks(system, low) || Breaks(system, high) ? BoundKind.Outer : BoundKind.Sharp,
            Tier = Tier.T1,
        };
        return bound with { Tier = bound.Facts.Select(f => f.Tier).Append(Tier.T1).Max() };
    }

    /// <summary>An end is sharp if its point makes every product come true; otherwise the envelope, not the product, was reached.</summary>
    private static bool Breaks(LinearSystem system, RangeEnd end)
    {
        if (system.Products.IsEmpty || end.Status == EndStatus.Unbounded) return false;
        if (end.Point.IsEmpty) return true;
        foreach (ProductTriple p in system.Products)
        {
            double product = end.Point[p.Left] * end.Point[p.Right];
            if (Math.Abs(product - end.Point[p.Product]) > ProductSlack * Math.Max(1, Math.Abs(product))) return true;
        }
        return false;
    }
}
