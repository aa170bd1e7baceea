using System.Globalization;
using Microsoft.Data.Sqlite;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Look: only count. Passive: copy what can be copied without waiting for anyone. The values are SQLite's.</summary>
internal enum CheckpointMode { Look = -1, Passive = 0 }

/// <summary>Pages in the write-ahead log, and how many of them are in the database file too.</summary>
internal readonly record struct CheckpointFrames(int LoggedFrames, int CopiedFrames)
{
    public int LeftFrames => LoggedFrames - CopiedFrames;
}

/// <summary>One connection with its prepared statements. Used by one thread at a time.</summary>
internal sealed class SqliteDatabase : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, Statement> _statements = new(StringComparer.Ordinal);

    private SqliteDatabase(SqliteConnection connection) => _connection = connection;

    /// <summary>True inside a transaction; SQLite leaves it by itself after some failures, such as a full disk.</summary>
    public bool InTransaction => SQLitePCL.raw.sqlite3_get_autocommit(_connection.Handle) == 0;

    /// <summary>The one connection that writes. A commit survives the death of the process when it returns; <see cref="LogFlusher"/> brings it to the disk.
    /// SQLite itself flushes the log before it copies any of it into the database file.</summary>
    public static SqliteDatabase OpenWriter(string file)
    {
        SqliteDatabase database = Open(file, SqliteOpenMode.ReadWriteCreate);
        database.Execute("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;");
        return database;
    }

    /// <summary>Readers go on while the writer writes. The file remembers it.</summary>
    public void UseWriteAheadLog() => Execute("PRAGMA journal_mode = WAL");

    /// <summary>A connection that sees committed facts and cannot write.</summary>
    public static SqliteDatabase OpenReader(string file)
    {
        SqliteDatabase database = Open(file, SqliteOpenMode.ReadWrite);
        database.Execute("PRAGMA query_only = ON; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;");
        return database;
    }

    /// <summary>A connection that copies the file as a whole and changes nothing in it.</summary>
    public static SqliteDatabase OpenForCopy(string file) => Open(file, SqliteOpenMode.ReadWrite);

    public long PageBytes => this["PRAGMA page_size"].Scalar()!.Value;

    /// <summary>Writing beyond this size of the file fails as on a full disk.</summary>
    public void LimitTo(long bytesMax)
    {
        Execute(string.Create(CultureInfo.InvariantCulture, $"PRAGMA max_page_count = {Math.Max(1, bytesMax / PageBytes)}"));
    }

    /// <summary>The statement for this text, prepared once per connection and ready to be bound.</summary>
    public Statement this[string sql]
    {
        get
        {
            if (!_statements.TryGetValue(sql, out Statement? statement))
                _statements[sql] = statement = new Statement(_connection.Handle!, sql);
            statement.Reset();
            return statement;
        }
    }

    public CheckpointFrames Checkpoint(CheckpointMode mode)
    {
        int result = SQLitePCL.raw.sqlite3_wal_checkpoint_v2(_connection.Handle, "main", (int)mode, out int logged, out int copied);
        // Another connection copies at this moment: that is as good.
        if (result != SQLitePCL.raw.SQLITE_BUSY) SqliteException.ThrowExceptionForRC(result, _connection.Handle);
        return new CheckpointFrames(logged, copied);
    }

    public void Execute(string sql)
    {
        using SqliteCommand command = _connection.CreateCommand();
#pragma warning disable CA2100 // every text given here is a constant of this assembly or an embedded migration
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    /// <summary>Runs a query that <paramref name="cancel"/> can interrupt in the middle of a statement.</summary>
    /// <exception cref="StoreException">The database could not be read, or a sum is beyond 64 bits.</exception>
    public T Reading<T>(Func<T> query, CancellationToken cancel)
    {
        using CancellationTokenRegistration interrupt = cancel.Register(() => SQLitePCL.raw.sqlite3_interrupt(_connection.Handle));
        try
        {
            return query();
        }
        catch (SqliteException) when (cancel.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancel);
        }
        catch (SqliteException failure)
        {
            throw new StoreException($"The books could not be read: {failure.Message}", failure);
        }
    }

    public void Dispose()
    {
        foreach (Statement statement in _statements.Values) statement.Dispose();
        _connection.Dispose();
    }

    private static SqliteDatabase Open(string file, SqliteOpenMode mode)
    {
        SqliteConnection connection = new(new SqliteConnectionStringBuilder { DataSource = file, Mode = mode, Pooling = false }.ToString());
        try
        {
            connection.Open();
            SqliteDatabase database = new(connection);
            database.Execute("PRAGMA busy_timeout = 10000;");
            return database;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
