namespace Qanat.Store;

/// <summary>Copies all books and documents from one database to another of the same schema, as of one commit of the source and in one commit of the target.</summary>
internal static class TableCopy
{
    private const int RowsAtOnce = 1_000;

    /// <summary>In an order in which whatever a row refers to is there before it.</summary>
    private static readonly string[] s_tables =
    [
        "names", "tenants", "projects", "keys", "price_versions", "pool_rates", "declarations", "holds", "releases", "transactions", "entries", "entry_days", "entry_totals",
        "usage", "posted", "posted_through", "cleared_usage", "capacity", "audit", "usage_hours", "usage_days", "summed_through", "documents",
    ];

    /// <summary>Not copied but made again, where it is a table.</summary>
    private const string Derived = "usage_of_tenants";

    /// <summary>Not copied: the target sums up what is copied into it.</summary>
    private const string Summed = "document_sums";

    private enum Kind { Number, Text, Id, Bytes }

    /// <summary>Rows copied.</summary>
    /// <param name="described">The one of the two that is SQLite: it knows the columns.</param>
    public static long Run(SqlDatabase source, SqlDatabase target, SqliteDatabase described, CancellationToken cancel)
    {
        List<string> there = Names(described);
        there.Remove(Derived);
        there.Remove(Summed);
        if (!there.Order(StringComparer.Ordinal).SequenceEqual(s_tables.Order(StringComparer.Ordinal)))
            throw new InvalidOperationException("The schema has tables that a backup does not copy: " + string.Join(", ", there.Except(s_tables, StringComparer.Ordinal)));
        long rows = 0;
        source.BeginSnapshot();
        target.Begin();
        foreach (string mark in (ReadOnlySpan<string>)["posted_through", "summed_through"]) target[$"DELETE FROM {mark}"].Run();
        foreach (string table in s_tables) rows += Copy(source, target, table, Columns(described, table), cancel);
        if (target.KeepsUsageOfTenants) target[$"INSERT INTO {Derived} SELECT tenant, completed_at, id, no FROM usage WHERE no <= ({UsageRollups.Through}) ORDER BY tenant, completed_at, id"].Run();
        target.Commit();
        source.Rollback();
        return rows;
    }

    private static long Copy(SqlDatabase source, SqlDatabase target, string table, List<(string Name, Kind Kind)> columns, CancellationToken cancel)
    {
        string names = string.Join(", ", columns.Select(column => column.Name));
        Statement from = source.Streamed($"SELECT {names} FROM {table}");
        long copied = 0;
        for (bool more = true; more;)
        {
            cancel.ThrowIfCancellationRequested();
            IRowWriter to = target.Rows(table, names);
            int taken = 0;
            while (taken < RowsAtOnce && (more = from.Step()))
            {
                foreach ((_, Kind kind) in columns) Copy(from, to.Row, kind);
                to.EndRow();
                taken++;
            }
            to.Flush();
            copied += taken;
        }
        from.Reset();
        return copied;
    }

    private static void Copy(Statement from, Statement to, Kind kind)
    {
        _ = kind switch
        {
            Kind.Number => to.Add(from.LongOrNull()),
            Kind.Text => to.Add(from.TextOrNull()),
            Kind.Id => to.Add(from.Guid()),
            _ => to.Add(from.Bytes()),
        };
    }

    private static List<string> Names(SqliteDatabase database)
    {
        List<string> names = [];
        Statement rows = database["SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations'"];
        while (rows.Step()) names.Add(rows.Text());
        rows.Reset();
        return names;
    }

    private static List<(string Name, Kind Kind)> Columns(SqliteDatabase database, string table)
    {
        List<(string, Kind)> columns = [];
        Statement rows = database["SELECT name, type FROM pragma_table_info(?)"].Add(table);
        while (rows.Step())
        {
            string name = rows.Text();
            columns.Add((name, rows.Text() switch
            {
                "INTEGER" => Kind.Number,
                "TEXT" => Kind.Text,
                _ => name is "id" or "tenant" ? Kind.Id : Kind.Bytes,
            }));
        }
        rows.Reset();
        return columns;
    }
}
