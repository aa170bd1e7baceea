using Npgsql;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The one connection that writes. It holds an advisory lock, so that a second process is refused; the lock ends with the connection, however that ends.
/// Every commit counts up a row in the same transaction: when the connection is lost in the middle of a commit, the row says whether it took place, as soon as the server can be asked again.</summary>
internal sealed class PostgresWriter : IDisposable
{
    /// <summary>"Qnat", beside the schema's name: two installations may share a database in schemas of their own.</summary>
    private const string TakeLock = "SELECT CASE WHEN pg_try_advisory_lock(1366188404, hashtext(coalesce(current_schema(), ''))) THEN 1 ELSE 0 END";

    /// <summary>The server ends a session some time after its client is gone: whoever starts again at once, or comes back after a lost connection, waits for that (twentieths of a second).</summary>
    private const int TwentiethsMax = 60;

    private readonly PostgresDatabase _database;
    private readonly StoreOptions _options;
    private readonly TimeProvider _clock;
    private readonly FactWriter _facts;
    private StoreException? _broken;
    private long? _closingSince;

    /// <summary>The counter after the last commit of which the answer came.</summary>
    private long _commits;

    private Session _session;

    /// <summary>Sessions of connections that were lost, until the server was told to end them: that may take more than one new connection.</summary>
    private readonly HashSet<Session> _lost = [];

    public PostgresWriter(PostgresDatabase database, StoreOptions options, TimeProvider clock)
    {
        (_database, _options, _clock) = (database, options, clock);
        _facts = new FactWriter(database, options);
        _commits = Count(database);
        _session = Session.Of(database);
        database.WithCommit = "UPDATE commits SET number = number + 1";
    }

    /// <exception cref="StoreException">Another process writes to the same books.</exception>
    public static void TakeOwnership(PostgresDatabase database)
    {
        for (int twentieth = 0; twentieth <= TwentiethsMax; twentieth++)
        {
            if (database[TakeLock].Scalar() == 1) return;
            database["SELECT 1 FROM pg_sleep(0.05)"].Scalar();
        }
        throw new StoreException("The books in this database are in use by another process: stop that process, or name another database or schema (Search Path).");
    }

    /// <summary>See <see cref="CommitBatch"/>.</summary>
    public void Commit(IReadOnlyList<Fact> facts, Exception?[] outcomes)
    {
        bool isBegun = false;
        try
        {
            Ready();
            _facts.Commit(facts, outcomes, () => isBegun = true);
            if (isBegun) _commits++;
        }
        catch (StoreException lost) when (isBegun && !_database.IsConnected)
        {
            throw new DoubtfulCommitException(lost);
        }
        catch (Exception failure) when (_database.Explain(failure) is var (_, message))
        {
            throw new StoreException(message, failure);
        }
    }

    /// <summary>Whether the commit whose answer was lost took place; null: the server cannot be asked yet.</summary>
    /// <exception cref="StoreException">It will not be known: another process writes to the books, or this one ends.</exception>
    public bool? Decide()
    {
        if (_broken is not null) throw _broken;
        try
        {
            long before = _commits;
            Ready(commitsMost: before + 1);
            return _commits > before;
        }
        catch (Exception failure) when (_broken is null && (failure is StoreException || _database.Explain(failure) is not null))
        {
            if (_closingSince is { } since && _clock.GetElapsedTime(since) > _options.ReconnectMax)
                throw new StoreException("The database server was lost in the middle of a commit and has not come back: whether this was written is known when the books are opened again.", failure);
            return null;
        }
    }

    /// <summary>A commit in doubt is waited for only <see cref="StoreOptions.ReconnectMax"/> longer.</summary>
    public void PrepareToClose() => _closingSince ??= _clock.GetTimestamp();

    public void Dispose() => _database.Dispose();

    private static long Count(PostgresDatabase database) => database["SELECT number FROM commits"].Scalar() ?? throw new StoreException("The table that counts commits is empty: restore a backup.");

    /// <summary>Connects again when the server was lost, as the owner of the same books.</summary>
    private void Ready(long? commitsMost = null)
    {
        if (_broken is not null) throw _broken;
        if (_database.IsConnected) return;
        _database.Reconnect();
        _lost.Add(_session);
        _session = Session.Of(_database);
        // The server may not have noticed that the client of a session is gone, and would keep it, and its lock, for hours.
        foreach (Session lost in _lost) lost.End(_database);
        _lost.Clear();
        try
        {
            TakeOwnership(_database);
            long commits = Count(_database);
            if (commits < _commits || commits > (commitsMost ?? _commits)) throw new StoreException("Another process has written to these books while the database server was lost: start again.");
            _commits = commits;
        }
        catch (StoreException taken)
        {
            _broken = taken;
            throw;
        }
    }

    /// <summary>A session at the server. Process numbers are used again, times are not.</summary>
    private readonly record struct Session(long Process, long StartedMicroseconds)
    {
        private const string Started = "CAST(extract(epoch FROM backend_start) * 1000000 AS bigint)";

        public static Session Of(PostgresDatabase database)
        {
            Statement row = database[$"SELECT pid, {Started} FROM pg_stat_activity WHERE pid = pg_backend_pid()"];
            row.Step();
            Session session = new(row.Long(), row.Long());
            row.Reset();
            return session;
        }

        public void End(PostgresDatabase database) =>
            database[$"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = ? AND {Started} = ?"].Add(Process).Add(StartedMicroseconds).Scalar();
    }
}
