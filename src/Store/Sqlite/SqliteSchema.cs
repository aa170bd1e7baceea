using System.Globalization;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Recognises Qanat's own files and brings them forward.</summary>
internal static class SqliteSchema
{
    /// <summary>"Qnat": marks the file as Qanat's, for the file(1) command and for the next check.</summary>
    private const long ApplicationId = 0x516E6174;

    public static IReadOnlyList<Migration> Shipped { get; } = Migration.Shipped("Sqlite");

    /// <exception cref="StoreException">The database is not Qanat's, is newer than this program, or was made by a migration that has since been changed.</exception>
    public static void Apply(SqliteDatabase database, IReadOnlyList<Migration> migrations, TimeProvider clock)
    {
        Recognise(database);
        database.UseWriteAheadLog();
        database.Execute("""
            CREATE TABLE IF NOT EXISTS migrations (
              number     INTEGER PRIMARY KEY,
              name       TEXT NOT NULL,
              checksum   TEXT NOT NULL,
              applied_at INTEGER NOT NULL
            ) STRICT
            """);
        Migrations.Apply(database, migrations, clock);
    }

    private static void Recognise(SqliteDatabase database)
    {
        long application = database["PRAGMA application_id"].Scalar() ?? 0;
        bool empty = database["SELECT count(*) FROM sqlite_schema"].Scalar() == 0;
        if (application != ApplicationId && !empty)
            throw new StoreException("The database file exists but is not Qanat's: choose another data directory.");
        if (application != ApplicationId)
            database.Execute(string.Create(CultureInfo.InvariantCulture, $"PRAGMA application_id = {ApplicationId}"));
    }
}
