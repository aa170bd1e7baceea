using System.Diagnostics.Tracing;
using System.Runtime;

namespace Qanat.Gateway.Bench.Tracing;

/// <summary>Writes down what this process does besides answering: every pause of the collector as the runtime tells it, what the store tells of its work, and a hundred times a second what its threads used and waited for.
/// It costs the process some 2 % of a core.</summary>
internal sealed class ProcessTrace : EventListener
{
    private const string Runtime = "Microsoft-Windows-DotNETRuntime", Store = "Qanat-Store";
    private const int RuntimeGcKeyword = 1;
    private const int SampleMs = 10;

    /// <summary>Samples after which the file is written and new threads are looked for.</summary>
    private const int Often = 25;

    private readonly Lock gate = new();
    private readonly StreamWriter file;
    private readonly DateTimeOffset beganAt;
    private readonly long began;
    private long suspended;
    private string pause = "";

    public ProcessTrace(string path)
    {
        file = new StreamWriter(path);
        (beganAt, began) = (TimeProvider.System.GetUtcNow(), TracePiece.Now);
        new Thread(Sample) { Name = "bench trace", IsBackground = true }.Start();
        // Sources that were there before this told of themselves before there was a file.
        foreach (EventSource source in EventSource.GetSources()) OnEventSourceCreated(source);
    }

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        ArgumentNullException.ThrowIfNull(eventSource);
        if (file is null) return;
        if (eventSource.Name == Runtime) EnableEvents(eventSource, EventLevel.Informational, (EventKeywords)RuntimeGcKeyword);
        if (eventSource.Name == Store) EnableEvents(eventSource, EventLevel.Informational);
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        ArgumentNullException.ThrowIfNull(eventData);
        if (eventData.EventSource.Name == Runtime) OnRuntimeEvent(eventData);
        else if (eventData.Payload is [string what, int count, long nanoseconds])
        {
            long now = TracePiece.Now;
            Write(new TracePiece(count > 1 ? what + "*" : what, now - nanoseconds, now, nanoseconds));
        }
    }

    /// <summary>Told some time later, with the time at which it happened. A pause is named by the last collection that began in it; "background" are the short stops of one that goes on beside the program.</summary>
    private void OnRuntimeEvent(EventWrittenEventArgs happened)
    {
        long at = began + (long)((new DateTimeOffset(happened.TimeStamp.ToUniversalTime()) - beganAt).TotalMicroseconds * 1_000);
        string name = happened.EventName ?? "";
        if (name.StartsWith("GCSuspendEEBegin", StringComparison.Ordinal))
        {
            // 1: to collect, 6: for a step of a background collection; others are the compiler's.
            uint reason = Convert.ToUInt32(happened.Payload![0], null);
            (suspended, pause) = (at, reason == 1 ? "pause" : reason == 6 ? "pause background" : "pause runtime");
        }
        else if (name.StartsWith("GCStart", StringComparison.Ordinal) && suspended != 0)
        {
            pause = $"pause gen{Convert.ToUInt32(happened.Payload![1], null)}" + (Convert.ToUInt32(happened.Payload[3], null) == 1 ? " background" : "");
        }
        else if (name.StartsWith("GCRestartEEEnd", StringComparison.Ordinal) && suspended != 0)
        {
            Write(new TracePiece(pause, suspended, at, at - suspended));
            suspended = 0;
        }
    }

    private void Sample()
    {
        using SemaphoreSlim never = new(0);
        using ProcessFigures figures = new();
        figures.FindThreads();
        Dictionary<string, long> before = figures.Read();
        long from = TracePiece.Now;
        for (int sample = 1; ; sample++)
        {
            never.Wait(SampleMs);
            if (sample % Often == 0) figures.FindThreads();
            long now = TracePiece.Now;
            Dictionary<string, long> after = figures.Read();
            lock (gate)
            {
                foreach ((string name, long amount) in after)
                {
                    if (before.TryGetValue(name, out long last) && amount > last) file.WriteLine(new TracePiece(name, from, now, amount - last));
                }
                foreach ((string name, long count) in Gauges())
                {
                    if (count > 0) file.WriteLine(new TracePiece(name, from, now, count * (now - from)));
                }
                if (now - from > 2 * SampleMs * 1_000_000L) file.WriteLine(new TracePiece("late", from + SampleMs * 1_000_000L, now, now - from - SampleMs * 1_000_000L));
                if (sample % Often == 0) file.Flush();
            }
            (before, from) = (after, now);
        }
    }

    private static IEnumerable<(string Name, long Count)> Gauges()
    {
        yield return ("pool queue", ThreadPool.PendingWorkItemCount);
        yield return ("pool threads", ThreadPool.ThreadCount);
    }

    private void Write(TracePiece piece)
    {
        lock (gate) file.WriteLine(piece);
    }
}
