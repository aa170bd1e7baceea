using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>
/// Payback of capital from cash that grows. Revenue at time t (years) is r (1+g)^t a year, cash is a share c of it, and growth takes k of capital per unit of yearly revenue added.
/// Capital K is back after T years when c r ((1+g)^T - 1) / ln(1+g) = K + k r ((1+g)^T - 1).
/// </summary>
public static class GrowthPath
{
    public const double YearsMax = 100;

    /// <summary>Years until the capital is back; infinite if never within <see cref="YearsMax"/>. Without growth: capital / (revenue x cash), the static payback.</summary>
    public static double Years(double capital, double revenue, double cash, double growth, double reinvested)
    {
        if (capital <= 0) return 0;
        if (revenue <= 0 || cash <= 0) return double.PositiveInfinity;
        if (Balance(capital, revenue, cash, growth, reinvested, YearsMax) < 0) return double.PositiveInfinity;
        // The balance is monotone in time: its factor c / ln(1+g) - k does not depend on time.
        double low = 0, high = YearsMax;
        for (int i = 0; i < 100; i++)
        {
            double middle = (low + high) / 2;
            if (Balance(capital, revenue, cash, growth, reinvested, middle) >= 0) high = middle;
            else low = middle;
        }
        return high;
    }

    /// <summary>The least growth a year at which the capital is back in the given time; 0 if it is back without growth, NaN if no growth up to 1,000 % does it.</summary>
    public static double RequiredGrowth(double capital, double revenue, double cash, double reinvested, double years)
    {
        const double Step = 0.005, GrowthMax = 10;
        double before = 0;
        for (double growth = 0; growth <= GrowthMax; growth += Step)
        {
            if (Balance(capital, revenue, cash, growth, reinvested, years) >= 0)
            {
                if (growth == 0) return 0;
                double low = before, high = growth;
                for (int i = 0; i < 60; i++)
                {
                    double middle = (low + high) / 2;
                    if (Balance(capital, revenue, cash, middle, reinvested, years) >= 0) high = middle;
                    else low = middle;
                }
                return high;
            }
            before = growth;
        }
        return double.NaN;
    }

    /// <summary>The most capital per unit of yearly revenue added at which some growth up to 1,000 % a year still brings the capital back in time: the largest of
    /// c / ln(1+g) - K / (r ((1+g)^T - 1)) over g.</summary>
    public static double ReinvestedMost(double capital, double revenue, double cash, double years)
    {
        double most = double.NegativeInfinity;
        for (double growth = 0.005; growth <= 10; growth += 0.005)
        {
            double log = double.LogP1(growth);
            most = Math.Max(most, cash / log - capital / (revenue * double.ExpM1(log * years)));
        }
        return most;
    }

    private static double Balance(double capital, double revenue, double cash, double growth, double reinvested, double years)
    {
        double log = double.LogP1(growth), added = Math.Abs(log) < 1e-12 ? 0 : double.ExpM1(log * years);
        double cumulated = Math.Abs(log) < 1e-12 ? years : added / log;
        return cash * revenue * cumulated - capital - reinvested * revenue * added;
    }
}

/// <summary>Payback years of one growth rate: over all corners of the assumptions, from the shortest to the longest.</summary>
public sealed record PaybackRow(double Growth, Interval Years, Interval YearsReinvesting);

/// <summary>The growth that a payback within the asked time needs, for one cash margin and one share of capital.</summary>
/// <param name="Growth">The least growth a year, if growth takes no further capital; NaN if none is enough.</param>
/// <param name="ReinvestedMost">The most capital per unit of yearly revenue added at which some growth is still enough; negative if none is.</param>
public sealed record GrowthNeed(double Cash, double Share, double Growth, double ReinvestedMost);

/// <summary>Payback of the capital behind AI revenue, static and on a growth path, with and without the capital that growth itself takes.</summary>
public sealed record PaybackResult(PaybackSetting Setting, ImmutableArray<Fact> RevenueFacts, ImmutableArray<Fact> CapitalFacts, Interval RevenuePerYear, Interval CapitalSpent, Interval Capital,
    Interval StaticYears, ImmutableArray<PaybackRow> Rows, ImmutableArray<GrowthNeed> Needs)
{
    private static readonly double[] Growths = [0, 0.25, 0.5, 0.75, 1.0, 1.5];
    private static readonly double[] CashMargins = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

    /// <summary>Null if the model has no payback setting, or revenue or capital of the quarter is not published.</summary>
    public static PaybackResult? Of(CompanyBook book, Quarter quarter)
    {
        if (book.Model.Payback is not { } setting) return null;
        if (Series.Of(book, setting.Revenue, quarter, 1) is not { } revenue || Series.Of(book, setting.Capital, quarter, setting.Quarters) is not { } capital) return null;
        Interval perYear = revenue.Sum * 4, spent = capital.Sum, behind = spent * setting.Share;
        if (perYear.Low <= 0 || !behind.IsBounded || !perYear.IsBounded) return null;
        var still = new Interval(behind.Low / (perYear.High * setting.CashMargin.High), behind.High / (perYear.Low * setting.CashMargin.Low));
        ImmutableArray<PaybackRow> rows = [.. Growths.Select(g => new PaybackRow(g, Range(setting, behind, perYear, g, setting.Reinvested.Low), Range(setting, behind, perYear, g, setting.Reinvested.High)))];
        ImmutableArray<GrowthNeed> needs = [.. from share in new[] { setting.Share.Low, setting.Share.Middle, setting.Share.High }
                                               from cash in CashMargins
                                               select new GrowthNeed(cash, share, GrowthPath.RequiredGrowth(spent.Middle * share, perYear.Middle, cash, 0, setting.Years),
                                                   GrowthPath.ReinvestedMost(spent.Middle * share, perYear.Middle, cash, setting.Years))];
        return new PaybackResult(setting, revenue.Facts, capital.Facts, perYear, spent, behind, still, rows, needs);
    }

    /// <summary>Capital per unit of yearly revenue so far, at least: as if all of today's revenue had been added with it.</summary>
    public double CapitalPerRevenueLeast => Capital.Low / RevenuePerYear.High;

    private static Interval Range(PaybackSetting setting, Interval capital, Interval revenue, double growth, double reinvested) => new(
        GrowthPath.Years(capital.Low, revenue.High, setting.CashMargin.High, growth, reinvested),
        GrowthPath.Years(capital.High, revenue.Low, setting.CashMargin.Low, growth, reinvested));
}

/// <summary>Published values of a line over some quarters.</summary>
internal sealed record Series(ImmutableArray<Fact> Facts, Interval Sum)
{
    /// <summary>The last quarters up to this one; null unless each is published.</summary>
    public static Series? Of(CompanyBook book, string line, Quarter last, int quarters)
    {
        var facts = ImmutableArray.CreateBuilder<Fact>();
        Interval sum = Interval.At(0);
        for (int back = 0; back < quarters; back++)
        {
            if (At(book, line, last.Plus(-back)) is not { } fact) return null;
            facts.Add(fact);
            sum += fact.Value!.Value;
        }
        return new Series(facts.ToImmutable(), sum);
    }

    /// <summary>The published quarter, the firmest if there are several.</summary>
    public static Fact? At(CompanyBook book, string line, Quarter quarter) => Published(book, line)
        .Where(f => f.Span == Span.Quarter && f.Quarter == quarter && f.Value is { IsBounded: true })
        .OrderBy(f => f.Definition == book.Model.DefinitionOf(quarter) || f.Definition.Length == 0 ? 0 : 1).ThenBy(f => f.Tier).FirstOrDefault();

    public static Fact? Year(CompanyBook book, string line, Quarter quarter) => Published(book, line)
        .FirstOrDefault(f => f.Span == Span.Year && f.Quarter >= quarter && f.Quarter < quarter.Plus(4) && f.Value is { IsBounded: true });

    private static IEnumerable<Fact> Published(CompanyBook book, string line) => book.Model.Line(line).Facts.SelectMany(b => book.Facts.Where(f => f.Measure == b.Measure));
}
