using System.Runtime.InteropServices;

namespace Qanat.Kernels;

/// <summary>The pages that a large buffer takes.</summary>
public enum NativePages
{
    /// <summary>Of 2 MiB, where the system has them: for what is written as a whole, and read from one end to the other.</summary>
    Large,

    /// <summary>The system's own: for what is written here and there, so that a little of it takes a little.</summary>
    Small,
}

/// <summary>Zeroed native memory with one owner, aligned to cache lines; buffers of 4 MiB and more are aligned to, and ask for, 2 MiB pages, unless they shall not.
/// Pages are taken from the system when first written, so an unused part costs nothing, and on Linux those of a large buffer go back with it.</summary>
public sealed unsafe partial class NativeBuffer : IDisposable
{
    private const int CacheLineBytes = 64;
    private const int HugePageBytes = 2 << 20;
    private const int MadviseHugePage = 14;
    private const int MadviseNoHugePage = 15;

    // The C library keeps freed blocks of up to 32 MB for later ones, up to twice the largest of them, once it has met some: the larger ones are asked of the system itself.
    private const int MappedBytesMin = 1 << 16;
    private const int ReadAndWrite = 1 | 2;
    private const int PrivateAnonymous = 0x02 | 0x20;

    // Of the buffer's own mapping; 0: it is the C library's.
    private readonly nuint _mappedBytes;
    private void* _allocation;

    /// <exception cref="OutOfMemoryException">The system has no room for it.</exception>
    public NativeBuffer(long bytes, NativePages pages = NativePages.Large)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        int alignment = bytes >= 2L * HugePageBytes && pages == NativePages.Large ? HugePageBytes : CacheLineBytes;
        var allocated = (nuint)(bytes + alignment);
        void* mapped = bytes >= MappedBytesMin && OperatingSystem.IsLinux() ? Map(null, allocated, ReadAndWrite, PrivateAnonymous, -1, 0) : Refused;
        _mappedBytes = mapped == Refused ? 0 : allocated;
        _allocation = mapped == Refused ? NativeMemory.AllocZeroed(allocated) : mapped;
        Bytes = bytes;
        Pointer = (byte*)(((nint)_allocation + alignment - 1) & ~(nint)(alignment - 1));

        // Some systems give large pages to whoever takes enough memory.
        if (pages == NativePages.Small && mapped != Refused)
            _ = Madvise(mapped, allocated, MadviseNoHugePage);

        // Walking hundreds of megabytes of weights through 4 KiB pages costs a page walk every 64 lines. Refusal is harmless.
        if (alignment == HugePageBytes && OperatingSystem.IsLinux())
            _ = Madvise(Pointer, (nuint)bytes & ~(nuint)(HugePageBytes - 1), MadviseHugePage);
    }

    public byte* Pointer { get; private set; }

    public long Bytes { get; }

    private static void* Refused => (void*)-1;

    public void Dispose()
    {
        if (_mappedBytes == 0)
            NativeMemory.Free(_allocation);
        else if (_allocation is not null)
            _ = Unmap(_allocation, _mappedBytes);
        _allocation = null;
        Pointer = null;
    }

    /// <summary>Gives back to the system what the C library keeps of freed blocks, for each thread that ever took some: megabytes after a model was loaded and code compiled. Other C libraries than GNU's keep less and have no such function.</summary>
    public static void TrimHeap()
    {
        if (OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out nint library) && NativeLibrary.TryGetExport(library, "malloc_trim", out nint trim))
            _ = ((delegate* unmanaged<nuint, int>)trim)(0);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(void* address, nuint bytes, int advice);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* Map(void* address, nuint bytes, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint bytes);
}
