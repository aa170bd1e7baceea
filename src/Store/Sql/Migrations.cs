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

    /// <summary>The migrations embedded as Migrations/ENGINE/NNNN_name.sql, by number.</summary>
    public static IReadOnlyList<Migration> Shipped(string engine)
    {
        string folder = $".Migrations.{engine}.";
        Assembly assembly = typeof(Migration).Assembly;
        List<Migration> found = [];
        foreach (string resource in assembly.GetManifestResourceNames().Where(name => name.Contains(folder, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            string file = resource[(resource.IndexOf(folder, StringComparison.Ordinal) + folder.Length)..^".sql".Length];
            using StreamReader reader = new(assembly.GetManifestResourceStream(resource)!, Encoding.UTF8);
            found.Add(new Migration(int.Parse(file[..4], CultureInfo.InvariantCulture), file[5..], reader.ReadToEnd()));
        }
        return found;
    }
}

/// <summary>Brings a database forward to this program's schema, one transaction per migration, and refuses one that it does not know.</summary>
internal static class Migrations
{
    /// <exception cref="StoreException">The database is newer than this program, or was made by a migration that has since been changed.</exception>
    public static void Apply(SqlDatabase database, IReadOnlyList<Migration> migrations, TimeProvider clock)
    {
        List<Migration> applied = Applied(database);
        for (int index = 0; index < applied.Count; index++)
            Check(applied[index], index < migrations.Count ? migrations[index] : null);
        foreach (Migration migration in migrations.Skip(applied.Count))
            Apply(database, migration, clock);
    }

    private static List<Migration> Applied(SqlDatabase database)
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

    private static void Apply(SqlDatabase database, Migration migration, TimeProvider clock)
    {
        database.Begin();
        try
        {
            database.Execute(migration.Sql);
            database["INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)"]
                .Add(migration.Number).Add(migration.Name).Add(migration.Checksum).Add(Instant.Now(clock)).Run();
            database.Commit();
        }
        catch
        {
            if (database.InTransaction) database.Rollback();
            throw;
        }
    }
}
