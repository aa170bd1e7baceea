using Microsoft.Data.Sqlite;

namespace Qanat.Store.Tests;

/// <summary>Rows in the schema of 0.1.0: one tenant, three records of which a transaction sums up the first and the last, and the sums kept of them.</summary>
internal static class FirstRelease
{
    public const string Rows = """
        INSERT INTO names (no, text) VALUES (1, 'qwen3-0.6b'), (2, 'builtin/qwen3-0.6b'), (3, 'this-machine'), (4, 'assets:receivables'), (5, 'revenue:usage'), (6, 'usage');
        INSERT INTO tenants (no, id, name, created_at, is_demo) VALUES (1, x'019B76DA000070008000000000000001', 'Acme', 1767225600000000000, 0);
        INSERT INTO projects (no, id, tenant, name, created_at) VALUES (1, x'019B76DA000070008000000000000002', 1, 'Search', 1767225600000000000);
        INSERT INTO keys (no, id, tenant, project, name, prefix, hash, role, created_at)
          VALUES (1, x'019B76DA000070008000000000000003', 1, 1, 'laptop', 'sk-ab12', x'01', 0, 1767225600000000000);
        INSERT INTO transactions (no, id, at, template, memo) VALUES (1, x'019B76DA0BB870008000000000000009', 1767225603000000000, 6, '2 requests');
        INSERT INTO entries (txn, line, at, account, amount_milli, amount_pico, amount_currency, tenant) VALUES
          (1, 0, 1767225603000000000, 4, 0, 40, 'USD', 1), (1, 1, 1767225603000000000, 5, -1, 999999960, 'USD', 1);
        INSERT INTO entry_days SELECT 1767225600000000000, account, tenant, project, model, pool, currency, entries, amount_milli, amount_pico FROM entry_lines;
        INSERT INTO entry_totals SELECT account, tenant, project, model, pool, currency, entries, amount_milli, amount_pico FROM entry_lines;
        INSERT INTO usage (no, id, placed_at, first_token_at, completed_at, tenant, project, key, model, deployment, pool, operation, outcome,
            input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns, charge_milli, charge_pico, charge_currency, in_order, txn) VALUES
          (1, x'019B76DA03E870008000000000000011', 1767225601000000000, 1767225601000000000, 1767225601000000000, 1, 1, 1, 1, 2, 3, 0, 0, 100, 0, 0, 10, 0, 5, 7, 0, 10, 'USD', 1, 1),
          (2, x'019B76DA07D070008000000000000012', 1767225602000000000, 1767225602000000000, 1767225602000000000, 1, 1, 1, 1, 2, 3, 0, 0, 200, 0, 0, 20, 0, 5, 7, 0, 20, 'USD', 1, NULL),
          (3, x'019B76DA0BB870008000000000000013', 1767225603000000000, 1767225603000000000, 1767225603000000000, 1, 1, 1, 1, 2, 3, 0, 0, 300, 0, 0, 30, 0, 5, 7, 0, 30, 'USD', 1, 1);
        INSERT INTO usage_hours SELECT 1767225600000000000, tenant, project, key, model, pool, currency, sum(requests), sum(unpriced), sum(uncosted), sum(input), sum(cache_read), sum(cache_write),
          sum(output), sum(reasoning), sum(prefill_ns), sum(decode_ns), sum(charge_milli), sum(charge_pico), sum(cost_milli), sum(cost_pico) FROM usage_lines GROUP BY 1, 2, 3, 4, 5, 6, 7;
        INSERT INTO usage_days SELECT * FROM usage_hours;
        """;

    /// <summary>Five thousand more records, unposted, so that bringing the books forward takes a while.</summary>
    public const string More = """
        WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < 5000)
        INSERT INTO usage (id, placed_at, first_token_at, completed_at, tenant, project, key, model, deployment, pool, operation, outcome,
            input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns, charge_milli, charge_pico, charge_currency, in_order, txn)
          SELECT unhex(printf('019B76DA0FA070008000%012X', i)), 1767225604000000000, 1767225604000000000, 1767225604000000000 + i, 1, 1, 1, 1, 2, 3, 0, 0, i, 0, 0, 7, 0, 5, 7, 0, i, 'USD', 1, NULL FROM counted;
        DELETE FROM usage_days;
        INSERT INTO usage_days SELECT 1767225600000000000, tenant, project, key, model, pool, currency, sum(requests), sum(unpriced), sum(uncosted), sum(input), sum(cache_read), sum(cache_write),
          sum(output), sum(reasoning), sum(prefill_ns), sum(decode_ns), sum(charge_milli), sum(charge_pico), sum(cost_milli), sum(cost_pico) FROM usage_lines GROUP BY 1, 2, 3, 4, 5, 6, 7;
        DELETE FROM usage_hours;
        INSERT INTO usage_hours SELECT * FROM usage_days;
        """;

    /// <summary>A directory with books in the schema of 0.1.0.</summary>
    public static async Task WriteAsync(string directory, params string[] rows)
    {
        await SqliteBookStore.Open(directory, TimeProvider.System, StoreOptions.Default, [SqliteSchema.Shipped[0]]).DisposeAsync();
        using SqliteConnection connection = new($"Data Source={Path.Combine(directory, SqliteBookStore.FileName)};Pooling=False");
        connection.Open();
        using SqliteCommand fill = connection.CreateCommand();
#pragma warning disable CA2100 // the texts are this class's own
        fill.CommandText = string.Join('\n', rows);
#pragma warning restore CA2100
        fill.ExecuteNonQuery();
    }
}
