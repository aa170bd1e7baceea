using System.Diagnostics;
using System.Diagnostics.Tracing;

namespace Qanat.Store.Tests;

/// <summary>What the store tells of its work.</summary>
public sealed class StoreEventsTests
{
    [Fact]
    public void Who_listens_is_told_what_took_a_millisecond_or_longer_and_nothing_else()
    {
        using Listener listener = new();
        long tenMsAgo = Stopwatch.GetTimestamp() - Stopwatch.Frequency / 100;
        StoreEvents.Log.Ended("a long test", 3, tenMsAgo);
        // Nobody listened when it began; and one that has not ended as the clock goes.
        StoreEvents.Log.Ended("a test nobody listened to", 1, 0);
        StoreEvents.Log.Ended("a short test", 1, Stopwatch.GetTimestamp() + 3_600 * Stopwatch.Frequency);
        (string what, int count, long nanoseconds) = Assert.Single(listener.Told, each => each.What.Contains("test", StringComparison.Ordinal));
        Assert.Equal(("a long test", 3), (what, count));
        Assert.InRange(nanoseconds, 10_000_000, long.MaxValue);
    }

    private sealed class Listener : EventListener
    {
        private readonly List<(string What, int Count, long Nanoseconds)> told = [];

        public Listener() => EnableEvents(StoreEvents.Log, EventLevel.Informational);

        public IReadOnlyList<(string What, int Count, long Nanoseconds)> Told
        {
            get
            {
                lock (told) return [.. told];
            }
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData)
        {
            if (eventData.Payload is not [string what, int count, long nanoseconds]) return;
            lock (told) told.Add((what, count, nanoseconds));
        }
    }
}
