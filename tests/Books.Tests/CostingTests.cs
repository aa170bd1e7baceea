using System.Numerics;
using CsCheck;

namespace Qanat.Books.Tests;

public class CostingTests
{
    private const long Hour = Instant.NanosecondsPerHour;

    [Fact]
    public void A_request_costs_its_device_time_at_the_rate_of_practical_capacity()
    {
        // USD 0.85 an hour at 85 % is USD 1 for an hour of practical capacity.
        var book = new CostBook([Sample.Rate("r", Sample.Start, "0.85")]);
        UsageCost? cost = book.Cost(Sample.Pool, Sample.Start, new DeviceTime(Hour / 4, Hour / 4));
        Assert.Equal(Sample.Usd("0.5"), cost!.Amount);
        Assert.Null(book.Cost(Sample.Pool, Sample.Start.Plus(-1), default));
        Assert.Null(book.Cost(new PoolName("elsewhere"), Sample.Start, default));
    }

    [Fact]
    public void Cost_is_within_half_a_pico_of_the_exact_quotient() => Gen.Select(Gen.Long[0, 1_000_000_000_000_000], Gen.Int[1, 1000], Gen.Long[0, 40 * Hour]).Sample((hourly, permille, device) =>
    {
        PoolRate rate = Sample.Rate("r", Sample.Start, "0") with { HourlyCost = new Money(hourly, Currency.Usd), PracticalCapacityPermille = permille };
        BigInteger capacity = (BigInteger)Hour * permille / 1000;
        BigInteger off = (BigInteger)CostBook.Cost(rate, new DeviceTime(device, 0)).Picos * capacity - (BigInteger)hourly * device;
        Assert.True(BigInteger.Abs(off) * 2 <= capacity);
    });

    [Fact]
    public void Running_cost_is_exact_wherever_it_is_cut() => Gen.Select(
        Gen.Select(Gen.Long[0, 10 * Hour], Gen.Long[0, 5_000_000_000_000]).Array[1, 5], Gen.Long[0, 12 * Hour].Array[2, 20]).Sample((rates, cuts) =>
    {
        var book = new CostBook(rates.Select((r, i) => Sample.Rate("r" + i.ToString(System.Globalization.CultureInfo.InvariantCulture), Sample.Start.Plus(r.Item1), "0") with { HourlyCost = new Money(r.Item2, Currency.Usd) }));
        long[] at = [.. cuts.Order()];
        Money pieces = at.Zip(at.Skip(1)).Aggregate(Money.Zero(Currency.Usd), (sum, cut) => sum + book.RunningCost(Sample.Pool, Sample.Start.Plus(cut.First), Sample.Start.Plus(cut.Second))!.Amount);
        Assert.Equal(book.RunningCost(Sample.Pool, Sample.Start.Plus(at[0]), Sample.Start.Plus(at[^1]))!.Amount, pieces);
    });

    [Fact]
    public void Running_cost_follows_a_change_of_rate()
    {
        var book = new CostBook([Sample.Rate("a", Sample.Start, "1"), Sample.Rate("b", Sample.Start.Plus(Hour), "3")]);
        Assert.Equal(Sample.Usd("2"), book.RunningCost(Sample.Pool, Sample.Start.Plus(Hour / 2), Sample.Start.Plus(Hour + Hour / 2))!.Amount);
    }

    [Fact]
    public void Time_before_the_first_rate_is_uncosted_and_said()
    {
        var book = new CostBook([Sample.Rate("a", Sample.Start, "1")]);
        PoolCost cost = book.RunningCost(Sample.Pool, Sample.Start.Plus(-Hour), Sample.Start.Plus(Hour))!;
        Assert.Equal(Sample.Usd("1"), cost.Amount);
        Assert.Equal(Hour, cost.UncostedNanoseconds);
        Assert.Null(book.RunningCost(new PoolName("elsewhere"), Sample.Start, Sample.Start));
    }

    [Fact]
    public void Rates_that_make_no_sense_are_refused()
    {
        PoolRate rate = Sample.Rate("a", Sample.Start, "1");
        Assert.Throws<ArgumentException>(() => new CostBook([rate with { PracticalCapacityPermille = 0 }]));
        Assert.Throws<ArgumentException>(() => new CostBook([rate with { PracticalCapacityPermille = 1001 }]));
        Assert.Throws<ArgumentException>(() => new CostBook([rate with { HourlyCost = -rate.HourlyCost }]));
        Assert.Throws<ArgumentException>(() => new CostBook([rate, Sample.Rate("b", Sample.Start, "1") with { HourlyCost = Money.Zero(new Currency("CNY")) }]));
    }

    [Fact]
    public void Kaplan_and_Anderson_rate_and_unused_capacity()
    {
        // Their example: USD 560,000 of cost a quarter, 700,000 practical minutes: USD 0.80 a minute. 578,600 minutes are used: USD 462,880; unused USD 97,120.
        // Here the quarter is one run of 700,000 minutes at a practical capacity of 100 %.
        PoolRate rate = Sample.Rate("customer service", Sample.Start, "48", permille: 1000);
        Assert.Equal(Sample.Usd("560000"), new CostBook([rate]).RunningCost(Sample.Pool, Sample.Start, Sample.Start.Plus(700_000 * (Hour / 60)))!.Amount);
        Money used = CostBook.Cost(rate, new DeviceTime(578_600 * (Hour / 60), 0));
        Assert.Equal(Sample.Usd("462880"), used);
        Assert.Equal(Sample.Usd("97120"), Sample.Usd("560000") - used);
    }
}
