using Qanat.Books;

namespace Qanat.Store;

/// <summary>A copy of the whole database as of one instant, made while the store goes on.</summary>
internal static class SqliteBackup
{
    /// <exception cref="StoreException">The file exists already or cannot be written.</exception>
    public static void Write(string database, string file, CancellationToken cancel)
    {
        if (File.Exists(file)) throw new StoreException($"The file {file} exists already: a backup never overwrites one.");
        // A backup that was cut short never has the name of a whole one.
        string partial = file + ".partial";
        try
        {
            File.Delete(partial);
            using (SqliteDatabase source = SqliteDatabase.OpenForCopy(database))
                source.Reading(() => source["VACUUM INTO ?"].Add(partial).Run(), cancel);
            using (FileStream copy = new(partial, FileMode.Open, FileAccess.ReadWrite))
                copy.Flush(flushToDisk: true);
            File.Move(partial, file);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"The backup {file} could not be written: {failure.Message}", failure);
        }
        finally
        {
            File.Delete(partial);
        }
    }
}
