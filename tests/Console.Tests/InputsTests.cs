using Qanat.Books;

namespace Qanat.Console.Tests;

public sealed class InputsTests
{
    [Theory]
    [InlineData("12.5", "12.5")]
    [InlineData(" $0.000000000001 ", "0.000000000001")]
    public void A_budget_is_an_exact_amount(string text, string amount) => Assert.Equal(Money.Parse(amount, Currency.Usd), Inputs.Budget(text));

    [Theory]
    [InlineData("12.5", "12.5", "EUR")]
    [InlineData(" 12.5 chf ", "12.5", "CHF")]
    [InlineData("$12.5", "12.5", "USD")]
    public void A_budget_is_in_the_currency_of_the_one_before_unless_it_says_another(string text, string amount, string currency) =>
        Assert.Equal(Money.Parse(amount, new Currency(currency)), Inputs.Budget(text, Money.Parse("1", new Currency("EUR"))));

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData(null)]
    public void No_budget_means_no_limit(string? text) => Assert.Null(Inputs.Budget(text));

    [Theory]
    [InlineData("-1")]
    [InlineData("ten")]
    [InlineData("1e3")]
    [InlineData("0.0000000000001")]
    [InlineData("5 EURO")]
    [InlineData("5 E1R")]
    [InlineData("5 EUR more")]
    public void What_is_no_budget_is_refused(string text) => Assert.Throws<FormatException>(() => Inputs.Budget(text));

    [Theory]
    [InlineData("85", 850)]
    [InlineData("85.5 %", 855)]
    [InlineData("100", 1000)]
    [InlineData("0.1", 1)]
    public void A_practical_capacity_is_kept_in_permille(string text, int permille) => Assert.Equal(permille, Inputs.Permille(text));

    [Theory]
    [InlineData("0")]
    [InlineData("100.1")]
    [InlineData("85.55")]
    [InlineData("-5")]
    [InlineData("")]
    public void What_is_no_practical_capacity_is_refused(string text) => Assert.Throws<FormatException>(() => Inputs.Permille(text));

    [Fact]
    public void A_date_and_time_field_is_read_as_UTC_to_the_second()
    {
        Instant at = FixedClock.At("2026-11-01T12:34:56.789Z");
        Assert.Equal(FixedClock.At("2026-11-01T12:34:56Z"), Inputs.At(Inputs.Seconds(at)));
        Assert.Throws<FormatException>(() => Inputs.At(default));
    }

    [Theory]
    [InlineData("", null)]
    [InlineData(" 1,200 ", 1200L)]
    [InlineData("1", 1L)]
    public void A_limit_is_a_whole_number_or_none(string text, long? limit) => Assert.Equal(limit, Inputs.Limit(text, 5000));

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("5001")]
    [InlineData("many")]
    public void What_is_no_limit_is_refused(string text) => Assert.Throws<FormatException>(() => Inputs.Limit(text, 5000));

    [Theory]
    [InlineData("", null)]
    [InlineData("0", 0)]
    [InlineData(" 1,200 ", 1200)]
    public void A_wait_may_be_none_at_all(string text, int? seconds) => Assert.Equal(seconds, Inputs.Waiting(text, 3600));

    [Theory]
    [InlineData("-1")]
    [InlineData("3601")]
    [InlineData("soon")]
    public void What_is_no_wait_is_refused(string text) => Assert.Throws<FormatException>(() => Inputs.Waiting(text, 3600));
}
