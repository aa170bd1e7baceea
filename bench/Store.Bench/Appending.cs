using System.Diagnostics;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Store.Bench;

/// <summary>How fast facts become durable.</summary>
internal static class Appending
{
    /// <summary>Written before measuring begins, until the code that runs is the compiled one.</summary>
    private const int WarmUp = 100_000;

    /// <summary>Usage records, each awaited by its caller before the next: unique id, hourly and daily sums, fsync.</summary>
    public static async Task<string> RecordsAsync(SqlStore store, Workload workload, int count, int callers)
    {
        await WarmAsync(store, workload, callers);
        UsageRecord[] records = [.. Enumerable.Range(0, count).Select(_ => workload.NextRecord(Instant.Now(TimeProvider.System)))];
        long[] waits = await CallAsync(count, callers, index => store.AppendAsync(new HoldSettled(records[index])));
        return Report("records", count, callers, waits);
    }

    /// <summary>Whole requests: hold placed, one progress, settled; each step awaited.</summary>
    public static async Task<string> RequestsAsync(SqlStore store, Workload workload, int count, int callers)
    {
        (Hold Hold, UsageRecord Record)[] requests = [.. Enumerable.Range(0, count).Select(_ =>
        {
            Hold hold = workload.NextHold(Instant.Now(TimeProvider.System));
            return (hold, workload.RecordOf(hold));
        })];
        long[] waits = await CallAsync(count, callers, async index =>
        {
            (Hold hold, UsageRecord record) = requests[index];
            await store.AppendAsync(new HoldPlaced(hold));
            await store.AppendAsync(new StepsMetered([new UsageProgress(hold.Id, record.Tokens, record.Device)], []));
            await store.AppendAsync(new HoldSettled(record));
        });
        return Report("requests", count, callers, waits);
    }

    /// <summary>Records that come at a given rate, whoever is still waiting: how long does each wait for its own commit?</summary>
    public static async Task<string> SteadyAsync(SqlStore store, Workload workload, int count, int ratePerSecond)
    {
        await WarmAsync(store, workload, callers: 256);
        UsageRecord[] records = [.. Enumerable.Range(0, count).Select(_ => workload.NextRecord(Instant.Now(TimeProvider.System)))];
        long[] waits = new long[count];
        Task[] tasks = new Task[count];
        long start = Begin();
        for (int index = 0; index < count;)
        {
            long due = (long)(Stopwatch.GetElapsedTime(start).TotalSeconds * ratePerSecond);
            for (; index < count && index <= due; index++) tasks[index] = OneAsync(index);
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
        await Task.WhenAll(tasks);
        End(start);
        return Report("steady", count, ratePerSecond, waits);

        async Task OneAsync(int index)
        {
            long began = Stopwatch.GetTimestamp();
            await store.AppendAsync(new HoldSettled(records[index]));
            waits[index] = Stopwatch.GetTimestamp() - began;
        }
    }

    private static async Task WarmAsync(SqlStore store, Workload workload, int callers)
    {
        UsageRecord[] records = [.. Enumerable.Range(0, WarmUp).Select(_ => workload.NextRecord(Instant.Now(TimeProvider.System)))];
        await CallAsync(WarmUp, callers, index => store.AppendAsync(new HoldSettled(records[index])));
        records = [];
        GC.Collect();
    }

    /// <summary>Fills a store with records over 91 days, to measure queries on.</summary>
    public static async Task<string> FillAsync(SqlStore store, Workload workload, int count)
    {
        const int GroupFacts = 500;
        long start = Begin();
        Instant first = new(Instant.Now(TimeProvider.System).DayStart.UnixNanoseconds - 91 * 24 * Instant.NanosecondsPerHour);
        long step = 91 * 24 * Instant.NanosecondsPerHour / count;
        Queue<Task> waiting = [];
        for (int index = 0; index < count; index += GroupFacts)
        {
            if (waiting.Count >= 8) await waiting.Dequeue();
            Fact[] facts = [.. Enumerable.Range(index, Math.Min(GroupFacts, count - index)).Select(at => new HoldSettled(workload.NextRecord(new Instant(first.UnixNanoseconds + at * step))))];
            waiting.Enqueue(store.AppendAsync(new Together([.. facts])));
        }
        await Task.WhenAll(waiting);
        End(start);
        return Report("fill", count, 1, [1]);
    }

    /// <summary>Posts all unposted records of a filled store in transactions of one hour each with four entries, as a bookkeeper that was away would: stream, group, append.</summary>
    public static async Task<string> PostAsync(SqlStore store)
    {
        const int RecordsMax = 20_000;
        long start = Begin();
        int count = 0;
        List<UsageRecord> round = [];
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All, Posted: false)))
        {
            round.Add(record);
            if (round.Count < RecordsMax) continue;
            await PostAsync(store, round);
            count += round.Count;
            round.Clear();
        }
        await PostAsync(store, round);
        End(start);
        return Report("post", count + round.Count, 1, [1]);
    }

    private static Task PostAsync(SqlStore store, List<UsageRecord> records) =>
        Task.WhenAll(records.GroupBy(record => (record.CompletedAt.HourStart, record.Party.Tenant, record.Party.Project, record.Model)).Select(group =>
        {
            Dimensions dimensions = new(group.Key.Tenant, group.Key.Project, group.Key.Model, null, records[0].Pool);
            Money charge = group.Aggregate(Money.Zero(Currency.Usd), (sum, record) => sum + record.Charge!.Value), cost = group.Aggregate(Money.Zero(Currency.Usd), (sum, record) => sum + record.Cost!.Value);
            Transaction transaction = new(TransactionId.New(TimeProvider.System), group.Key.HourStart, "usage", "bench", [
                new Entry(new Account("assets:receivables"), charge, dimensions), new Entry(new Account("revenue:usage"), -charge, dimensions),
                new Entry(new Account("cost of revenue:compute"), cost, dimensions), new Entry(new Account("assets:capacity clearing"), -cost, dimensions)]);
            return store.AppendAsync(new TransactionPosted(transaction, [.. group.Select(record => record.Id)]));
        }));

    private static readonly Process s_process = Process.GetCurrentProcess();
    private static TimeSpan s_elapsed;
    private static TimeSpan s_processor;

    private static long Begin()
    {
        s_process.Refresh();
        s_processor = s_process.TotalProcessorTime;
        return Stopwatch.GetTimestamp();
    }

    private static void End(long start)
    {
        s_elapsed = Stopwatch.GetElapsedTime(start);
        s_process.Refresh();
        s_processor = s_process.TotalProcessorTime - s_processor;
    }

    private static async Task<long[]> CallAsync(int count, int callers, Func<int, Task> call)
    {
        long[] waits = new long[count];
        int next = -1;
        long start = Begin();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            for (int index = Interlocked.Increment(ref next); index < count; index = Interlocked.Increment(ref next))
            {
                long began = Stopwatch.GetTimestamp();
                await call(index);
                waits[index] = Stopwatch.GetTimestamp() - began;
            }
        })));
        End(start);
        return waits;
    }

    private static string Report(string mode, int count, int callers, long[] waits)
    {
        Array.Sort(waits);
        double Milliseconds(double part) => waits[(int)((waits.Length - 1) * part)] * 1000.0 / Stopwatch.Frequency;
        return string.Create(CultureInfo.InvariantCulture, $$"""
            {"mode":"{{mode}}","count":{{count}},"callers_or_rate":{{callers}},"seconds":{{s_elapsed.TotalSeconds:F2}},"per_second":{{count / s_elapsed.TotalSeconds:F0}},"p50_ms":{{Milliseconds(0.5):F2}},"p99_ms":{{Milliseconds(0.99):F2}},"max_ms":{{Milliseconds(1):F2}},"processor_us_each":{{s_processor.TotalMicroseconds / count:F1}},"peak_rss_bytes":{{s_process.PeakWorkingSet64}}}
            """);
    }
}
