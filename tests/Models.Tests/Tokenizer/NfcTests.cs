using CsCheck;

namespace Qanat.Models.Tests;

public sealed class NfcTests
{
    [Theory]
    [InlineData("e\u0301", "\u00E9")]
    [InlineData("\u212B", "\u00C5")] // a singleton
    [InlineData("\u0958", "\u0915\u093C")] // excluded from composition
    [InlineData("\u1E69", "\u1E69")]
    [InlineData("s\u0307\u0323", "\u1E69")] // marks change places, then join in turn
    [InlineData("a\u0315\u0301", "\u00E1\u0315")]
    [InlineData("q\u0301\u0323", "q\u0323\u0301")] // nothing joins, the order changes
    [InlineData("a\u0327\u0327\u0301", "\u00E1\u0327\u0327")]
    [InlineData("\u0301\u0323", "\u0323\u0301")] // no starter at all
    [InlineData("\u1100\u1161\u11A8", "\uAC01")]
    [InlineData("\uAC00\u11A8", "\uAC01")]
    [InlineData("\uAC01\u11A8", "\uAC01\u11A8")]
    [InlineData("\u1100\u0301\u1161", "\u1100\u0301\u1161")]
    [InlineData("\uFFFE\uFDD0", "\uFFFE\uFDD0")] // noncharacters pass
    [InlineData("\U0001D15E", "\U0001D157\U0001D165")]
    [InlineData("\U000110A5\U000110BA", "\U000110AB")]
    public void Known_cases(string text, string expected) => Assert.Equal(expected, Nfc.Normalize(text));

    [Fact]
    public void Unpaired_surrogates_become_replacement_characters()
    {
        // Not among the cases above: attributes cannot hold them.
        Assert.Equal("a\uFFFDb", Nfc.Normalize("a\uD800b"));
        Assert.Equal("\uFFFD\u0301", Nfc.Normalize("\uDC00\u0301"));
        Assert.Equal("\uFFFD", Nfc.Normalize("\uDBFF"));
    }

    [Fact]
    public void Text_in_form_C_is_the_same_object()
    {
        string text = new("Grüße, 水渠, Привет, हिन्दी, 각, 😀".AsSpan());
        Assert.Same(text, Nfc.Normalize(text));
    }

    [Fact]
    public void Normalising_twice_changes_nothing_more() =>
        SampleText.Any.Sample(text => Nfc.Normalize(Nfc.Normalize(text)) == Nfc.Normalize(text), iter: 5000, threads: 1);

    [Fact]
    public void A_long_run_of_marks_is_sorted_and_none_is_lost()
    {
        string marks = string.Concat(Enumerable.Range(0, 50_000).Select(i => i % 2 == 0 ? "\u0301" : "\u0323"));
        Assert.Equal("x" + new string('\u0323', 25_000) + new string('\u0301', 25_000), Nfc.Normalize("x" + marks));
    }
}
