using CsCheck;

namespace Qanat.Books.Tests;

public class PriceFileTests
{
    private const string Text = """
        source "A list, 2026-11-22"
        currency USD
        price qwen-plus from 2026-01-01   # a comment
          input 0.4 output 1.2 thinking 4 cache-read 20% cache-write 125%
          above 256,000 input 1.2 output 3.6 thinking 12
        price * from 2026-01-01 assumption note "a default"
          input 0.05 output 0.4 batch 50%
        """;

    [Fact]
    public void A_file_is_read_into_price_versions()
    {
        PriceFile file = Read(Text);
        PriceEntry plus = file.Entries[0];
        Assert.Equal(new ModelName("qwen-plus"), plus.Model);
        Assert.Equal("A list, 2026-11-22", plus.Source);
        Assert.Equal("input 0.4 output 1.2 cache-read 0.08 cache-write 0.5 thinking 4", plus.Rates.ToString());
        Assert.Equal(256_000, plus.Terms.Tiers[0].AboveInputTokens);
        Assert.Null(file.Entries[1].Model);
        Assert.True(file.Entries[1].IsAssumption);
        Assert.Equal("a default", file.Entries[1].Source);
        PriceVersion version = plus.ToVersion(new PriceVersionId(Sample.Id("v")), Sample.Start);
        Assert.Equal(Sample.Usd("0.3108012"), Rating.Charge(version, new RatedUsage(new TokenCounts(256_001, 0, 0, 1_000, 0))));
    }

    [Fact]
    public void What_is_written_reads_back_the_same() =>
        Gen.Select(Gen.String[Gen.Char.AlphaNumeric, 1, 8], PricingTests.AnyRates, PriceTermsTests.AnyTerms, Gen.Bool, Gen.Int[0, 4000]).Array[0, 6].Sample(prices =>
        {
            var file = new PriceFile("from a \"test\"".Replace("\"", "'", StringComparison.Ordinal), Currency.Usd, [.. prices.DistinctBy(p => p.Item1).OrderBy(p => p.Item1, StringComparer.Ordinal)
                .Select(p => new PriceEntry(new ModelName(p.Item1), null, Sample.Start.Plus(p.Item5 * 86_400_000_000_000L), p.Item2, p.Item3, "from a 'test'", p.Item4))]);
            PriceFile again = Read(file.Write());
            Assert.Empty(file.Diff(again));
            Assert.Equal(file.Write(), again.Write());
        });

    [Theory]
    [InlineData("price m from 2026-01-01\n  input 1 output 2 inptu 3", 2, 20, "'inptu' was not understood.")]
    [InlineData("price m from 2026-01-01\n  input 1\n", 1, 1, "'output' is missing.")]
    [InlineData("price m from soon input 1 output 2", 1, 14, "from: 'soon' is not a time")]
    [InlineData("price m from 2026-01-01 input 0.0000001 output 2", 1, 31, "input: 0.0000001 USD per million tokens is not a whole number of picos")]
    [InlineData("\n\nprise m", 3, 1, "'prise' is not a statement")]
    [InlineData("price m from 2026-01-01 input 1 output 2\n  above 10 input 1", 2, 3, "'output' is missing.")]
    [InlineData("price m from 2026-01-01 input 1 output 2 note \"open", 1, 47, "The quotation is not closed")]
    [InlineData("price m from 2026-01-01 input 1 output 2 reasoning 3 thinking 4", 1, 1, "'reasoning' and 'thinking' exclude each other")]
    public void A_mistake_is_reported_with_its_place(string text, int line, int column, string problem)
    {
        PriceFileError error = Assert.Single(PriceFile.Parse(text).Errors);
        Assert.Equal((line, column), (error.Line, error.Column));
        Assert.StartsWith(problem, error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_mistake_is_reported_and_nothing_is_imported()
    {
        PriceFileResult result = PriceFile.Parse("price a from 2026-01-01 input 1\nprice b from 2026-01-01 output 1\nprice c from 2026-01-01 input 1 output 1");
        Assert.Null(result.File);
        Assert.Equal([1, 2], result.Errors.Select(e => e.Line));
    }

    [Fact]
    public void One_model_and_date_is_priced_once() =>
        Assert.Single(PriceFile.Parse("price a from 2026-01-01 input 1 output 1\nprice a from 2026-01-01 input 2 output 1").Errors);

    [Fact]
    public void A_difference_names_what_was_added_removed_and_changed()
    {
        PriceFile later = Read("""
            price qwen-plus from 2026-01-01
              input 0.5 output 1.2 thinking 4 cache-read 0.08 cache-write 0.5
              above 256,000 input 1.2 output 3.6 thinking 12
            price qwen-max from 2026-01-01 input 1 output 2
            """);
        var changes = Read(Text).Diff(later);
        Assert.Equal([PriceChangeKind.Removed, PriceChangeKind.Added, PriceChangeKind.Changed], changes.Select(c => c.Kind));
        Assert.Equal("qwen-plus from 2026-01-01", changes[2].Subject);
        Assert.StartsWith("USD input 0.4 output 1.2", changes[2].Before, StringComparison.Ordinal);
        Assert.StartsWith("USD input 0.5 output 1.2", changes[2].After, StringComparison.Ordinal);
        Assert.Empty(Read(Text).Diff(Read(Read(Text).Write())));
    }

    [Fact]
    public void The_sample_price_lists_can_be_imported()
    {
        foreach (string name in SamplePrices.Names)
        {
            PriceFile file = Read(SamplePrices.Read(name));
            Assert.Contains("2026-11-22", file.Source, StringComparison.Ordinal);
            Assert.NotEmpty(new PriceBook(file.Entries.Select(e => e.ToVersion(new PriceVersionId(Sample.Id(e.Subject)), Sample.Start))).Versions);
        }
        PriceEntry plus = Read(SamplePrices.Read("model-studio-international")).Entries.Single(e => e.Model?.Value == "qwen-plus");
        Assert.Equal("input 0.4 output 1.2 cache-read 0.08 cache-write 0.5 thinking 4 explicit-read 0.04", plus.Rates.ToString());
        Assert.Equal(Sample.Usd("8"), Rating.Training(Read(SamplePrices.Read("model-studio-international")).Entries.Single(e => e.Model?.Value == "qwen3-32b").ToVersion(default, default), 1_000_000, 0, 1));
        Assert.Throws<ArgumentException>(() => SamplePrices.Read("nobody"));
    }

    private static PriceFile Read(string text)
    {
        PriceFileResult result = PriceFile.Parse(text);
        Assert.True(result.File is not null, string.Join('\n', result.Errors));
        return result.File;
    }
}
