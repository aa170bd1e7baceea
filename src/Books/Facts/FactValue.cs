using System.Globalization;

namespace Qanat.Books;

/// <summary>Reads and writes the values that stand in facts: times, parts of a thousand, counts, spans of months or days.</summary>
public static class FactValue
{
    /// <summary>"2026-01-31" or "2026-01-31T12:30:00", UTC.</summary>
    /// <exception cref="FormatException">It is neither.</exception>
    public static Instant Time(string text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out DateTimeOffset time)
            ? Instant.From(time)
            : throw new FormatException($"'{text}' is not a time: write 2026-01-31 or 2026-01-31T12:30:00 (UTC).");

    /// <summary>The text that <see cref="Time"/> reads: a date alone at midnight.</summary>
    public static string Text(Instant at) => at == at.DayStart
        ? at.ToDateTimeOffset().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)
        : at.ToDateTimeOffset().ToString("yyyy-MM-ddTHH:mm:ss.FFFFFFF", CultureInfo.InvariantCulture);

    public static Guid Id(string text) => Guid.TryParse(text, out Guid id) ? id : throw new FormatException($"'{text}' is not an id.");

    /// <summary>"12.5%" as parts of a thousand: 125.</summary>
    /// <exception cref="FormatException">No percent sign, more than one digit after the point, or negative.</exception>
    public static int Permille(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] parts = text.EndsWith('%') ? text[..^1].Split('.') : [];
        bool shaped = parts is [{ Length: > 0 and <= 6 }] or [{ Length: > 0 and <= 6 }, { Length: 1 }];
        if (!shaped || !Array.TrueForAll(parts, p => p.All(char.IsAsciiDigit))) throw new FormatException($"'{text}' is not a percentage: write 12.5%, with at most one digit after the point.");
        return int.Parse(parts[0], CultureInfo.InvariantCulture) * 10 + (parts.Length == 2 ? parts[1][0] - '0' : 0);
    }

    public static string PermilleText(int permille) =>
        string.Create(CultureInfo.InvariantCulture, $"{permille / 10}") + (permille % 10 == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $".{permille % 10}")) + "%";

    /// <summary>"1,000,000" or "1000000".</summary>
    public static long Count(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return long.TryParse(text.Replace(",", "", StringComparison.Ordinal), NumberStyles.None, CultureInfo.InvariantCulture, out long count)
            ? count
            : throw new FormatException($"'{text}' is not a count: write 256,000 or 256000.");
    }

    /// <summary>"5years", "36months" or "90days" after an instant: calendar years and months.</summary>
    public static Instant After(Instant from, string span)
    {
        ArgumentNullException.ThrowIfNull(span);
        DateTimeOffset start = from.ToDateTimeOffset();
        int digits = span.TakeWhile(char.IsAsciiDigit).Count();
        if (digits is > 0 and < 6)
        {
            int count = int.Parse(span[..digits], CultureInfo.InvariantCulture);
            switch (span[digits..])
            {
                case "years" or "year": return Instant.From(start.AddYears(count));
                case "months" or "month": return Instant.From(start.AddMonths(count));
                case "days" or "day": return Instant.From(start.AddDays(count));
                default: break;
            }
        }
        throw new FormatException($"'{span}' is not a span of time: write 5years, 36months or 90days.");
    }
}
