using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Store;

/// <summary>Checks what the store promises beyond single rows: the file itself, references, sums against their records, and each fact in one place.</summary>
internal static class StoreCheck
{
    /// <summary>What is wrong, one sentence each; empty when sound.</summary>
    public static ImmutableArray<string> Run(Reader reader)
    {
        ImmutableArray<string>.Builder findings = ImmutableArray.CreateBuilder<string>();
        findings.AddRange(reader.Database.CheckFile());
        Count(reader, findings, Differing("usage_hours", $"SELECT {FreshUsage(3_600_000_000_000)} WHERE no <= ({UsageRollups.Through}) GROUP BY 1, 2, 3, 4, 5, 6, 7"), "Hourly sums differ from the usage records they sum up");
        Count(reader, findings, Differing("usage_days", $"SELECT {FreshUsage(86_400_000_000_000)} WHERE no <= ({UsageRollups.Through}) GROUP BY 1, 2, 3, 4, 5, 6, 7"), "Daily sums differ from the usage records they sum up");
        if (reader.Database.KeepsUsageOfTenants)
            Count(reader, findings, ByTenant, "Records by tenant differ from the usage records");
        Count(reader, findings, Differing("entry_days", EntryRollups.FreshDays + " GROUP BY 1, 2, 3, 4, 5, 6, 7"), "Daily sums of entries differ from the entries they sum up");
        Count(reader, findings, Differing("entry_totals", EntryRollups.FreshTotals + " GROUP BY 1, 2, 3, 4, 5, 6"), "Totals of entries differ from the entries they sum up");
        Count(reader, findings, Differing("document_sums", "SELECT kind, tenant, count(*), CAST(sum(length(content)) AS bigint) FROM documents GROUP BY kind, tenant"), "Sums of documents differ from the documents they sum up");
        Count(reader, findings, "SELECT count(*) FROM usage WHERE id IN (SELECT id FROM holds)", "Requests are both open and settled");
        Count(reader, findings, "SELECT count(*) FROM releases WHERE id IN (SELECT id FROM usage) OR id IN (SELECT id FROM holds)", "Requests are released and yet open or settled");
        Count(reader, findings, "SELECT count(*) FROM posted WHERE record NOT IN (SELECT no FROM usage) OR txn NOT IN (SELECT no FROM transactions)", "Postings name records or transactions that are not there");
        Count(reader, findings, "SELECT count(*) FROM usage WHERE no <= (SELECT record FROM posted_through) AND NOT " + PostedRecords.IsPosted, "Unposted records lie among those that count as posted");
        Count(reader, findings, Unbalanced, "Transactions do not sum to zero");
        Count(reader, findings, "SELECT count(*) FROM entries WHERE at <> (SELECT at FROM transactions WHERE no = entries.txn)", "Entries stand at another time than their transactions");
        Count(reader, findings, Torn, "Capacity records do not begin where the one before ended");
        return findings.ToImmutable();
    }

    private static void Count(Reader reader, ImmutableArray<string>.Builder findings, string sql, string what)
    {
        long count = reader.Database[sql].Scalar() ?? 0;
        if (count != 0) findings.Add(string.Create(CultureInfo.InvariantCulture, $"{what}: {count}."));
    }

    /// <summary>Rows in which a table of sums and the same made afresh from the records differ.</summary>
    private static string Differing(string table, string fresh) => $"""
        WITH fresh AS MATERIALIZED ({fresh})
        SELECT (SELECT count(*) FROM (SELECT * FROM fresh EXCEPT SELECT * FROM {table}) AS missing) + (SELECT count(*) FROM (SELECT * FROM {table} EXCEPT SELECT * FROM fresh) AS wrong)
        """;

    /// <summary>Columns and source of rows that the tables of sums must have, but for their grouping.</summary>
    public static string FreshUsage(long grain) => string.Create(CultureInfo.InvariantCulture, $"""
        start - start % {grain}, tenant, project, key, model, pool, currency, sum(requests), sum(unpriced), sum(uncosted),
          sum(input), sum(cache_read), sum(cache_write), sum(output), sum(reasoning), sum(prefill_ns), sum(decode_ns),
          {StoredMoney.Summed("charge")}, {StoredMoney.Summed("cost")}
        FROM usage_lines
        """);

    /// <summary>Up to the mark all of them, and beyond it some that are on their way: rows that are missing or not as the record says.</summary>
    private const string ByTenant = $"""
        SELECT (SELECT count(*) FROM (SELECT tenant, completed_at, id, no FROM usage WHERE no <= ({UsageRollups.Through}) EXCEPT SELECT tenant, completed_at, id, no FROM usage_of_tenants) AS missing)
          + (SELECT count(*) FROM (SELECT tenant, completed_at, id, no FROM usage_of_tenants EXCEPT SELECT tenant, completed_at, id, no FROM usage) AS wrong)
        """;

    private const string Unbalanced = """
        SELECT count(*) FROM (
          SELECT txn FROM entries GROUP BY txn, amount_currency
          HAVING CAST(sum(amount_milli) AS bigint) + CAST(sum(amount_pico) AS bigint) / 1000000000 <> 0 OR CAST(sum(amount_pico) AS bigint) % 1000000000 <> 0) AS unbalanced
        """;

    private const string Torn = """
        SELECT count(*) FROM (SELECT from_at, lag(to_at) OVER (PARTITION BY pool ORDER BY from_at) AS ended FROM capacity) AS stretches WHERE from_at <> ended
        """;
}
