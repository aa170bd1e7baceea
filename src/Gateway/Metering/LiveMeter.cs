using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>One second of traffic. BusyNanoseconds is device time attributed in that second.</summary>
public sealed record LiveSecond(DateTimeOffset Start, long PromptTokens, long GeneratedTokens, long RequestsStarted, long RequestsFinished, long BusyNanoseconds);

/// <summary>The last five minutes by second, oldest first, without the second that is still running; and what is under way.</summary>
public sealed record LiveSnapshot(ImmutableArray<LiveSecond> Seconds, int Active);

/// <summary>Counts for pages and metrics. A cache of what passed by; the books are the truth.</summary>
public sealed class LiveMeter(TimeProvider clock)
{
    private const int SecondsKept = 300;
    private readonly Lock gate = new();
    private readonly Bucket[] ring = new Bucket[SecondsKept + 1];
    private int active;
    private long finishedTotal;

    /// <summary>Requests that have ended since the start.</summary>
    public long FinishedTotal => Interlocked.Read(ref finishedTotal);

    public void Started() => Count((ref bucket) => bucket.Started++, activeChange: 1);
    public void Finished()
    {
        Interlocked.Increment(ref finishedTotal);
        Count((ref bucket) => bucket.Finished++, activeChange: -1);
    }

    public void Worked(long promptTokens, long generatedTokens, long busyNanoseconds) => Count((ref bucket) =>
    {
        bucket.Prompt += promptTokens;
        bucket.Generated += generatedTokens;
        bucket.Busy += busyNanoseconds;
    }, activeChange: 0);

    public LiveSnapshot Snapshot()
    {
        long now = clock.GetUtcNow().ToUnixTimeSeconds();
        lock (gate)
        {
            ImmutableArray<LiveSecond>.Builder seconds = ImmutableArray.CreateBuilder<LiveSecond>(SecondsKept);
            for (long second = now - SecondsKept; second < now; second++)
            {
                Bucket bucket = ring[second % ring.Length];
                if (bucket.Second != second) bucket = default;
                seconds.Add(new LiveSecond(DateTimeOffset.FromUnixTimeSeconds(second), bucket.Prompt, bucket.Generated, bucket.Started, bucket.Finished, bucket.Busy));
            }
            return new LiveSnapshot(seconds.MoveToImmutable(), active);
        }
    }

    private void Count(BucketAction change, int activeChange)
    {
        long now = clock.GetUtcNow().ToUnixTimeSeconds();
        lock (gate)
        {
            ref Bucket bucket = ref ring[now % ring.Length];
            if (bucket.Second != now) bucket = new Bucket { Second = now };
            change(ref bucket);
            active += activeChange;
        }
    }

    private delegate void BucketAction(ref Bucket bucket);

    private struct Bucket
    {
        public long Second, Prompt, Generated, Started, Finished, Busy;
    }
}
