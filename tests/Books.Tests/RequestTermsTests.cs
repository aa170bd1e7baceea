using CsCheck;

namespace Qanat.Books.Tests;

public class RequestTermsTests
{
    private static readonly Party Acme = Sample.Party();
    private static readonly Gen<PriceVersion> AnyVersion = Gen.Select(PricingTests.AnyRates, PriceTermsTests.AnyTerms, (rates, terms) => Sample.Price("any", Sample.Start, rates) with { Terms = terms with { Tiers = [] } });
    private static readonly Gen<Operation> AnyOperation = Gen.Bool.Select(batch => batch ? Operation.Batch : Operation.Chat);

    [Fact]
    public void The_worst_case_under_a_contract_bounds_every_charge_it_allows() =>
        Gen.Select(AnyVersion, PricingTests.AnyTokens, Gen.Long[0, 1000], Gen.Int[0, 1000], Gen.Long[0, 500_000], AnyOperation, Gen.Bool).Sample((price, tokens, spare, permille, quota, operation, asked) =>
        {
            RequestTerms terms = new(price, Discounted(permille, quota));
            RatedUsage usage = new(tokens, operation, Outcome.Completed, asked ? CacheMode.Explicit : CacheMode.Implicit);
            long free = ContractRating.FreeTokens(terms.Contract, usage, Sample.Start, quota);
            RatedCharge rated = terms.Rate(usage, free, null)!;
            Assert.True(rated.Charge <= terms.WorstCase(tokens.Input, tokens.Output + spare, Math.Min(quota, tokens.Input + tokens.Output + spare), operation));
        });

    [Fact]
    public void What_is_affordable_under_a_contract_fits_and_one_token_more_does_not() =>
        Gen.Select(AnyVersion, Gen.Long[0, 10_000], Gen.Long[0, 1_000_000_000], Gen.Int[0, 1000], Gen.Long[0, 20_000], AnyOperation).Sample((price, input, picos, permille, free, operation) =>
        {
            RequestTerms terms = new(price, Discounted(permille, free));
            Money available = new(picos, Currency.Usd);
            long output = terms.AffordableOutput(input, available, free, operation);
            if (output is > 0 and < long.MaxValue) Assert.True(terms.WorstCase(input, output, free, operation) <= available);
            if (output < long.MaxValue) Assert.True(terms.WorstCase(input, output + 1, free, operation) > available || output == 0 && terms.WorstCase(input, 0, free, operation) > available);
        });

    [Fact]
    public void Without_a_contract_the_terms_are_those_of_the_price() => Gen.Select(AnyVersion, PricingTests.AnyTokens, AnyOperation).Sample((price, tokens, operation) =>
    {
        RequestTerms terms = new(price, null);
        RatedUsage usage = new(tokens, operation);
        Assert.Equal(new RatedCharge(Rating.Charge(price, usage), null), terms.Rate(usage, 0, null));
        Assert.Equal(Rating.WorstCase(price, tokens.Input, tokens.Output, operation), terms.WorstCase(tokens.Input, tokens.Output, 0, operation));
    });

    [Fact]
    public void Nothing_that_is_free_is_held_for()
    {
        RequestTerms terms = new(Sample.Price("list", Sample.Start, Sample.Rates("input 1 output 4")), Discounted(0, 1_000));
        Assert.Equal(Sample.Usd("0"), terms.WorstCase(400, 600, 1_000, Operation.Chat));
        Assert.Equal(Sample.Usd("0.002801"), new RequestTerms(terms.Price, null).WorstCase(401, 600, 0, Operation.Chat));
        // One of 1,001 tokens is charged: 0.002801 / 1,001, rounded up to the next pico.
        Assert.Equal(new Money(2_798_202, Currency.Usd), terms.WorstCase(401, 600, 1_000, Operation.Chat));
        Assert.Equal(Sample.Usd("0.0028"), terms.WorstCase(400, 600, 1_000, Operation.Batch));
    }

    [Fact]
    public void What_has_no_price_or_no_known_cost_for_its_transfer_price_is_unpriced()
    {
        RatedUsage usage = new(new TokenCounts(10, 0, 0, 5, 0));
        PriceVersion price = Sample.Price("list", Sample.Start, Sample.Rates("input 1 output 4"));
        Contract inside = Discounted(0, 0) with { Free = null, Transfer = new TransferPolicy(TransferBasis.CostPlus, 100) };
        Assert.Null(RequestTerms.None.Rate(usage, 0, Sample.Usd("1")));
        Assert.Null(new RequestTerms(price, inside).Rate(usage, 0, null));
        Assert.Equal(Sample.Usd("1.1"), new RequestTerms(price, inside).Rate(usage, 0, Sample.Usd("1"))!.Charge);
    }

    private static Contract Discounted(int permille, long freeTokens) =>
        new("c", Acme.Tenant, null, Period.All, permille, null, new FreeQuota(freeTokens, Sample.Start.Plus(1), WhenExhausted.Charge), null);
}
