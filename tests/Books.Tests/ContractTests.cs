using System.Collections.Immutable;
using CsCheck;

namespace Qanat.Books.Tests;

public class ContractTests
{
    private static readonly Party Acme = Sample.Party();
    private static readonly PriceVersion Price = Sample.Price("list", Sample.Start, Sample.Rates("input 1 output 4"));

    [Fact]
    public void Whatever_the_order_of_requests_the_free_quota_gives_the_same_number_of_tokens() =>
        Gen.Select(PricingTests.AnyTokens.Array[1, 8], Gen.Long[0, 2_000_000], Gen.Int[0, 1000], Gen.Int).Sample((requests, quota, permille, seed) =>
        {
            var contract = new Contract("c", Acme.Tenant, null, Period.All, permille, null, new FreeQuota(quota, Sample.Start.Plus(1), WhenExhausted.Charge), null);
            long Free(IEnumerable<TokenCounts> order)
            {
                long left = quota;
                foreach (TokenCounts tokens in order)
                {
                    var usage = new RatedUsage(tokens);
                    long free = ContractRating.FreeTokens(contract, usage, Sample.Start, left);
                    ChargeBasis basis = ContractRating.Rate(Price, contract, usage, free);
                    Assert.Equal(basis.List, basis.Charge + basis.Discount + basis.Free);
                    Assert.False(basis.Charge.IsNegative);
                    Assert.Equal(basis, ChargeBasis.Parse(basis.ToString(), Currency.Usd));
                    left -= free;
                }
                return quota - left;
            }
            var random = new Random(seed);
            Assert.Equal(Math.Min(quota, requests.Sum(t => t.Input + t.Output)), Free(requests));
            Assert.Equal(Free(requests), Free(requests.OrderBy(_ => random.Next())));
        });

    [Fact]
    public void A_discount_of_all_requests_does_not_depend_on_their_order() => Gen.Select(PricingTests.AnyTokens.Array[1, 8], Gen.Int[0, 1000]).Sample((requests, permille) =>
    {
        var contract = new Contract("c", Acme.Tenant, null, Period.All, permille, null, null, null);
        Money Sum(IEnumerable<TokenCounts> order) => order.Aggregate(Sample.Usd("0"), (sum, t) => sum + ContractRating.Rate(Price, contract, new RatedUsage(t), 0).Charge);
        Assert.Equal(Sum(requests), Sum(requests.Reverse()));
    });

    [Fact]
    public void Credit_is_drawn_from_what_expires_first_and_never_beyond_what_there_is() =>
        Gen.Select(Gen.Long[0, 50], Gen.Long[0, 10], Gen.Int[0, 10].Nullable()).Array[0, 4].Select(Gen.Long[0, 60].Array[0, 10], Gen.Int[0, 12]).Sample((credits, charges, end) =>
        {
            Instant Day(long day) => Sample.Start.Plus(day * 86_400_000_000_000);
            Credit[] paid = [.. credits.Select((c, i) => new Credit($"c{i}", Acme.Tenant, new Money(c.Item1, Currency.Usd), Day(c.Item2), c.Item3 is { } days ? Day(c.Item2 + days) : null, WhenExhausted.Charge))];
            ImmutableArray<DayCharge> days = [.. charges.Select((c, i) => new DayCharge(Day(i), new Money(c, Currency.Usd)))];
            ImmutableArray<CreditPosition> positions = CreditPosition.Of(paid, days, Day(end));
            Assert.Equal(positions.OrderBy(p => p.Credit.Name), CreditPosition.Of(paid.Reverse(), days.Reverse(), Day(end)).OrderBy(p => p.Credit.Name));
            foreach (CreditPosition position in positions)
            {
                Assert.False(position.Left.IsNegative || position.Drawn.IsNegative || position.Expired.IsNegative);
                if (position.Credit.ExpiresAt > Day(end)) Assert.True(position.Expired.IsZero);
            }
            Int128 drawn = positions.Aggregate(Int128.Zero, (sum, p) => sum + p.Drawn.Picos);
            Assert.True(drawn <= days.Where(d => d.Day < Day(end)).Aggregate(Int128.Zero, (sum, d) => sum + d.Charge.Picos));
        });

    [Fact]
    public void The_contract_for_the_model_holds_before_the_one_for_all_and_the_newer_before_the_older()
    {
        Contract Of(string name, string? model, Instant from) => new(name, Acme.Tenant, model is null ? null : new ModelName(model), new Period(from, Period.All.To), 0, null, null, null);
        ImmutableArray<Contract> all = [Of("all", null, Sample.Start), Of("mine", Sample.Model.Value, Sample.Start), Of("newer", null, Sample.Start.Plus(5))];
        Assert.Equal("mine", Contract.Find(all, Acme.Tenant, Sample.Model, Sample.Start.Plus(9))?.Name);
        Assert.Equal("all", Contract.Find(all, Acme.Tenant, new ModelName("other"), Sample.Start.Plus(4))?.Name);
        Assert.Equal("newer", Contract.Find(all, Acme.Tenant, new ModelName("other"), Sample.Start.Plus(5))?.Name);
        Assert.Null(Contract.Find(all, Acme.Tenant, Sample.Model, Sample.Start.Plus(-1)));
        Assert.Null(Contract.Find(all, Sample.Party("beta").Tenant, Sample.Model, Sample.Start));
    }

    [Fact]
    public void A_quota_that_stops_lets_no_token_out_beyond_it()
    {
        var contract = new Contract("c", Acme.Tenant, null, Period.All, 0, null, new FreeQuota(1_000, Sample.Start.Plus(10), WhenExhausted.Stop), null);
        Assert.Equal(300, ContractRating.AllowedOutput(contract, 200, Sample.Start, 500));
        Assert.Equal(0, ContractRating.AllowedOutput(contract, 200, Sample.Start, 100));
        Assert.Equal(0, ContractRating.AllowedOutput(contract, 200, Sample.Start.Plus(10), 500));
        Assert.Null(ContractRating.AllowedOutput(contract with { Free = contract.Free! with { Then = WhenExhausted.Charge } }, 200, Sample.Start, 0));
        Assert.Equal(0, ContractRating.FreeTokens(contract, new RatedUsage(new TokenCounts(10, 0, 0, 0, 0), Operation.Batch), Sample.Start, 500));
        Assert.Equal(0, ContractRating.FreeTokens(contract, new RatedUsage(new TokenCounts(10, 0, 0, 0, 0), Outcome: Outcome.Failed), Sample.Start, 500));
    }

    [Theory]
    [InlineData("full-cost", "2")]
    [InlineData("cost-plus margin 10%", "2.2")]
    [InlineData("market", "5")]
    [InlineData("marginal part 25%", "0.5")]
    public void An_internal_tenant_is_charged_by_its_policy(string policy, string charge)
    {
        var contract = (Contract)new Declarations([Declaration.Of($"contract c tenant {Acme.Tenant} from 2026-01-01 transfer {policy}", Sample.Start)]).Contracts.Single();
        ChargeBasis? basis = ContractRating.Transfer(Price, contract, new RatedUsage(new TokenCounts(1_000_000, 0, 0, 1_000_000, 0)), Sample.Usd("2"));
        Assert.Equal(Sample.Usd(charge), basis?.Charge);
    }

    [Theory]
    [InlineData("contract c from 2026-01-01", "'tenant' is missing.")]
    [InlineData("contract c tenant 00000000-0000-0000-0000-000000000001 from 2026-01-01 discuont 5%", "'discuont' was not understood.")]
    [InlineData("contract c tenant 00000000-0000-0000-0000-000000000001 from 2026-01-01 discount 200%", "at most 100%")]
    [InlineData("contract c:d tenant 00000000-0000-0000-0000-000000000001 from 2026-01-01", "cannot be a name")]
    [InlineData("contrat c", "'contrat' cannot be declared")]
    public void A_declaration_that_is_not_understood_is_refused(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<FactFormatException>(() => Declaration.Of(text, Sample.Start)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_name_is_given_once()
    {
        Declaration first = Declaration.Of($"contract c tenant {Acme.Tenant} from 2026-01-01 discount 5%", Sample.Start);
        Declaration same = Declaration.Of($"contract   c tenant {Acme.Tenant} from 2026-01-01\n  discount 5%", Sample.Start.Plus(5));
        Assert.Equal(first.Id, same.Id);
        Assert.Single(new Declarations([first, same]).Contracts);
        Assert.Throws<ArgumentException>(() => new Declarations([first]).With(Declaration.Of($"contract c tenant {Acme.Tenant} from 2026-01-01 discount 6%", Sample.Start)));
    }
}
