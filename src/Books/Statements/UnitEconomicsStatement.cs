using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Makes <see cref="UnitEconomics"/> in one pass over the period's records and one over its capacity.</summary>
internal sealed class UnitEconomicsStatement
{
    private readonly PriceBook prices;
    private readonly CostBook costs;
    private readonly Dictionary<(ModelName Model, Currency Currency), ModelSums> models = [];
    private readonly Dictionary<(PoolName Pool, Currency Currency), Int128> poolRevenue = [];
    private long unpriced;
    private long uncosted;

    private UnitEconomicsStatement(PriceBook prices, CostBook costs) => (this.prices, this.costs) = (prices, costs);

    public static async Task<UnitEconomics> MakeAsync(IBookReader store, Period period, CancellationToken cancel)
    {
        var statement = new UnitEconomicsStatement(new PriceBook(await store.ReadPricesAsync(cancel).ConfigureAwait(false)), new CostBook(await store.ReadPoolRatesAsync(cancel).ConfigureAwait(false)));
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(period), cancel).ConfigureAwait(false))
            statement.Add(record);
        var pools = ImmutableArray.CreateBuilder<PoolEconomics>();
        foreach (PoolName pool in statement.costs.Pools)
            pools.Add(await statement.ReadPoolAsync(store, pool, period, cancel).ConfigureAwait(false));
        ImmutableArray<ModelEconomics> economics = [.. statement.models
            .OrderBy(m => m.Key.Model.Value, StringComparer.Ordinal).ThenBy(m => m.Key.Currency.Code, StringComparer.Ordinal)
            .Select(m => m.Value.ToEconomics(m.Key.Model, m.Key.Currency))];
        return new UnitEconomics(period, economics, pools.ToImmutable(), statement.unpriced, statement.uncosted);
    }

    private void Add(UsageRecord record)
    {
        if (record.Charge is { } charge && record.Price is { } id && prices.Get(id) is { } version)
        {
            Sums(record.Model, charge.Currency).AddRevenue(record.Tokens, Rating.Breakdown(version, record.Rated, charge));
            var key = (record.Pool, charge.Currency);
            poolRevenue[key] = poolRevenue.GetValueOrDefault(key) + charge.Picos;
        }
        else
        {
            unpriced++;
        }
        if (record.Cost is { } cost) Sums(record.Model, cost.Currency).AddCost(record, cost, counts: record.Charge is null || record.Charge.Value.Currency != cost.Currency);
        else uncosted++;
    }

    private ModelSums Sums(ModelName model, Currency currency)
    {
        if (!models.TryGetValue((model, currency), out ModelSums? sums)) models[(model, currency)] = sums = new ModelSums();
        return sums;
    }

    private async Task<PoolEconomics> ReadPoolAsync(IBookReader store, PoolName pool, Period period, CancellationToken cancel)
    {
        Currency currency = costs.Rates.First(r => r.Pool == pool).HourlyCost.Currency;
        long running = 0, down = 0, busy = 0;
        Money cost = Money.Zero(currency);
        await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, period, cancel).ConfigureAwait(false))
        {
            Instant from = record.From > period.From ? record.From : period.From;
            Instant to = record.To < period.To ? record.To : period.To;
            if (to <= from) continue;
            long wall = to.UnixNanoseconds - from.UnixNanoseconds;
            if (record.State == CapacityState.Down)
            {
                down += wall;
                continue;
            }
            running += wall;
            busy += wall == record.WallNanoseconds ? record.BusyNanoseconds : Allocation.Split(record.BusyNanoseconds, [wall, record.WallNanoseconds - wall])[0];
            cost += costs.RunningCost(pool, from, to)!.Amount;
        }
        int permille = costs.Rates.Last(r => r.Pool == pool).PracticalCapacityPermille;
        return new PoolEconomics(pool, running, down, busy, permille, cost, new Money(poolRevenue.GetValueOrDefault((pool, currency)), currency));
    }

    /// <summary>Sums of one model in one currency.</summary>
    private sealed class ModelSums
    {
        private long requests;
        private TokenCounts tokens;
        private Int128 input, cacheRead, cacheWrite, output, reasoning, prefillCost, decodeCost;

        public void AddRevenue(TokenCounts counts, ChargeByClass charge)
        {
            requests++;
            tokens += counts;
            input += charge.Input.Picos;
            cacheRead += charge.CacheRead.Picos;
            cacheWrite += charge.CacheWrite.Picos;
            output += charge.Output.Picos;
            reasoning += charge.Reasoning.Picos;
        }

        /// <param name="counts">The record's tokens are not counted by its revenue.</param>
        public void AddCost(UsageRecord record, Money cost, bool counts)
        {
            if (counts)
            {
                requests++;
                tokens += record.Tokens;
            }
            ImmutableArray<Money> phases = record.Device.TotalNanoseconds == 0
                ? [cost, Money.Zero(cost.Currency)]
                : Allocation.Split(cost, [record.Device.PrefillNanoseconds, record.Device.DecodeNanoseconds]);
            prefillCost += phases[0].Picos;
            decodeCost += phases[1].Picos;
        }

        public ModelEconomics ToEconomics(ModelName model, Currency currency)
        {
            Money Of(Int128 picos) => new(picos, currency);
            // Cached input is not computed again: prefill is the cost of the rest, decode that of plain output and reasoning alike, by tokens.
            ImmutableArray<Int128> prefill = Share(prefillCost, tokens.Input - tokens.CacheRead - tokens.CacheWrite, tokens.CacheWrite);
            ImmutableArray<Int128> decode = Share(decodeCost, tokens.Output - tokens.Reasoning, tokens.Reasoning);
            return new ModelEconomics(model, requests,
            [
                new ClassEconomics("input", tokens.Input - tokens.CacheRead - tokens.CacheWrite, Of(input), Of(prefill[0])),
                new ClassEconomics("cache read", tokens.CacheRead, Of(cacheRead), Of(0)),
                new ClassEconomics("cache write", tokens.CacheWrite, Of(cacheWrite), Of(prefill[1])),
                new ClassEconomics("output", tokens.Output - tokens.Reasoning, Of(output), Of(decode[0])),
                new ClassEconomics("reasoning", tokens.Reasoning, Of(reasoning), Of(decode[1])),
            ], new ClassEconomics("all", tokens.Input + tokens.Output, Of(input + cacheRead + cacheWrite + output + reasoning), Of(prefillCost + decodeCost)));
        }

        private static ImmutableArray<Int128> Share(Int128 cost, long first, long second) => first + second == 0 ? [cost, 0] : Allocation.Split(cost, [(Int128)first, second]);
    }
}
