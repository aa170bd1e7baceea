using Qanat.Books;

namespace Qanat.Store;

/// <summary>Keeps the sums of journal entries by day and over all time in step with the entries, as <see cref="UsageRollups"/> does for usage.</summary>
internal sealed class EntryRollups(SqlDatabase database)
{
    private readonly Dictionary<RollupKey, RollupSum> _days = [];
    private readonly Dictionary<RollupKey, RollupSum> _totals = [];

    public void Forget()
    {
        _days.Clear();
        _totals.Clear();
    }

    public void Add(Instant at, EntryRow row, Money amount)
    {
        RollupKey total = new(0, row, amount.Currency.Code);
        Add(_totals, total, amount);
        Add(_days, total with { Start = at.DayStart.UnixNanoseconds }, amount);
    }

    /// <summary>Adds what was gathered to the tables.</summary>
    public void Flush()
    {
        if (_days.Count == 0) return;
        IRowWriter days = database.Rows("entry_days", "start, " + Keys + Figures, $"ON CONFLICT (start, {Keys}) {s_addToDays}");
        foreach ((RollupKey key, RollupSum sum) in _days) Write(days, days.Row.Add(key.Start), key, sum);
        days.Flush();
        IRowWriter totals = database.Rows("entry_totals", Keys + Figures, $"ON CONFLICT ({Keys}) {s_addToTotals}");
        foreach ((RollupKey key, RollupSum sum) in _totals) Write(totals, totals.Row, key, sum);
        totals.Flush();
        Forget();
    }

    /// <summary>Makes the sums of the days of these transactions afresh, and all totals: after entries were removed.</summary>
    /// <param name="days">A query for one column, the starts of the days.</param>
    public void Rebuild(string days)
    {
        database[$"DELETE FROM entry_days WHERE start IN ({days})"].Run();
        database[$"INSERT INTO entry_days {FreshDays} WHERE start - start % {EntrySums.Day} IN ({days}) GROUP BY 1, 2, 3, 4, 5, 6, 7"].Run();
        database["DELETE FROM entry_totals"].Run();
        database[$"INSERT INTO entry_totals {FreshTotals} GROUP BY 1, 2, 3, 4, 5, 6"].Run();
    }

    private static void Add(Dictionary<RollupKey, RollupSum> sums, RollupKey key, Money amount)
    {
        RollupSum before = sums.GetValueOrDefault(key);
        sums[key] = new RollupSum(before.Entries + 1, before.Picos + amount.Picos);
    }

    private static void Write(IRowWriter rows, Statement row, RollupKey key, RollupSum sum)
    {
        row.Add(key.Row.Account).Add(key.Row.Tenant).Add(key.Row.Project).Add(key.Row.Model).Add(key.Row.Pool).Add(key.Currency).Add(sum.Entries).Add(sum.Picos);
        rows.EndRow();
    }

    /// <summary>The rows that entry_days and entry_totals must have, but for their grouping.</summary>
    public static readonly string FreshDays = $"SELECT start - start % {EntrySums.Day}, account, tenant, project, model, pool, currency, {FreshSums} FROM entry_lines";
    public static readonly string FreshTotals = $"SELECT account, tenant, project, model, pool, currency, {FreshSums} FROM entry_lines";
    private static string FreshSums => "sum(entries), " + StoredMoney.Summed("amount");

    private const string Keys = "account, tenant, project, model, pool, currency";
    private const string Figures = ", entries, amount_milli, amount_pico";
    private static readonly string s_addToDays = AddTo("entry_days");
    private static readonly string s_addToTotals = AddTo("entry_totals");
    private static string AddTo(string table) => $"DO UPDATE SET entries = {table}.entries + excluded.entries, {StoredMoney.AddExcluded(table, "amount")}";

    private readonly record struct RollupKey(long Start, EntryRow Row, string Currency);

    private readonly record struct RollupSum(long Entries, Int128 Picos);
}

/// <summary>What sums of entries are kept by, as row numbers; 0: the entry is not about any.</summary>
internal readonly record struct EntryRow(long Account, long Tenant, long Project, long Model, long Pool);
