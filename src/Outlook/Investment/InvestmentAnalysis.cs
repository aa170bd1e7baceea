using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>One driver from its P10 to its P90, the others at their medians.</summary>
public sealed record DriverBar(DriverSetting Setting, double P10, double P90, double ValueAtP10, double ValueAtP90)
{
    public double Swing => Math.Abs(ValueAtP90 - ValueAtP10);
}

/// <summary>The value of a driver at which the net present value is zero, the others at their medians; null if none in the range looked at.</summary>
public sealed record BreakEven(DriverSetting Setting, double Median, double? Value);

/// <summary>Every driver at a quartile: the one that hurts (bear), the median (base), the one that helps (bull).</summary>
public sealed record Scenario(string Name, InvestmentMeasures Measures, CashTable Table, ImmutableArray<double> Drivers);

/// <summary>Everything that is said about an investment.</summary>
public sealed record InvestmentAnalysis(Investment Investment, InvestmentMeasures Base, CashTable Table, ImmutableArray<Scenario> Scenarios, MonteCarloResult MonteCarlo, ImmutableArray<DriverBar> Tornado,
    ImmutableArray<BreakEven> BreakEvens, HeatMap LifeByUtilisation, NowcastScore? Backtest)
{
    public static readonly ImmutableArray<double> Lives = [2, 3, 4, 5, 6, 8], Utilisations = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95];

    public static InvestmentAnalysis Run(Investment investment, int paths, ulong seed)
    {
        var model = new CashModel(investment);
        var table = new CashTable(investment.Months);
        double[] medians = CashModel.Medians(investment);
        model.Fill(table, medians);
        ImmutableArray<DriverBar> tornado = Bars(investment, model, medians);
        return new InvestmentAnalysis(investment, InvestmentMeasures.Of(table, investment.DiscountRate), table, Cases(investment, model, medians, tornado), Outlook.MonteCarlo.Run(investment, paths, seed), tornado,
            Zeros(investment, model, medians), Map(investment, model, medians), NowcastScore.Of(investment, seed));
    }

    private static double Worth(Investment investment, CashModel model, double[] drivers)
    {
        var table = new CashTable(investment.Months);
        model.Fill(table, drivers);
        return CashMeasures.NetPresentValue(table.Net, investment.DiscountRate);
    }

    private static double[] Moved(double[] drivers, Driver driver, double value)
    {
        double[] moved = [.. drivers];
        moved[(int)driver] = value;
        return moved;
    }

    private static ImmutableArray<DriverBar> Bars(Investment investment, CashModel model, double[] medians) =>
        [.. investment.Drivers.Where(d => !d.Distribution.IsCertain).Select(d =>
        {
            double low = d.Distribution.Quantile(0.1), high = d.Distribution.Quantile(0.9);
            return new DriverBar(d, low, high, Worth(investment, model, Moved(medians, d.Driver, low)), Worth(investment, model, Moved(medians, d.Driver, high)));
        }).OrderByDescending(b => b.Swing)];

    private static ImmutableArray<Scenario> Cases(Investment investment, CashModel model, double[] medians, ImmutableArray<DriverBar> bars)
    {
        Scenario At(string name, double good)
        {
            double[] drivers = [.. medians];
            foreach (DriverBar bar in bars) drivers[(int)bar.Setting.Driver] = bar.Setting.Distribution.Quantile(bar.ValueAtP90 >= bar.ValueAtP10 ? good : 1 - good);
            var table = new CashTable(investment.Months);
            model.Fill(table, drivers);
            return new Scenario(name, InvestmentMeasures.Of(table, investment.DiscountRate), table, [.. drivers]);
        }
        return [At("bear: every driver at its worse quartile", 0.25), At("base: every driver at its median", 0.5), At("bull: every driver at its better quartile", 0.75)];
    }

    /// <summary>Looks from nothing to eight times the median, and for shares from 0 to 1.</summary>
    private static ImmutableArray<BreakEven> Zeros(Investment investment, CashModel model, double[] medians) =>
        [.. investment.Drivers.Where(d => d.Driver is not (Driver.RampMonths or Driver.IdleShare)).Select(d =>
        {
            double median = d.Distribution.Median, from = 0, to = d.Driver is Driver.UtilisationStart or Driver.UtilisationEnd or Driver.PriceRealised or Driver.Residual or Driver.PriceDecline ? 0.999 : Math.Max(median * 8, 1e-9);
            if (d.Driver == Driver.UsefulLife) (from, to) = (1.0 / 12, investment.Months / 12.0);
            double Value(double x) => Worth(investment, model, Moved(medians, d.Driver, x));
            // A ramp from a start above its end is no ramp: both utilisations move together.
            if (d.Driver == Driver.UtilisationEnd)
                return new BreakEven(d, median, Root(x => { double[] moved = Moved(medians, Driver.UtilisationEnd, x); moved[(int)Driver.UtilisationStart] = Math.Min(x, medians[(int)Driver.UtilisationStart]); return Worth(investment, model, moved); }, from, to));
            return new BreakEven(d, median, Root(Value, from, to));
        })];

    private static double? Root(Func<double, double> value, double from, double to)
    {
        const int Steps = 40;
        double before = value(from), at = from;
        for (int i = 1; i <= Steps; i++)
        {
            double x = from + (to - from) * i / Steps, now = value(x);
            if (before == 0) return at;
            if (before * now < 0)
            {
                double low = at, high = x;
                for (int k = 0; k < 80; k++)
                {
                    double middle = (low + high) / 2;
                    if (value(middle) * before > 0) low = middle; else high = middle;
                }
                return (low + high) / 2;
            }
            (before, at) = (now, x);
        }
        return null;
    }

    private static HeatMap Map(Investment investment, CashModel model, double[] medians)
    {
        double outlays = Math.Max(1, investment.Outlays.Sum(o => o.Amount));
        double At(double life, double use)
        {
            double[] moved = Moved(medians, Driver.UsefulLife, life);
            moved[(int)Driver.UtilisationEnd] = use;
            moved[(int)Driver.UtilisationStart] = Math.Min(use, medians[(int)Driver.UtilisationStart]);
            return Worth(investment, model, moved) / outlays;
        }
        ImmutableArray<double> lives = [.. Lives.Where(l => l * 12 <= investment.Months)];
        return new HeatMap("Net present value by life and utilisation", "net present value as a share of all outlays; 0 % is break-even", "useful life, years", [.. lives.Select(l => Texts.Number(l, 0))],
            "utilisation after the ramp", [.. Utilisations.Select(u => Texts.Percent(u))], [.. lives.Select(l => Utilisations.Select(u => At(l, u)).ToImmutableArray())], 1, -1, v => Texts.Percent(v));
    }
}
