using System.Globalization;
using System.Text;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>Geometry of the charts. Figures are doubles here and only here: a pixel needs no exact cents.</summary>
internal static class ChartMath
{
    /// <summary>The smallest round figure that is at least this and can be halved.</summary>
    public static double NiceCeiling(double value)
    {
        if (value <= 0) return 1;
        double power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        foreach (double step in (ReadOnlySpan<double>)[1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10])
            if (step * power >= value) return step * power;
        return 10 * power;
    }

    /// <summary>The line through the values in a box of 0..count-1 by 0..100, higher values further up.</summary>
    public static string Line(IReadOnlyList<double> values, double top)
    {
        var path = new StringBuilder(values.Count * 10);
        for (int index = 0; index < values.Count; index++)
            path.Append(index == 0 ? 'M' : 'L').Append(index).Append(' ').Append(Number(100 - values[index] / top * 100));
        return path.ToString();
    }

    /// <summary>The same, closed along the bottom.</summary>
    public static string Area(IReadOnlyList<double> values, double top) =>
        string.Create(CultureInfo.InvariantCulture, $"{Line(values, top)}L{values.Count - 1} 100L0 100Z");

    /// <summary>Share of a whole in percent, for widths: 0 to 100.</summary>
    public static string PercentOf(double part, double whole) => Number(whole <= 0 ? 0 : Math.Clamp(part / whole * 100, 0, 100));

    public static double Of(Money money) => (double)money.Picos / Money.PicosPerUnit;

    public static string Number(double value) => Math.Round(value, 3).ToString(CultureInfo.InvariantCulture);
}
