using System.Diagnostics;
using System.Runtime;
using System.Runtime.InteropServices;
using System.Text;
using Qanat.Gateway.Bench.Tracing;

namespace Qanat.Gateway.Bench;

/// <summary>Latencies of one run, in milliseconds, and how many requests failed.</summary>
internal sealed record LoadResult(double[] SortedMs, int Failed, double Seconds)
{
    public double At(double quantile) => SortedMs.Length == 0 ? double.NaN : Math.Round(SortedMs[(int)Math.Min(SortedMs.Length - 1, Math.Floor(SortedMs.Length * quantile))], 3);
    public double PerSecond => Math.Round(SortedMs.Length / Seconds, 1);

    /// <summary>Of an open loop, every request in the order of its turn.</summary>
    public IReadOnlyList<Asked> Asked { get; init; } = [];
}

/// <summary>A request and when it was due, on the machine's monotonic clock. TookNs counts from then.</summary>
internal readonly record struct Asked(long DueNs, long TookNs, bool Failed)
{
    public long EndNs => DueNs + TookNs;
}

/// <summary>Sends the same request many times: at a fixed rate whatever the answers do (open loop), or as fast as so many clients can (closed loop).</summary>
internal sealed partial class LoadGenerator(Uri url, IReadOnlyDictionary<string, string> headers, byte[] body) : IDisposable
{
    private readonly HttpMessageInvoker http = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false, PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5) });

    /// <summary>A latency counts from the instant at which its request was due, so that a stall is felt by all who would have come meanwhile.</summary>
    public async Task<LoadResult> OpenAsync(int perSecond, int seconds)
    {
        Task<double>[] all = new Task<double>[perSecond * seconds];
        using Uncollected region = new();
        long began = Stopwatch.GetTimestamp();
        await Task.Factory.StartNew(() =>
        {
            for (int request = 0; request < all.Length; request++)
            {
                long due = DueAt(began, request, perSecond);
                SleepUntil(due);
                all[request] = AskAsync(due);
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        double[] took = await Task.WhenAll(all);
        return Result(took, began) with { Asked = [.. took.Select((ms, request) => new Asked(TracePiece.ToNs(DueAt(began, request, perSecond)), (long)(ms * 1e6), ms < 0))] };
    }

    private static long DueAt(long began, int request, int perSecond) => began + (long)(request * (double)Stopwatch.Frequency / perSecond);

    /// <summary>A thread wakes some 60 us after it asked to, so that the last of them are waited for awake. To wait so for all of the time would take a core from whoever is measured.</summary>
    private static void SleepUntil(long due)
    {
        const long AwakeNs = 100_000;
        while (due - Stopwatch.GetTimestamp() is > 0 and var left)
        {
            long leftNs = left * (1_000_000_000 / Stopwatch.Frequency);
            if (leftNs > AwakeNs && OperatingSystem.IsLinux()) _ = Sleep([0, (nint)(leftNs - AwakeNs)], 0);
            else Thread.Yield();
        }
    }

    /// <summary>POSIX: seconds and nanoseconds. At most a second here.</summary>
    [LibraryImport("libc", EntryPoint = "nanosleep")]
    private static partial int Sleep(ReadOnlySpan<nint> time, nint left);

    public async Task<LoadResult> ClosedAsync(int clients, int seconds)
    {
        long began = Stopwatch.GetTimestamp(), end = began + seconds * Stopwatch.Frequency;
        double[][] each = await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
        {
            List<double> took = [];
            while (Stopwatch.GetTimestamp() < end) took.Add(await AskAsync(Stopwatch.GetTimestamp()));
            return took.ToArray();
        })));
        return Result([.. each.SelectMany(took => took)], began);
    }

    /// <summary>Opens streams and reads none of them on.</summary>
    public async Task<HttpResponseMessage[]> HoldAsync(int streams)
    {
        List<HttpResponseMessage> open = [];
        foreach (int[] some in Enumerable.Range(0, streams).Chunk(50))
            open.AddRange(await Task.WhenAll(some.Select(_ => SendAsync())));
        return [.. open];
    }

    public void Dispose() => http.Dispose();

    private static LoadResult Result(double[] took, long began) => new([.. took.Where(ms => ms >= 0).Order()], took.Count(ms => ms < 0), Stopwatch.GetElapsedTime(began).TotalSeconds);

    /// <summary>Milliseconds until the whole answer was read; -1: it failed.</summary>
    private async Task<double> AskAsync(long due)
    {
        try
        {
            using HttpResponseMessage response = await SendAsync();
            using Stream answer = await response.Content.ReadAsStreamAsync();
            await answer.CopyToAsync(Stream.Null);
            return response.IsSuccessStatusCode ? Stopwatch.GetElapsedTime(due).TotalMilliseconds : -1;
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            return -1;
        }
    }

    private Task<HttpResponseMessage> SendAsync()
    {
        HttpRequestMessage request = new(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return http.SendAsync(request, CancellationToken.None);
    }

    public static byte[] Body(bool stream, int maxTokens) => Encoding.UTF8.GetBytes(
        $$"""{"model":"mock","messages":[{"role":"system","content":"You are brief and to the point."},{"role":"user","content":"Who may draw from the channel, and when? Answer in one sentence."}],"max_tokens":{{maxTokens}}{{(stream ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "")}}}""");
}

/// <summary>While it lasts this process collects nothing: its pauses would look like slowness of whoever is measured.</summary>
internal sealed class Uncollected : IDisposable
{
    /// <summary>Ten seconds at a thousand requests a second need a third of it.</summary>
    private const long BytesMax = 160L << 20;

    public Uncollected()
    {
        GC.Collect();
        _ = GC.TryStartNoGCRegion(BytesMax);
    }

    public void Dispose()
    {
        // With more than that allocated the region has ended by itself.
        if (GCSettings.LatencyMode == GCLatencyMode.NoGCRegion) GC.EndNoGCRegion();
    }
}
