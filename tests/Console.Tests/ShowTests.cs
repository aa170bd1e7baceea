using System.Globalization;
using CsCheck;
using Qanat.Books;

namespace Qanat.Console.Tests;

public sealed class ShowTests
{
    [Theory]
    [InlineData("0", "$0.00")]
    [InlineData("12.34", "$12.34")]
    [InlineData("12.345", "$12.35")]
    [InlineData("1234567.891", "$1,234,567.89")]
    [InlineData("0.05", "$0.05")]
    [InlineData("0.5", "$0.50")]
    [InlineData("0.001234", "$0.001234")]
    [InlineData("0.00123456", "$0.001235")]
    [InlineData("-0.00123456", "−$0.001235")]
    [InlineData("0.000000000001", "$0.000000000001")]
    [InlineData("0.99999", "$1.0000")]
    public void Amounts_read_as_people_write_them(string exact, string shown) => Assert.Equal(shown, Show.Amount(Usd(exact)));

    [Theory]
    [InlineData("0.000004", 4, "<$0.0001")]
    [InlineData("-0.000004", 4, "−<$0.0001")]
    [InlineData("0.00006", 4, "$0.0001")]
    [InlineData("0", 4, "$0.0000")]
    public void What_is_not_zero_never_reads_as_zero(string exact, int decimals, string shown) => Assert.Equal(shown, Show.Amount(Usd(exact), decimals));

    [Fact]
    public void A_rounded_amount_is_within_half_a_unit_of_its_last_digit() =>
        Gen.Select(Gen.Long, Gen.Int[0, 12]).Sample((picos, decimals) =>
        {
            var money = new Money(picos, Currency.Usd);
            string text = Show.Amount(money, decimals);
            if (text.Contains('<', StringComparison.Ordinal)) return;
            Money read = Money.Parse(text.Replace("$", "", StringComparison.Ordinal).Replace(",", "", StringComparison.Ordinal).Replace('−', '-'), Currency.Usd);
            Int128 unit = Int128.Parse("1" + new string('0', 12 - decimals), CultureInfo.InvariantCulture);
            Assert.True(Int128.Abs(read.Picos - money.Picos) * 2 <= unit, $"{money} is written {text}");
            Assert.Equal(Show.IsExact(money, decimals), read == money);
        });

    [Fact]
    public void A_column_shows_three_digits_of_its_smallest_amount()
    {
        int decimals = Show.DecimalsFor([Usd("0.0239"), Usd("0.000547"), Usd("0")]);
        Assert.Equal(6, decimals);
        Assert.Equal("$0.000547", Show.Amount(Usd("0.000547"), decimals));
    }

    [Fact]
    public void A_column_with_a_large_amount_keeps_its_figures_short() => Assert.Equal("$123,456.789", Show.Amount(Usd("123456.789"), Show.DecimalsFor([Usd("123456.789"), Usd("0.000001")])));

    [Fact]
    public void A_column_of_whole_cents_has_two_decimals() => Assert.Equal(2, Show.DecimalsFor([Usd("0.05"), Usd("0.4"), Usd("12")]));

    [Theory]
    [InlineData("1", "3", "33.3 %")]
    [InlineData("-1", "8", "−12.5 %")]
    [InlineData("1", "0", "–")]
    [InlineData("25", "0.1", "25,000 %")]
    public void A_percentage_has_one_decimal_and_no_basis_means_no_figure(string part, string whole, string shown) => Assert.Equal(shown, Show.Percent(Usd(part), Usd(whole)));

    [Theory]
    [InlineData(412L, "412 ns")]
    [InlineData(8_300_000L, "8.3 ms")]
    [InlineData(2_410_000_000L, "2.41 s")]
    [InlineData(185_000_000_000L, "3 m 05 s")]
    [InlineData(7_860_000_000_000L, "2 h 11 m")]
    public void A_duration_is_written_in_the_unit_that_reads_best(long nanoseconds, string shown) => Assert.Equal(shown, Show.Duration(nanoseconds));

    private static Money Usd(string text) => Money.Parse(text, Currency.Usd);
}
