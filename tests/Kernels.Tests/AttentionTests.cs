namespace Qanat.Kernels.Tests;

public sealed unsafe class AttentionTests
{
    [Theory]
    [InlineData(KvFormat.F16, 4, 2, 64, 16, 100, 1)]
    [InlineData(KvFormat.F16, 3, 1, 16, 32, 130, 2)]
    [InlineData(KvFormat.F16, 8, 8, 128, 5, 70, 3)]
    [InlineData(KvFormat.F16, 16, 1, 32, 48, 65, 4)]
    [InlineData(KvFormat.Q8, 4, 2, 64, 16, 100, 1)]
    [InlineData(KvFormat.Q8, 3, 1, 16, 32, 130, 2)]
    [InlineData(KvFormat.Q8, 8, 8, 128, 5, 70, 3)]
    [InlineData(KvFormat.Q8, 16, 1, 48, 48, 65, 4)]
    public void Attention_equals_the_oracle(KvFormat format, int heads, int kvHeads, int headDim, int blockTokens, int tokens, int seed)
    {
        var layout = new KvLayout(kvHeads, headDim, blockTokens, format);
        int blocks = (tokens + blockTokens - 1) / blockTokens;
        using var cache = new NativeBuffer(blocks * layout.BlockBytes);
        // Leavings of other sequences, which no row may see.
        new Span<ushort>(cache.Pointer, (int)(cache.Bytes / 2)).Fill(0x7e00);
        int[] table = [.. Enumerable.Range(0, blocks)];
        new Random(seed).Shuffle(table);
        using NativeBuffer keys = Native.Random(tokens * kvHeads * headDim, seed), values = Native.Random(tokens * kvHeads * headDim, seed + 1);
        for (int t = 0; t < tokens; t++)
            for (int h = 0; h < kvHeads; h++)
                layout.Write(cache.Pointer + table[t / blockTokens] * layout.BlockBytes, h, t % blockTokens, keys.AsFloats() + (t * kvHeads + h) * headDim, values.AsFloats() + (t * kvHeads + h) * headDim);

        using NativeBuffer queries = Native.Random(tokens * heads * headDim, seed + 2), output = new(tokens * heads * headDim * 4);
        Run(layout, cache, table, queries, output, heads, tokens);
        var expected = new float[headDim];
        for (int t = 0; t < tokens; t++)
        {
            for (int h = 0; h < heads; h++)
            {
                (float[] k, float[] v) = Read(layout, cache, table, t + 1, h / (heads / kvHeads));
                AttentionOracle.Row(queries.Span().Slice((t * heads + h) * headDim, headDim), k, v, 1 / Math.Sqrt(headDim), expected);
                for (int d = 0; d < headDim; d++)
                    Assert.Equal(expected[d], output.Span()[(t * heads + h) * headDim + d], 2e-3 + 1e-3 * Math.Abs(expected[d])); // a weight may round to the neighbouring half
            }
        }
    }

    [Theory]
    [InlineData(KvFormat.F16, 1, 1, 64, 16, 37)] // a last tile of one query
    [InlineData(KvFormat.F16, 7, 1, 128, 32, 75)] // tiles of 35
    [InlineData(KvFormat.F16, 6, 3, 80, 5, 64)]
    [InlineData(KvFormat.Q8, 7, 1, 128, 32, 75)]
    [InlineData(KvFormat.Q8, 2, 2, 48, 100, 130)] // blocks of more groups than are widened at once
    public void Assembled_loops_give_the_bits_of_those_in_CSharp(KvFormat format, int heads, int kvHeads, int headDim, int blockTokens, int tokens)
    {
        var layout = new KvLayout(kvHeads, headDim, blockTokens, format);
        int blocks = (tokens + blockTokens - 1) / blockTokens;
        using var cache = new NativeBuffer(blocks * layout.BlockBytes);
        new Span<ushort>(cache.Pointer, (int)(cache.Bytes / 2)).Fill(0x7e00);
        int[] table = [.. Enumerable.Range(0, blocks).Reverse()];
        using NativeBuffer keys = Native.Random(tokens * kvHeads * headDim, 5), values = Native.Random(tokens * kvHeads * headDim, 6);
        for (int t = 0; t < tokens; t++)
            for (int h = 0; h < kvHeads; h++)
                layout.Write(cache.Pointer + table[t / blockTokens] * layout.BlockBytes, h, t % blockTokens, keys.AsFloats() + (t * kvHeads + h) * headDim, values.AsFloats() + (t * kvHeads + h) * headDim);
        using NativeBuffer queries = Native.Random(tokens * heads * headDim, 7), expected = new(tokens * heads * headDim * 4), output = new(tokens * heads * headDim * 4);
        Run(layout, cache, table, queries, expected, heads, tokens, usesEmitted: false);
        Run(layout, cache, table, queries, output, heads, tokens, usesEmitted: true);
        Native.AssertSameBits(expected.Span(), output.Span());
    }

    [Fact]
    public void What_is_written_reads_back_as_the_nearest_half_and_never_as_infinity()
    {
        var layout = new KvLayout(2, 16, 20);
        using var block = new NativeBuffer(layout.BlockBytes);
        using NativeBuffer key = Native.Floats(16, i => i == 3 ? 1e9f : i * 0.1f), value = Native.Floats(16, i => i == 5 ? float.NegativeInfinity : -i);
        layout.Write(block.Pointer, 1, 17, key.AsFloats(), value.AsFloats());
        float[] k = new float[16], v = new float[16];
        layout.Read(block.Pointer, 1, 17, k, v);
        for (int i = 0; i < 16; i++)
        {
            Assert.Equal(i == 3 ? 65504 : (float)(Half)(i * 0.1f), k[i]);
            Assert.Equal(i == 5 ? -65504 : -i, v[i]);
        }
    }

    [Fact]
    public void Bytes_read_back_within_half_a_step_of_their_run_and_take_half_the_memory()
    {
        var layout = new KvLayout(2, 128, 32, KvFormat.Q8);
        Assert.InRange(layout.BlockBytes / (double)new KvLayout(2, 128, 32).BlockBytes, 0.5, 0.54);
        using var block = new NativeBuffer(layout.BlockBytes);
        using NativeBuffer key = Native.Random(128, 1), value = Native.Random(128, 2);
        key.Span()[40] = float.PositiveInfinity;
        layout.Write(block.Pointer, 1, 29, key.AsFloats(), value.AsFloats());
        float[] k = new float[128], v = new float[128];
        layout.Read(block.Pointer, 1, 29, k, v);
        Assert.Equal(65504, k[40], 40f);
        for (int i = 0; i < 128; i++)
        {
            if (i / 32 != 1)
                Assert.Equal(key.Span()[i], k[i], 0.51f / 127 * Largest(key, i));
            Assert.Equal(value.Span()[i], v[i], 0.51f / 127 * Largest(value, i));
        }
    }

    private static float Largest(NativeBuffer numbers, int i)
    {
        float largest = 0;
        foreach (float number in numbers.Span().Slice(i / 32 * 32, 32))
            largest = Math.Max(largest, Math.Abs(number));
        return largest;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(24)]
    [InlineData(272)]
    public void Heads_of_odd_sizes_are_refused(int headDim) => Assert.Throws<ArgumentOutOfRangeException>(() => new KvLayout(1, headDim, 16));

    private static void Run(KvLayout layout, NativeBuffer cache, int[] table, NativeBuffer queries, NativeBuffer output, int heads, int tokens, bool usesEmitted = true)
    {
        using var team = new WorkerTeam(2);
        using var attention = new Attention(team, usesEmitted);
        int rowsPerTile = Attention.RowsPerTile(heads, layout.KvHeads);
        var tiles = new AttentionTile[(tokens + rowsPerTile - 1) / rowsPerTile];
        for (int i = 0; i < tiles.Length; i++)
            tiles[i] = new AttentionTile(i * rowsPerTile, Math.Min(rowsPerTile, tokens - i * rowsPerTile), i * rowsPerTile, 0);
        fixed (int* tables = table)
        fixed (AttentionTile* tilePtr = tiles)
        {
            attention.Run(new Attention.Layer
            {
                Queries = queries.AsFloats(),
                Output = output.AsFloats(),
                Heads = heads,
                Scale = 1 / MathF.Sqrt(layout.HeadDim),
                Layout = layout,
                Cache = cache.Pointer,
                BlockTables = tables,
                Tiles = tilePtr,
                TileCount = tiles.Length,
            });
        }
    }

    private static (float[] Keys, float[] Values) Read(KvLayout layout, NativeBuffer cache, int[] table, int tokens, int head)
    {
        float[] k = new float[tokens * layout.HeadDim], v = new float[tokens * layout.HeadDim];
        for (int t = 0; t < tokens; t++)
            layout.Read(cache.Pointer + table[t / layout.BlockTokens] * layout.BlockBytes, head, t % layout.BlockTokens, k.AsSpan(t * layout.HeadDim, layout.HeadDim), v.AsSpan(t * layout.HeadDim, layout.HeadDim));
        return (k, v);
    }
}
