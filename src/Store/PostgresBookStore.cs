using Npgsql;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The books, and the documents beside them, in a PostgreSQL database (14 or later), in the first schema of the connection's search path, which one process owns.</summary>
public sealed class PostgresBookStore : SqlStore
{
    private static readonly IReadOnlyList<Migration> s_shipped = Migration.Shipped("Postgres");
    private readonly PostgresWriter _writer;

    private PostgresBookStore(PostgresWriter writer, string connectionString, StoreOptions options, TimeProvider clock)
        : base(writer.Commit, () => OpenReader(connectionString), () => { }, options, clock, decide: writer.Decide) => _writer = writer;

    /// <summary>Opens the books and brings their schema forward.</summary>
    /// <exception cref="StoreException">The server cannot be reached, another process owns the books, or they are newer than this program or not Qanat's.</exception>
    public static Task<PostgresBookStore> OpenAsync(string connectionString, TimeProvider clock, StoreOptions? options = null) =>
        Task.Run(() => Open(connectionString, clock, options ?? StoreOptions.Default, s_shipped));

    internal static PostgresBookStore Open(string connectionString, TimeProvider clock, StoreOptions options, IReadOnlyList<Migration> migrations)
    {
        PostgresDatabase? database = null;
        try
        {
            database = new PostgresDatabase(connectionString);
            PostgresSchema.EnsureThere(database);
            PostgresWriter.TakeOwnership(database);
            PostgresSchema.Apply(database, migrations, clock);
            return new PostgresBookStore(new PostgresWriter(database, options, clock), connectionString, options, clock);
        }
        catch (Exception failure) when (failure is NpgsqlException or ArgumentException or TimeoutException)
        {
            database?.Dispose();
            throw new StoreException($"The books in PostgreSQL could not be opened: {failure.Message}", failure);
        }
        catch
        {
            database?.Dispose();
            throw;
        }
    }

    /// <summary>Makes the schema where there is none and fills it.</summary>
    /// <exception cref="StoreException">There are books already, or they could not be written.</exception>
    internal static void Restore(string connectionString, TimeProvider clock, Action<SqlDatabase> fill)
    {
        using PostgresDatabase database = OpenReader(connectionString);
        try
        {
            PostgresSchema.EnsureThere(database);
            PostgresWriter.TakeOwnership(database);
            if (PostgresSchema.HasTables(database)) throw new StoreException("There are tables in this schema already: restore into an empty one.");
            PostgresSchema.Apply(database, s_shipped, clock);
            fill(database);
            PostgresSchema.ContinueNumbers(database);
        }
        catch (Exception failure) when (database.Explain(failure) is var (_, message))
        {
            throw new StoreException(message, failure);
        }
    }

    public override void PrepareToClose() => _writer.PrepareToClose();

    private protected override void Close() => _writer.Dispose();

    internal static PostgresDatabase OpenReader(string connectionString)
    {
        try
        {
            return new PostgresDatabase(connectionString);
        }
        catch (NpgsqlException failure)
        {
            throw new StoreException($"The database server cannot be reached: {failure.Message}", failure);
        }
    }
}
