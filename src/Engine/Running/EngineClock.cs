namespace Qanat.Engine;

/// <summary>The engine's own monotonic clock: nanoseconds since it was made.</summary>
internal sealed class EngineClock(TimeProvider clock)
{
    private readonly long _start = clock.GetTimestamp();

    public long NowNs
    {
        get
        {
            (long seconds, long rest) = Math.DivRem(clock.GetTimestamp() - _start, clock.TimestampFrequency);
            return seconds * 1_000_000_000 + (long)((Int128)rest * 1_000_000_000 / clock.TimestampFrequency);
        }
    }
}
