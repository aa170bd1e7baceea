using Qanat.Books;

namespace Qanat.Store;

/// <summary>Where books are: in a data directory (SQLite), or in a PostgreSQL database.</summary>
/// <param name="Directory">Holds qanat.db when there is no connection.</param> <param name="Connection">Of PostgreSQL, e.g. "Host=db;Database=qanat;Username=qanat"; null: SQLite.</param>
public sealed record StoreLocation(string Directory, string? Connection = null)
{
    public string DatabaseFile => Path.Combine(Path.GetFullPath(Directory), SqliteBookStore.FileName);

    /// <exception cref="StoreException">Another process owns the books, or they cannot be opened.</exception>
    public async Task<SqlStore> OpenAsync(TimeProvider clock, StoreOptions? options = null) => Connection is null
        ? await SqliteBookStore.OpenAsync(Directory, clock, options).ConfigureAwait(false)
        : await PostgresBookStore.OpenAsync(Connection, clock, options).ConfigureAwait(false);
}
