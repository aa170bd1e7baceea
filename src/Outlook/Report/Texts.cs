using System.Globalization;

namespace Qanat.Outlook;

/// <summary>Figures as a reader of accounts writes them: 48,437 and (13,860), 36.4 %, and "unbounded" where nothing limits them.</summary>
public static class Texts
{
    public static string Number(double value, int decimalsMax)
    {
        if (double.IsNaN(value)) return "n/a";
        if (double.IsInfinity(value)) return value > 0 ? "unbounded above" : "unbounded below";
        double rounded = Math.Round(value, decimalsMax, MidpointRounding.AwayFromZero);
        string digits = Math.Abs(rounded).ToString("#,##0." + new string('#', decimalsMax), CultureInfo.InvariantCulture);
        return rounded < 0 ? $"({digits})" : digits;
    }

    public static string Percent(double fraction, int decimalsMax = 0)
    {
        if (double.IsNaN(fraction)) return "n/a";
        if (double.IsInfinity(fraction)) return fraction > 0 ? "unbounded above" : "unbounded below";
        double rounded = Math.Round(fraction * 100, decimalsMax, MidpointRounding.AwayFromZero);
        string digits = Math.Abs(rounded).ToString("#,##0." + new string('#', decimalsMax), CultureInfo.InvariantCulture);
        // The space before % does not break.
        return $"{(rounded < 0 ? "−" : "")}{digits}\u00A0%";
    }

    public static string Range(Interval range, bool percent, int decimalsMax)
    {
        string One(double value) => percent ? Percent(value, decimalsMax) : Number(value, decimalsMax);
        if (range == Interval.Everything) return "not limited";
        if (double.IsInfinity(range.Low)) return $"at most {One(range.High)}";
        if (double.IsInfinity(range.High)) return $"at least {One(range.Low)}";
        return $"{One(range.Low)} to {One(range.High)}";
    }

    public static string Plain(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
