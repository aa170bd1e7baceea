using System.Collections.Immutable;
using CsCheck;

namespace Qanat.Books.Tests;

public class PoolCostTests
{
    private static readonly Gen<Asset> AnyAsset = Gen.Select(Gen.Long[0, 1_000_000_000_000], Gen.Int[0, 1000], Gen.Long[1, 10_000_000], Gen.Bool, Gen.Long[1, 50]).Select((price, residual, life, units, hours) =>
        new Asset("a", Sample.Pool, new Money(price, Currency.Usd), Allocation.Split(new Money(price, Currency.Usd), [(long)residual, 1000L - residual])[0], Sample.Start,
            units ? DepreciationMethod.UnitsOfProduction : DepreciationMethod.StraightLine, units ? Period.All.To : Sample.Start.Plus(life), units ? hours : 0, null));

    [Fact]
    public void Depreciation_never_falls_and_ends_at_price_less_residual() =>
        Gen.Select(AnyAsset, Gen.Long[0, 20_000_000].Array[0, 3], Gen.Long[0, 20_000_000], Gen.Long[0, 20_000_000]).Sample((asset, revisions, first, second) =>
        {
            var life = new AssetLife(asset, [.. revisions.Order().Select(r => new AssetRevised("a", Sample.Start.Plus(r), Sample.Start.Plus(r + 1_000), 60, null))], null);
            // Device time runs at twice the clock, so that units of production end as well.
            Int128 Busy(Instant at) => (Int128)(at.UnixNanoseconds - Sample.Start.UnixNanoseconds) * 20_000_000;
            Money early = Depreciation.Until(life, Sample.Start.Plus(Math.Min(first, second)), Busy), late = Depreciation.Until(life, Sample.Start.Plus(Math.Max(first, second)), Busy);
            Assert.True(early <= late);
            Assert.False(early.IsNegative);
            Assert.Equal(asset.Price - asset.Residual, Depreciation.Until(life, Sample.Start.Plus(100_000_000_000), Busy));
            Assert.True(Depreciation.Until(life, Sample.Start, Busy).IsZero);
        });

    [Fact]
    public void A_bill_accrues_evenly_and_wholly() => Gen.Select(Gen.Long[-1_000_000_000, 1_000_000_000], Gen.Long[1, 1_000_000], Gen.Long[0, 2_000_000]).Sample((picos, length, passed) =>
    {
        var bill = new Bill("b", Sample.Pool, CostNature.Hosting, new Money(picos, Currency.Usd), new Period(Sample.Start, Sample.Start.Plus(length)), 0);
        Assert.Equal(bill.Amount, bill.Until(bill.Period.To));
        Assert.True(bill.Until(Sample.Start).IsZero);
        Assert.Equal((Int128)Math.Floor((decimal)picos * Math.Min(passed, length) / length), bill.Until(Sample.Start.Plus(passed)).Picos);
    });

    [Fact]
    public async Task Energy_does_not_depend_on_how_time_is_cut_into_records() => await Gen.Select(Gen.Long[1, 1_000_000].Array[1, 6], Gen.Long[0, 1_000_000], Gen.Long[0, 500_000], Gen.Long[0, 500_000]).SampleAsync(async (walls, tariff, idle, busy) =>
    {
        Declaration[] facts =
        [
            Declaration.Of("tariff t from 2026-01-01 kwh 0." + tariff.ToString("D6", System.Globalization.CultureInfo.InvariantCulture) + " pue 130%", Sample.Start),
            Declaration.Of($"power p pool {Sample.Pool} from 2026-01-01 idle-watts {idle} busy-watts {busy}", Sample.Start),
        ];
        await using MemoryBookStore cut = new(), whole = new();
        Instant at = Sample.Start;
        foreach (long wall in walls)
        {
            await cut.AppendAsync(new StepsMetered([], [new CapacityRecord(Sample.Pool, at, at.Plus(wall * 1_000_000), CapacityState.Serving, wall * 500_000)]));
            at = at.Plus(wall * 1_000_000);
        }
        await whole.AppendAsync(new StepsMetered([], [new CapacityRecord(Sample.Pool, Sample.Start, at, CapacityState.Serving, walls.Sum() * 500_000)]));
        foreach (MemoryBookStore store in new[] { cut, whole })
            foreach (Declaration fact in facts) await store.AppendAsync(new Declared(fact));
        Declarations declared = await Declarations.ReadAsync(cut);
        Assert.Equal(await PoolCosts.UntilAsync(whole, declared, at), await PoolCosts.UntilAsync(cut, declared, at));
    }, iter: 30);

    [Fact]
    public async Task Costs_of_periods_that_touch_sum_to_those_of_both() => await Gen.Select(Gen.Long[1, 86_399], Gen.Long[1, 1_000_000]).SampleAsync(async (seconds, price) =>
    {
        await using var store = new MemoryBookStore();
        foreach (string text in new[] { $"asset a pool p price {price} in-service 2026-11-01 life 3years", $"bill b pool p for rent amount {price} from 2026-10-05 to 2026-12-17", "staff s pool p amount 77 share 33.3% from 2026-11-01 to 2026-12-01" })
            await store.AppendAsync(new Declared(Declaration.Of(text, Sample.Start)));
        Declarations declared = await Declarations.ReadAsync(store);
        Instant middle = Sample.Start.Plus(seconds * 1_000_000_007), end = Sample.Start.Plus(172_800_000_000_000);
        async Task<Money> Sum(Instant from, Instant to) => (await PoolCosts.InAsync(store, declared, new Period(from, to))).Aggregate(Sample.Usd("0"), (sum, l) => sum + l.Full);
        Assert.Equal(await Sum(Sample.Start, end), await Sum(Sample.Start, middle) + await Sum(middle, end));
    }, iter: 50);

    [Fact]
    public async Task The_consolidated_result_is_the_same_whatever_the_transfer_price() => await Gen.Select(Gen.Int[0, 500], Gen.Long[1, 1_000_000], Gen.Long[1, 1000]).SampleAsync(async (margin, tokens, seconds) =>
    {
        ImmutableArray<string> policies = ["full-cost", $"cost-plus margin {FactValue.PermilleText(margin)}", "market", $"marginal part {FactValue.PermilleText(margin)}"];
        Money? result = null;
        foreach (string policy in policies)
        {
            await using var store = new MemoryBookStore();
            var book = new Ledger(store);
            Consolidation sums = await book.RunAsync(policy, tokens, seconds);
            Assert.Equal(sums.InternalRevenue, sums.InternalUse);
            Assert.Equal(sums.Combined, sums.Consolidated);
            Assert.Equal(result ?? sums.Consolidated, sums.Consolidated);
            result = sums.Consolidated;
        }
    }, iter: 15);

    /// <summary>An internal and an external request, by way of the case language.</summary>
    private sealed class Ledger(MemoryBookStore store)
    {
        public async Task<Consolidation> RunAsync(string policy, long tokens, long seconds)
        {
            await LedgerTests.RunAsync("generated", $"""
                price list from 2026-01-01 input 1 output 1
                contract shop-2026 tenant shop from 2026-01-01 transfer {policy}
                pool this-machine from 2026-01-01 hourly 3.6 practical 85%
                request r1 placed 2026-01-02T00:00:00 tenant shop input {tokens} device {seconds}s
                request r2 placed 2026-01-02T00:01:00 tenant acme input 2000000 device 100s
                run this-machine from 2026-01-02T00:00:00 to 2026-01-03T00:00:00
                post
                period-end at 2026-02-01
                """, store);
            return (await Consolidation.ReadAsync(store, Period.All)).Single();
        }
    }
}
