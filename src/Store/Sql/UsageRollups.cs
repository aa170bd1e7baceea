using Qanat.Books;

namespace Qanat.Store;

/// <summary>Keeps the sums by hour and by day in step with the records: gathers what the records of a batch add, then adds it in the same transaction,
/// one row per group instead of one per record. The view usage_lines says the same in SQL; the store's check compares the two.</summary>
internal sealed class UsageRollups(SqlDatabase database)
{
    private readonly Dictionary<RollupKey, RollupSum> _hours = [];
    private readonly Dictionary<RollupKey, RollupSum> _days = [];

    public void Forget()
    {
        _hours.Clear();
        _days.Clear();
    }

    /// <param name="model">Row number of its name; likewise the pool.</param>
    public void Add(UsageRecord record, PartyRow party, long model, long pool)
    {
        string currency = record.Charge?.Currency.Code ?? record.Cost?.Currency.Code ?? StoredMoney.NoCurrency;
        bool sameCurrency = record.Cost is Money cost && cost.Currency.Code == currency;
        RollupKey key = new(0, party, model, pool, currency);
        Add(key, record.CompletedAt, new RollupSum(1, record.Charge is null ? 1 : 0, record.Cost is null ? 1 : 0, record.Tokens, record.Device,
            record.Charge?.Picos ?? 0, sameCurrency ? record.Cost!.Value.Picos : 0));
        if (record.Cost is Money other && !sameCurrency)
            Add(key with { Currency = other.Currency.Code }, record.CompletedAt, new RollupSum(0, 0, 0, default, default, 0, other.Picos));
    }

    /// <summary>Adds what was gathered to the tables.</summary>
    public void Flush()
    {
        Flush(_hours, "usage_hours");
        Flush(_days, "usage_days");
    }

    private void Add(RollupKey key, Instant at, RollupSum sum)
    {
        Add(_hours, key with { Start = at.HourStart.UnixNanoseconds }, sum);
        Add(_days, key with { Start = at.DayStart.UnixNanoseconds }, sum);
    }

    private static void Add(Dictionary<RollupKey, RollupSum> sums, RollupKey key, RollupSum sum) =>
        sums[key] = sums.TryGetValue(key, out RollupSum before) ? before + sum : sum;

    private void Flush(Dictionary<RollupKey, RollupSum> sums, string table)
    {
        if (sums.Count == 0) return;
        IRowWriter rows = database.Rows(table, Keys + Figures, table == "usage_hours" ? s_addToHours : s_addToDays);
        foreach ((RollupKey key, RollupSum sum) in sums)
        {
            rows.Row.Add(key.Start).Add(key.Party.Tenant).Add(key.Party.Project).Add(key.Party.Key).Add(key.Model).Add(key.Pool).Add(key.Currency)
                .Add(sum.Requests).Add(sum.Unpriced).Add(sum.Uncosted).Add(sum.Tokens).Add(sum.Device).Add(sum.Charge).Add(sum.Cost);
            rows.EndRow();
        }
        rows.Flush();
        sums.Clear();
    }

    private const string Keys = "start, tenant, project, key, model, pool, currency";
    private const string Figures = ", requests, unpriced, uncosted, input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns, charge_milli, charge_pico, cost_milli, cost_pico";
    private static readonly string s_addToHours = AddTo("usage_hours");
    private static readonly string s_addToDays = AddTo("usage_days");

    private static string AddTo(string table)
    {
        string[] counts = ["requests", "unpriced", "uncosted", "input", "cache_read", "cache_write", "output", "reasoning", "prefill_ns", "decode_ns"];
        return $"""
            ON CONFLICT ({Keys}) DO UPDATE SET {string.Join(", ", counts.Select(count => $"{count} = {table}.{count} + excluded.{count}"))},
              {StoredMoney.AddExcluded(table, "charge")}, {StoredMoney.AddExcluded(table, "cost")}
            """;
    }

    private readonly record struct RollupKey(long Start, PartyRow Party, long Model, long Pool, string Currency);

    private readonly record struct RollupSum(long Requests, long Unpriced, long Uncosted, TokenCounts Tokens, DeviceTime Device, Int128 Charge, Int128 Cost)
    {
        public static RollupSum operator +(RollupSum a, RollupSum b) => new(a.Requests + b.Requests, a.Unpriced + b.Unpriced, a.Uncosted + b.Uncosted,
            a.Tokens + b.Tokens, a.Device + b.Device, a.Charge + b.Charge, a.Cost + b.Cost);
    }
}
