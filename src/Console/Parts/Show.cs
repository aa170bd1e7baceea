using System.Globalization;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>How figures are written on the pages. Exact arithmetic on integers; a figure that is not zero is never written as zero.</summary>
public static class Show
{
    private const int SignificantAlone = 4;
    private const int SignificantInColumn = 3;
    private const int ColumnDigitsMax = 9;
    private static readonly CultureInfo Plain = CultureInfo.InvariantCulture;

    /// <summary>An amount as people read it: two decimals from one unit up, four significant digits below, e.g. "$12.34", "$0.001234", "−$0.50".</summary>
    public static string Amount(Money money) => Amount(money, DecimalsFor(money));

    /// <summary>An amount with a given number of decimals (0 to 12), rounded half away from zero; what would read as zero without being it reads "&lt;$0.0001".</summary>
    public static string Amount(Money money, int decimals)
    {
        UInt128 magnitude = Magnitude(money);
        string sign = money.IsNegative ? "−" : "";
        UInt128 step = PowerOfTen(12 - decimals);
        UInt128 rounded = (magnitude + step / 2) / step;
        if (rounded == 0 && magnitude != 0)
            return $"{sign}<{Symbol(money.Currency)}{Decimals(1, decimals)}";
        return $"{sign}{Symbol(money.Currency)}{Decimals(rounded, decimals)}";
    }

    /// <summary>Decimals that suit an amount that stands alone.</summary>
    public static int DecimalsFor(Money money)
    {
        UInt128 magnitude = Magnitude(money);
        if (magnitude >= Money.PicosPerUnit || magnitude == 0) return 2;
        int decimals = Math.Min(12, LeadingDecimals(magnitude) + SignificantAlone);
        while (decimals > 2 && IsExact(money, decimals - 1)) decimals--;
        return decimals;
    }

    /// <summary>Decimals that suit all of these amounts below each other: the smallest still shows three digits, unless the figures would become too long for the largest.</summary>
    public static int DecimalsFor(IEnumerable<Money> column)
    {
        UInt128 smallest = UInt128.MaxValue, largest = 0;
        bool exact = true;
        foreach (UInt128 magnitude in column.Select(Magnitude).Where(magnitude => magnitude != 0))
        {
            if (magnitude < smallest) smallest = magnitude;
            if (magnitude > largest) largest = magnitude;
            exact &= magnitude % PowerOfTen(10) == 0;
        }
        if (largest == 0 || exact) return 2;
        int wholeDigits = (largest / Money.PicosPerUnit).ToString(Plain).Length;
        int wanted = smallest >= Money.PicosPerUnit ? 2 : LeadingDecimals(smallest) + SignificantInColumn;
        return Math.Clamp(wanted, 2, Math.Max(2, ColumnDigitsMax - wholeDigits));
    }

    /// <summary>The exact figure with its currency, e.g. "0.0012345 USD".</summary>
    public static string Exact(Money money) => money.ToString();

    /// <summary>True when <see cref="Amount(Money, int)"/> with these decimals hides nothing.</summary>
    public static bool IsExact(Money money, int decimals) => Magnitude(money) % PowerOfTen(12 - decimals) == 0;

    /// <summary>Money per token written per million tokens, as price lists do, e.g. "$0.05".</summary>
    public static string PerMillion(Money perToken) => Amount(perToken * 1_000_000);

    public static string Count(long value) => value.ToString("N0", Plain);

    /// <summary>A count in a tile: 1,234 up to 9,999, then 12.3k, 4.5M, 6.7B.</summary>
    public static string Short(long value) => Math.Abs(value) switch
    {
        < 10_000 => value.ToString("N0", Plain),
        < 1_000_000 => (value / 1_000m).ToString(Math.Abs(value) < 100_000 ? "0.0" : "0", Plain) + "k",
        < 1_000_000_000 => (value / 1_000_000m).ToString("0.0", Plain) + "M",
        _ => (value / 1_000_000_000m).ToString("0.0", Plain) + "B",
    };

    /// <summary>A part of a whole as a percentage with one decimal, e.g. "42.0 %", from 1,000 % on without it; a dash when the whole is zero.</summary>
    public static string Percent(Money part, Money whole)
    {
        if (whole.IsZero) return "–";
        Int128 permille = RoundedRatio(part.Picos, whole.Picos, 1000);
        return Permille(permille);
    }

    public static string Percent(long part, long whole) => whole == 0 ? "–" : Permille(RoundedRatio(part, whole, 1000));

    /// <summary>Nanoseconds in the unit that reads best: "412 µs", "8.3 ms", "2.41 s", "3 m 05 s", "2 h 11 m".</summary>
    public static string Duration(long nanoseconds) => nanoseconds switch
    {
        < 1_000 => $"{nanoseconds} ns",
        < 1_000_000 => (nanoseconds / 1_000m).ToString("0.#", Plain) + " µs",
        < 1_000_000_000 => (nanoseconds / 1_000_000m).ToString("0.#", Plain) + " ms",
        < 60_000_000_000 => (nanoseconds / 1_000_000_000m).ToString("0.00", Plain) + " s",
        < 3_600_000_000_000 => $"{nanoseconds / 60_000_000_000} m {nanoseconds / 1_000_000_000 % 60:00} s",
        _ => $"{Count(nanoseconds / 3_600_000_000_000)} h {nanoseconds / 60_000_000_000 % 60:00} m",
    };

    public static string Time(Instant at) => at.ToDateTimeOffset().ToString("HH:mm:ss", Plain);
    public static string Date(Instant at) => at.ToDateTimeOffset().ToString("d MMM yyyy", Plain);
    public static string Hour(Instant at) => at.ToDateTimeOffset().ToString("d MMM yyyy HH:'00'", Plain);
    public static string DateTime(Instant at) => at.ToDateTimeOffset().ToString("d MMM yyyy HH:mm:ss", Plain);

    /// <summary>From when something applies; what applies from the beginning of time has no date.</summary>
    public static string Since(Instant at) => at.UnixNanoseconds == 0 ? "the beginning" : DateTime(at);

    /// <summary>Time with milliseconds, for the course of one request.</summary>
    public static string Precise(Instant at) => at.ToDateTimeOffset().ToString("HH:mm:ss.fff", Plain);

    /// <summary>The last eight characters of an id: enough to tell rows apart; pages show the whole id on demand.</summary>
    public static string ShortId(Guid id) => id.ToString("N")[^8..];

    public static string Symbol(Currency currency) => currency.Code switch { "USD" => "$", "EUR" => "€", "GBP" => "£", "CNY" => "CN¥", "JPY" => "¥", _ => currency.Code + " " };

    private static string Permille(Int128 permille)
    {
        string sign = permille < 0 ? "−" : "";
        UInt128 magnitude = (UInt128)Int128.Abs(permille);
        string whole = ((long)((magnitude + (magnitude >= 10_000 ? 5u : 0u)) / 10)).ToString("N0", Plain);
        return magnitude >= 10_000 ? $"{sign}{whole} %" : $"{sign}{whole}.{magnitude % 10} %";
    }

    private static Int128 RoundedRatio(Int128 part, Int128 whole, int scale)
    {
        bool negative = part < 0 != whole < 0 && part != 0;
        Int128 top = Int128.Abs(part) * scale;
        Int128 bottom = Int128.Abs(whole);
        Int128 rounded = (top + bottom / 2) / bottom;
        return negative ? -rounded : rounded;
    }

    /// <summary>Zeros after the point before the first other digit, of an amount below one unit.</summary>
    private static int LeadingDecimals(UInt128 magnitude)
    {
        int zeros = 0;
        for (UInt128 digit = Money.PicosPerUnit / 10; magnitude < digit; digit /= 10) zeros++;
        return zeros;
    }

    private static UInt128 Magnitude(Money money) => money.IsNegative ? (UInt128)(-money.Picos) : (UInt128)money.Picos;

    private static UInt128 PowerOfTen(int exponent)
    {
        UInt128 power = 1;
        for (int i = 0; i < exponent; i++) power *= 10;
        return power;
    }

    private static string Decimals(UInt128 scaled, int decimals)
    {
        UInt128 unit = PowerOfTen(decimals);
        string whole = Grouped((scaled / unit).ToString(Plain));
        return decimals == 0 ? whole : $"{whole}.{(scaled % unit).ToString(Plain).PadLeft(decimals, '0')}";
    }

    private static string Grouped(string digits)
    {
        for (int i = digits.Length - 3; i > 0; i -= 3)
            digits = digits.Insert(i, ",");
        return digits;
    }
}
