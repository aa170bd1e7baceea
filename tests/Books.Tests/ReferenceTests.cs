using System.Collections.Immutable;
using System.Numerics;
using CsCheck;

namespace Qanat.Books.Tests;

/// <summary>Random months against a calculation from the raw facts that is slow and obviously right: BigInteger, no rates cache, no postings.</summary>
public class ReferenceTests
{
    [Fact]
    public async Task The_statement_equals_the_reference_on_random_months() => await RandomMonth.Gen.SampleAsync(async month =>
    {
        await using var store = new MemoryBookStore();
        await month.RecordAsync(store);
        await new Bookkeeper(store).PostAsync();
        ProfitAndLoss statement = await Statements.ProfitAndLossAsync(store, Period.All, GroupBy.Tenant | GroupBy.Model);
        List<UsageRecord> records = await ListAsync(store.StreamUsageAsync(new UsageQuery(Period.All)));

        foreach (var group in records.GroupBy(r => (r.Party.Tenant, r.Model)))
        {
            ProfitRow row = statement.Rows.Single(r => r.Key.Tenant == group.Key.Tenant && r.Key.Model == group.Key.Model);
            Assert.Equal(group.Aggregate(BigInteger.Zero, (sum, r) => sum + Charge(month, r)), row.Revenue.Picos);
            Assert.Equal(group.Aggregate(BigInteger.Zero, (sum, r) => sum + Cost(month, r)), row.ComputeCost.Picos);
            Assert.Equal(group.Count(), row.Requests);
            Assert.Equal(group.Sum(r => r.Tokens.Output), row.Tokens.Output);
        }
        Assert.Equal(records.Count, statement.Rows.Sum(r => r.Requests));
        Assert.Equal(0, statement.Unposted);

        BigInteger pools = 0;
        foreach (PoolName pool in month.Rates.Select(r => r.Pool).Distinct())
            pools += PoolCost(month, pool, await ListAsync(store.StreamCapacityAsync(pool, Period.All)));
        BigInteger used = records.Aggregate(BigInteger.Zero, (sum, r) => sum + Cost(month, r));
        BigInteger open = (await store.ReadOpenHoldsAsync()).Aggregate(BigInteger.Zero, (sum, h) => sum + DeviceCost(month, h.Hold.Pool!.Value, LastCapacity(store, h.Hold.Pool.Value), h.Progress.Device));
        BigInteger unused = statement.Totals.Aggregate(BigInteger.Zero, (sum, t) => sum + t.UnusedCapacity.Picos);
        Assert.Equal(pools, used + unused + open);
    }, iter: 60);

    [Fact]
    public async Task Every_identity_holds_on_random_months_whether_posted_or_not() => await RandomMonth.Gen.SampleAsync(async month =>
    {
        await using var store = new MemoryBookStore();
        await month.RecordAsync(store);
        AssertSound(await BooksCheck.RunAsync(store));
        await new Bookkeeper(store).PostAsync();
        AssertSound(await BooksCheck.RunAsync(store));
    }, iter: 60);

    [Fact]
    public async Task Facts_recorded_twice_change_nothing() => await RandomMonth.Gen.SampleAsync(async month =>
    {
        await using var once = new MemoryBookStore();
        await using var twice = new MemoryBookStore();
        await month.RecordAsync(once);
        await month.RecordAsync(new TwiceBookStore(twice));
        await new Bookkeeper(once).PostAsync();
        await new Bookkeeper(twice).PostAsync();
        await new Bookkeeper(twice).PostAsync();
        Assert.Equal(await TextAsync(once), await TextAsync(twice));
    }, iter: 30);

    [Fact]
    public async Task How_often_is_posted_does_not_change_any_balance() => await RandomMonth.Gen.SampleAsync(async month =>
    {
        await using var often = new MemoryBookStore();
        await using var seldom = new MemoryBookStore();
        await (month with { Events = [.. month.Events.Select(e => e.Kind >= 7 ? e with { Kind = 9 } : e)] }).RecordAsync(often);
        await (month with { Events = [.. month.Events.Select(e => e.Kind >= 7 ? e with { Kind = 7 } : e)] }).RecordAsync(seldom);
        await new Bookkeeper(often).PostAsync();
        await new Bookkeeper(seldom).PostAsync();
        Assert.Equal((await Statements.TrialBalanceAsync(seldom, Period.All.To)).Accounts.Select(a => (a.Account, a.Amount)),
            (await Statements.TrialBalanceAsync(often, Period.All.To)).Accounts.Select(a => (a.Account, a.Amount)));
    }, iter: 30);

    internal static void AssertSound(BooksReport report) =>
        Assert.True(report.IsOk, string.Join('\n', report.Identities.Where(i => !i.IsOk).Select(i => $"{i.Name} {i.Subject}: {i.LeftText} / {i.RightText} {string.Join(' ', i.Findings)}")));

    private static BigInteger Charge(RandomMonth month, UsageRecord r)
    {
        bool Is(PriceVersion p, bool model, bool tenant) => p.EffectiveFrom <= r.PlacedAt && p.Model == (model ? r.Model : null) && p.Tenant == (tenant ? r.Party.Tenant : null);
        PriceVersion? Latest(bool model, bool tenant) => month.Prices.Where(p => Is(p, model, tenant)).OrderBy(p => p.EffectiveFrom).ThenBy(p => p.AddedAt).ThenBy(p => p.Id.Value).LastOrDefault();
        if ((Latest(true, true) ?? Latest(true, false) ?? Latest(false, true) ?? Latest(false, false)) is not { } price) return 0;
        PriceTerms terms = price.Terms ?? PriceTerms.None;
        TokenRates rates = terms.Tiers.LastOrDefault(t => t.AboveInputTokens < r.Tokens.Input)?.Rates ?? price.Rates;
        BigInteger input = rates.InputPerToken.Picos, output = rates.OutputPerToken.Picos;
        BigInteger charge = input * (r.Tokens.Input - r.Tokens.CacheRead - r.Tokens.CacheWrite)
            + (rates.CacheReadPerToken?.Picos ?? input) * r.Tokens.CacheRead
            + (rates.CacheWritePerToken?.Picos ?? input) * r.Tokens.CacheWrite
            + output * (r.Tokens.Output - r.Tokens.Reasoning)
            + (rates.ReasoningPerToken?.Picos ?? output) * r.Tokens.Reasoning
            + (terms.PerRequest?.Picos ?? 0);
        return BigInteger.Max(charge, terms.Minimum?.Picos ?? 0);
    }

    private static BigInteger Cost(RandomMonth month, UsageRecord r) => DeviceCost(month, r.Pool, r.CompletedAt, r.Device);

    private static BigInteger DeviceCost(RandomMonth month, PoolName pool, Instant at, DeviceTime device)
    {
        PoolRate? rate = Ordered(month, pool).LastOrDefault(p => p.EffectiveFrom <= at);
        if (rate is null) return 0;
        BigInteger denominator = (BigInteger)3_600_000_000 * rate.PracticalCapacityPermille;
        return ((BigInteger)rate.HourlyCost.Picos * device.TotalNanoseconds * 2 + denominator) / (denominator * 2);
    }

    /// <summary>Cost of a pool's running stretches, each rate on its own: what accrued from the rate's beginning to the end of the stretch, less what had to its start.</summary>
    private static BigInteger PoolCost(RandomMonth month, PoolName pool, List<CapacityRecord> capacity)
    {
        PoolRate[] rates = [.. Ordered(month, pool)];
        BigInteger total = 0;
        foreach (CapacityRecord record in capacity.Where(c => c.State != CapacityState.Down))
        {
            for (int i = 0; i < rates.Length; i++)
            {
                long begin = rates[i].EffectiveFrom.UnixNanoseconds, end = i + 1 < rates.Length ? rates[i + 1].EffectiveFrom.UnixNanoseconds : long.MaxValue;
                long from = Math.Max(begin, record.From.UnixNanoseconds), to = Math.Min(end, record.To.UnixNanoseconds);
                if (from >= to) continue;
                BigInteger Until(long at) => (BigInteger)rates[i].HourlyCost.Picos * (at - begin) / 3_600_000_000_000;
                total += Until(to) - Until(from);
            }
        }
        return total;
    }

    private static IEnumerable<PoolRate> Ordered(RandomMonth month, PoolName pool) =>
        month.Rates.Where(r => r.Pool == pool).OrderBy(r => r.EffectiveFrom).ThenBy(r => r.AddedAt).ThenBy(r => r.Id.Value);

    private static Instant LastCapacity(MemoryBookStore store, PoolName pool) => store.StreamCapacityAsync(pool, Period.All).ToBlockingEnumerable().Last().To;

    private static async Task<string> TextAsync(IBookStore store)
    {
        using var text = new StringWriter();
        await HledgerExport.WriteAsync(store, text);
        return text.ToString();
    }

    private static async Task<List<T>> ListAsync<T>(IAsyncEnumerable<T> items)
    {
        var list = new List<T>();
        await foreach (T item in items) list.Add(item);
        return list;
    }
}
