namespace Qanat.Kernels.Tests;

public sealed unsafe class WorkerTeamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_chunk_runs_once_and_before_Run_returns(int threads)
    {
        using var team = new WorkerTeam(threads);
        int* counts = stackalloc int[64];
        for (int job = 0; job < 3000; job++)
        {
            new Span<int>(counts, 64).Clear();
            int chunks = job % 64 + 1;
            team.Run(&Count, counts, chunks);
            for (int i = 0; i < 64; i++)
                Assert.Equal(i < chunks ? 1 : 0, counts[i]);
        }
    }

    [Fact]
    public void Workers_wake_after_they_have_parked()
    {
        using var team = new WorkerTeam(2);
        int* counts = stackalloc int[64];
        for (int pause = 0; pause < 20; pause++)
        {
            // Longer than a worker spins; a worker that parks here must still take part, or at least not hold the job up.
            Thread.SpinWait(200_000);
            new Span<int>(counts, 64).Clear();
            team.Run(&Count, counts, 64);
            Assert.Equal(64, new Span<int>(counts, 64).ToArray().Sum());
        }
    }

    [Fact]
    public void Threads_have_distinct_numbers()
    {
        using var team = new WorkerTeam(3);
        int* busy = stackalloc int[3];
        for (int job = 0; job < 500; job++)
            team.Run(&Enter, busy, 30);
        Assert.Equal([0, 0, 0], new Span<int>(busy, 3).ToArray());
    }

    [Fact]
    public void Limits_are_checked()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerTeam(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerTeam(WorkerTeam.ThreadsMax + 1));
        using var team = new WorkerTeam(1);
        Assert.Throws<ArgumentOutOfRangeException>(() => team.Run(&Count, null, WorkerTeam.ChunksMax + 1));
        team.Run(&Count, null, 0);
    }

    [Fact]
    public void Cores_are_counted_by_their_siblings()
    {
        string folder = Directory.CreateTempSubdirectory("qanat-cpus").FullName;
        try
        {
            for (int cpu = 0; cpu < 8; cpu++)
            {
                string topology = Directory.CreateDirectory(Path.Combine(folder, FormattableString.Invariant($"cpu{cpu}"), "topology")).FullName;
                File.WriteAllText(Path.Combine(topology, "thread_siblings_list"), FormattableString.Invariant($"{cpu % 4},{cpu % 4 + 4}\n"));
            }
            Assert.Equal(4, CpuTopology.Count(folder, 8));
            Assert.Equal(3, CpuTopology.Count(folder, 3));
            Assert.Equal(6, CpuTopology.Count(Path.Combine(folder, "missing"), 6));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Count(void* job, int chunk, int thread) => Interlocked.Increment(ref ((int*)job)[chunk]);

    private static void Enter(void* job, int chunk, int thread)
    {
        if (Interlocked.Increment(ref ((int*)job)[thread]) == 1)
            Interlocked.Decrement(ref ((int*)job)[thread]);
    }
}
