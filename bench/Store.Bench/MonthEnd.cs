using System.Diagnostics;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Store.Bench;

/// <summary>A month with all its records, posted while they came or not at all, and how long it takes to close it: post, bring every account to where the facts say, make every figure again, declare.</summary>
internal static class MonthEnd
{
    private const int Hours = 30 * 24;

    /// <summary>2026-10-01T00:00:00Z.</summary>
    private static readonly Instant s_start = new(1_790_812_800_000_000_000);
    private static readonly Instant s_end = new(s_start.UnixNanoseconds + Hours * Instant.NanosecondsPerHour);

    /// <summary>Writes the month hour by hour: its records, then the pool's time.</summary>
    /// <param name="posting">Post each hour when it is over, as a server does; the last hour stays as it is.</param>
    public static async Task<string> FillAsync(SqlStore store, Workload workload, int count, bool posting)
    {
        long start = Stopwatch.GetTimestamp(), posted = 0;
        Bookkeeper bookkeeper = new(store);
        for (int hour = 0; hour < Hours; hour++)
        {
            if (posting)
            {
                long began = Stopwatch.GetTimestamp();
                await bookkeeper.PostAsync();
                posted += Stopwatch.GetTimestamp() - began;
            }
            await FillHourAsync(store, workload, hour, (int)((hour + 1L) * count / Hours - (long)hour * count / Hours));
        }
        return Line(posting ? "served" : "month", count, start, $",\"posting_seconds\":{posted / Stopwatch.Frequency}");
    }

    private static async Task FillHourAsync(SqlStore store, Workload workload, int hour, int count)
    {
        const int GroupFacts = 500;
        Instant from = new(s_start.UnixNanoseconds + hour * Instant.NanosecondsPerHour);
        long busy = 0;
        Queue<Task> waiting = [];
        for (int index = 0; index < count; index += GroupFacts)
        {
            if (waiting.Count >= 8) await waiting.Dequeue();
            UsageRecord[] records = [.. Enumerable.Range(index, Math.Min(GroupFacts, count - index)).Select(at => workload.NextRecord(new Instant(from.UnixNanoseconds + at * (Instant.NanosecondsPerHour / count))))];
            busy += records.Sum(record => record.Device.TotalNanoseconds);
            waiting.Enqueue(store.AppendAsync(new Together([.. records.Select(record => new HoldSettled(record))])));
        }
        await Task.WhenAll(waiting);
        await store.AppendAsync(new StepsMetered([], [new CapacityRecord(Workload.Pool, from, new Instant(from.UnixNanoseconds + Instant.NanosecondsPerHour), CapacityState.Serving, busy)]));
    }

    public static async Task<string> CloseAsync(SqlStore store)
    {
        long records = (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None))).Sum(sum => sum.Requests);
        long start = Stopwatch.GetTimestamp();
        ClosingResult result = await PeriodClosing.CloseAsync(store, new Bookkeeper(store), "2026-10", s_end, s_end, "bench");
        if (result.Closed is null) throw new InvalidOperationException(string.Join(' ', result.Problems));
        return Line("close", records, start);
    }

    private static string Line(string mode, long records, long start, string more = "")
    {
        using Process process = Process.GetCurrentProcess();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return string.Create(CultureInfo.InvariantCulture, $$"""
            {"mode":"{{mode}}","records":{{records}},"seconds":{{seconds:F1}},"per_second":{{records / seconds:F0}},"processor_seconds":{{process.TotalProcessorTime.TotalSeconds:F1}},"peak_rss_bytes":{{process.PeakWorkingSet64}}{{more}}}
            """);
    }
}

/// <summary>What the disk allows: a file to which rows of 200 bytes are appended, in batches of a thousand with a flush each.</summary>
internal static class FileLimit
{
    public static string Run(string directory)
    {
        const int Batches = 300, Rows = 1_000, RowBytes = 200;
        string path = Path.Combine(directory, "limit");
        byte[] batch = new byte[Rows * RowBytes];
        long start;
        using (FileStream file = new(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
        {
            start = Stopwatch.GetTimestamp();
            for (int index = 0; index < Batches; index++)
            {
                file.Write(batch);
                file.Flush(flushToDisk: true);
            }
        }
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        File.Delete(path);
        return string.Create(CultureInfo.InvariantCulture, $$"""{"mode":"limit","per_second":{{Batches * Rows / seconds:F0}},"flushes_per_second":{{Batches / seconds:F0}}}""");
    }
}
