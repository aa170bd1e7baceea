using Npgsql;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The one connection that writes. It holds an advisory lock, so that a second process is refused; the lock ends with the connection, however that ends.
/// Every commit counts up a row in the same transaction: when the connection is lost in the middle of a commit, the row says whether it took place.</summary>
internal sealed class PostgresWriter(PostgresDatabase database, StoreOptions options, TimeProvider clock) : IDisposable
{
    /// <summary>"Qnat", beside the schema's name: two installations may share a database in schemas of their own.</summary>
    private const string TakeLock = "SELECT CASE WHEN pg_try_advisory_lock(1366188404, hashtext(coalesce(current_schema(), ''))) THEN 1 ELSE 0 END";

    /// <summary>The server ends a session some time after its client is gone: whoever starts again at once, or comes back after a lost connection, waits for that (tenths of a second).</summary>
    private const int TenthsMax = 30;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);
    private readonly FactWriter _facts = new(database, options);
    private readonly ManualResetEventSlim _closing = new();
    private StoreException? _broken;

    /// <summary>The counter of commits as this connection left it; null: it has to be asked for.</summary>
    private long? _commits;

    /// <exception cref="StoreException">Another process writes to the same books.</exception>
    public static void TakeOwnership(PostgresDatabase database)
    {
        for (int tenth = 0; tenth <= TenthsMax; tenth++)
        {
            if (database[TakeLock].Scalar() == 1) return;
            database["SELECT 1 FROM pg_sleep(0.1)"].Scalar();
        }
        throw new StoreException("The books in this database are in use by another process: stop that process, or name another database or schema (Search Path).");
    }

    /// <summary>See <see cref="CommitBatch"/>.</summary>
    public void Commit(IReadOnlyList<Fact> facts, Exception?[] outcomes)
    {
        if (_broken is not null) throw _broken;
        long commits = 0;
        try
        {
            Ready();
            commits = _commits ??= Count();
            _commits = null;
            _facts.Commit(facts, outcomes, Number);
            _commits ??= commits;
        }
        catch (StoreException lost) when (!database.IsConnected)
        {
            _commits = null;
            if (commits == 0 || Committed() is not long now || now == commits) throw;
            _ = lost; // it was the answer that was lost, not the commit
        }
        catch (Exception failure) when (database.Explain(failure) is var (_, message))
        {
            _commits = null;
            throw new StoreException(message, failure);
        }

        void Number()
        {
            database["UPDATE commits SET number = number + 1"].Run();
            _commits = commits + 1;
        }
    }

    public void Dispose()
    {
        _closing.Set();
        database.Dispose();
    }

    private long Count() => database["SELECT number FROM commits"].Scalar() ?? throw new StoreException("The table that counts commits is empty: restore a backup.");

    /// <summary>The number of the last commit that took place, as soon as the server can be asked; null: it could not be reached in time.</summary>
    private long? Committed()
    {
        long start = clock.GetTimestamp();
        do
        {
            try
            {
                Ready();
                return Count();
            }
            catch (Exception failure) when (database.Explain(failure) is not null)
            {
                _closing.Wait(s_pause);
            }
        }
        while (!_closing.IsSet && clock.GetElapsedTime(start) < options.ReconnectMax);
        return null;
    }

    private void Ready()
    {
        if (database.IsConnected) return;
        database.Reconnect();
        try
        {
            TakeOwnership(database);
        }
        catch (StoreException taken)
        {
            _broken = taken;
            throw;
        }
    }
}
