using System.Runtime.InteropServices;

namespace Qanat.Kernels;

/// <summary>Zeroed native memory with one owner, aligned to cache lines; buffers of 4 MiB and more are aligned to, and ask for, 2 MiB pages.
/// Pages are taken from the system when first written, so an unused part costs nothing.</summary>
public sealed unsafe partial class NativeBuffer : IDisposable
{
    private const int CacheLineBytes = 64;
    private const int HugePageBytes = 2 << 20;
    private const int MadviseHugePage = 14;

    private void* _allocation;

    public NativeBuffer(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        int alignment = bytes >= 2L * HugePageBytes ? HugePageBytes : CacheLineBytes;
        _allocation = NativeMemory.AllocZeroed((nuint)(bytes + alignment));
        Bytes = bytes;
        Pointer = (byte*)(((nint)_allocation + alignment - 1) & ~(nint)(alignment - 1));

        // Walking hundreds of megabytes of weights through 4 KiB pages costs a page walk every 64 lines. Refusal is harmless.
        if (alignment == HugePageBytes && OperatingSystem.IsLinux())
            _ = Madvise(Pointer, (nuint)bytes & ~(nuint)(HugePageBytes - 1), MadviseHugePage);
    }

    public byte* Pointer { get; private set; }

    public long Bytes { get; }

    public void Dispose()
    {
        NativeMemory.Free(_allocation);
        _allocation = null;
        Pointer = null;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(void* address, nuint bytes, int advice);
}
