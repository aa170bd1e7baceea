using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Gateway.Bench.Tracing;

namespace Qanat.Gateway.Bench;

/// <summary>The slowest hundredth of a gateway's calls of an upstream, run after run: one run says little of what happens every twenty seconds. With a trace, what went on while they waited.</summary>
internal static class TailRuns
{
    /// <summary>Before each run, as in a server that was busy before: it leaves records to post, and a heap as large as that load needs. Posting looks every five seconds whether it is due: with runs of ten
    /// seconds it would else fall into the same second of each, or into none.</summary>
    private const int BurstSeconds = 3;

    private const double SlowPart = 0.01;

    /// <summary>The runtime tells of its collections within this.</summary>
    private static readonly TimeSpan s_traceIsLate = TimeSpan.FromSeconds(2);

    /// <param name="name">"yarp" or "qanat".</param>
    public static async Task RunAsync(string name, bool stream, int perSecond, int seconds, int runs, TraceFolder? trace)
    {
        string data = Directory.CreateTempSubdirectory("qanat-tail-bench").FullName;
        await using (Peer mock = await Peer.MockAsync(UpstreamOverhead.Tokens, perTokenMs: 0, trace))
        {
            LoadResult[] direct = await MeasureAsync(mock, stream, perSecond, seconds, runs: 2);
            await using Peer peer = name == "yarp" ? await Peer.YarpAsync(mock.Url, trace) : await Peer.QanatAsync(mock.Url, data, trace);
            LoadResult[] all = await MeasureAsync(peer, stream, perSecond, seconds, runs);
            System.Console.WriteLine(Result(name, direct, all).ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
            if (trace is not null)
            {
                await Task.Delay(s_traceIsLate, TimeProvider.System);
                List<TracePiece> pieces = trace.Read(("gateway", peer.ProcessId), ("mock", mock.ProcessId), ("load", Environment.ProcessId));
                for (int run = 0; run < runs; run++)
                {
                    System.Console.WriteLine($"\nRun {run + 1}, p99 {all[run].At(0.99)} ms");
                    new TailReport(all[run].Asked, pieces, SlowPart).Write(System.Console.Out);
                }
            }
        }
        Directory.Delete(data, recursive: true);
    }

    private static async Task<LoadResult[]> MeasureAsync(Peer peer, bool stream, int perSecond, int seconds, int runs)
    {
        using LoadGenerator load = new(peer.Url, peer.Headers, LoadGenerator.Body(stream, 64));
        await UpstreamOverhead.WarmUpAsync(peer, load);
        LoadResult[] all = new LoadResult[runs];
        for (int run = 0; run < runs; run++)
        {
            await load.ClosedAsync(UpstreamOverhead.Clients, BurstSeconds);
            await load.ClosedAsync(1, 1);
            all[run] = await load.OpenAsync(perSecond, seconds);
            System.Console.Error.WriteLine($"{peer.Name}: p50 {all[run].At(0.5)} p99 {all[run].At(0.99)} max {all[run].At(1)} ms");
        }
        return all;
    }

    private static JsonObject Result(string name, LoadResult[] direct, LoadResult[] all)
    {
        double[] added = [.. all.Select(run => Math.Round(run.At(0.99) - direct.Min(each => each.At(0.99)), 2)).Order()];
        return new JsonObject
        {
            ["gateway"] = name,
            ["direct_p99_ms"] = Each(direct, 0.99),
            ["p50_ms"] = Each(all, 0.5),
            ["p99_ms"] = Each(all, 0.99),
            ["max_ms"] = Each(all, 1),
            ["failed"] = all.Sum(run => run.Failed),
            ["added_p99_ms_median"] = added[added.Length / 2],
            ["added_p99_ms_max"] = added[^1],
        };
    }

    private static JsonArray Each(LoadResult[] runs, double quantile) => [.. runs.Select(run => JsonValue.Create(run.At(quantile)))];
}
