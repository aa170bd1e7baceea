using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>A period as it stands in the address of a page: one of the presets, or two days ("2026-11-01..2026-11-22", both included). All in UTC.</summary>
public sealed record PeriodChoice(string Text, string Label, Period Period)
{
    public const string Default = "month";
    private const string DayFormat = "yyyy-MM-dd";
    private const string HourFormat = "yyyy-MM-dd'T'HH";

    /// <summary>The presets, in the order in which they are offered.</summary>
    public static readonly ImmutableArray<PeriodPreset> Presets =
        [new("hour", "This hour", "Hour"), new("day", "Today", "Today"), new("week", "7 days", "7 days"), new("month", "This month", "Month"), new("all", "All time", "All")];

    public bool IsAll => Period == Period.All;

    /// <summary>What the text means now; the default when it means nothing.</summary>
    public static PeriodChoice Parse(string? text, TimeProvider clock)
    {
        Instant now = Instant.Now(clock);
        Instant tomorrow = Later(now.DayStart, TimeSpan.FromDays(1));
        DateTimeOffset today = now.DayStart.ToDateTimeOffset();
        DateTimeOffset month = today.AddDays(1 - today.Day);
        return text switch
        {
            "hour" => new(text, "This hour", new Period(now.HourStart, Later(now.HourStart, TimeSpan.FromHours(1)))),
            "day" => new(text, "Today", new Period(now.DayStart, tomorrow)),
            "week" => new(text, "Last 7 days", new Period(Later(tomorrow, TimeSpan.FromDays(-7)), tomorrow)),
            "all" => new(text, "All time", Period.All),
            not null when TryDays(text, out PeriodChoice? days) => days,
            not null when TryHour(text, out PeriodChoice? hour) => hour,
            _ => new(Default, month.ToString("MMMM yyyy", CultureInfo.InvariantCulture), new Period(Instant.From(month), Instant.From(month.AddMonths(1)))),
        };
    }

    /// <summary>The choice of the days from one to another, both included.</summary>
    public static PeriodChoice OfDays(DateOnly first, DateOnly last)
    {
        if (last < first) (first, last) = (last, first);
        string text = $"{first.ToString(DayFormat, CultureInfo.InvariantCulture)}..{last.ToString(DayFormat, CultureInfo.InvariantCulture)}";
        var period = new Period(StartOf(first), StartOf(last.AddDays(1)));
        string label = first == last ? Show.Date(period.From) : $"{Show.Date(period.From)} – {Show.Date(StartOf(last))}";
        return new PeriodChoice(text, label, period);
    }

    /// <summary>The choice of one hour ("2026-11-22T13").</summary>
    public static PeriodChoice OfHour(Instant at)
    {
        Instant start = at.HourStart;
        return new PeriodChoice(start.ToDateTimeOffset().ToString(HourFormat, CultureInfo.InvariantCulture), Show.Hour(start), new Period(start, Later(start, TimeSpan.FromHours(1))));
    }

    public static PeriodChoice OfDay(Instant day) => OfDays(DayOf(day), DayOf(day));

    /// <summary>First and last day of it; null for all time.</summary>
    public (DateOnly First, DateOnly Last)? Days => IsAll ? null : (DayOf(Period.From), DayOf(new Instant(Period.To.UnixNanoseconds - 1)));

    private static bool TryDays(string text, [NotNullWhen(true)] out PeriodChoice? choice)
    {
        choice = null;
        string[] parts = text.Split("..", 2);
        if (parts.Length != 2 || !TryDay(parts[0], out DateOnly first) || !TryDay(parts[1], out DateOnly last)) return false;
        choice = OfDays(first, last);
        return true;
    }

    private static bool TryHour(string text, [NotNullWhen(true)] out PeriodChoice? choice)
    {
        choice = DateTimeOffset.TryParseExact(text, HourFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset hour) && TryDay(text[..10], out _) ? OfHour(Instant.From(hour)) : null;
        return choice is not null;
    }

    /// <summary>Days that nanoseconds since 1970 in a long can tell.</summary>
    private static bool TryDay(string text, out DateOnly day) =>
        DateOnly.TryParseExact(text, DayFormat, CultureInfo.InvariantCulture, DateTimeStyles.None, out day) && day.Year is >= 1970 and < 2200;

    private static DateOnly DayOf(Instant at) => DateOnly.FromDateTime(at.ToDateTimeOffset().UtcDateTime);
    private static Instant StartOf(DateOnly day) => Instant.From(new DateTimeOffset(day, TimeOnly.MinValue, TimeSpan.Zero));
    private static Instant Later(Instant at, TimeSpan by) => Instant.From(at.ToDateTimeOffset() + by);
}

/// <param name="ShortLabel">Where there is little room.</param>
public sealed record PeriodPreset(string Text, string Label, string ShortLabel);
