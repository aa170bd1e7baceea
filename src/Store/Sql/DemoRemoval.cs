using System.Globalization;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Removes the demo's tenants and all they caused. A transaction goes when it is about a demo tenant or sums up one of its records; what else it summed up
/// becomes unposted again, so that the next posting takes it in. Capacity and the audit trail stay.</summary>
internal sealed class DemoRemoval(SqlDatabase database, RowNumbers numbers, EntryRollups rollups)
{
    private const string Demo = "(SELECT no FROM tenants WHERE is_demo = 1)";

    /// <summary>What was removed, for the audit trail; null when there is no demo (any more).</summary>
    /// <exception cref="StoreException">A demo request is open, or the demo's usage is not what the fact was made for.</exception>
    public AuditEntry? Remove(DemoCleared cleared)
    {
        long tenants = Count("tenants WHERE is_demo = 1");
        if (tenants == 0) return null;
        if (Count($"holds WHERE tenant IN {Demo}") != 0) throw new StoreException("A demo request is still open: wait until it has ended, then clear the demo.");
        Keep(cleared);
        long records = Count($"usage WHERE tenant IN {Demo}");
        database.Execute("CREATE TEMP TABLE IF NOT EXISTS doomed (no bigint PRIMARY KEY)");
        Run("DELETE FROM doomed");
        Run($"INSERT INTO doomed SELECT txn FROM entries WHERE tenant IN {Demo} UNION SELECT txn FROM posted WHERE record IN (SELECT no FROM usage WHERE tenant IN {Demo})");
        long transactions = Count("doomed");
        const string FirstFreed = "(SELECT min(record) FROM posted WHERE txn IN (SELECT no FROM doomed))";
        Run($"UPDATE posted_through SET record = {FirstFreed} - 1 WHERE record >= {FirstFreed}");
        Run("DELETE FROM posted WHERE txn IN (SELECT no FROM doomed)");
        Run("DELETE FROM entries WHERE txn IN (SELECT no FROM doomed)");
        rollups.Rebuild($"SELECT at - at % {EntrySums.Day} FROM transactions WHERE no IN (SELECT no FROM doomed)");
        Run("DELETE FROM transactions WHERE no IN (SELECT no FROM doomed)");
        foreach (string table in (ReadOnlySpan<string>)["usage", "usage_hours", "usage_days", "releases", "price_versions", "keys", "projects"])
            Run($"DELETE FROM {table} WHERE tenant IN {Demo}");
        if (database.KeepsUsageOfTenants) Run($"DELETE FROM usage_of_tenants WHERE tenant IN {Demo}");
        // The next record may get the number of one that is gone.
        foreach (string mark in (ReadOnlySpan<string>)["posted_through", "summed_through"])
            Run($"UPDATE {mark} SET record = (SELECT coalesce(max(no), 0) FROM usage) WHERE record > (SELECT coalesce(max(no), 0) FROM usage)");
        Run("DELETE FROM documents WHERE tenant IN (SELECT id FROM tenants WHERE is_demo = 1)");
        Run("DELETE FROM tenants WHERE is_demo = 1");
        string what = string.Create(CultureInfo.InvariantCulture, $"{tenants} tenants, {records} records, {transactions} transactions");
        return new AuditEntry(cleared.At, "qanat", "demo.cleared", "demo tenants", what, null);
    }

    /// <summary>Adds the device time of what goes to what went before. The fact says how much that is; whatever came since would be lost without a trace.</summary>
    private void Keep(DemoCleared cleared)
    {
        Dictionary<long, ClearedUsage> given = cleared.Cleared.Where(pool => pool.Requests != 0).ToDictionary(pool => numbers.Of(pool.Pool.Value));
        int pools = 0;
        bool same = true;
        Statement rows = database[$"SELECT pool, sum(prefill_ns) + sum(decode_ns), count(*) FROM usage WHERE tenant IN {Demo} GROUP BY pool"];
        while (rows.Step())
        {
            pools++;
            same &= given.TryGetValue(rows.Long(), out ClearedUsage? pool) && pool.DeviceNanoseconds == rows.Long() && pool.Requests == rows.Long();
        }
        rows.Reset();
        if (!same || pools != given.Count) throw new StoreException("The demo's usage is not what its clearing was made for: make the clearing again.");
        foreach ((long no, ClearedUsage pool) in given)
        {
            database["""
                INSERT INTO cleared_usage (pool, device_ns, requests) VALUES (?, ?, ?)
                ON CONFLICT (pool) DO UPDATE SET device_ns = cleared_usage.device_ns + excluded.device_ns, requests = cleared_usage.requests + excluded.requests
                """].Add(no).Add(pool.DeviceNanoseconds).Add(pool.Requests).Run();
        }
    }

    private long Count(string rows) => database[$"SELECT count(*) FROM {rows}"].Scalar()!.Value;
    private void Run(string sql) => database[sql].Run();
}
