using Qanat.Books;

namespace Qanat.Console.Tests;

public sealed class PeriodChoiceTests
{
    private static readonly FixedClock Clock = new("2026-02-28T23:59:59.5Z");

    [Theory]
    [InlineData("hour", "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z")]
    [InlineData("day", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z")]
    [InlineData("week", "2026-02-22T00:00:00Z", "2026-03-01T00:00:00Z")]
    [InlineData("month", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")]
    [InlineData("2026-01-31..2026-02-01", "2026-01-31T00:00:00Z", "2026-02-02T00:00:00Z")]
    [InlineData("2026-02-01..2026-01-31", "2026-01-31T00:00:00Z", "2026-02-02T00:00:00Z")]
    public void A_period_begins_and_ends_where_its_text_says(string text, string from, string to)
    {
        PeriodChoice choice = PeriodChoice.Parse(text, Clock);
        Assert.Equal(FixedClock.At(from), choice.Period.From);
        Assert.Equal(FixedClock.At(to), choice.Period.To);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("yesterday")]
    [InlineData("2026-02-30..2026-03-01")]
    [InlineData("0001-01-01..2026-01-01")]
    [InlineData("2026-01-01..9999-12-31")]
    public void What_means_nothing_means_this_month(string? text) => Assert.Equal(PeriodChoice.Default, PeriodChoice.Parse(text, Clock).Text);

    [Fact]
    public void All_time_is_all_time() => Assert.Equal(Period.All, PeriodChoice.Parse("all", Clock).Period);

    [Fact]
    public void A_choice_of_days_reads_itself_back()
    {
        PeriodChoice days = PeriodChoice.OfDay(FixedClock.At("2026-02-03T17:00:00Z"));
        Assert.Equal(days, PeriodChoice.Parse(days.Text, Clock));
        Assert.Equal((new DateOnly(2026, 2, 3), new DateOnly(2026, 2, 3)), days.Days);
    }
}
