namespace Qanat.Engine.Tests;

/// <summary>A clock that goes on by a scripted number of ticks whenever it is read.</summary>
internal sealed class ManualClock(long ticksPerRead = 1, long frequency = 1_000_000_000) : TimeProvider
{
    private long _ticks;

    public Func<long>? NextTicks { get; set; }

    public override long TimestampFrequency => frequency;

    public override long GetTimestamp() => Interlocked.Add(ref _ticks, NextTicks?.Invoke() ?? ticksPerRead);
}
