namespace Qanat.Outlook;

/// <summary>What a row of cash flows is worth. The first flow is now; the others follow month by month.</summary>
public static class CashMeasures
{
    /// <summary>Present value at a yearly rate.</summary>
    public static double NetPresentValue(ReadOnlySpan<double> flows, double ratePerYear)
    {
        double step = Math.Pow(1 + ratePerYear, -1.0 / 12), factor = 1, value = 0;
        foreach (double flow in flows)
        {
            value += flow * factor;
            factor *= step;
        }
        return value;
    }

    /// <summary>Months until the flows, discounted at a yearly rate (0: not), have paid back what they cost, with the share of the last month; infinite if never. A later dip counts:
    /// payback is the last time the sum turns from below zero.</summary>
    public static double PaybackMonths(ReadOnlySpan<double> flows, double ratePerYear)
    {
        double step = Math.Pow(1 + ratePerYear, -1.0 / 12), factor = 1, sum = 0, back = 0;
        bool below = false;
        for (int t = 0; t < flows.Length; t++)
        {
            double flow = flows[t] * factor, before = sum;
            sum += flow;
            if (sum < 0) below = true;
            else if (before < 0) { back = t + (flow > 0 ? -before / flow : 0); below = false; }
            factor *= step;
        }
        return below ? double.PositiveInfinity : back;
    }

    public static int SignChanges(ReadOnlySpan<double> flows)
    {
        int changes = 0, last = 0;
        foreach (double flow in flows)
        {
            int sign = Math.Sign(flow);
            if (sign == 0) continue;
            if (last != 0 && sign != last) changes++;
            last = sign;
        }
        return changes;
    }

    /// <summary>Every yearly rate between -99 % and 10,000 % at which the flows are worth nothing. One for a plain investment; none or several where cash changes sign more than once.</summary>
    public static IReadOnlyList<double> InternalRates(ReadOnlySpan<double> flows)
    {
        if (SignChanges(flows) == 0) return [];
        var roots = new List<double>();
        double[] own = flows.ToArray();
        // Evenly in the logarithm of 1 + rate, finely enough to part the roots that matter.
        const int Steps = 2000;
        double from = Math.Log(0.01), to = Math.Log(101);
        double before = NetPresentValue(own, 0.01 - 1), rateBefore = -0.99;
        for (int i = 1; i <= Steps; i++)
        {
            double rate = Math.Exp(from + (to - from) * i / Steps) - 1, value = NetPresentValue(own, rate);
            if (before == 0) roots.Add(rateBefore);
            else if (before * value < 0) roots.Add(MathNet.Numerics.RootFinding.Brent.FindRoot(r => NetPresentValue(own, r), rateBefore, rate, 1e-12, 200));
            (before, rateBefore) = (value, rate);
        }
        return roots;
    }

    /// <summary>The internal rate of a row with one change of sign, fast: Newton in the monthly factor, kept inside a bracket. NaN where there is none or more than one change.</summary>
    public static double InternalRate(ReadOnlySpan<double> flows)
    {
        if (SignChanges(flows) != 1) return double.NaN;
        // f(x) = sum of flow x^t has one positive root x = 1 / (1 + monthly rate).
        double low = 0.6, high = 1.6, x = 0.99;
        double atLow = Polynomial(flows, low, out _), atHigh = Polynomial(flows, high, out _);
        if (atLow * atHigh > 0) return double.NaN;
        for (int i = 0; i < 60; i++)
        {
            double f = Polynomial(flows, x, out double slope);
            if (f * atLow > 0) low = x; else high = x;
            double next = x - f / slope;
            if (!(next > low && next < high)) next = (low + high) / 2;
            if (Math.Abs(next - x) < 1e-13) { x = next; break; }
            x = next;
        }
        return Math.Pow(1 / x, 12) - 1;
    }

    /// <summary>The modified internal rate: outlays financed and returns reinvested at one yearly rate. NaN without outlays or without returns.</summary>
    public static double ModifiedInternalRate(ReadOnlySpan<double> flows, double ratePerYear)
    {
        double step = Math.Pow(1 + ratePerYear, 1.0 / 12), spent = 0, returned = 0;
        for (int t = 0; t < flows.Length; t++)
        {
            if (flows[t] < 0) spent -= flows[t] * Math.Pow(step, -t);
            else returned += flows[t] * Math.Pow(step, flows.Length - 1 - t);
        }
        return spent > 0 && returned > 0 && flows.Length > 1 ? Math.Pow(returned / spent, 12.0 / (flows.Length - 1)) - 1 : double.NaN;
    }

    private static double Polynomial(ReadOnlySpan<double> flows, double x, out double slope)
    {
        double value = 0;
        slope = 0;
        for (int t = flows.Length - 1; t >= 0; t--)
        {
            slope = slope * x + value;
            value = value * x + flows[t];
        }
        return value;
    }
}

/// <summary>The measures of one case.</summary>
/// <param name="PaybackMonths">From the start; infinite if never.</param> <param name="InternalRates">All of them: more than one means that the rate has no meaning here.</param>
/// <param name="ReturnOnInvestment">Net cash over all outlays.</param> <param name="ReturnOnCapital">Yearly operating profit after tax over the mean book value of the equipment.</param>
/// <param name="EconomicValue">Present value of operating profit after tax less the cost of the capital it ties up; equals the net present value.</param>
public sealed record InvestmentMeasures(double NetPresentValue, double PaybackMonths, double DiscountedPaybackMonths, IReadOnlyList<double> InternalRates, double ModifiedInternalRate,
    double ReturnOnInvestment, double ReturnOnCapital, double EconomicValue, double Outlays, int LifeMonths)
{
    public bool PaysBackInLife => PaybackMonths <= LifeMonths;

    public static InvestmentMeasures Of(CashTable table, double ratePerYear)
    {
        ReadOnlySpan<double> net = table.Net;
        double monthly = Math.Pow(1 + ratePerYear, 1.0 / 12) - 1, factor = 1, economic = 0, profit = 0, bookSum = 0, book = 0, outlays = 0;
        for (int t = 0; t < net.Length; t++)
        {
            // Profit after tax, with training expensed; flows fall at the end of their month as everywhere here, so capital is charged on the book value a month earlier.
            double bought = table.Book[t] - book + table.Depreciation[t] + (t == table.Life - 1 ? table.Scrap : 0);
            double after = table.Revenue[t] - table.OperatingCost[t] - table.Tax[t] - table.Depreciation[t] - (table.Outlay[t] - bought);
            economic += (after - monthly * book) * factor;
            profit += after;
            book = table.Book[t];
            bookSum += book;
            outlays += table.Outlay[t];
            factor /= 1 + monthly;
        }
        int life = table.Life;
        return new InvestmentMeasures(CashMeasures.NetPresentValue(net, ratePerYear), CashMeasures.PaybackMonths(net, 0), CashMeasures.PaybackMonths(net, ratePerYear), CashMeasures.InternalRates(net),
            CashMeasures.ModifiedInternalRate(net[..life], ratePerYear), outlays > 0 ? Sum(net) / outlays : double.NaN,
            bookSum > 0 ? profit / (life / 12.0) / (bookSum / life) : double.NaN, economic, outlays, life);
    }

    private static double Sum(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double value in values) sum += value;
        return sum;
    }
}
