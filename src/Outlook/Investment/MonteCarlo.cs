using System.Collections.Immutable;
using MathNet.Numerics.Distributions;

namespace Qanat.Outlook;

/// <summary>Percentiles of one measure over all cases.</summary>
public sealed record Percentiles(double P5, double P10, double P25, double P50, double P75, double P90, double P95)
{
    public static Percentiles OfSorted(ReadOnlySpan<double> sorted)
    {
        double At(ReadOnlySpan<double> s, double p) => s.IsEmpty ? double.NaN : s[(int)Math.Min(s.Length - 1, Math.Floor(p * s.Length))];
        return new Percentiles(At(sorted, 0.05), At(sorted, 0.1), At(sorted, 0.25), At(sorted, 0.5), At(sorted, 0.75), At(sorted, 0.9), At(sorted, 0.95));
    }
}

/// <summary>Cumulated cash at one month, over all cases.</summary>
public sealed record FanPoint(Month Month, int Index, Percentiles Cumulated);

/// <param name="InternalRate">Over the cases that have exactly one.</param>
public sealed record MonteCarloResult(int Paths, ulong Seed, Percentiles NetPresentValue, Percentiles PaybackMonths, Percentiles InternalRate, Percentiles ReturnOnInvestment,
    double ProbabilityOfPayback, double ProbabilityOfGain, double ShareWithOneRate, ImmutableArray<FanPoint> Fan)
{
    /// <summary>Net cash of each month in some cases, sorted: what a backtest compares with what happened.</summary>
    public required ImmutableArray<ImmutableArray<double>> MonthSamples { get; init; }
}

/// <summary>Many cases of an investment, drawn from its drivers. The seed alone decides them: the paths are drawn in fixed blocks, each with its own stream, whatever the number of processors.</summary>
public static class MonteCarlo
{
    public const int PathsDefault = 100_000;
    private const int BlockSize = 1000;
    private const int FanPointsMax = 40, MonthSampleCount = 2000;

    public static MonteCarloResult Run(Investment investment, int paths, ulong seed)
    {
        if (paths is < 1 or > 10_000_000) throw new ArgumentOutOfRangeException(nameof(paths), paths, "Draw between 1 and 10,000,000 paths.");
        var model = new CashModel(investment);
        var draw = new DriverDraw(investment);
        int[] shown = [.. Enumerable.Range(0, investment.Months).Where(t => t == investment.Months - 1 || t % ((investment.Months + FanPointsMax - 1) / FanPointsMax) == 0)];
        double[] worth = new double[paths], payback = new double[paths], rate = new double[paths], roi = new double[paths];
        float[][] cumulated = [.. shown.Select(_ => new float[paths])];
        int kept = Math.Min(paths, MonthSampleCount), paid = 0;
        double[][] months = [.. Enumerable.Range(0, investment.Months).Select(_ => new double[kept])];
        Parallel.For(0, (paths + BlockSize - 1) / BlockSize, block =>
        {
            var random = new SeededRandom(seed, (ulong)block + 1);
            var table = new CashTable(investment.Months);
            double[] values = draw.Medians(), normals = draw.Buffer();
            int paidHere = 0;
            for (int path = block * BlockSize; path < Math.Min(paths, (block + 1) * BlockSize); path++)
            {
                draw.Next(random, normals, values);
                model.Fill(table, values);
                worth[path] = CashMeasures.NetPresentValue(table.Net, investment.DiscountRate);
                payback[path] = CashMeasures.PaybackMonths(table.Net, 0);
                rate[path] = CashMeasures.InternalRate(table.Net);
                if (payback[path] <= table.Life) paidHere++;
                double sum = 0, outlays = 0;
                int next = 0;
                for (int t = 0; t < investment.Months; t++)
                {
                    sum += table.Net[t];
                    outlays += table.Outlay[t];
                    if (path < kept) months[t][path] = table.Net[t];
                    if (next < shown.Length && shown[next] == t) cumulated[next++][path] = (float)sum;
                }
                roi[path] = outlays > 0 ? sum / outlays : double.NaN;
            }
            Interlocked.Add(ref paid, paidHere);
        });
        var fan = new FanPoint[shown.Length];
        Parallel.For(0, shown.Length, i =>
        {
            Array.Sort(cumulated[i]);
            fan[i] = new FanPoint(investment.Start.Plus(shown[i]), shown[i], Percentiles.OfSorted(Array.ConvertAll(cumulated[i], v => (double)v)));
        });
        foreach (double[] month in months) Array.Sort(month);
        double[] rates = [.. rate.Where(r => !double.IsNaN(r))];
        return new MonteCarloResult(paths, seed, Sorted(worth), Sorted(payback), Sorted(rates), Sorted([.. roi.Where(r => !double.IsNaN(r))]), (double)paid / paths,
            (double)worth.Count(w => w > 0) / paths, (double)rates.Length / paths, [.. fan])
        { MonthSamples = [.. months.Select(m => m.ToImmutableArray())] };
    }

    private static Percentiles Sorted(double[] values)
    {
        Array.Sort(values);
        return Percentiles.OfSorted(values);
    }

    /// <summary>Draws the uncertain drivers; the certain ones keep their values.</summary>
    private sealed class DriverDraw
    {
        private readonly double[] _medians;
        private readonly DriverSetting[] _uncertain;
        private readonly double[][] _factor;

        public DriverDraw(Investment investment)
        {
            _medians = CashModel.Medians(investment);
            _uncertain = [.. investment.Drivers.Where(d => !d.Distribution.IsCertain)];
            Correlation[] joined = [.. investment.Correlations.Where(c => _uncertain.Any(d => d.Driver == c.First) && _uncertain.Any(d => d.Driver == c.Second))];
            _factor = DriverCopula.Factor(_uncertain, joined) ?? throw new InvalidOperationException("The correlations were accepted but cannot hold.");
        }

        public double[] Medians() => [.. _medians];
        public double[] Buffer() => new double[_uncertain.Length];

        public void Next(SeededRandom random, double[] normals, double[] values)
        {
            for (int i = 0; i < normals.Length; i++) normals[i] = random.NextNormal();
            for (int i = 0; i < normals.Length; i++)
            {
                double z = 0;
                for (int j = 0; j <= i; j++) z += _factor[i][j] * normals[j];
                values[(int)_uncertain[i].Driver] = _uncertain[i].Distribution.Quantile(Math.Clamp(Normal.CDF(0, 1, z), 1e-12, 1 - 1e-12));
            }
        }
    }
}
