using System.Globalization;
using System.Numerics;

namespace Qanat.Books;

/// <summary>An exact quotient that is divided only when it is shown. A denominator of zero means that there is no such figure ("n/a").</summary>
public readonly record struct Ratio(BigInteger Numerator, BigInteger Denominator)
{
    public bool IsDefined => !Denominator.IsZero;

    /// <summary>The quotient rounded half away from zero to so many decimals, e.g. "-0.35"; "n/a" when there is none.</summary>
    public string ToDecimalText(int decimals) => Text(Numerator, decimals);

    /// <summary>The quotient in percent, e.g. "84.5"; "n/a" when there is none.</summary>
    public string ToPercentText(int decimals) => Text(Numerator * 100, decimals);

    private string Text(BigInteger numerator, int decimals)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(decimals);
        if (!IsDefined) return "n/a";
        BigInteger scale = BigInteger.Pow(10, decimals);
        BigInteger denominator = BigInteger.Abs(Denominator);
        BigInteger scaled = (BigInteger.Abs(numerator) * scale * 2 + denominator) / (denominator * 2);
        bool negative = numerator.Sign * Denominator.Sign < 0 && !scaled.IsZero;
        string digits = scaled.ToString(CultureInfo.InvariantCulture).PadLeft(decimals + 1, '0');
        string text = decimals == 0 ? digits : digits[..^decimals] + "." + digits[^decimals..];
        return negative ? "-" + text : text;
    }
}
