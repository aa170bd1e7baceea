using System.Collections.Concurrent;

namespace Qanat.Gateway.Tests;

public sealed class RequestIdsTests
{
    [Fact]
    public void Ids_are_of_version_seven_and_sort_by_time()
    {
        DateTimeOffset time = new(2026, 3, 1, 12, 0, 0, 250, TimeSpan.Zero);
        Guid before = RequestIds.New(new At(time)).Value, after = RequestIds.New(new At(time.AddMilliseconds(1))).Value;
        Assert.True(after > before);
        Assert.All([before, after], id => Assert.Equal((7, true), (id.Version, id.Variant is >= 8 and <= 11)));
        // The first 48 bits are the milliseconds, as the runtime writes them.
        Assert.Equal(Guid.CreateVersion7(time).ToString("N")[..12], before.ToString("N")[..12]);
    }

    [Fact]
    public void No_two_ids_of_one_instant_are_the_same_whatever_threads_make_them()
    {
        At clock = new(DateTimeOffset.UnixEpoch);
        ConcurrentBag<Guid> ids = [];
        Parallel.For(0, 4, _ =>
        {
            for (int each = 0; each < 1_000; each++) ids.Add(RequestIds.New(clock).Value);
        });
        Assert.Equal(4_000, ids.Distinct().Count());
    }

    private sealed class At(DateTimeOffset time) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => time;
    }
}
