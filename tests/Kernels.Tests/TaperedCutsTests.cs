namespace Qanat.Kernels.Tests;

public sealed class TaperedCutsTests
{
    public static TheoryData<int> ThreadCounts => [1, 2, 3, 8, 64, WorkerTeam.ThreadsMax];

    [Theory]
    [MemberData(nameof(ThreadCounts))]
    public void Chunks_follow_one_another_and_do_not_grow(int threads)
    {
        foreach (int panels in new[] { 1, 2, 7, 8, 31, 32, 33, 96, 128, 1000, 4748 })
        {
            var cuts = new TaperedCuts(panels, threads);
            Assert.Equal(0, cuts.First(0));
            Assert.Equal(panels, cuts.First(cuts.Count));
            int before = int.MaxValue;
            for (int chunk = 0; chunk < cuts.Count; chunk++)
            {
                int size = cuts.First(chunk + 1) - cuts.First(chunk);
                Assert.InRange(size, 1, before);
                before = size;
            }
        }
    }

    [Theory]
    [InlineData(128, 2)]
    [InlineData(4748, 2)]
    [InlineData(4748, 16)]
    public void The_last_chunk_of_each_thread_is_a_single_panel_though_there_are_far_fewer_chunks_than_panels(int panels, int threads)
    {
        var cuts = new TaperedCuts(panels, threads);
        for (int chunk = cuts.Count - threads; chunk < cuts.Count; chunk++)
            Assert.Equal(1, cuts.First(chunk + 1) - cuts.First(chunk));
        Assert.InRange(cuts.Count, 1, panels / 4);
    }

    [Fact]
    public void One_thread_takes_all_panels_at_once() => Assert.Equal(1, new TaperedCuts(500, 1).Count);
}
