using CsCheck;

namespace Qanat.Books.Tests;

public class PricingTests
{
    private static readonly TenantId Acme = Sample.Party("acme").Tenant;
    private static readonly TenantId Other = Sample.Party("other").Tenant;
    private static readonly ModelName Large = new("qwen3-8b");

    internal static readonly Gen<TokenRates> AnyRates = Gen.Select(Gen.Long[0, 10_000_000], Gen.Long[0, 60_000_000], Gen.Long[0, 10_000_000].Nullable(), Gen.Long[0, 10_000_000].Nullable(), Gen.Long[0, 90_000_000].Nullable(),
        (input, output, read, write, reasoning) => new TokenRates(Of(input), Of(output), Of(read), Of(write), Of(reasoning)));

    internal static readonly Gen<TokenCounts> AnyTokens = Gen.Select(Gen.Long[0, 300_000], Gen.Long[0, 300_000], Gen.Long[0, 300_000], Gen.Long[0, 50_000], Gen.Long[0, 50_000],
        (fresh, read, write, plain, reasoning) => new TokenCounts(fresh + read + write, read, write, plain + reasoning, reasoning));

    [Fact]
    public void Rates_are_read_and_printed_per_million_tokens()
    {
        TokenRates rates = TokenRates.Parse("input 0.05 output 0.40 cache-read 0.005 reasoning 0.60", Currency.Usd);
        Assert.Equal((Int128)50_000, rates.InputPerToken.Picos);
        Assert.Equal((Int128)5_000, rates.CacheRead.Picos);
        Assert.Equal((Int128)50_000, rates.CacheWrite.Picos);
        Assert.Null(rates.CacheWritePerToken);
        Assert.Equal("input 0.05 output 0.4 cache-read 0.005 reasoning 0.6", rates.ToString());
        Assert.Equal(rates, TokenRates.Parse(rates.ToString(), Currency.Usd));
    }

    [Theory]
    [InlineData("input 0.05")]
    [InlineData("input 0.05 output")]
    [InlineData("input 0.05 output 0.4 input 0.1")]
    [InlineData("input 0.05 output 0.4 thoughts 1")]
    [InlineData("input -0.05 output 0.4")]
    [InlineData("input 0.0000001 output 0.4")]
    public void Rates_that_cannot_be_exact_or_complete_are_refused(string text) => Assert.Throws<FormatException>(() => TokenRates.Parse(text, Currency.Usd));

    [Fact]
    public void A_charge_is_the_sum_of_its_classes()
    {
        TokenRates rates = Sample.Rates("input 1 output 4 cache-read 0.1 cache-write 1.25 reasoning 8");
        Money charge = Rating.Charge(rates, new TokenCounts(Input: 1_000_000, CacheRead: 500_000, CacheWrite: 200_000, Output: 1_000_000, Reasoning: 250_000));
        Assert.Equal(Sample.Usd("0.3") + Sample.Usd("0.05") + Sample.Usd("0.25") + Sample.Usd("3") + Sample.Usd("2"), charge);
    }

    [Fact]
    public void Rating_does_not_depend_on_how_usage_is_cut_or_ordered() => Gen.Select(AnyRates, AnyTokens.Array[1, 8]).Sample((rates, parts) =>
    {
        Money whole = Rating.Charge(rates, parts.Aggregate(default(TokenCounts), (sum, t) => sum + t));
        Money forwards = parts.Aggregate(Money.Zero(Currency.Usd), (sum, t) => sum + Rating.Charge(rates, t));
        Money backwards = parts.Reverse().Aggregate(Money.Zero(Currency.Usd), (sum, t) => sum + Rating.Charge(rates, t));
        Assert.Equal(whole, forwards);
        Assert.Equal(whole, backwards);
    });

    [Fact]
    public void The_worst_case_bounds_every_charge_it_allows() => Gen.Select(AnyRates, AnyTokens, Gen.Long[0, 1000]).Sample((rates, tokens, spare) =>
        Assert.True(Rating.WorstCase(rates, tokens.Input, tokens.Output + spare) >= Rating.Charge(rates, tokens)));

    [Fact]
    public void What_is_affordable_fits_and_one_token_more_does_not() => Gen.Select(AnyRates, Gen.Long[0, 10_000], Gen.Long[0, 1_000_000_000_000]).Sample((rates, input, picos) =>
    {
        var available = new Money(picos, Currency.Usd);
        long output = Rating.AffordableOutput(rates, input, available);
        if (output == long.MaxValue) Assert.Equal(Rating.WorstCase(rates, input, 0), Rating.WorstCase(rates, input, 1_000_000));
        else if (Rating.WorstCase(rates, input, 0) > available) Assert.Equal(0, output);
        else
        {
            Assert.True(Rating.WorstCase(rates, input, output) <= available);
            Assert.True(Rating.WorstCase(rates, input, output + 1) > available);
        }
    });

    [Theory]
    [InlineData(10, 6, 5, 0, 0)]
    [InlineData(10, 0, 0, 5, 6)]
    [InlineData(10, -1, 0, 0, 0)]
    [InlineData(-1, 0, 0, 0, 0)]
    public void Counts_that_contradict_themselves_are_not_rated(long input, long read, long write, long output, long reasoning) =>
        Assert.Throws<ArgumentException>(() => Rating.Charge(Sample.Rates(), new TokenCounts(input, read, write, output, reasoning)));

    [Fact]
    public void The_nearest_scope_that_has_a_version_in_force_wins()
    {
        Instant from = Sample.Start;
        PriceVersion anyAny = Sample.Price("any any", from, Sample.Rates("input 1 output 1"));
        PriceVersion anyAcme = Sample.Price("any acme", from, Sample.Rates("input 2 output 2"), tenant: Acme);
        PriceVersion largeAny = Sample.Price("large any", from, Sample.Rates("input 3 output 3"), Large);
        PriceVersion largeAcme = Sample.Price("large acme", from.Plus(1), Sample.Rates("input 4 output 4"), Large, Acme);
        var book = new PriceBook([largeAcme, anyAcme, anyAny, largeAny]);
        Assert.Equal(anyAny, book.Find(Sample.Model, Other, from));
        Assert.Equal(anyAcme, book.Find(Sample.Model, Acme, from));
        Assert.Equal(largeAny, book.Find(Large, Other, from.Plus(5)));
        Assert.Equal(largeAny, book.Find(Large, Acme, from));
        Assert.Equal(largeAcme, book.Find(Large, Acme, from.Plus(1)));
        Assert.Null(book.Find(Large, Acme, from.Plus(-1)));
        Assert.Equal(largeAny, book.Get(largeAny.Id));
        Assert.Null(PriceBook.Empty.Find(Large, Acme, from));
    }

    [Fact]
    public void A_version_holds_from_its_instant_until_the_next_one_takes_effect()
    {
        PriceVersion first = Sample.Price("first", Sample.Start, Sample.Rates("input 1 output 1"));
        PriceVersion second = Sample.Price("second", Sample.Start.Plus(100), Sample.Rates("input 2 output 2"));
        var book = new PriceBook([second, first]);
        Assert.Equal(first, book.Find(Large, Acme, Sample.Start.Plus(99)));
        Assert.Equal(second, book.Find(Large, Acme, Sample.Start.Plus(100)));
    }

    [Fact]
    public void Of_two_versions_from_one_instant_the_one_added_later_holds()
    {
        PriceVersion early = Sample.Price("early", Sample.Start, Sample.Rates("input 1 output 1"), added: Sample.Start.Plus(-10));
        PriceVersion late = Sample.Price("late", Sample.Start, Sample.Rates("input 2 output 2"), added: Sample.Start.Plus(-5));
        Assert.Equal(late, new PriceBook([late, early]).Find(Large, Acme, Sample.Start));
        Assert.Equal(late, new PriceBook([early]).With(late).Find(Large, Acme, Sample.Start));
    }

    [Fact]
    public void A_version_never_changes()
    {
        PriceVersion version = Sample.Price("same", Sample.Start, Sample.Rates());
        Assert.Throws<ArgumentException>(() => new PriceBook([version, version with { Rates = Sample.Rates("input 9 output 9") }]));
        Assert.Single(new PriceBook([version, version]).Versions);
    }

    private static Money Of(long picos) => new(picos, Currency.Usd);
    private static Money? Of(long? picos) => picos is { } value ? Of(value) : null;
}
