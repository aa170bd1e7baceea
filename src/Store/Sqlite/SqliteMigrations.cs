using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>One step of the schema, as shipped in this program.</summary>
internal sealed record Migration(int Number, string Name, string Sql)
{
    public string Title => string.Create(CultureInfo.InvariantCulture, $"{Number:D4}_{Name}");

    /// <summary>SHA-256 of the text with unix line ends.</summary>
    public string Checksum { get; init; } = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Sql.Replace("\r\n", "\n", StringComparison.Ordinal))));

    /// <summary>The migrations embedded as Migrations/NNNN_name.sql, by number.</summary>
    public static IReadOnlyList<Migration> Shipped()
    {
        const string Folder = ".Migrations.";
        Assembly assembly = typeof(Migration).Assembly;
        List<Migration> found = [];
        foreach (string resource in assembly.GetManifestResourceNames().Where(name => name.Contains(Folder, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            string file = resource[(resource.IndexOf(Folder, StringComparison.Ordinal) + Folder.Length)..^".sql".Length];
            using StreamReader reader = new(assembly.GetManifestResourceStream(resource)!, Encoding.UTF8);
            found.Add(new Migration(int.Parse(file[..4], CultureInfo.InvariantCulture), file[5..], reader.ReadToEnd()));
        }
        return found;
    }
}

/// <summary>Brings a database forward to this program's schema, one transaction per migration, and refuses one that it does not know.</summary>
internal static class SqliteMigrations
{
    /// <summary>"Qnat": marks the file as Qanat's, for the file(1) command and for the next check.</summary>
    private const long ApplicationId = 0x516E6174;

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
        List<Migration> applied = Applied(database);
        for (int index = 0; index < applied.Count; index++)
            Check(applied[index], index < migrations.Count ? migrations[index] : null);
        foreach (Migration migration in migrations.Skip(applied.Count))
            Apply(database, migration, clock);
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

    private static List<Migration> Applied(SqliteDatabase database)
    {
        List<Migration> applied = [];
        Statement rows = database["SELECT number, name, checksum FROM migrations ORDER BY number"];
        while (rows.Step())
            applied.Add(new Migration(rows.Int(), rows.Text(), "") { Checksum = rows.Text() });
        rows.Reset();
        return applied;
    }

    private static void Check(Migration applied, Migration? shipped)
    {
        if (shipped is null)
            throw new StoreException($"The books were written by a newer Qanat (migration {applied.Title}): open them with that version or a later one.");
        if (applied.Number != shipped.Number || applied.Checksum != shipped.Checksum)
            throw new StoreException($"The books were made by migration {applied.Title}, which differs from this program's {shipped.Title}: "
                + "use the program that made them, or restore a backup.");
    }

    private static void Apply(SqliteDatabase database, Migration migration, TimeProvider clock)
    {
        database.Execute("BEGIN IMMEDIATE");
        try
        {
            database.Execute(migration.Sql);
            database["INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)"]
                .Add(migration.Number).Add(migration.Name).Add(migration.Checksum).Add(Instant.Now(clock)).Run();
            database.Execute("COMMIT");
        }
        catch
        {
            if (database.InTransaction) database.Execute("ROLLBACK");
            throw;
        }
    }
}
