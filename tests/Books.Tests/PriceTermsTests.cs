using CsCheck;

namespace Qanat.Books.Tests;

public class PriceTermsTests
{
    internal static readonly Gen<PriceTerms> AnyTerms = Gen.Select(Gen.Int[0, 1000], Gen.Long[0, 10_000_000].Nullable(), Gen.Long[0, 10_000_000].Nullable(), Gen.Long[0, 300_000].Array[0, 3], PricingTests.AnyRates,
        (batch, request, minimum, edges, rates) => new PriceTerms
        {
            BatchPermille = batch,
            PerRequest = request is { } r ? new Money(r, Currency.Usd) : null,
            Minimum = minimum is { } m ? new Money(m, Currency.Usd) : null,
            Tiers = [.. edges.Distinct().Order().Select(edge => new PriceTier(edge, rates))],
        });

    private static readonly Gen<PriceVersion> AnyVersion = Gen.Select(PricingTests.AnyRates, AnyTerms, (rates, terms) => Sample.Price("any", Sample.Start, rates) with { Terms = terms });
    private static readonly Gen<Operation> AnyOperation = Gen.Bool.Select(batch => batch ? Operation.Batch : Operation.Chat);

    [Fact]
    public void The_whole_input_chooses_the_tier_and_the_tier_holds_for_all_tokens()
    {
        PriceVersion price = Version("input 0.4 output 1.2", "above 256000 input 1.2 output 3.6");
        Assert.Equal(Sample.Usd("0.1036"), Rating.Charge(price, new RatedUsage(new TokenCounts(256_000, 0, 0, 1_000, 0))));
        Assert.Equal(Sample.Usd("0.3108012"), Rating.Charge(price, new RatedUsage(new TokenCounts(256_001, 0, 0, 1_000, 0))));
        Assert.Equal(Sample.Usd("0.3108012"), Rating.Charge(price, new RatedUsage(new TokenCounts(256_001, 0, 0, 1_000, 0), Cache: CacheMode.Explicit)));
    }

    [Fact]
    public void Cached_input_is_priced_by_how_it_was_found()
    {
        PriceVersion price = Version("input 1 output 2 cache-read 0.2 explicit-read 0.1 cache-write 1.25", "");
        var tokens = new TokenCounts(1_000_000, 400_000, 100_000, 0, 0);
        Assert.Equal(Sample.Usd("0.705"), Rating.Charge(price, new RatedUsage(tokens)));
        Assert.Equal(Sample.Usd("0.665"), Rating.Charge(price, new RatedUsage(tokens, Cache: CacheMode.Explicit)));
    }

    [Fact]
    public void All_output_of_a_request_that_thought_has_the_thinking_price()
    {
        PriceVersion price = Version("input 0.4 output 1.2 thinking 4", "");
        Assert.Equal(Sample.Usd("1.2"), Rating.Charge(price, new RatedUsage(new TokenCounts(0, 0, 0, 1_000_000, 0))));
        Assert.Equal(Sample.Usd("4"), Rating.Charge(price, new RatedUsage(new TokenCounts(0, 0, 0, 1_000_000, 1))));
    }

    [Fact]
    public void A_batch_pays_its_part_and_a_failed_row_nothing()
    {
        PriceVersion price = Version("input 1 output 2", "batch 50% request 0.1");
        var tokens = new TokenCounts(1_000_000, 0, 0, 0, 0);
        Assert.Equal(Sample.Usd("1.1"), Rating.Charge(price, new RatedUsage(tokens)));
        Assert.Equal(Sample.Usd("0.55"), Rating.Charge(price, new RatedUsage(tokens, Operation.Batch)));
        Assert.Equal(Sample.Usd("0"), Rating.Charge(price, new RatedUsage(tokens, Operation.Batch, Outcome.Failed)));
    }

    [Fact]
    public void A_request_owes_at_least_the_minimum_unless_it_failed()
    {
        PriceVersion price = Version("input 1 output 2", "minimum 0.001");
        Assert.Equal(Sample.Usd("0.001"), Rating.Charge(price, new RatedUsage(new TokenCounts(1, 0, 0, 1, 0))));
        Assert.Equal(Sample.Usd("0.002"), Rating.Charge(price, new RatedUsage(new TokenCounts(2_000, 0, 0, 0, 0))));
        Assert.Equal(Sample.Usd("0"), Rating.Charge(price, new RatedUsage(default, Outcome: Outcome.Failed)));
    }

    [Fact]
    public void Training_is_charged_by_tokens_and_epochs_and_at_least_for_one_token()
    {
        PriceVersion price = Version("input 0.7 output 2.8", "training 8");
        Assert.Equal(Sample.Usd("36"), Rating.Training(price, 1_000_000, 500_000, 3));
        Assert.Equal(Sample.Usd("0.000008"), Rating.Training(price, 0, 0, 3));
        Assert.Throws<InvalidOperationException>(() => Rating.Training(Version("input 1 output 1", ""), 1, 0, 1));
    }

    [Fact]
    public void Reserved_capacity_is_owed_for_its_time_however_it_is_cut() => Gen.Select(Gen.Long[0, 5], Gen.Long[0, 10_000], Gen.Long[1, 1_000_000], Gen.Long[0, 40_000_000_000_000]).Sample((units, tpm, hourly, cut) =>
    {
        var period = new Period(Sample.Start, Sample.Start.Plus(36_000_000_000_001));
        PriceVersion price = Sample.Price("reserved", Sample.Start, Sample.Rates()) with { Terms = new PriceTerms { UnitHour = new Money(hourly, Currency.Usd), InputThroughputHour = new Money(7, Currency.Usd) } };
        var reservation = new Reservation("r", Sample.Party().Tenant, Sample.Model, period, price.Id, units, tpm, 0);
        Money whole = reservation.ChargeUntil(price, period.To), part = reservation.ChargeUntil(price, Sample.Start.Plus(cut));
        Assert.True(part <= whole);
        Assert.Equal((hourly * units + 7 * tpm) * (Int128)36_000_000_000_001 / 3_600_000_000_000, whole.Picos);
        Assert.Equal(whole, reservation.ChargeUntil(price, Period.All.To));
    });

    [Fact]
    public void The_worst_case_bounds_every_charge_under_all_terms() =>
        Gen.Select(AnyVersion, PricingTests.AnyTokens, Gen.Long[0, 1000], AnyOperation, Gen.Bool).Sample((price, tokens, spare, operation, asked) =>
            Assert.True(Rating.WorstCase(price, tokens.Input, tokens.Output + spare, operation) >= Rating.Charge(price, new RatedUsage(tokens, operation, Cache: asked ? CacheMode.Explicit : CacheMode.Implicit))));

    [Fact]
    public void What_is_affordable_under_all_terms_fits_and_one_token_more_does_not() => Gen.Select(AnyVersion, Gen.Long[0, 300_000], Gen.Long[0, 1_000_000_000_000], AnyOperation).Sample((price, input, picos, operation) =>
    {
        var available = new Money(picos, Currency.Usd);
        long output = Rating.AffordableOutput(price, input, available, operation);
        if (Rating.WorstCase(price, input, 0, operation) > available) Assert.Equal(0, output);
        else if (output == long.MaxValue) Assert.True(Rating.WorstCase(price, input, 1_000_000_000, operation) <= available);
        else
        {
            Assert.True(Rating.WorstCase(price, input, output, operation) <= available);
            Assert.True(Rating.WorstCase(price, input, output + 1, operation) > available);
        }
    });

    [Fact]
    public void A_charge_is_the_sum_of_its_classes_under_all_terms() => Gen.Select(AnyVersion, PricingTests.AnyTokens, AnyOperation).Sample((price, tokens, operation) =>
    {
        var usage = new RatedUsage(tokens, operation);
        Money charge = Rating.Charge(price, usage);
        ChargeByClass parts = Rating.Breakdown(price, usage, charge);
        Assert.Equal(charge, parts.Input + parts.CacheRead + parts.CacheWrite + parts.Output + parts.Reasoning);
    });

    [Fact]
    public void Without_terms_a_version_charges_what_its_rates_do() => Gen.Select(PricingTests.AnyRates, PricingTests.AnyTokens).Sample((rates, tokens) =>
        Assert.Equal(Rating.Charge(rates, tokens), Rating.Charge(Sample.Price("plain", Sample.Start, rates), new RatedUsage(tokens))));

    [Fact]
    public void Terms_survive_being_written_and_read() => AnyTerms.Sample(terms => Assert.Equal(terms, PriceTerms.Parse(terms.ToString(), Currency.Usd)));

    [Theory]
    [InlineData("above 100 input 1 output 1 above 100 input 1 output 1")]
    [InlineData("above many input 1 output 1")]
    [InlineData("above 100 input 1")]
    [InlineData("batch half")]
    [InlineData("discount 5%")]
    public void Terms_that_are_not_understood_are_refused(string text) => Assert.Throws<FactFormatException>(() => PriceTerms.Parse(text, Currency.Usd));

    private static PriceVersion Version(string rates, string terms) => Sample.Price("v", Sample.Start, Sample.Rates(rates)) with { Terms = PriceTerms.Parse(terms, Currency.Usd) };
}
