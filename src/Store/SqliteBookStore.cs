using System.Collections.Immutable;
using Microsoft.Data.Sqlite;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The books, and the documents beside them, in one SQLite file, qanat.db, in a data directory that one process owns. Write-ahead log, every commit on disk before its caller hears of it.</summary>
public sealed class SqliteBookStore : IStore
{
    private readonly string _file;
    private readonly DirectoryLock _lock;
    private readonly SqliteDatabase _writer;
    private readonly CommitQueue _queue;
    private readonly LogFlusher _flusher;
    private readonly ReaderPool _readers;
    private readonly Checkpointer _checkpointer;
    private readonly DocumentWrites _documents;
    private readonly StoreOptions _options;
    private int _disposed;

    private SqliteBookStore(DirectoryLock taken, SqliteDatabase writer, string file, StoreOptions options, TimeProvider clock)
    {
        _file = file;
        _lock = taken;
        _writer = writer;
        _options = options;
        _checkpointer = new Checkpointer(writer, file, options.LogBytesBegin);
        _readers = new ReaderPool(file, options.ReadersMax);
        _flusher = new LogFlusher(file, options.FlushBehindMax);
        _queue = new CommitQueue(new FactWriter(writer).Commit, _checkpointer.AfterCommit, options.QueueFactsMax, options.BatchFactsMax, _flusher);
        _documents = new DocumentWrites(_queue, clock, options.DocumentBytesMax);
    }

    /// <summary>Opens the books in a directory, which is made when it is missing, and brings their schema forward.</summary>
    /// <exception cref="StoreException">Another process owns the directory, or its books are newer than this program or not Qanat's.</exception>
    public static Task<SqliteBookStore> OpenAsync(string directory, TimeProvider clock, StoreOptions? options = null) =>
        Task.Run(() => Open(directory, clock, options ?? StoreOptions.Default, Migration.Shipped()));

    public Task AppendAsync(Fact fact, CancellationToken cancel = default) => _queue.AppendAsync(fact, Durability.Power, cancel);
    public Task AppendAsync(Fact fact, Durability durability, CancellationToken cancel = default) => _queue.AppendAsync(fact, durability, cancel);

    public Task<DirectorySnapshot> ReadDirectoryAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Directory, cancel);
    public Task<ImmutableArray<PriceVersion>> ReadPricesAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Prices, cancel);
    public Task<ImmutableArray<PoolRate>> ReadPoolRatesAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.PoolRates, cancel);
    public Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default) => _readers.QueryAsync(UsageQueries.OpenHolds, cancel);

    public Task<ImmutableArray<UsageRecord>> ReadUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageQueries.Page(reader, query), cancel);

    public IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, CancellationToken cancel = default) =>
        _readers.StreamAsync(reader => UsageQueries.Stream(reader, query), cancel);

    public Task<ImmutableArray<SpendRow>> ReadSpendAsync(Period period, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageSums.Spend(reader, period, _options.HomeCurrency), cancel);

    public Task<ImmutableArray<UsageSum>> SumUsageAsync(SumQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageSums.Sum(reader, query, _options.HomeCurrency), cancel);

    public Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => EntrySums.Sum(reader, query), cancel);

    public IAsyncEnumerable<Transaction> StreamJournalAsync(JournalQuery query, CancellationToken cancel = default) =>
        _readers.StreamAsync(reader => JournalQueries.Stream(reader, query), cancel);

    public Task<ImmutableArray<RequestId>> ReadPostedRecordsAsync(TransactionId transaction, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => UsageQueries.PostedBy(reader, transaction), cancel);

    public IAsyncEnumerable<CapacityRecord> StreamCapacityAsync(PoolName pool, Period period, CancellationToken cancel = default) =>
        _readers.StreamAsync(reader => DirectoryQueries.Capacity(reader, pool, period), cancel);

    public Task<ImmutableArray<ClearedUsage>> ReadClearedUsageAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Cleared, cancel);

    public Task<ImmutableArray<Declaration>> ReadDeclarationsAsync(CancellationToken cancel = default) => _readers.QueryAsync(DirectoryQueries.Declarations, cancel);

    public Task<ImmutableArray<AuditEntry>> ReadAuditAsync(int limit, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => JournalQueries.Audit(reader, limit), cancel);

    public Task<StoredDocument?> FindAsync(DocumentKey key, CancellationToken cancel = default) => _readers.QueryAsync(reader => DocumentRows.Find(reader, key, _documents.Now), cancel);

    public Task<ImmutableArray<StoredDocument>> ListAsync(DocumentQuery query, CancellationToken cancel = default) =>
        _readers.QueryAsync(reader => DocumentRows.List(reader, query, _documents.Now), cancel);

    public Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel = default) => _documents.TryAddAsync(document, cancel);

    public Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Instant? expiresAt = null, CancellationToken cancel = default) =>
        _documents.TryReplaceAsync(key, expected, content, expiresAt, cancel);

    public Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected = null, CancellationToken cancel = default) => _documents.TryDeleteAsync(key, expected, cancel);

    public Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel = default) => _documents.DeleteExpiredAsync(documentsMax, cancel);

    /// <summary>SQLite's own checks of the file and its references, sums made afresh from the records, balance of every transaction, capacity without gaps.
    /// Reads everything: at ten million records this takes minutes.</summary>
    public Task<ImmutableArray<string>> VerifyAsync(CancellationToken cancel = default) => _readers.QueryAsync(SqliteCheck.Run, cancel);

    /// <summary>Writes the books as of now into a new file while the store goes on. To restore, put the file into an empty data directory as qanat.db.</summary>
    /// <exception cref="StoreException">The file exists already or cannot be written.</exception>
    public Task BackupAsync(string file, CancellationToken cancel = default) => Task.Run(() => SqliteBackup.Write(_file, Path.GetFullPath(file), cancel), cancel);

    /// <summary>Writes what was handed over, then lets go of the directory.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _queue.DisposeAsync().ConfigureAwait(false);
        _flusher.Dispose();
        _checkpointer.Dispose();
        _readers.Dispose();
        _writer.Dispose();
        _lock.Dispose();
    }

    internal static SqliteBookStore Open(string directory, TimeProvider clock, StoreOptions options, IReadOnlyList<Migration> migrations)
    {
        string home = Path.GetFullPath(directory);
        string file = Path.Combine(home, "qanat.db");
        Directory.CreateDirectory(home);
        DirectoryLock taken = DirectoryLock.Take(home);
        SqliteDatabase? writer = null;
        try
        {
            writer = SqliteDatabase.OpenWriter(file);
            SqliteMigrations.Apply(writer, migrations, clock);
            if (options.DatabaseBytesMax is long bytesMax) writer.LimitTo(bytesMax);
            return new SqliteBookStore(taken, writer, file, options, clock);
        }
        catch (SqliteException failure)
        {
            writer?.Dispose();
            taken.Dispose();
            throw new StoreException($"The books in {home} could not be opened: {failure.Message}", failure);
        }
        catch
        {
            writer?.Dispose();
            taken.Dispose();
            throw;
        }
    }
}
