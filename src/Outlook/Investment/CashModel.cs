using System.Runtime.InteropServices;
using Qanat.Books;

namespace Qanat.Outlook;

/// <summary>The months of one case of an investment, column by column. Amounts are in the investment's currency.</summary>
public sealed class CashTable(int months)
{
    public double[] Revenue { get; } = new double[months];
    public double[] OperatingCost { get; } = new double[months];
    public double[] Outlay { get; } = new double[months];
    public double[] Depreciation { get; } = new double[months];
    public double[] Tax { get; } = new double[months];
    /// <summary>Revenue less operating cost, tax and outlays, and the residual value in the last month.</summary>
    public double[] Net { get; } = new double[months];
    /// <summary>Net book value of the equipment at the end of the month.</summary>
    public double[] Book { get; } = new double[months];
    /// <summary>Months until the equipment is taken out.</summary>
    public int Life { get; set; }
    /// <summary>What the equipment brings when it is taken out.</summary>
    public double Scrap { get; set; }
}

/// <summary>
/// Turns drivers into months of cash. Sold units are the lesser of demand and capacity at its utilisation; price falls, power is paid by load, fixed cost grows, equipment is written off
/// in a straight line to its residual, training is expensed, losses carry forward against tax. Months that Books has closed are taken as they were.
/// </summary>
public sealed class CashModel
{
    private const double HoursPerMonth = 8766.0 / 12;
    private readonly Investment _investment;
    private readonly double[] _equipment, _training;
    private readonly ActualMonth?[] _actuals;

    public CashModel(Investment investment)
    {
        _investment = investment;
        _equipment = new double[investment.Months];
        _training = new double[investment.Months];
        foreach (Outlay outlay in investment.Outlays)
        {
            int at = Math.Max(0, outlay.Month.Since(investment.Start));
            if (at < investment.Months) (outlay.Kind == OutlayKind.Equipment ? _equipment : _training)[at] += outlay.Amount;
        }
        _actuals = new ActualMonth?[investment.Months];
        foreach (ActualCashFlow actual in investment.Actuals)
        {
            int at = actual.Month.Since(investment.Start);
            if (at >= 0 && at < investment.Months) _actuals[at] = new ActualMonth(Real(actual.Revenue), Real(actual.OperatingCost), Real(actual.CapitalSpent));
        }
    }

    public int Months => _investment.Months;

    /// <summary>Fills the table for one value of each driver, in the order of <see cref="Driver"/>.</summary>
    public void Fill(CashTable table, ReadOnlySpan<double> drivers)
    {
        int life = Math.Clamp((int)Math.Round(drivers[(int)Driver.UsefulLife] * 12), 1, Months);
        table.Life = life;
        table.Scrap = 0;
        double price = drivers[(int)Driver.Price] * drivers[(int)Driver.PriceRealised], priceStep = Monthly(-drivers[(int)Driver.PriceDecline]);
        double demand = drivers[(int)Driver.DemandStart], demandStep = Monthly(drivers[(int)Driver.DemandGrowth]);
        double tariff = drivers[(int)Driver.Tariff], tariffStep = Monthly(drivers[(int)Driver.TariffGrowth]);
        double @fixed = drivers[(int)Driver.FixedCost], fixedStep = Monthly(drivers[(int)Driver.FixedCostGrowth]);
        double capacity = drivers[(int)Driver.Capacity], unitCost = drivers[(int)Driver.UnitCost], start = drivers[(int)Driver.UtilisationStart], end = drivers[(int)Driver.UtilisationEnd];
        double ramp = Math.Max(1, drivers[(int)Driver.RampMonths]), residual = drivers[(int)Driver.Residual];
        double powerHours = drivers[(int)Driver.PowerKw] * drivers[(int)Driver.Pue] * HoursPerMonth, idle = drivers[(int)Driver.IdleShare];
        double carried = 0, book = 0, perMonth = 0, bought = 0;
        for (int t = 0; t < Months; t++)
        {
            double revenue = 0, cost = 0, outlay = _equipment[t] + _training[t], depreciation = 0, scrap = 0;
            if (t < life)
            {
                double planned = capacity * (start + (end - start) * Math.Min(1, t / ramp)), sold = Math.Min(planned, demand);
                double load = capacity > 0 ? sold / capacity : 0;
                revenue = sold * price;
                cost = sold * unitCost + powerHours * (idle + (1 - idle) * load) * tariff + @fixed;
            }
            else
                outlay = 0;
            if (_actuals[t] is { } actual)
            {
                revenue = actual.Revenue;
                cost = actual.Cost;
                outlay = actual.Capital;
            }
            double equipment = t < life ? (_actuals[t] is null ? _equipment[t] : Math.Max(0, outlay - _training[t])) : 0;
            if (equipment > 0)
            {
                bought += equipment;
                book += equipment;
                perMonth += equipment * (1 - residual) / (life - t);
            }
            if (t < life)
            {
                depreciation = perMonth;
                book -= depreciation;
                if (t == life - 1) { table.Scrap = scrap = bought * residual; book = 0; }
            }
            double training = Math.Max(0, outlay - equipment), profit = revenue - cost - depreciation - training;
            double taxed = Math.Max(0, profit - carried);
            carried = Math.Max(0, carried - profit);
            double tax = taxed * _investment.TaxRate;
            table.Revenue[t] = revenue;
            table.OperatingCost[t] = cost;
            table.Outlay[t] = outlay;
            table.Depreciation[t] = depreciation;
            table.Tax[t] = tax;
            table.Net[t] = revenue - cost - tax - outlay + scrap;
            table.Book[t] = book;
            price *= priceStep;
            demand *= demandStep;
            tariff *= tariffStep;
            @fixed *= fixedStep;
        }
    }

    /// <summary>The median of every driver.</summary>
    public static double[] Medians(Investment investment) => [.. Enum.GetValues<Driver>().Select(d => investment[d].Median)];

    private static double Monthly(double perYear) => Math.Pow(1 + perYear, 1.0 / 12);

    private static double Real(Money money) => (double)money.Picos / Money.PicosPerUnit;

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct ActualMonth(double Revenue, double Cost, double Capital);
}
