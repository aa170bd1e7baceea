using Microsoft.Data.Sqlite;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The books, and the documents beside them, in one SQLite file, qanat.db, in a data directory that one process owns. Write-ahead log, every commit on disk before its caller hears of it.</summary>
public sealed class SqliteBookStore : SqlStore
{
    internal const string FileName = "qanat.db";

    private readonly string _file;
    private readonly DirectoryLock _lock;
    private readonly SqliteDatabase _writer;
    private readonly DiskFile _disk;
    private readonly Checkpointer _checkpointer;
    private readonly LogFlusher _flusher;

    private SqliteBookStore(DirectoryLock taken, SqliteDatabase writer, DiskFile disk, Checkpointer checkpointer, LogFlusher flusher, string file, StoreOptions options, TimeProvider clock)
        : base(Committing(new FactWriter(writer, options)), () => OpenReader(file), checkpointer.AfterCommit, options, clock, flusher)
    {
        _file = file;
        _lock = taken;
        _writer = writer;
        _disk = disk;
        _checkpointer = checkpointer;
        _flusher = flusher;
    }

    /// <summary>Opens the books in a directory, which is made when it is missing, and brings their schema forward.</summary>
    /// <exception cref="StoreException">Another process owns the directory, or its books are newer than this program or not Qanat's.</exception>
    public static Task<SqliteBookStore> OpenAsync(string directory, TimeProvider clock, StoreOptions? options = null) =>
        Task.Run(() => Open(directory, clock, options ?? StoreOptions.Default, SqliteSchema.Shipped));

    /// <summary>Writes the books as of now into a new file while the store goes on. To restore, put the file into an empty data directory as qanat.db.</summary>
    /// <exception cref="StoreException">The file exists already or cannot be written.</exception>
    public Task BackupAsync(string file, CancellationToken cancel = default) => Task.Run(() => NewFile.Write(Path.GetFullPath(file), partial => SqliteBackup.Copy(_file, partial, cancel)), cancel);

    internal static SqliteBookStore Open(string directory, TimeProvider clock, StoreOptions options, IReadOnlyList<Migration> migrations)
    {
        string home = Path.GetFullPath(directory);
        string file = Path.Combine(home, FileName);
        Directory.CreateDirectory(home);
        DirectoryLock taken = DirectoryLock.Take(home);
        SqliteDatabase? writer = null;
        try
        {
            writer = SqliteDatabase.OpenWriter(file);
            SqliteSchema.Apply(writer, migrations, clock);
            writer.CheckReferences(ReferenceChecks.None);
            if (options.DatabaseBytesMax is long bytesMax) writer.LimitTo(bytesMax);
            DiskFile disk = new(file);
            return new SqliteBookStore(taken, writer, disk, new Checkpointer(writer, file, disk, options.LogBytesBegin), new LogFlusher(file, options.FlushBehindMax), file, options, clock);
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

    private static CommitBatch Committing(FactWriter facts) => (batch, outcomes) => facts.Commit(batch, outcomes);

    private protected override void Close()
    {
        _flusher.Dispose();
        _checkpointer.Dispose();
        _writer.Dispose();
        _disk.Dispose();
        _lock.Dispose();
    }

    private static SqliteDatabase OpenReader(string file)
    {
        try
        {
            return SqliteDatabase.OpenReader(file);
        }
        catch (SqliteException failure)
        {
            throw new StoreException($"The books could not be opened for reading: {failure.Message}", failure);
        }
    }
}
