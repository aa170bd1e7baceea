using System.Runtime.InteropServices;

namespace Qanat.Models;

/// <summary>Pages of a file mapped into memory.</summary>
internal static unsafe partial class MappedPages
{
    private const int MadviseDontNeed = 4;

    /// <summary>Lets the system take back what has been read, so that weights are not held twice, mapped and laid out. The bytes can be read again.</summary>
    public static void Release(byte* start, long bytes)
    {
        if (!OperatingSystem.IsLinux())
            return;
        // Only whole pages: the first and the last may hold neighbours too.
        nint page = Environment.SystemPageSize;
        nint first = ((nint)start + page - 1) & ~(page - 1);
        nint end = ((nint)start + (nint)bytes) & ~(page - 1);
        if (end > first)
            _ = Madvise((void*)first, (nuint)(end - first), MadviseDontNeed);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(void* address, nuint bytes, int advice);
}
