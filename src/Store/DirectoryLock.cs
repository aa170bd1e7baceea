using System.Globalization;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Exclusive ownership of a data directory: a file held open with an exclusive lock. The operating system lets go of it when the process ends,
/// however it ends, so a lock is never stale. The process id stands in a second file, because the locked one cannot be read by others.</summary>
internal sealed class DirectoryLock : IDisposable
{
    private readonly FileStream _held;
    private readonly string _ownerFile;

    private DirectoryLock(FileStream held, string ownerFile)
    {
        _held = held;
        _ownerFile = ownerFile;
    }

    /// <exception cref="StoreException">Another process, or another store of this one, owns the directory.</exception>
    public static DirectoryLock Take(string directory)
    {
        string ownerFile = Path.Combine(directory, "qanat.pid");
        DirectoryLock taken = new(Open(directory, ownerFile), ownerFile);
        File.WriteAllText(ownerFile, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        return taken;
    }

    public void Dispose()
    {
        File.Delete(_ownerFile);
        _held.Dispose();
    }

    private static FileStream Open(string directory, string ownerFile)
    {
        try
        {
            return new FileStream(Path.Combine(directory, "qanat.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException failure) when (failure is not (DirectoryNotFoundException or FileNotFoundException))
        {
            throw new StoreException($"The data directory {directory} is in use by process {OwnerOf(ownerFile)}: stop that process, or name another directory.", failure);
        }
    }

    private static string OwnerOf(string ownerFile)
    {
        try
        {
            return File.ReadAllText(ownerFile);
        }
        catch (IOException)
        {
            return "unknown (it is starting or stopping)";
        }
    }
}
