using System.Diagnostics;
using System.Globalization;
using System.Runtime.Intrinsics;
using Qanat.Kernels;

namespace Qanat.Bench;

/// <summary>How fast memory can be read at all: the limit of a product of one row, which uses each weight once.</summary>
internal static unsafe class ReadProbe
{
    private const int ChunkBytes = 1 << 20;
    private const int Chunks = 512;

    /// <summary>The best of many passes over half a gigabyte, far beyond any cache, on one thread and on the whole team.</summary>
    public static string Measure(WorkerTeam team)
    {
        using var memory = new NativeBuffer((long)Chunks * ChunkBytes);
        new Span<byte>(memory.Pointer, Chunks * ChunkBytes).Fill(1);
        using var alone = new WorkerTeam(1);
        return string.Create(CultureInfo.InvariantCulture, $"memory read: {Best(alone, memory):F1} GB/s by one thread, {Best(team, memory):F1} by {team.Threads}");
    }

    private static double Best(WorkerTeam team, NativeBuffer memory)
    {
        double best = 0;
        for (int round = 0; round < 12; round++)
        {
            var job = new Job { Memory = memory.Pointer };
            long started = Stopwatch.GetTimestamp();
            team.Run(&ReadChunk, &job, Chunks);
            best = Math.Max(best, memory.Bytes / Stopwatch.GetElapsedTime(started).TotalSeconds / 1e9);
        }
        return best;
    }

    private static void ReadChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        byte* from = job->Memory + (long)chunk * ChunkBytes;
        Vector256<int> a = default, b = default, c = default, d = default;
        for (byte* end = from + ChunkBytes; from < end; from += 128)
        {
            a ^= Vector256.Load((int*)from);
            b ^= Vector256.Load((int*)(from + 32));
            c ^= Vector256.Load((int*)(from + 64));
            d ^= Vector256.Load((int*)(from + 96));
        }
        Interlocked.Add(ref job->Sum, Vector256.Sum(a ^ b ^ c ^ d));
    }

    private struct Job
    {
        public byte* Memory;
        public int Sum;
    }
}
