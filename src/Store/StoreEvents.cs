using System.Diagnostics;
using System.Diagnostics.Tracing;

namespace Qanat.Store;

/// <summary>What the store does that requests may wait for, for whoever traces a running server (provider "Qanat-Store"). It costs a look at a flag while nobody listens.</summary>
[EventSource(Name = "Qanat-Store")]
internal sealed class StoreEvents : EventSource
{
    public static readonly StoreEvents Log = new();

    /// <summary>What took less is not told: there may be some thousand a second of it.</summary>
    private static readonly TimeSpan s_tellMin = TimeSpan.FromMilliseconds(1);

    private StoreEvents()
    {
    }

    /// <summary>For <see cref="Ended"/>.</summary>
    [NonEvent]
    public long Begin() => IsEnabled() ? Stopwatch.GetTimestamp() : 0;

    [NonEvent]
    public void Ended(string what, int count, long began)
    {
        if (began == 0) return;
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        if (took >= s_tellMin) Worked(what, count, took.Ticks * TimeSpan.NanosecondsPerTick);
    }

    /// <summary>Told when it has ended.</summary>
    [Event(1)]
    private void Worked(string what, int count, long nanoseconds) => WriteEvent(1, what, count, nanoseconds);
}
