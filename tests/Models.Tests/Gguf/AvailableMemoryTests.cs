namespace Qanat.Models.Tests;

/// <summary>What is available, from a system's files laid out in a folder.</summary>
public sealed class AvailableMemoryTests : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("qanat-memory-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public void Some_memory_is_available_here() => Assert.InRange(AvailableMemory.Bytes(), 1 << 20, long.MaxValue);

    [Fact]
    public void Without_groups_it_is_what_the_system_has_free()
    {
        Put("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    4000 kB\n");
        Assert.Equal(4000 * 1024, AvailableMemory.Bytes(root));
    }

    [Theory]
    [InlineData("max", "700000", 600_000)]
    [InlineData("500000", "max", 480_000)]
    [InlineData("500000", "510000", 410_000)]
    [InlineData("10000", "max", 0)]
    [InlineData("max", "max", 4_096_000)]
    public void The_tightest_group_of_a_process_counts_its_own_or_one_above(string own, string above, long expected)
    {
        Put("proc/meminfo", "MemAvailable: 4000 kB\n");
        Put("proc/self/cgroup", "0::/system.slice/qanat.service\n");
        Put("sys/fs/cgroup/system.slice/memory.max", above);
        Put("sys/fs/cgroup/system.slice/memory.stat", "file 900000\nanon 100000\n");
        Put("sys/fs/cgroup/system.slice/qanat.service/memory.max", own);
        Put("sys/fs/cgroup/system.slice/qanat.service/memory.stat", "anon 20000\nfile 400000\n");
        Assert.Equal(expected, AvailableMemory.Bytes(root));
    }

    [Fact]
    public void Groups_of_the_first_version_count_too_and_a_container_that_is_named_as_its_host_does()
    {
        Put("proc/meminfo", "MemAvailable: 4000 kB\n");
        Put("proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc\n");
        Put("sys/fs/cgroup/memory/memory.limit_in_bytes", "300000\n");
        Put("sys/fs/cgroup/memory/memory.stat", "rss 1000\ntotal_rss 50000\n");
        Assert.Equal(250_000, AvailableMemory.Bytes(root));
        Put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        Assert.Equal(4_096_000, AvailableMemory.Bytes(root));
    }

    private void Put(string file, string text)
    {
        string path = Path.Combine(root, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
