using CsCheck;

namespace Qanat.Books.Tests;

public class FactValueTests
{
    [Fact]
    public void A_percentage_is_read_as_it_is_written() => Gen.Int[0, 9_999_999].Sample(permille => Assert.Equal(permille, FactValue.Permille(FactValue.PermilleText(permille))));

    [Theory]
    [InlineData("12")]
    [InlineData("12.55%")]
    [InlineData("-1%")]
    [InlineData("%")]
    [InlineData(".5%")]
    [InlineData("1.x%")]
    [InlineData("1.2.3%")]
    public void What_is_not_a_percentage_is_refused(string text) => Assert.Throws<FormatException>(() => FactValue.Permille(text));

    [Theory]
    [InlineData("2026-01-31", "1months", "2026-02-28")]
    [InlineData("2024-02-29", "1years", "2025-02-28")]
    [InlineData("2026-01-01", "90days", "2026-04-01")]
    public void A_span_goes_by_the_calendar(string from, string span, string end) => Assert.Equal(Sample.At(end), FactValue.After(Sample.At(from), span));

    [Theory]
    [InlineData("months")]
    [InlineData("5")]
    [InlineData("5weeks")]
    public void What_is_not_a_span_is_refused(string span) => Assert.Throws<FormatException>(() => FactValue.After(Sample.Start, span));

    [Fact]
    public void An_instant_reads_back_to_100_nanoseconds() => Gen.Long[0, 40_000_000_000_000_000].Sample(ticks =>
    {
        var at = new Instant(ticks * 100);
        Assert.Equal(at, FactValue.Time(FactValue.Text(at)));
    });

    [Fact]
    public void A_statement_reads_back_from_its_text()
    {
        FactLine line = FactLine.Read("asset \"a name\"   price 5 # a comment\n   note \"\"");
        Assert.Equal("asset \"a name\" price 5 note \"\"", line.Text);
        Assert.Equal(line.Text, FactLine.Read(line.Text).Text);
        Assert.Throws<ArgumentException>(() => FactLine.Quote("a\"b"));
    }
}
