using System.Globalization;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>Reads what people type into forms. Every failure is a sentence.</summary>
public static class Inputs
{
    /// <summary>An amount in the currency of what it replaces, or in another that is named behind it: "12.50 EUR". Null when the field is empty.</summary>
    /// <param name="now">What it replaces; null: nothing, and it is in dollars.</param>
    /// <exception cref="FormatException">It is no amount, or is negative.</exception>
    public static Money? Budget(string? text, Money? now = null)
    {
        if (string.IsNullOrWhiteSpace(text)) return null;
        Money money = Amount(text, CurrencyOf(now));
        return money.IsNegative ? throw new FormatException("A budget is zero or more; leave it empty for no limit.") : money;
    }

    /// <summary>A limit as a whole number; null when the field is empty.</summary>
    /// <exception cref="FormatException">It is none from 1 to <paramref name="most"/>.</exception>
    public static long? Limit(string? text, long most)
    {
        if (string.IsNullOrWhiteSpace(text)) return null;
        return long.TryParse(text.Trim(), NumberStyles.AllowThousands, CultureInfo.InvariantCulture, out long limit) && limit >= 1 && limit <= most
            ? limit
            : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"'{text}' is not a limit: write a whole number from 1 to {most}, or leave it empty for no limit."));
    }

    /// <summary>How many seconds, or how many, may wait; null when the field is empty: as the server says.</summary>
    /// <exception cref="FormatException">It is none from 0 to <paramref name="most"/>.</exception>
    public static int? Waiting(string? text, int most)
    {
        if (string.IsNullOrWhiteSpace(text)) return null;
        return int.TryParse(text.Trim(), NumberStyles.AllowThousands, CultureInfo.InvariantCulture, out int waiting) && waiting >= 0 && waiting <= most
            ? waiting
            : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"'{text}' is none: write a whole number from 0 to {most}, or leave it empty for what the server says."));
    }

    /// <summary>What a field shows for a limit; empty when there is none.</summary>
    public static string Text(long? limit) => limit?.ToString(CultureInfo.InvariantCulture) ?? "";

    /// <summary>What a field shows for a budget, beside its currency; empty when there is none.</summary>
    public static string Text(Money? budget) => budget?.ToDecimalText() ?? "";

    /// <summary>What an amount in a field is in that does not say it; dollars where there is none yet.</summary>
    public static Currency CurrencyOf(Money? budget) => budget?.Currency ?? Currency.Usd;

    /// <summary>An amount of dollars.</summary>
    /// <exception cref="FormatException">It is no amount.</exception>
    public static Money Amount(string? text) => Money.Parse((text ?? "").Trim().TrimStart('$'), Currency.Usd);

    /// <exception cref="FormatException">It is no amount, or in no currency.</exception>
    private static Money Amount(string text, Currency currency)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length > 2 || parts is [_, { Length: not 3 }]) throw new FormatException($"'{text}' is not an amount: write one such as 12.50, or 12.50 EUR.");
        if (parts is [_, { } code]) currency = code.All(char.IsAsciiLetter) ? new Currency(code.ToUpperInvariant()) : throw new FormatException($"'{code}' is not a currency: write three letters, such as EUR.");
        else if (parts[0].StartsWith('$')) currency = Currency.Usd;
        return Money.Parse(parts[0].TrimStart('$'), currency);
    }

    /// <summary>A percentage with at most one decimal, in permille.</summary>
    /// <exception cref="FormatException">It is none between 0.1 and 100.</exception>
    public static int Permille(string? text)
    {
        bool read = decimal.TryParse((text ?? "").Trim().TrimEnd('%', ' '), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal percent);
        decimal permille = percent * 10;
        if (!read || permille < 1 || permille > 1000 || permille != decimal.Truncate(permille))
            throw new FormatException($"'{text}' is not a practical capacity: write a percentage from 0.1 to 100, with at most one decimal.");
        return (int)permille;
    }

    /// <summary>Words as a part of a statement that the books keep.</summary>
    /// <exception cref="FormatException">They hold a quotation mark.</exception>
    public static string Words(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Any(letter => letter == '"' || char.IsControl(letter)) ? throw new FormatException("Leave out quotation marks.") : FactLine.Quote(text);
    }

    /// <summary>What a browser's date and time field holds, read as UTC.</summary>
    /// <exception cref="FormatException">It is empty, or centuries away.</exception>
    public static Instant At(DateTime field) => field.Year is >= 1970 and < 2200
        ? Instant.From(new DateTimeOffset(DateTime.SpecifyKind(field, DateTimeKind.Utc)))
        : throw new FormatException("Choose the day and time from which this applies.");

    /// <summary>What such a field shows for an instant: whole seconds.</summary>
    public static DateTime Seconds(Instant at)
    {
        DateTime time = at.ToDateTimeOffset().UtcDateTime;
        return time.AddTicks(-(time.Ticks % TimeSpan.TicksPerSecond));
    }
}
