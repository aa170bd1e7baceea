namespace Qanat.Store;

/// <summary>A copy of the whole database as of one instant, made while the store goes on.</summary>
internal static class SqliteBackup
{
    public static void Copy(string database, string file, CancellationToken cancel)
    {
        using SqliteDatabase source = SqliteDatabase.OpenForCopy(database);
        source.Reading(() => source["VACUUM INTO ?"].Add(file).Run(), cancel);
    }
}
