using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Store.Bench;

/// <summary>What the front door asks of the store for a call that an upstream serves: a hold that survives this process, and its settlement a moment later.</summary>
internal static class Calls
{
    private const int WarmUp = 60_000;
    private static readonly UpstreamUse s_use = new([new UpstreamAttempt("mock", AttemptEnd.Served, new TokenCounts(40, 0, 0, 16, 0),
        new TokenRates(new Money(50_000, Currency.Usd), new Money(200_000, Currency.Usd), null, null, null))], UsageCheckState.Agrees, new TokenCounts(40, 0, 0, 16, 0));

    /// <summary>So many callers, each with one call after the other; or, with one caller fewer than 1, calls at a given rate.</summary>
    public static async Task<string> RunAsync(SqlStore store, Workload workload, int count, int callers, int ratePerSecond)
    {
        await CallAllAsync(store, Make(workload, WarmUp), 32);
        (Hold, UsageRecord)[] calls = Make(workload, count);
        GC.Collect();
        Figures before = Figures.Now();
        long[] waits = callers > 0 ? await CallAllAsync(store, calls, callers) : await CallAtRateAsync(store, calls, ratePerSecond);
        Figures used = Figures.Now() - before;
        Array.Sort(waits);
        string Ms(double part) => (waits[(int)((waits.Length - 1) * part)] * 1000m / Stopwatch.Frequency).ToString("F3", CultureInfo.InvariantCulture);
        return string.Create(CultureInfo.InvariantCulture, $$"""
            {"mode":"calls","count":{{count}},"callers":{{callers}},"rate":{{(callers > 0 ? 0 : ratePerSecond)}},"p50_ms":{{Ms(0.5)}},"p99_ms":{{Ms(0.99)}},"p999_ms":{{Ms(0.999)}},"max_ms":{{Ms(1)}},{{used.Each(count)}}}
            """);
    }

    private static (Hold, UsageRecord)[] Make(Workload workload, int count) => [.. Enumerable.Range(0, count).Select(_ =>
    {
        Hold hold = workload.NextHold(Instant.Now(TimeProvider.System));
        return (hold, workload.RecordOf(hold) with { Upstream = s_use });
    })];

    private static async Task<long[]> CallAllAsync(SqlStore store, (Hold, UsageRecord)[] calls, int callers)
    {
        long[] waits = new long[calls.Length];
        int next = -1;
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            for (int index = Interlocked.Increment(ref next); index < calls.Length; index = Interlocked.Increment(ref next)) waits[index] = await CallAsync(store, calls[index]);
        })));
        return waits;
    }

    private static async Task<long[]> CallAtRateAsync(SqlStore store, (Hold, UsageRecord)[] calls, int ratePerSecond)
    {
        Task<long>[] all = new Task<long>[calls.Length];
        long start = Stopwatch.GetTimestamp();
        await Task.Factory.StartNew(() =>
        {
            // The slim kind would look for a while whether it is set.
            using ManualResetEvent never = new(initialState: false);
            for (int index = 0; index < calls.Length;)
            {
                long due = (Stopwatch.GetTimestamp() - start) * ratePerSecond / Stopwatch.Frequency;
                for (; index < calls.Length && index <= due; index++)
                {
                    (Hold, UsageRecord) call = calls[index];
                    all[index] = Task.Run(() => CallAsync(store, call));
                }
                never.WaitOne(1);
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return await Task.WhenAll(all);
    }

    /// <summary>Ticks that the store took of it.</summary>
    private static async Task<long> CallAsync(SqlStore store, (Hold Hold, UsageRecord Record) call)
    {
        long began = Stopwatch.GetTimestamp();
        await store.AppendAsync(new HoldPlaced(call.Hold), Durability.Process);
        long placed = Stopwatch.GetTimestamp() - began;
        await Task.Yield();
        began = Stopwatch.GetTimestamp();
        await store.AppendAsync(new HoldSettled(call.Record), Durability.Process);
        return placed + Stopwatch.GetTimestamp() - began;
    }

    /// <summary>Counts of this process that only grow.</summary>
    private readonly record struct Figures(long Ticks, long ProcessorTicks, long Writes, long WrittenBytes, long Switches, long Preempted, long AllocatedBytes)
    {
        public static Figures Now()
        {
            using Process process = Process.GetCurrentProcess();
            ImmutableArray<string> io = Lines("/proc/self/io");
            long switches = 0, preempted = 0;
            foreach (string task in Directory.Exists("/proc/self/task") ? Directory.GetDirectories("/proc/self/task") : [])
            {
                ImmutableArray<string> status = Lines(task + "/status");
                switches += Figure(status, "voluntary_ctxt_switches:");
                preempted += Figure(status, "nonvoluntary_ctxt_switches:");
            }
            return new Figures(Stopwatch.GetTimestamp(), process.TotalProcessorTime.Ticks, Figure(io, "syscw:"), Figure(io, "wchar:"), switches, preempted, GC.GetTotalAllocatedBytes());
        }

        public static Figures operator -(Figures a, Figures b) => new(a.Ticks - b.Ticks, a.ProcessorTicks - b.ProcessorTicks, a.Writes - b.Writes, a.WrittenBytes - b.WrittenBytes, a.Switches - b.Switches,
            a.Preempted - b.Preempted, a.AllocatedBytes - b.AllocatedBytes);

        public string Each(int count)
        {
            string Of(decimal amount) => (amount / count).ToString("F2", CultureInfo.InvariantCulture);
            decimal perSecond = (decimal)count * Stopwatch.Frequency / Ticks;
            return string.Create(CultureInfo.InvariantCulture,
                $"\"per_second\":{perSecond:F0},\"processor_us_each\":{Of(ProcessorTicks / 10m)},\"writes_each\":{Of(Writes)},\"written_bytes_each\":{Of(WrittenBytes)},\"switches_each\":{Of(Switches)},\"preempted_each\":{Of(Preempted)},\"allocated_bytes_each\":{Of(AllocatedBytes)}");
        }

        private static ImmutableArray<string> Lines(string file) => File.Exists(file) ? [.. File.ReadAllLines(file)] : [];

        private static long Figure(ImmutableArray<string> lines, string name) =>
            lines.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal)) is { } line ? long.Parse(line.AsSpan(name.Length).Trim(), NumberStyles.None, CultureInfo.InvariantCulture) : 0;
    }
}
