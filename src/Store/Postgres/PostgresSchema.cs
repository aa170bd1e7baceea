using Qanat.Books;

namespace Qanat.Store;

/// <summary>Recognises Qanat's own schema and brings it forward.</summary>
internal static class PostgresSchema
{
    private const string Tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()";

    public static bool HasTables(PostgresDatabase database) => database[Tables].Scalar() != 0;

    /// <summary>After rows were written with their numbers: the next one gets a number above them.</summary>
    public static void ContinueNumbers(PostgresDatabase database)
    {
        foreach (string table in (ReadOnlySpan<string>)["names", "tenants", "projects", "keys", "price_versions", "pool_rates", "declarations", "usage", "audit", "documents"])
            database[$"SELECT setval(pg_get_serial_sequence('{table}', 'no'), coalesce((SELECT max(no) FROM {table}), 0) + 1, false)"].Scalar();
    }

    /// <exception cref="StoreException">The schema that the connection names is not there.</exception>
    public static void EnsureThere(PostgresDatabase database)
    {
        if (database["SELECT CASE WHEN current_schema() IS NULL THEN 0 ELSE 1 END"].Scalar() == 0)
            throw new StoreException("The schema that the connection names (Search Path) is not there: create it first.");
    }

    /// <exception cref="StoreException">The schema is not Qanat's, is newer than this program, or was made by a migration that has since been changed.</exception>
    public static void Apply(PostgresDatabase database, IReadOnlyList<Migration> migrations, TimeProvider clock)
    {
        bool ours = database[Tables + " AND tablename = 'migrations'"].Scalar() == 1;
        if (!ours && HasTables(database))
            throw new StoreException("The schema holds other tables and no books of Qanat: name another database or schema (Search Path).");
        database.Execute("""
            CREATE TABLE IF NOT EXISTS migrations (
              number     bigint PRIMARY KEY,
              name       text NOT NULL,
              checksum   text NOT NULL,
              applied_at bigint NOT NULL
            )
            """);
        Migrations.Apply(database, migrations, clock);
    }
}
