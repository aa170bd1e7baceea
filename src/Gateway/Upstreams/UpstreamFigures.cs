using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What calls of one upstream were like since this process began: how long the first piece took, and how the usage it told stood to our own count.</summary>
public sealed class UpstreamFigures
{
    /// <summary>Upper ends of the classes of waiting times; one more class has no end.</summary>
    public static readonly ImmutableArray<int> WaitClassesMs = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

    private readonly Lock gate = new();
    private readonly long[] waits = new long[WaitClassesMs.Length + 1];
    private readonly long[] states = new long[Enum.GetValues<UsageCheckState>().Length];
    private long waitedMs;

    /// <summary>An answer has begun so long after it was asked for.</summary>
    public void Began(TimeSpan wait)
    {
        long ms = (long)wait.TotalMilliseconds;
        int place = WaitClassesMs.AsSpan().BinarySearch((int)Math.Min(ms, int.MaxValue));
        lock (gate)
        {
            waits[place < 0 ? ~place : place]++;
            waitedMs += ms;
        }
    }

    /// <summary>An answer was settled.</summary>
    public void Settled(UsageCheckState state)
    {
        lock (gate) states[(int)state]++;
    }

    public UpstreamFiguresSnapshot Snapshot()
    {
        lock (gate) return new UpstreamFiguresSnapshot([.. waits], waitedMs, [.. states]);
    }
}

/// <param name="Waits">Answers in each class of <see cref="UpstreamFigures.WaitClassesMs"/>, and beyond the last.</param>
/// <param name="States">Answers by how the upstream's usage stood to our count, in the order of <see cref="UsageCheckState"/>.</param>
public sealed record UpstreamFiguresSnapshot(ImmutableArray<long> Waits, long WaitedMs, ImmutableArray<long> States)
{
    public long Answers => Waits.Sum();
    public long Of(UsageCheckState state) => States[(int)state];
}
