using System.Diagnostics;
using System.Globalization;
using Qanat.Kernels;

namespace Qanat.Bench;

/// <summary>How fast rows of one sequence attend to all keys up to their own, heads as in Qwen3-0.6B: sixteen query heads on eight key heads of 128 dimensions.</summary>
internal static unsafe class AttentionProbe
{
    private const int Heads = 16, KvHeads = 8, HeadDim = 128, BlockTokens = 32;

    /// <summary>Billions of multiplications with keys and values per second, all threads together, of the last <paramref name="rows"/> rows of a sequence of so many tokens; best of the passes of 0.7 s.</summary>
    public static string Measure(WorkerTeam team, int tokens, int rows)
    {
        var layout = new KvLayout(KvHeads, HeadDim, BlockTokens);
        int blocks = (tokens + BlockTokens - 1) / BlockTokens;
        using var cache = new NativeBuffer(blocks * layout.BlockBytes, NativePages.Small);
        using NativeBuffer queries = Random(rows * Heads * HeadDim, 1), kv = Random(tokens * HeadDim, 2), output = new((long)rows * Heads * HeadDim * sizeof(float));
        for (int t = 0; t < tokens; t++)
            for (int h = 0; h < KvHeads; h++)
                layout.Write(cache.Pointer + t / BlockTokens * layout.BlockBytes, h, t % BlockTokens, (float*)kv.Pointer + t * HeadDim, (float*)kv.Pointer + t * HeadDim);
        int[] table = [.. Enumerable.Range(0, blocks)];
        AttentionTile[] tiles = Tiles(tokens, rows);
        using var attention = new Attention(team);
        double best = double.PositiveInfinity;
        fixed (int* tables = table)
        fixed (AttentionTile* first = tiles)
        {
            var layer = new Attention.Layer { Queries = (float*)queries.Pointer, Output = (float*)output.Pointer, Heads = Heads, Scale = 1 / MathF.Sqrt(HeadDim), Layout = layout, Cache = cache.Pointer, BlockTables = tables, Tiles = first, TileCount = tiles.Length };
            for (long began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began).TotalSeconds < 0.7;)
            {
                long start = Stopwatch.GetTimestamp();
                attention.Run(layer);
                best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
        }
        double products = 2.0 * Heads * HeadDim * Enumerable.Range(tokens - rows, rows).Sum(position => position + 1.0);
        return string.Create(CultureInfo.InvariantCulture, $"attention of {rows,3} rows at {tokens,5} tokens {products / best / 1e9,6:F1} Gmul/s");
    }

    private static AttentionTile[] Tiles(int tokens, int rows)
    {
        int perTile = Attention.RowsPerTile(Heads, KvHeads);
        return [.. Enumerable.Range(0, (rows + perTile - 1) / perTile).Select(i => new AttentionTile(i * perTile, Math.Min(perTile, rows - i * perTile), tokens - rows + i * perTile, 0))];
    }

    private static NativeBuffer Random(int count, int seed)
    {
        var random = new Random(seed);
        var buffer = new NativeBuffer((long)count * sizeof(float));
        for (int i = 0; i < count; i++)
            ((float*)buffer.Pointer)[i] = random.NextSingle() - 0.5f;
        return buffer;
    }
}
