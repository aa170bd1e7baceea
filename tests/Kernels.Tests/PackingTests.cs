namespace Qanat.Kernels.Tests;

public sealed unsafe class PackingTests
{
    public static TheoryData<WeightFormat> Formats => [.. Enum.GetValues<WeightFormat>()];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Whole_panels_equal_those_of_the_scalar_twin(WeightFormat format)
    {
        var random = new Random((int)format + 1);
        int block = Math.Max(WeightFormats.PackedElements(format), WeightFormats.BlockElements(format));
        foreach (int inputs in new[] { 1, 2, 3, 8, 24 }.Select(blocks => blocks * block))
        {
            // Any bits at all: packing moves them and rounds nothing but tiny numbers of BF16. The panel begins zeroed, as a matrix' memory does.
            var file = new byte[PackedMatrix.PanelOutputs * WeightFormats.RowBytes(format, inputs)];
            random.NextBytes(file);
            long bytes = WeightFormats.PackedMatrixBytes(format, PackedMatrix.PanelOutputs, inputs);
            using NativeBuffer expected = new(bytes), actual = new(bytes);
            fixed (byte* source = file)
            {
                Packing.Panel_Scalar(format, source, PackedMatrix.PanelOutputs, inputs, expected.Pointer);
                Packing.Panel(format, source, PackedMatrix.PanelOutputs, inputs, actual.Pointer);
            }
            Assert.Equal(-1, FirstDifference(expected, actual));
        }
    }

    [Fact]
    public void Whole_panels_are_packed_by_vectors_where_the_processor_can()
    {
        if (!System.Runtime.Intrinsics.X86.Avx2.IsSupported)
            return;
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            var file = new byte[PackedMatrix.PanelOutputs * WeightFormats.RowBytes(format, 256)];
            using NativeBuffer panel = new(WeightFormats.PackedMatrixBytes(format, PackedMatrix.PanelOutputs, 256));
            fixed (byte* source = file)
                Assert.True(PanelPacking.TryPanel(format, source, 256, panel.Pointer), format.ToString());
        }
    }

    [Fact]
    public void A_large_matrix_is_packed_in_parts_whose_rows_are_told_to_be_free()
    {
        const int inputs = 1024, outputs = 20_000;
        const WeightFormat format = WeightFormat.Q8_0;
        long rowBytes = WeightFormats.RowBytes(format, inputs);
        using NativeBuffer file = new(outputs * rowBytes), rows = new(outputs * rowBytes), panel = new(WeightFormats.PackedMatrixBytes(format, PackedMatrix.PanelOutputs, inputs));
        new Random(7).NextBytes(new Span<byte>(file.Pointer, checked((int)file.Bytes)));
        Buffer.MemoryCopy(file.Pointer, rows.Pointer, rows.Bytes, file.Bytes);
        using WorkerTeam team = new(2);
        List<long> told = [];
        using PackedMatrix matrix = PackedMatrix.Pack(format, outputs, inputs, rows.Pointer, team, read: bytes =>
        {
            new Span<byte>(rows.Pointer, checked((int)bytes)).Clear();
            told.Add(bytes);
        });
        Assert.True(told.Count > 1);
        Assert.Equal(told.Order(), told);
        Assert.Equal(outputs * rowBytes, told[^1]);
        for (int each = 0; each < matrix.Panels; each++)
        {
            Packing.Panel(format, file.Pointer, outputs, inputs, each, panel.Pointer);
            Assert.True(new ReadOnlySpan<byte>(panel.Pointer, checked((int)matrix.PanelBytes)).SequenceEqual(new ReadOnlySpan<byte>(matrix.Panel(each), checked((int)matrix.PanelBytes))), $"panel {each}");
        }
    }

    [Fact]
    public void Memory_of_an_arena_is_zeroed_aligned_and_apart()
    {
        using var arena = new NativeArena();
        var taken = new List<(nint Start, long Bytes)>();
        foreach (long bytes in new[] { 1L, 64, 65, 40L << 20, 30L << 20, 100L << 20, 3 })
        {
            byte* start = arena.Take(bytes);
            Assert.Equal(0, (nint)start % 64);
            Assert.Equal((0, 0), (start[0], start[bytes - 1]));
            start[0] = start[bytes - 1] = 1;
            Assert.DoesNotContain(taken, other => (nint)start < other.Start + other.Bytes && other.Start < (nint)start + bytes);
            taken.Add(((nint)start, bytes));
        }
    }

    [Fact]
    public void What_an_arena_expects_lies_in_one_piece()
    {
        using var arena = new NativeArena();
        arena.Take(64);
        arena.Expect(200L << 20);
        byte* first = arena.Take(100L << 20);
        Assert.Equal((nint)first + (100 << 20), (nint)arena.Take(64));
        Assert.Equal((nint)first + (100 << 20) + 64, (nint)arena.Take((100L << 20) - 64));
    }

    private static long FirstDifference(NativeBuffer a, NativeBuffer b)
    {
        for (long i = 0; i < a.Bytes; i++)
            if (a.Pointer[i] != b.Pointer[i])
                return i;
        return -1;
    }
}
