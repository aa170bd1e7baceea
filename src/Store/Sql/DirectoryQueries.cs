using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Tenants, projects, keys, prices, pool rates and capacity.</summary>
internal static class DirectoryQueries
{
    public static DirectorySnapshot Directory(Reader reader)
    {
        return new DirectorySnapshot(
            reader.All("SELECT id, name, created_at, budget_milli, budget_pico, budget_currency, is_demo, settings FROM tenants ORDER BY no",
                (row, _) => new Tenant(new TenantId(row.Guid()), row.Text(), row.Instant(), row.MoneyOrNull(), row.Bool(), row.TextOrNull())),
            reader.All("SELECT id, tenant, name, created_at, budget_milli, budget_pico, budget_currency, settings FROM projects ORDER BY no",
                (row, identities) => new Project(new ProjectId(row.Guid()), identities.Tenant(row.Long()), row.Text(), row.Instant(), row.MoneyOrNull(), row.TextOrNull())),
            reader.All("SELECT id, tenant, project, name, prefix, hash, role, created_at, revoked_at, budget_milli, budget_pico, budget_currency, settings FROM keys ORDER BY no",
                (row, identities) => new ApiKey(new KeyId(row.Guid()), identities.Tenant(row.Long()), identities.Project(row.Long()), row.Text(), row.Text(), [.. row.Bytes()],
                    (KeyRole)row.Int(), row.Instant(), row.InstantOrNull(), row.MoneyOrNull(), row.TextOrNull())));
    }

    public static ImmutableArray<PriceVersion> Prices(Reader reader) => reader.All(PriceRows.SelectAll, PriceRows.ReadPrice);
    public static ImmutableArray<PoolRate> PoolRates(Reader reader) => reader.All(PriceRows.SelectAllRates, PriceRows.ReadRate);

    public static ImmutableArray<Declaration> Declarations(Reader reader) =>
        reader.All("SELECT id, at, text FROM declarations ORDER BY no", (row, _) => new Declaration(new DeclarationId(row.Guid()), row.Instant(), row.Text()));

    public static ImmutableArray<ClearedUsage> Cleared(Reader reader) =>
        reader.All("SELECT pool, device_ns, requests FROM cleared_usage ORDER BY pool", (row, identities) => new ClearedUsage(identities.Pool(row.Long()), row.Long(), row.Long()));

    /// <summary>Every record that has some of its time in the period, uncut.</summary>
    public static IEnumerable<CapacityRecord> Capacity(Reader reader, PoolName pool, Period period)
    {
        // Records touch, so the first that reaches into the period is the last that begins at or before its start.
        Statement rows = reader.Database.Streamed("""
            WITH this (pool) AS (SELECT no FROM names WHERE text = ?)
            SELECT from_at, to_at, state, busy_ns FROM capacity
            WHERE pool = (SELECT pool FROM this) AND from_at < ? AND to_at > ?
              AND from_at >= coalesce((SELECT max(from_at) FROM capacity WHERE pool = (SELECT pool FROM this) AND from_at <= ?), ?)
            ORDER BY from_at
            """).Add(pool.Value).Add(period.To).Add(period.From).Add(period.From).Add(period.From);
        while (rows.Step()) yield return new CapacityRecord(pool, rows.Instant(), rows.Instant(), (CapacityState)rows.Int(), rows.Long());
        rows.Reset();
    }
}
