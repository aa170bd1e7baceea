using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>Depreciation of one quarter from capital spent until now.</summary>
/// <param name="FromVintages">What the vintages on record cause by straight line, over all corners of life, lag and depreciable share.</param>
/// <param name="Expected">The last published rate plus what the vintages add to it since; only after the last publication.</param>
public sealed record GlidePoint(Quarter Quarter, Interval FromVintages, Interval? Expected);

/// <summary>How capital already spent becomes depreciation: the cost that is on its way whatever is spent from now on. Equipment from before the record runs off and is not counted,
/// so the expected rate is an upper picture.</summary>
public sealed record GlideResult(GlideSetting Setting, ImmutableArray<Fact> CapitalFacts, Fact Published, Interval PublishedPerQuarter, ImmutableArray<GlidePoint> Points)
{
    public const int QuartersAhead = 8;

    /// <summary>Null if the model has no glide setting or too little is published.</summary>
    public static GlideResult? Of(CompanyBook book, Quarter quarter)
    {
        if (book.Model.Glide is not { } setting) return null;
        var spent = new SortedDictionary<Quarter, double>();
        var facts = ImmutableArray.CreateBuilder<Fact>();
        for (Quarter q = quarter.Plus(-20); q <= quarter; q = q.Plus(1))
        {
            // Where only a year is published, each of its quarters takes a fourth.
            Fact? own = Series.At(book, setting.Capital, q), year = own is null ? Series.Year(book, setting.Capital, q) : null;
            if ((own ?? year) is not { } fact) continue;
            spent[q] = fact.Value!.Value.Middle / (own is null ? 4 : 1);
            if (!facts.Contains(fact)) facts.Add(fact);
        }
        Fact? published = book.Model.Line(setting.Depreciation).Facts.SelectMany(b => book.Facts.Where(f => f.Measure == b.Measure))
            .Where(f => f.Value is { IsBounded: true } && f.Span is Span.Year or Span.Half && f.Quarter <= quarter).MaxBy(f => f.PeriodEnd);
        if (spent.Count < 8 || published is null) return null;

        Interval rate = published.Value!.Value * (published.Span == Span.Year ? 0.25 : 0.5);
        Quarter middle = published.Quarter.Plus(published.Span == Span.Year ? -1 : 0);
        var points = ImmutableArray.CreateBuilder<GlidePoint>();
        for (Quarter q = quarter.Plus(-8); q <= quarter.Plus(QuartersAhead); q = q.Plus(1))
        {
            Interval from = Corners(setting, c => Depreciation(spent, q, c));
            Interval? expected = q > published.Quarter ? rate + Corners(setting, c => Depreciation(spent, q, c) - Depreciation(spent, middle, c)) : null;
            points.Add(new GlidePoint(q, from, expected));
        }
        return new GlideResult(setting, facts.ToImmutable(), published, rate, points.ToImmutable());
    }

    /// <summary>Straight line over the life, from the quarter after the lag: d spent / (4 life) in each of 4 life quarters.</summary>
    internal static double Depreciation(IReadOnlyDictionary<Quarter, double> spent, Quarter at, GlideCorner corner)
    {
        double total = 0;
        foreach ((Quarter quarter, double amount) in spent)
        {
            int age = (at.Year - quarter.Year) * 4 + at.Number - quarter.Number;
            double from = age - corner.LagQuarters, lifeQuarters = 4 * corner.LifeYears;
            // The part of this quarter that lies inside the vintage's life.
            double inside = Math.Clamp(from, 0, 1) - Math.Clamp(from - lifeQuarters, 0, 1);
            total += corner.Depreciable * amount / lifeQuarters * inside;
        }
        return total;
    }

    private static Interval Corners(GlideSetting setting, Func<GlideCorner, double> value)
    {
        double[] values = [.. from life in new[] { setting.LifeYears.Low, setting.LifeYears.High }
                              from lag in new[] { setting.LagQuarters.Low, setting.LagQuarters.High }
                              from depreciable in new[] { setting.Depreciable.Low, setting.Depreciable.High }
                              select value(new GlideCorner(life, lag, depreciable))];
        return new Interval(values.Min(), values.Max());
    }
}

internal readonly record struct GlideCorner(double LifeYears, double LagQuarters, double Depreciable);
