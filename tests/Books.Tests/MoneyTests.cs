using System.Numerics;
using CsCheck;

namespace Qanat.Books.Tests;

public class MoneyTests
{
    private static readonly Currency Cny = new("CNY");
    private static readonly Gen<Int128> Picos = Gen.Select(Gen.Long, Gen.ULong, (high, low) => new Int128(unchecked((ulong)(high >> 12)), low));

    [Theory]
    [InlineData("0", "0")]
    [InlineData("0.00005", "0.00005")]
    [InlineData("-12.50", "-12.5")]
    [InlineData(" 7.000000000001 ", "7.000000000001")]
    [InlineData("-0.000000000001", "-0.000000000001")]
    [InlineData("00012", "12")]
    [InlineData("999999999999999999999999.999999999999", "999999999999999999999999.999999999999")]
    public void Amounts_are_read_and_printed_exactly(string text, string printed) => Assert.Equal(printed, Money.Parse(text, Currency.Usd).ToDecimalText());

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData(".5")]
    [InlineData("5.")]
    [InlineData("1e3")]
    [InlineData("1,000")]
    [InlineData("+1")]
    [InlineData("- 1")]
    [InlineData("--1")]
    [InlineData("1.2.3")]
    [InlineData("0x10")]
    [InlineData("١")]
    [InlineData("0.0000000000001")]
    [InlineData("1000000000000000000000000")]
    public void What_is_not_a_plain_decimal_number_is_refused(string text) => Assert.Throws<FormatException>(() => Money.Parse(text, Currency.Usd));

    [Fact]
    public void A_price_of_a_million_tokens_is_a_whole_number_of_picos_per_token() =>
        Assert.Equal((Int128)50_000, TokenRates.PerToken("0.05", Currency.Usd).Picos);

    [Fact]
    public void Printing_and_reading_give_the_same_amount() => Picos.Sample(picos =>
    {
        var money = new Money(picos / 1_000, Currency.Usd);
        Assert.Equal(money, Money.Parse(money.ToDecimalText(), Currency.Usd));
    });

    [Fact]
    public void The_smallest_and_largest_amounts_print()
    {
        Assert.Equal("-170141183460469231731687303.715884105728", new Money(Int128.MinValue, Currency.Usd).ToDecimalText());
        Assert.Equal("170141183460469231731687303.715884105727", new Money(Int128.MaxValue, Currency.Usd).ToDecimalText());
    }

    [Fact]
    public void Overflow_is_an_error_and_never_a_wrong_amount()
    {
        var most = new Money(Int128.MaxValue, Currency.Usd);
        var pico = new Money(1, Currency.Usd);
        Assert.Throws<OverflowException>(() => most + pico);
        Assert.Throws<OverflowException>(() => -most - pico - pico);
        Assert.Throws<OverflowException>(() => -new Money(Int128.MinValue, Currency.Usd));
        Assert.Throws<OverflowException>(() => most * 2);
    }

    [Fact]
    public void Two_currencies_never_meet_in_one_sum()
    {
        Money dollars = Money.Parse("1", Currency.Usd), yuan = Money.Parse("1", Cny);
        Assert.Throws<InvalidOperationException>(() => dollars + yuan);
        Assert.Throws<InvalidOperationException>(() => dollars - yuan);
        Assert.Throws<InvalidOperationException>(() => dollars < yuan);
        Assert.NotEqual(dollars, yuan);
    }

    [Theory]
    [InlineData("usd")]
    [InlineData("US")]
    [InlineData("USDT")]
    [InlineData("US$")]
    public void A_currency_is_three_capital_letters(string code) => Assert.Throws<ArgumentException>(() => new Currency(code));

    [Theory]
    [InlineData("1.005", 2, "1.01")]
    [InlineData("-1.005", 2, "-1.01")]
    [InlineData("1.004999999999", 2, "1.00")]
    [InlineData("-0.004", 2, "0.00")]
    [InlineData("0.5", 0, "1")]
    [InlineData("12", 3, "12.000")]
    [InlineData("0.000000000001", 12, "0.000000000001")]
    public void Shown_text_is_rounded_half_away_from_zero(string amount, int decimals, string shown) => Assert.Equal(shown, Money.Parse(amount, Currency.Usd).ToRoundedText(decimals));

    [Fact]
    public void A_ratio_is_divided_only_when_shown()
    {
        Assert.Equal("84.5", new Ratio(562_027 - 87_072, 562_027).ToPercentText(1));
        Assert.Equal("-33.33", new Ratio(1, -3).ToPercentText(2));
        Assert.Equal("n/a", new Ratio(BigInteger.One, 0).ToPercentText(2));
        Assert.Equal("0.67", new Ratio(2, 3).ToDecimalText(2));
    }
}
