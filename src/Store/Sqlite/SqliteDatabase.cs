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

/// <summary>A connection to a SQLite file.</summary>
internal sealed class SqliteDatabase : SqlDatabase
{
    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, SqliteStatement> _statements = new(StringComparer.Ordinal);
    private readonly Dictionary<(string, string, string), SqliteStatement> _writers = [];

    /// <summary>A connection is used by one thread at a time, so that it need not guard itself at each call.</summary>
    static SqliteDatabase()
    {
        SQLitePCL.Batteries_V2.Init();
        // Refused when something in this process has used SQLite before; then it goes on as it was.
        _ = SQLitePCL.raw.sqlite3_config(SQLitePCL.raw.SQLITE_CONFIG_MULTITHREAD);
        // Nobody asks how much memory SQLite has: without the count, taking and giving back some of it needs no lock.
        _ = SQLitePCL.raw.sqlite3_config(SQLitePCL.raw.SQLITE_CONFIG_MEMSTATUS, 0);
    }

    private SqliteDatabase(SqliteConnection connection) => _connection = connection;

    public override bool KeepsUsageOfTenants => true;

    public override bool IsInProcess => true;

    public override bool InTransaction => SQLitePCL.raw.sqlite3_get_autocommit(_connection.Handle) == 0;

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

    /// <summary>Everything stands in the file itself: the log is copied and removed.</summary>
    public void CloseLog() => Execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;");

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

    public override Statement this[string sql] => Prepared(sql);

    /// <summary>SQLite makes rows when they are asked for.</summary>
    public override Statement Streamed(string sql) => Prepared(sql);

    /// <summary>A row at a time: there is no way to the server that would be worth sharing.</summary>
    public override IRowWriter Rows(string table, string columns, string conflict = "")
    {
        if (_writers.TryGetValue((table, columns, conflict), out SqliteStatement? writer))
        {
            writer.Begin();
            return writer;
        }
        string values = string.Join(", ", Enumerable.Repeat('?', columns.AsSpan().Count(',') + 1));
        return _writers[(table, columns, conflict)] = Prepared($"INSERT INTO {table} ({columns}) VALUES ({values}) {conflict}");
    }

    public override IEnumerable<Statement> WithIds(string select, IReadOnlyCollection<Guid> ids)
    {
        SqliteStatement query = Prepared(select + " WHERE id = ?");
        foreach (Guid id in ids)
        {
            query.Add(id);
            if (query.Step()) yield return query;
            query.Reset();
        }
    }

    public override IEnumerable<Statement> WithNumbers(string select, string column, IReadOnlyCollection<long> numbers, string order = "")
    {
        SqliteStatement query = Prepared($"{select} WHERE {column} = ? {order}");
        foreach (long number in numbers)
        {
            query.Add(number);
            while (query.Step()) yield return query;
            query.Reset();
        }
    }

    public override void DeleteWithIds(string table, IReadOnlyCollection<Guid> ids)
    {
        foreach (Guid id in ids) Prepared($"DELETE FROM {table} WHERE id = ?").Add(id).Run();
    }

    public override IEnumerable<string> CheckFile()
    {
        Statement rows = Prepared("PRAGMA integrity_check(20)");
        while (rows.Step())
        {
            string line = rows.Text();
            if (line != "ok") yield return $"The database file is damaged: {line}";
        }
        rows = Prepared("SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2");
        while (rows.Step()) yield return string.Create(CultureInfo.InvariantCulture, $"In {rows.Text()}, rows refer to {rows.Text()} that are not there: {rows.Long()}.");
        rows.Reset();
    }

    /// <summary>Outside a transaction. All statements are prepared anew after it.</summary>
    public override void CheckReferences(ReferenceChecks checks) => Execute($"PRAGMA foreign_keys = {(checks == ReferenceChecks.EachRow ? "ON" : "OFF")}");

    public override void Begin() => this["BEGIN IMMEDIATE"].Run();
    public override void Commit() => this["COMMIT"].Run();
    public override void Rollback() => this["ROLLBACK"].Run();
    public override void BeginSnapshot() => this["BEGIN"].Run();

    /// <summary>A full disk may have room again later. After any other failure of the disk nobody knows what reached it.</summary>
    public override (FailureKind Kind, string Message)? Explain(Exception failure) => (failure as SqliteException)?.SqliteErrorCode switch
    {
        null => null,
        SQLitePCL.raw.SQLITE_CONSTRAINT or SQLitePCL.raw.SQLITE_TOOBIG or SQLitePCL.raw.SQLITE_MISMATCH => (FailureKind.Refused, failure.Message),
        SQLitePCL.raw.SQLITE_FULL => (FailureKind.NotNow, "The disk is full and nothing was written: make room, then try again."),
        SQLitePCL.raw.SQLITE_IOERR or SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB =>
            (FailureKind.Broken, $"The books could not be written ({failure.Message}): look at the disk, then start again."),
        _ => (FailureKind.NotNow, $"The books could not be written ({failure.Message}): look at the disk, then start again."),
    };

    protected override void Interrupt() => SQLitePCL.raw.sqlite3_interrupt(_connection.Handle);

    public CheckpointFrames Checkpoint(CheckpointMode mode)
    {
        int result = SQLitePCL.raw.sqlite3_wal_checkpoint_v2(_connection.Handle, "main", (int)mode, out int logged, out int copied);
        // Another connection copies at this moment: that is as good.
        if (result != SQLitePCL.raw.SQLITE_BUSY) SqliteException.ThrowExceptionForRC(result, _connection.Handle);
        return new CheckpointFrames(logged, copied);
    }

    public override void Execute(string sql)
    {
        using SqliteCommand command = _connection.CreateCommand();
#pragma warning disable CA2100 // every text given here is a constant of this assembly or an embedded migration
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    public override void Dispose()
    {
        foreach (SqliteStatement statement in _statements.Values) statement.Dispose();
        _connection.Dispose();
    }

    private SqliteStatement Prepared(string sql)
    {
        if (!_statements.TryGetValue(sql, out SqliteStatement? statement))
            _statements[sql] = statement = new SqliteStatement(_connection.Handle!, sql);
        statement.Reset();
        return statement;
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
