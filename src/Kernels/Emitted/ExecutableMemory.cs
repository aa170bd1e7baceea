using System.Runtime.InteropServices;

namespace Qanat.Kernels;

/// <summary>Puts machine code where it can run: mapped writable, filled, then made executable and no longer writable. Never freed: kernels live as long as the process.</summary>
internal static unsafe partial class ExecutableMemory
{
    /// <summary>The environment variable that refuses all of it with "off", as a hardened system does.</summary>
    public const string Switch = "QANAT_EXECUTABLE_MEMORY";

    private const int ProtRead = 1;
    private const int ProtWrite = 2;
    private const int ProtExec = 4;
    private const int MapPrivate = 2;
    private const int MapAnonymous = 0x20;

    private static readonly string? _switch = Environment.GetEnvironmentVariable(Switch);

    /// <summary>The address of the code.</summary>
    /// <exception cref="PlatformNotSupportedException">The system has no such calls, or executable memory is refused: by a hardened kernel or container, or by whoever started the process.</exception>
    public static nint Map(ReadOnlySpan<byte> code)
    {
        if (IsOff(_switch))
            throw new PlatformNotSupportedException($"executable memory is switched off ({Switch})");
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

    /// <exception cref="InvalidOperationException">It is neither empty, on nor off.</exception>
    internal static bool IsOff(string? value) => value switch
    {
        null or "" or "on" => false,
        "off" => true,
        _ => throw new InvalidOperationException($"{Switch} is \"{value}\"; it must be on or off"),
    };

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Mmap(void* address, nuint bytes, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int Mprotect(void* address, nuint bytes, int protection);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Munmap(void* address, nuint bytes);
}
