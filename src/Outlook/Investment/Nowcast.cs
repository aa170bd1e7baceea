using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>A forecast of one number, as samples or percentiles, and what came.</summary>
/// <param name="Sorted">Equally likely values, ascending.</param>
public sealed record ScoredForecast(Month Month, ImmutableArray<double> Sorted, double Actual)
{
    /// <summary>Continuous ranked probability score (Matheson and Winkler 1976) of the sample: mean |x - actual| - half the mean |x - x'|; the absolute error for a certain forecast, 0 is perfect.</summary>
    public double Score
    {
        get
        {
            double error = 0, spread = 0;
            int n = Sorted.Length;
            for (int i = 0; i < n; i++)
            {
                error += Math.Abs(Sorted[i] - Actual);
                // Among sorted values, x_i is the larger of i pairs and the smaller of n - 1 - i.
                spread += (2.0 * i - n + 1) * Sorted[i];
            }
            return error / n - spread / ((double)n * n);
        }
    }

    public bool IsInside(double coverage)
    {
        double tail = (1 - coverage) / 2;
        return Actual >= Sorted[(int)Math.Floor(tail * (Sorted.Length - 1))] && Actual <= Sorted[(int)Math.Ceiling((1 - tail) * (Sorted.Length - 1))];
    }
}

/// <summary>How well past forecasts did: the mean score, and how often the P10 to P90 range held what came (it should be 80 %).</summary>
public sealed record NowcastScore(ImmutableArray<ScoredForecast> Months, double MeanScore, double MeanAbsoluteActual, double Coverage80)
{
    public static NowcastScore Of(ImmutableArray<ScoredForecast> months) =>
        new(months, months.Average(m => m.Score), months.Average(m => Math.Abs(m.Actual)), (double)months.Count(m => m.IsInside(0.8)) / months.Length);

    /// <summary>The investment as it looked before its first month: what its drivers said, against what Books closed since. Null without actuals.</summary>
    public static NowcastScore? Of(Investment investment, ulong seed)
    {
        if (investment.Actuals.IsEmpty) return null;
        MonteCarloResult before = MonteCarlo.Run(investment with { Actuals = [] }, 2000, seed);
        var actual = new CashTable(investment.Months);
        new CashModel(investment).Fill(actual, CashModel.Medians(investment));
        return Of([.. investment.Actuals.Select(a => a.Month.Since(investment.Start)).Where(t => t >= 0 && t < investment.Months)
            .Select(t => new ScoredForecast(investment.Start.Plus(t), before.MonthSamples[t], actual.Net[t]))]);
    }
}
