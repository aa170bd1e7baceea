using System.Globalization;
using System.Numerics;

namespace Qanat.Books;

/// <summary>An ISO 4217 currency code, such as USD.</summary>
public readonly record struct Currency
{
    public static readonly Currency Usd = new("USD");

    public Currency(string code)
    {
        ArgumentNullException.ThrowIfNull(code);
        if (code.Length != 3 || !code.All(char.IsAsciiLetterUpper))
            throw new ArgumentException($"'{code}' is not a currency code: use three capital letters, such as USD.", nameof(code));
        Code = code;
    }

    public string Code { get; }
    public override string ToString() => Code;
}

/// <summary>An exact amount: 10^-12 of a currency unit, in an Int128. USD 0.05 per million tokens is 50,000 picos per token.</summary>
public readonly record struct Money(Int128 Picos, Currency Currency) : IComparable<Money>,
    IAdditionOperators<Money, Money, Money>, ISubtractionOperators<Money, Money, Money>
{
    public const long PicosPerUnit = 1_000_000_000_000;

    /// <summary>Units of a 64-bit amount, a point, and twelve decimals.</summary>
    private const int DecimalTextMax = 7 + 1 + 12;

    public static Money Zero(Currency currency) => new(0, currency);

    public bool IsZero => Picos == 0;
    public bool IsNegative => Int128.IsNegative(Picos);

    public static Money operator +(Money left, Money right) => new(checked(left.Picos + Same(left, right).Picos), left.Currency);
    public static Money operator -(Money left, Money right) => new(checked(left.Picos - Same(left, right).Picos), left.Currency);
    public static Money operator -(Money value) => new(checked(-value.Picos), value.Currency);
    public static Money operator *(Money value, Int128 factor) => new(checked(value.Picos * factor), value.Currency);
    public static bool operator <(Money left, Money right) => left.CompareTo(right) < 0;
    public static bool operator >(Money left, Money right) => left.CompareTo(right) > 0;
    public static bool operator <=(Money left, Money right) => left.CompareTo(right) <= 0;
    public static bool operator >=(Money left, Money right) => left.CompareTo(right) >= 0;

    public int CompareTo(Money other) => Picos.CompareTo(Same(this, other).Picos);

    /// <summary>Exact decimal text without the currency, e.g. "0.00005" or "-12.5"; no exponent, no trailing zeros.</summary>
    public string ToDecimalText()
    {
        // Nearly all amounts: 64 bits are divided and written many times as fast as 128.
        if (Picos >= 0 && Picos <= long.MaxValue) return ToDecimalText((long)Picos);
        UInt128 magnitude = IsNegative ? (UInt128)(-(BigInteger)Picos) : (UInt128)Picos;
        (UInt128 units, UInt128 rest) = UInt128.DivRem(magnitude, PicosPerUnit);
        string text = units.ToString(CultureInfo.InvariantCulture);
        if (rest != 0)
            text += "." + rest.ToString("D12", CultureInfo.InvariantCulture).TrimEnd('0');
        return IsNegative ? "-" + text : text;
    }

    private static string ToDecimalText(long picos)
    {
        Span<char> text = stackalloc char[DecimalTextMax];
        (long units, long rest) = Math.DivRem(picos, PicosPerUnit);
        _ = units.TryFormat(text, out int length, provider: CultureInfo.InvariantCulture);
        if (rest == 0) return text[..length].ToString();
        text[length++] = '.';
        _ = rest.TryFormat(text[length..], out int decimals, "D12", CultureInfo.InvariantCulture);
        return text[..(length + decimals)].TrimEnd('0').ToString();
    }

    /// <summary>Text for a page, rounded half away from zero to so many decimals (0 to 12), never fewer: "12.50". The books never round; only what is shown does.</summary>
    public string ToRoundedText(int decimals)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(decimals);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(decimals, 12);
        return new Ratio(Picos, PicosPerUnit).ToDecimalText(decimals);
    }

    public override string ToString() => $"{ToDecimalText()} {Currency.Code}";

    /// <summary>Reads exact decimal text with at most 12 decimals.</summary>
    /// <exception cref="FormatException">The text is not a plain decimal number, or needs more than 12 decimals.</exception>
    public static Money Parse(string text, Currency currency)
    {
        ArgumentNullException.ThrowIfNull(text);
        ReadOnlySpan<char> rest = text.AsSpan().Trim();
        bool negative = rest.StartsWith("-");
        if (negative) rest = rest[1..];
        int point = rest.IndexOf('.');
        ReadOnlySpan<char> units = point < 0 ? rest : rest[..point];
        ReadOnlySpan<char> decimals = point < 0 ? [] : rest[(point + 1)..].TrimEnd('0');
        bool digits = units.Length > 0 && point != rest.Length - 1 && !units.ContainsAnyExceptInRange('0', '9') && !decimals.ContainsAnyExceptInRange('0', '9');
        if (!digits || units.Length > 24 || decimals.Length > 12)
            throw new FormatException($"'{text}' is not an amount: write it like 12.50, with at most 12 decimals.");
        Int128 picos = checked(Int128.Parse(units, CultureInfo.InvariantCulture) * PicosPerUnit);
        if (decimals.Length > 0)
            picos += Int128.Parse(decimals.ToString().PadRight(12, '0'), CultureInfo.InvariantCulture);
        return new Money(negative ? -picos : picos, currency);
    }

    private static Money Same(Money left, Money right) => left.Currency == right.Currency
        ? right
        : throw new InvalidOperationException($"{left} and {right} cannot be combined: convert at a dated rate first.");
}
