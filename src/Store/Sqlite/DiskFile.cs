using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Qanat.Store;

/// <summary>A file that SQLite writes, brought to the disk beside it. Where the system can, only what is needed to read it again: a file that is written over without growing then costs no transaction of the file system's own journal,
/// for which whoever writes to the file meanwhile would have to wait.</summary>
/// <remarks>Of SQLite's database file this must be disposed of after the last connection: closing any handle of a file gives up all locks that the process has on it.</remarks>
internal sealed partial class DiskFile(string path) : IDisposable
{
    private const int Interrupted = 4, ReadOnlySystem = 30, Invalid = 22, NotSupported = 95;
    private SafeFileHandle? _file;

    /// <exception cref="IOException">The disk has failed, and nobody knows what reached it.</exception>
    public void Flush()
    {
        _file ??= File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        if (!OperatingSystem.IsLinux())
        {
            RandomAccess.FlushToDisk(_file);
            return;
        }
        while (SyncData(_file) != 0)
        {
            // Not asked again after a failure: the system tells it once, and then counts as written what is lost. Files that cannot be flushed have no disk to be brought to.
            int error = Marshal.GetLastPInvokeError();
            if (error is ReadOnlySystem or Invalid or NotSupported) return;
            if (error != Interrupted) throw new IOException(Marshal.GetPInvokeErrorMessage(error));
        }
    }

    public void Dispose() => _file?.Dispose();

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int SyncData(SafeFileHandle file);
}
