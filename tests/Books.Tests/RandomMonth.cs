using System.Collections.Immutable;
using CsCheck;

namespace Qanat.Books.Tests;

/// <summary>Random facts of a month on one or two pools, as the gateway would record them: holds, steps metered with busy time, settlements, price and rate changes, postings in between.</summary>
internal sealed record RandomMonth(ImmutableArray<PriceVersion> Prices, ImmutableArray<PoolRate> Rates, ImmutableArray<MonthEvent> Events)
{
    private const long Minute = 60_000_000_000;

    public static readonly Gen<RandomMonth> Gen = CsCheck.Gen.Select(
        CsCheck.Gen.Select(CsCheck.Gen.Long[-100, 40_000], CsCheck.Gen.Int[0, 2], CsCheck.Gen.Int[0, 2], PricingTests.AnyRates, CsCheck.Gen.Bool, PriceTermsTests.AnyTerms).Array[1, 6],
        CsCheck.Gen.Select(CsCheck.Gen.Long[-100, 40_000], CsCheck.Gen.Bool, CsCheck.Gen.Long[0, 20_000_000_000_000], CsCheck.Gen.Int[1, 1000]).Array[1, 4],
        EventGen.Array[1, 60],
        (prices, rates, events) => new RandomMonth(
            [.. prices.Select((p, i) => Sample.Price(Name("p", i), Sample.Start.Plus(p.Item1 * Minute), p.Item4, p.Item2 == 0 ? null : Model(p.Item2), p.Item3 == 0 ? null : Tenant(p.Item3).Tenant) with { Terms = p.Item5 ? p.Item6 : null })],
            [.. rates.Select((r, i) => Sample.Rate(Name("r", i), Sample.Start.Plus(r.Item1 * Minute), "0", r.Item4, Pool(r.Item2)) with { HourlyCost = new Money(r.Item3, Currency.Usd) })],
            [.. events]));

    private static Gen<MonthEvent> EventGen => CsCheck.Gen.Select(
        CsCheck.Gen.Int[0, 9], CsCheck.Gen.Bool, CsCheck.Gen.Int[1, 2], CsCheck.Gen.Int[1, 2], PricingTests.AnyTokens, CsCheck.Gen.Long[0, 3 * Minute], CsCheck.Gen.Long[0, 900 * Minute], CsCheck.Gen.Int[0, 3],
        (kind, pool, model, tenant, tokens, device, gap, state) => new MonthEvent(kind, Pool(pool), Model(model), tenant, tokens, device, gap, state));

    public static ImmutableArray<PoolName> Pools => [Pool(false), Pool(true)];

    public static Party Tenant(int number) => Sample.Party(Name("tenant", number));

    /// <summary>Records everything in a store. Every event advances its pool's time; a quarter of them leave their request open until the pool's next event, some post.</summary>
    public async Task RecordAsync(IBookStore store)
    {
        foreach (PriceVersion price in Prices) await store.AppendAsync(new PriceAdded(price));
        foreach (PoolRate rate in Rates) await store.AppendAsync(new PoolRateAdded(rate));
        var prices = new PriceBook(Prices);
        var costs = new CostBook(Rates);
        var bookkeeper = new Bookkeeper(store);
        var now = new Dictionary<PoolName, Instant> { [Pool(false)] = Sample.Start, [Pool(true)] = Sample.Start };
        var open = new List<(Hold Hold, UsageProgress Progress)>();
        foreach (var (e, index) in Events.Select((e, i) => (e, i)))
        {
            Instant start = now[e.Pool], served = start.Plus(e.Device), end = served.Plus(e.Gap);
            foreach (var waiting in open.Where(o => o.Hold.Pool == e.Pool).ToList())
            {
                await SettleAsync(store, prices, costs, waiting.Hold, waiting.Progress, start, Outcome.Recovered);
                open.Remove(waiting);
            }
            PriceVersion? price = prices.Find(e.Model, Tenant(e.Tenant).Tenant, start);
            var hold = new Hold(new RequestId(Sample.Id(Name("request", index))), start, Tenant(e.Tenant), e.Model, new DeploymentName($"{e.Pool}/{e.Model}"), Operation.Chat, price?.Id, Money.Zero(Currency.Usd), e.Pool);
            var progress = new UsageProgress(hold.Id, e.Tokens, new DeviceTime(e.Device / 3, e.Device - e.Device / 3));
            await store.AppendAsync(new HoldPlaced(hold));
            await store.AppendAsync(new StepsMetered([progress], Capacity(e, start, served, end)));
            now[e.Pool] = end;
            if (e.Kind >= 3) await SettleAsync(store, prices, costs, hold, progress, served, Outcome.Completed);
            else open.Add((hold, progress));
            if (e.Kind == 9) await bookkeeper.PostAsync();
            if (e.Kind == 8) bookkeeper = new Bookkeeper(store);
        }
    }

    private static ImmutableArray<CapacityRecord> Capacity(MonthEvent e, Instant start, Instant served, Instant end)
    {
        var records = ImmutableArray.CreateBuilder<CapacityRecord>();
        if (served > start) records.Add(new CapacityRecord(e.Pool, start, served, CapacityState.Serving, e.Device));
        CapacityState rest = e.State switch { 0 => CapacityState.Down, 1 => CapacityState.Loading, _ => CapacityState.Serving };
        if (end > served) records.Add(new CapacityRecord(e.Pool, served, end, rest, 0));
        return records.ToImmutable();
    }

    private static Task SettleAsync(IBookStore store, PriceBook prices, CostBook costs, Hold hold, UsageProgress progress, Instant at, Outcome outcome)
    {
        PriceVersion? price = hold.Price is { } id ? prices.Get(id) : null;
        UsageCost? cost = costs.Cost(hold.Pool!.Value, at, progress.Device);
        return store.AppendAsync(new HoldSettled(new UsageRecord(hold.Id, hold.PlacedAt, hold.PlacedAt, at, hold.Party, hold.Model, hold.Deployment, hold.Pool.Value, hold.Operation, outcome,
            progress.Tokens, progress.Device, price?.Id, price is null ? null : Rating.Charge(price, new RatedUsage(progress.Tokens)), cost?.Rate, cost?.Amount)));
    }

    private static string Name(string what, int number) => what + number.ToString(System.Globalization.CultureInfo.InvariantCulture);
    private static ModelName Model(int number) => new(Name("model", number));
    private static PoolName Pool(bool big) => new(big ? "big-machine" : "this-machine");
}

/// <param name="Kind">0-2: stays open until the pool's next event; 8: the bookkeeper restarts; 9: post.</param>
internal sealed record MonthEvent(int Kind, PoolName Pool, ModelName Model, int Tenant, TokenCounts Tokens, long Device, long Gap, int State);
