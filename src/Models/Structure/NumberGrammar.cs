using System.Globalization;

namespace Qanat.Models;

/// <summary>Numbers between bounds, as text.</summary>
internal sealed class NumberGrammar(Grammar grammar, JsonGrammar json)
{
    private const long Largest = 999_999_999_999_999;
    private const int ListedMax = 1000, FractionDigitsMax = 15;

    /// <summary>Remainders, each beside each digit of the bounds.</summary>
    private const int WithinMax = 200;

    /// <summary>Smaller steps than numbers are written in here.</summary>
    private const decimal FactorMin = 1e-9m;

    /// <summary>Without an exponent and without zeros at the end.</summary>
    private const string PlainDigits = "0.############################";

    private TextGrammar Text => json.Bytes;

    /// <summary>Whole numbers; null: no bound.</summary>
    public Expression Integers(long? min, long? max)
    {
        if (min is null && max is null) return json.Integer;
        long low = Math.Max(min ?? -Largest, -Largest), high = Math.Min(max ?? Largest, Largest);
        List<Expression> choices = [];
        if (high >= 0 && low <= high) choices.Add(Naturals(Math.Max(0, low), high));
        if (low < 0 && low <= high) choices.Add(grammar.Sequence(Text.Literal("-"), Naturals(Math.Max(1, -high), -low)));
        return grammar.Choice([.. choices]);
    }

    /// <summary>Multiples between bounds: all of them where they are few enough to list; else the whole ones, and of parts of one as many as can be written in a few ways.</summary>
    /// <returns>Null: they cannot be kept.</returns>
    public Expression? Multiples(NumberBounds bounds, bool onlyIntegers)
    {
        decimal factor = bounds.Factor!.Value;
        if (factor < FactorMin) return null;
        if (onlyIntegers) factor = Numerator(factor);
        if (factor > int.MaxValue) return null;
        if (bounds.Min is { } min && bounds.Max is { } max && (max - min) / factor <= ListedMax)
        {
            bounds = bounds with { Factor = factor };
            List<Expression> choices = [];
            for (decimal each = decimal.Floor(min / factor) * factor; each <= max; each += factor)
                if (bounds.Allow(each)) choices.Add(Text.Literal(each.ToString(PlainDigits, CultureInfo.InvariantCulture)));
            return grammar.Choice([.. choices]);
        }
        if (bounds.Min is null && bounds.Max is null) return AllMultiples(factor);
        Grammar digits = new();
        NumberGrammar both = new(digits, new JsonGrammar(digits));
        if (Numerator(factor) > WithinMax || both.AllMultiples(factor) is not { } multiples) return null;
        Expression within = onlyIntegers ? both.Integers(bounds.LeastWhole, bounds.GreatestWhole) : both.Numbers(bounds);
        return CharacterAutomaton.Of(digits, RegexReader.Marked(digits, digits.Both(multiples, within))).Into(grammar, "multiples", set => grammar.Set(set));
    }

    /// <summary>Multiples without bounds; null: of so large a number that there are too many remainders.</summary>
    private Expression? AllMultiples(decimal factor)
    {
        decimal whole = Numerator(factor);
        if (whole > ListedMax) return null;
        if (whole > 1)
        {
            Expression natural = MultiplesFrom((long)whole);
            return grammar.Choice(natural, grammar.Sequence(Text.Literal("-"), natural));
        }
        if (factor == 1) return json.Integer;
        // Every whole number is a multiple of a part of one, and so is each with some of the parts behind it: those of so many digits, or those that are listed.
        string digits = factor.ToString(PlainDigits, CultureInfo.InvariantCulture)[2..];
        Expression fraction = digits.TrimStart('0') == "1" ? grammar.Sequence(Text.Literal("."), grammar.Repeat(Digit('0', '9'), 1, digits.Length))
            : 1 / factor <= ListedMax ? grammar.Choice([.. Enumerable.Range(1, (int)(1 / factor) - 1).Select(part => Text.Literal((part * factor).ToString(PlainDigits, CultureInfo.InvariantCulture)[1..]))])
            : grammar.Nothing;
        return grammar.Sequence(json.Integer, grammar.Optional(fraction));
    }

    /// <summary>The whole numbers that are multiples of a decimal are those of its numerator in lowest terms.</summary>
    private static decimal Numerator(decimal factor)
    {
        decimal denominator = 1;
        while (factor * denominator != decimal.Truncate(factor * denominator)) denominator *= 10;
        decimal numerator = factor * denominator, a = numerator, b = denominator;
        while (b != 0) (a, b) = (b, a % b);
        return numerator / a;
    }

    /// <summary>Numbers with and without a fraction between bounds.</summary>
    public Expression Numbers(NumberBounds bounds)
    {
        (decimal? min, bool minExcluded, decimal? max, bool maxExcluded, _) = bounds;
        if (min is null && max is null) return json.Number;
        int digits = Math.Max(1, Math.Max(Decimals(min ?? 0), Decimals(max ?? 0)) + (minExcluded || maxExcluded ? 1 : 0));
        decimal scale = 1;
        for (int i = 0; i < digits; i++) scale *= 10;
        decimal least = Math.Max(min ?? -Largest, -Largest), most = Math.Min(max ?? Largest, Largest);
        decimal low = least * scale + (minExcluded ? 1 : 0), high = most * scale - (maxExcluded ? 1 : 0);
        List<Expression> choices = [];
        if (high >= 0 && low <= high) choices.Add(Scaled(Math.Max(0, low), high, (long)scale, digits));
        if (low < 0 && low <= high) choices.Add(grammar.Sequence(Text.Literal("-"), Scaled(Math.Max(1, -high), -low, (long)scale, digits)));
        return grammar.Choice([.. choices]);
    }

    private static int Decimals(decimal value)
    {
        int digits = 0;
        for (; digits < 10 && value != decimal.Truncate(value); digits++) value *= 10;
        return digits;
    }

    /// <summary>Numbers whose whole part and first digits lie between two scaled ones. Where a whole part lies wholly within, any fraction may follow it.</summary>
    private Expression Scaled(decimal low, decimal high, long scale, int digits)
    {
        long lowWhole = (long)(low / scale), highWhole = (long)(high / scale);
        long lowPart = (long)(low % scale), highPart = (long)(high % scale);
        List<Expression> choices = [];
        Expression Edge(long whole, long from, long to) => grammar.Sequence(Text.Literal(whole.ToString(CultureInfo.InvariantCulture)), grammar.Choice(
            from == 0 ? grammar.Empty : grammar.Nothing,
            grammar.Sequence(Text.Literal("."), Fractions(Digits(from, digits), Digits(to, digits), 0, isLow: true, isHigh: true))));
        if (lowWhole == highWhole) return Edge(lowWhole, lowPart, highPart);
        choices.Add(Edge(lowWhole, lowPart, scale - 1));
        choices.Add(Edge(highWhole, 0, highPart));
        if (lowWhole + 1 <= highWhole - 1) choices.Add(grammar.Sequence(Naturals(lowWhole + 1, highWhole - 1), grammar.Optional(json.Fraction)));
        return grammar.Choice([.. choices]);
    }

    /// <summary>Digits behind the point that, read as a fraction, lie between two others.</summary>
    /// <param name="isLow">The digits so far are those of the lower one.</param> <param name="isHigh">Of the upper one.</param>
    private Expression Fractions(string from, string to, int at, bool isLow, bool isHigh)
    {
        int left = FractionDigitsMax - at;
        if (!isLow && !isHigh) return grammar.Repeat(Digit('0', '9'), at == 0 ? 1 : 0, left);
        if (at == from.Length) return grammar.Repeat(isHigh ? Digit('0', '0') : Digit('0', '9'), 0, left);
        char low = isLow ? from[at] : '0', high = isHigh ? to[at] : '9';
        List<Expression> choices = [];
        if (at > 0 && (!isLow || from.AsSpan(at).TrimStart('0').IsEmpty)) choices.Add(grammar.Empty);
        for (char digit = low; digit <= high; digit++)
            choices.Add(grammar.Sequence(Digit(digit, digit), Fractions(from, to, at + 1, isLow && digit == low, isHigh && digit == high)));
        return grammar.Choice([.. choices]);
    }

    /// <summary>Natural numbers without leading zeros.</summary>
    private Expression Naturals(long low, long high)
    {
        List<Expression> choices = [];
        for (int length = 1; length <= 15; length++)
        {
            long first = length == 1 ? 0 : Power(length - 1), last = Power(length) - 1;
            long from = Math.Max(low, first), to = Math.Min(high, last);
            if (from <= to) choices.Add(Padded(Digits(from, length), Digits(to, length)));
        }
        return grammar.Choice([.. choices]);
    }

    /// <summary>Digit strings of one length from one to another.</summary>
    private Expression Padded(string from, string to)
    {
        if (from.Length == 0) return grammar.Empty;
        if (from.All(digit => digit == '0') && to.All(digit => digit == '9')) return grammar.Repeat(Digit('0', '9'), from.Length, from.Length);
        if (from[0] == to[0]) return grammar.Sequence(Digit(from[0], from[0]), Padded(from[1..], to[1..]));
        string zeros = new('0', from.Length - 1), nines = new('9', from.Length - 1);
        List<Expression> choices =
        [
            grammar.Sequence(Digit(from[0], from[0]), Padded(from[1..], nines)),
            grammar.Sequence(Digit(to[0], to[0]), Padded(zeros, to[1..])),
        ];
        if (from[0] + 1 <= to[0] - 1) choices.Add(grammar.Sequence(Digit((char)(from[0] + 1), (char)(to[0] - 1)), Padded(zeros, nines)));
        return grammar.Choice([.. choices]);
    }

    /// <summary>Natural multiples: an automaton of remainders.</summary>
    private Expression MultiplesFrom(long factor)
    {
        GrammarRule[] rules = [.. Enumerable.Range(0, (int)factor).Select(remainder => grammar.Rule($"multiple-{factor}-{remainder}"))];
        for (int remainder = 0; remainder < factor; remainder++)
        {
            List<Expression> choices = [.. Enumerable.Range(0, 10).Select(digit => grammar.Sequence(Digit((char)('0' + digit), (char)('0' + digit)), grammar.Of(rules[(remainder * 10 + digit) % factor])))];
            if (remainder == 0) choices.Add(grammar.Empty);
            rules[remainder].Body = grammar.Choice([.. choices]);
        }
        return grammar.Choice([Text.Literal("0"), .. Enumerable.Range(1, 9).Select(digit => grammar.Sequence(Digit((char)('0' + digit), (char)('0' + digit)), grammar.Of(rules[digit % factor])))]);
    }

    private Expression Digit(char first, char last) => grammar.Set(SymbolSet.Range(first, last));

    private static string Digits(long value, int length) => value.ToString(CultureInfo.InvariantCulture).PadLeft(length, '0');

    private static long Power(int exponent)
    {
        long power = 1;
        for (int i = 0; i < exponent; i++) power *= 10;
        return power;
    }
}
