using System.Runtime.InteropServices;

namespace Qanat.Kernels.Tests;

/// <summary>Beside no other tests: they would take blocks of the C library that are freed here, and write to them.</summary>
[CollectionDefinition(nameof(HeapToItself), DisableParallelization = true)]
public sealed class HeapToItself;

/// <summary>What of native memory the system really gave: asked page by page.</summary>
[Collection(nameof(HeapToItself))]
public sealed unsafe partial class NativeBufferTests
{
    [Fact]
    public void A_buffer_of_small_pages_takes_the_pages_that_were_written_and_no_more()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "pages are counted on Linux");
        using var buffer = new NativeBuffer(32 << 20, NativePages.Small);
        for (int i = 0; i < 8; i++)
            buffer.Pointer[i * (4 << 20) + 12345] = 1;
        Assert.Equal(8, ResidentPages(buffer.Pointer, buffer.Bytes));
    }

    [Fact]
    public void Trimming_gives_freed_blocks_back_though_blocks_behind_them_are_held()
    {
        const int Blocks = 512, BlockBytes = 16 << 10;
        Assert.SkipUnless(OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out _), "freed blocks are kept by GNU's C library");
        var blocks = new nint[Blocks];
        for (int i = 0; i < Blocks; i++)
        {
            blocks[i] = (nint)NativeMemory.Alloc(BlockBytes);
            new Span<byte>((void*)blocks[i], BlockBytes).Fill(1);
        }
        // Every eighth stays, so that what lies between cannot go back as the end of a heap does.
        for (int i = 0; i < Blocks; i++)
            if (i % 8 != 0)
                NativeMemory.Free((void*)blocks[i]);
        // Behind the last one that stays the heap may end.
        int Resident() => Enumerable.Range(0, Blocks - 8).Where(i => i % 8 is > 1 and < 7).Sum(i => ResidentPages((byte*)blocks[i], BlockBytes));

        int before = Resident();
        Assert.NotEqual(0, before);
        NativeBuffer.TrimHeap();

        Assert.InRange(Resident(), 0, before / 4);
        for (int i = 0; i < Blocks; i += 8)
        {
            Assert.Equal(-1, new ReadOnlySpan<byte>((void*)blocks[i], BlockBytes).IndexOfAnyExcept((byte)1));
            NativeMemory.Free((void*)blocks[i]);
        }
    }

    /// <summary>Of the whole pages of a stretch; none where it is not mapped any more.</summary>
    private static int ResidentPages(byte* start, long bytes)
    {
        long page = Environment.SystemPageSize, first = ((long)start + page - 1) / page * page, count = ((long)start + bytes - first) / page;
        var pages = new byte[count];
        fixed (byte* states = pages)
            if (MinCore((void*)first, (nuint)(count * page), states) != 0)
                return 0;
        return pages.Count(state => (state & 1) != 0);
    }

    [LibraryImport("libc", EntryPoint = "mincore")]
    private static partial int MinCore(void* start, nuint bytes, byte* states);
}
