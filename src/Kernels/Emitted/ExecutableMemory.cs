using System.Runtime.InteropServices;

namespace Qanat.Kernels;

/// <summary>Puts machine code where it can run: mapped writable, filled, then made executable and no longer writable. Never freed: kernels live as long as the process.</summary>
internal static unsafe partial class ExecutableMemory
{
    private const int ProtRead = 1;
    private const int ProtWrite = 2;
    private const int ProtExec = 4;
    private const int MapPrivate = 2;
    private const int MapAnonymous = 0x20;

    /// <summary>The address of the code.</summary>
    /// <exception cref="PlatformNotSupportedException">The system has no such calls, or refuses executable memory (a hardened kernel or container).</exception>
    public static nint Map(ReadOnlySpan<byte> code)
    {
        if (!OperatingSystem.IsLinux())
            throw new PlatformNotSupportedException("assembled code is mapped on Linux only");
        void* memory = Mmap(null, (nuint)code.Length, ProtRead | ProtWrite, MapPrivate | MapAnonymous, -1, 0);
        if ((nint)memory == -1)
            throw new PlatformNotSupportedException(FormattableString.Invariant($"no memory for assembled code (errno {Marshal.GetLastPInvokeError()})"));
        code.CopyTo(new Span<byte>(memory, code.Length));
        if (Mprotect(memory, (nuint)code.Length, ProtRead | ProtExec) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            _ = Munmap(memory, (nuint)code.Length);
            throw new PlatformNotSupportedException(FormattableString.Invariant($"the system refuses executable memory (errno {error})"));
        }
        return (nint)memory;
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Mmap(void* address, nuint bytes, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Mprotect(void* address, nuint bytes, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(void* address, nuint bytes);
}
