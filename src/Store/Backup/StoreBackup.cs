using Qanat.Books;

namespace Qanat.Store;

/// <summary>Backup and restore. A backup is a SQLite file with all books and documents as of one commit, whichever engine they are in, so that it also moves books from one engine to the other.
/// It is made beside the process that owns the books, which goes on.</summary>
public static class StoreBackup
{
    /// <exception cref="StoreException">The file exists already, cannot be written, or there are no books.</exception>
    public static Task WriteAsync(StoreLocation from, string file, TimeProvider clock, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(from);
        string target = Path.GetFullPath(file);
        if (from.Connection is null && !File.Exists(from.DatabaseFile)) throw new StoreException($"There are no books in {from.Directory}: name their data directory.");
        return Task.Run(() => NewFile.Write(target, partial =>
        {
            if (from.Connection is null) SqliteBackup.Copy(from.DatabaseFile, partial, cancel);
            else CopyOut(from.Connection, partial, clock, cancel);
        }), cancel);
    }

    /// <summary>Puts a backup into a directory or a schema without books, and brings it forward to this program's schema. The backup stays as it is.</summary>
    /// <exception cref="StoreException">There are books already, the file is no backup, or is newer than this program.</exception>
    public static Task RestoreAsync(string file, StoreLocation to, TimeProvider clock, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(to);
        if (!File.Exists(file)) throw new StoreException($"There is no file {file}.");
        return Task.Run(() =>
        {
            if (to.Connection is null) RestoreFile(file, to.DatabaseFile, clock);
            else CopyIn(file, to.Connection, clock, cancel);
        }, cancel);
    }

    private static void RestoreFile(string file, string target, TimeProvider clock)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        using DirectoryLock taken = DirectoryLock.Take(Path.GetDirectoryName(target)!);
        NewFile.Write(target, partial =>
        {
            File.Copy(file, partial);
            BringForward(partial, clock);
        });
    }

    private static void CopyOut(string connection, string partial, TimeProvider clock, CancellationToken cancel)
    {
        BringForward(partial, clock);
        using SqlDatabase source = PostgresBookStore.OpenReader(connection);
        using SqliteDatabase target = SqliteDatabase.OpenWriter(partial);
        source.Reading(() => TableCopy.Run(source, target, target, cancel), cancel);
        target.CloseLog();
    }

    private static void CopyIn(string file, string connection, TimeProvider clock, CancellationToken cancel)
    {
        string copy = Path.Combine(Directory.CreateTempSubdirectory("qanat-restore-").FullName, SqliteBookStore.FileName);
        try
        {
            File.Copy(file, copy);
            BringForward(copy, clock);
            using SqliteDatabase source = SqliteDatabase.OpenReader(copy);
            PostgresBookStore.Restore(connection, clock, target => TableCopy.Run(source, target, source, cancel));
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(copy)!, recursive: true);
        }
    }

    /// <summary>Makes the schema in an empty file, or brings that of a backup to this program's.</summary>
    private static void BringForward(string file, TimeProvider clock)
    {
        try
        {
            using SqliteDatabase database = SqliteDatabase.OpenWriter(file);
            SqliteSchema.Apply(database, SqliteSchema.Shipped, clock);
            database.CloseLog();
        }
        catch (Microsoft.Data.Sqlite.SqliteException failure)
        {
            throw new StoreException($"The file is not a backup of Qanat, or cannot be written: {failure.Message}", failure);
        }
    }
}

/// <summary>A file that is whole or not there: what is cut short never has its name.</summary>
internal static class NewFile
{
    /// <exception cref="StoreException">The file exists already or cannot be written.</exception>
    public static void Write(string file, Action<string> write)
    {
        if (File.Exists(file)) throw new StoreException($"The file {file} exists already: it is never overwritten.");
        string partial = file + ".partial";
        try
        {
            File.Delete(partial);
            write(partial);
            using (FileStream copy = new(partial, FileMode.Open, FileAccess.ReadWrite))
                copy.Flush(flushToDisk: true);
            File.Move(partial, file);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"The file {file} could not be written: {failure.Message}", failure);
        }
        finally
        {
            foreach (string rest in (ReadOnlySpan<string>)["", "-wal", "-shm", "-journal"]) File.Delete(partial + rest);
        }
    }
}
