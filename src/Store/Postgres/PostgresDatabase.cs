using System.Data;
using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>A connection to a PostgreSQL server, made again when it was lost.</summary>
internal sealed class PostgresDatabase : SqlDatabase
{
    private readonly string _connectionString;
    private readonly Dictionary<string, PostgresStatement> _statements = new(StringComparer.Ordinal);
    private NpgsqlConnection _connection;
    private NpgsqlCommand? _running;
    private bool _inTransaction;

    /// <exception cref="NpgsqlException">The server cannot be reached or refuses.</exception>
    public PostgresDatabase(string connectionString)
    {
        _connectionString = connectionString;
        _connection = Connect(connectionString);
    }

    /// <summary>Cursors of this snapshot.</summary>
    public HashSet<string> OpenCursors { get; } = new(StringComparer.Ordinal);

    /// <summary>Where rows are made ready to be copied.</summary>
    public CopiedRows Copied { get; } = new();

    /// <summary>A statement that goes with every commit, on the same way to the server.</summary>
    public string? WithCommit { get; set; }

    public bool IsConnected => _connection.State == ConnectionState.Open;

    /// <summary>Opens the connection again when it was lost.</summary>
    public void Reconnect()
    {
        _connection.Dispose();
        _statements.Clear();
        _connection = Connect(_connectionString);
    }

    public override Statement this[string sql] => Statement(sql, null);
    public override Statement Streamed(string sql) => Statement(sql, string.Create(CultureInfo.InvariantCulture, $"rows_{_statements.Count}"));
    public override IRowWriter Rows(string table, string columns, string conflict = "") => new PostgresRows(this, table, columns, conflict);

    public override IEnumerable<Statement> WithIds(string select, IReadOnlyCollection<Guid> ids)
    {
        if (ids.Count == 0) yield break;
        PostgresStatement query = new(this, select + " WHERE id = ANY(?)");
        query.Add(Array(ids));
        while (query.Step()) yield return query;
    }

    public override IEnumerable<Statement> WithNumbers(string select, string column, IReadOnlyCollection<long> numbers, string order = "")
    {
        if (numbers.Count == 0) yield break;
        PostgresStatement query = new(this, $"{select} WHERE {column} = ANY(?) {order}");
        query.Add(new NpgsqlParameter<long[]> { TypedValue = [.. numbers], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint });
        while (query.Step()) yield return query;
    }

    public override void DeleteWithIds(string table, IReadOnlyCollection<Guid> ids)
    {
        if (ids.Count == 0) return;
        PostgresStatement delete = new(this, $"DELETE FROM {table} WHERE id = ANY(?)");
        delete.Add(Array(ids));
        delete.Run();
    }

    public override bool InTransaction => _inTransaction && IsConnected;

    /// <summary>It goes with the first statement, on the same way to the server.</summary>
    public override void Begin()
    {
        OpenCursors.Clear();
        if (!IsConnected) Reconnect();
        _connection.BeginTransaction(IsolationLevel.ReadCommitted);
        _inTransaction = true;
    }

    public override void BeginSnapshot() => Begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");

    public override void Commit()
    {
        if (WithCommit is null)
        {
            Execute("COMMIT");
        }
        else
        {
            using NpgsqlBatch batch = new(_connection) { BatchCommands = { new NpgsqlBatchCommand(WithCommit), new NpgsqlBatchCommand("COMMIT") } };
            batch.ExecuteNonQuery();
        }
        _inTransaction = false;
    }

    public override void Rollback()
    {
        _inTransaction = false;
        OpenCursors.Clear();
        Execute("ROLLBACK");
    }

    public override void Execute(string sql) => Running(NewCommand(sql), static command => command.ExecuteNonQuery());

    public NpgsqlCommand NewCommand(string sql) => new(sql, _connection);

    /// <summary>Rows into a table, all or none.</summary>
    public void Copy(string sql, ReadOnlySpan<byte> rows)
    {
        using NpgsqlRawCopyStream copy = _connection.BeginRawBinaryCopy(sql);
        copy.Write(rows);
    }

    public T Running<T>(NpgsqlCommand command, Func<NpgsqlCommand, T> run)
    {
        using (command)
        {
            _running = command;
            try
            {
                return run(command);
            }
            finally
            {
                _running = null;
            }
        }
    }

    /// <summary>Checksums, where the cluster has them, are counted by the server. References of the large tables are looked at here, because their rows are written without.</summary>
    public override IEnumerable<string> CheckFile()
    {
        foreach ((string table, string column, string parent) in References())
        {
            long astray = this[$"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} AS parent WHERE parent.no = {table}.{column})"].Scalar() ?? 0;
            if (astray > 0) yield return string.Create(CultureInfo.InvariantCulture, $"In {table}, rows refer to {parent} that are not there: {astray}.");
        }

        long failures = this["SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()"].Scalar() ?? 0;
        if (failures > 0) yield return string.Create(CultureInfo.InvariantCulture, $"The database server found damaged pages: {failures}.");
    }

    public override (FailureKind Kind, string Message)? Explain(Exception failure) => failure switch
    {
        PostgresException { SqlState: ['2', '2' or '3', ..] } refused => (FailureKind.Refused, refused.MessageText),
        PostgresException { SqlState: PostgresErrorCodes.DiskFull } => (FailureKind.NotNow, "The disk of the database server is full and nothing was written: make room, then try again."),
        PostgresException { SqlState: PostgresErrorCodes.DataCorrupted or PostgresErrorCodes.IndexCorrupted } damaged =>
            (FailureKind.Broken, $"The database is damaged ({damaged.MessageText}): look at the server, then start again."),
        PostgresException other => (FailureKind.NotNow, $"The books could not be written ({other.MessageText}): look at the database server."),
        NpgsqlException or TimeoutException => (FailureKind.NotNow, $"The database server cannot be reached ({failure.Message}): it is tried again with the next facts."),
        _ => null,
    };

    protected override void Interrupt() => _running?.Cancel();

    public override void Dispose() => _connection.Dispose();

    private static IEnumerable<(string Table, string Column, string Parent)> References()
    {
        foreach (string table in (string[])["usage", "holds", "entries"])
        {
            foreach (string name in (string[])["model", "deployment", "pool"]) yield return (table, name, "names");
            foreach (string owner in (string[])["tenant", "project"]) yield return (table, owner, owner + "s");
        }
        foreach (string table in (string[])["usage", "holds"])
        {
            yield return (table, "key", "keys");
            yield return (table, "price", "price_versions");
        }
        yield return ("usage", "pool_rate", "pool_rates");
        yield return ("entries", "txn", "transactions");
        yield return ("entries", "account", "names");
    }

    private PostgresStatement Statement(string sql, string? cursor)
    {
        string name = cursor is null ? sql : "streamed " + sql;
        if (!_statements.TryGetValue(name, out PostgresStatement? statement)) _statements[name] = statement = new PostgresStatement(this, sql, cursor);
        statement.Reset();
        return statement;
    }

    private void Begin(string sql)
    {
        OpenCursors.Clear();
        if (!IsConnected) Reconnect();
        Execute(sql);
        _inTransaction = true;
    }

    private static NpgsqlParameter<Guid[]> Array(IReadOnlyCollection<Guid> ids) => new() { TypedValue = [.. ids], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid };

    private static NpgsqlConnection Connect(string connectionString)
    {
        // Statements are prepared by the server after their second use. Pools of connections are the store's own.
        NpgsqlConnectionStringBuilder settings = new(connectionString) { Pooling = false, MaxAutoPrepare = 256, AutoPrepareMinUsages = 2, NoResetOnClose = true };
        if (!settings.ContainsKey("Command Timeout")) settings.CommandTimeout = 0;
        NpgsqlConnection connection = new(settings.ToString());
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
