using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Bench;

/// <summary>What the gateway, with its books on, adds to calls of an upstream, beside a bare YARP and npm's Portkey gateway (which keep no books): same mock, same machine, in turn.</summary>
internal static class UpstreamOverhead
{
    internal const int Tokens = 16;
    internal const int Clients = 32;

    /// <summary>A server runs for days: every gateway gets time until its hot code is compiled for good, that is until two rounds in a row need no less processor time for an answer than the best before them.
    /// The first rounds tell nothing: the compiler works through all of them, in one as long as in the next.</summary>
    private const int WarmUpRoundSeconds = 4;
    private const int WarmUpRoundsMin = 6;
    private const int WarmUpRoundsMax = 14;

    /// <param name="wanted">Names of peers; empty: all.</param>
    public static async Task RunAsync(int perSecond, int seconds, bool stream, string[] wanted)
    {
        string data = Directory.CreateTempSubdirectory("qanat-upstream-bench").FullName;
        JsonObject result = new() { ["rate_per_second"] = perSecond, ["seconds"] = seconds, ["tokens"] = Tokens, ["closed_loop_clients"] = Clients };
        await using (Peer mock = await Peer.MockAsync(Tokens, perTokenMs: 0))
        {
            // One after the other: a peer that is idle still has its timers and its collector.
            (string Name, Func<Task<Peer?>> Start)[] peers =
            [
                ("yarp", async () => await Peer.YarpAsync(mock.Url)),
                ("qanat", async () => await Peer.QanatAsync(mock.Url, data)),
                ("portkey", () => Peer.PortkeyAsync(mock.Url)),
            ];
            JsonObject mode = new() { [mock.Name] = await MeasureAsync(mock, stream, perSecond, seconds) };
            foreach ((string name, Func<Task<Peer?>> start) in peers)
            {
                if (wanted.Length > 0 && !wanted.Contains(name)) continue;
                await using Peer? peer = await start();
                if (peer is null)
                {
                    await System.Console.Error.WriteLineAsync($"{name} is not measured: npm or node is missing.");
                    continue;
                }
                mode[name] = await MeasureAsync(peer, stream, perSecond, seconds);
                Compare(mode, name);
            }
            result[stream ? "streaming" : "whole"] = mode;
        }
        Directory.Delete(data, recursive: true);
        System.Console.WriteLine(result.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
    }

    /// <summary>Keeps a gateway busy for a profiler: says its process, and what each round of some seconds took of the processor.</summary>
    public static async Task BusyAsync(bool stream, int seconds, string peer)
    {
        string data = Directory.CreateTempSubdirectory("qanat-upstream-bench").FullName;
        await using (Peer mock = await Peer.MockAsync(Tokens, perTokenMs: 0))
        await using (Peer busy = peer == "yarp" ? await Peer.YarpAsync(mock.Url) : await Peer.QanatAsync(mock.Url, data))
        using (LoadGenerator load = new(busy.Url, busy.Headers, LoadGenerator.Body(stream, 64)))
        {
            System.Console.WriteLine($"process {busy.ProcessId}");
            for (int second = 0; second < seconds; second += WarmUpRoundSeconds)
            {
                TimeSpan before = busy.Processor;
                LoadResult round = await load.ClosedAsync(Clients, WarmUpRoundSeconds);
                System.Console.WriteLine($"{round.PerSecond:0} answers/s, {(busy.Processor - before).TotalMicroseconds / Math.Max(1, round.SortedMs.Length):0} us of processor each, p50 {round.At(0.5)} p99 {round.At(0.99)} ms");
            }
            foreach ((string how, Func<Task<LoadResult>> ask) in ((string, Func<Task<LoadResult>>)[])[("one client", () => load.ClosedAsync(1, 3)), ("1,000 a second", () => load.OpenAsync(1_000, 4))])
            {
                TimeSpan before = busy.Processor;
                LoadResult result = await ask();
                System.Console.WriteLine($"{how}: p50 {result.At(0.5)} p99 {result.At(0.99)} ms, {(busy.Processor - before).TotalMicroseconds / Math.Max(1, result.SortedMs.Length):0} us of processor each");
            }
        }
        Directory.Delete(data, recursive: true);
    }

    private static async Task<JsonObject> MeasureAsync(Peer peer, bool stream, int perSecond, int seconds)
    {
        using LoadGenerator load = new(peer.Url, peer.Headers, LoadGenerator.Body(stream, 64));
        int warmUpRounds = await WarmUpAsync(peer, load);
        LoadResult one = await load.ClosedAsync(1, Math.Min(3, seconds));
        TimeSpan before = peer.Processor;
        LoadResult open = await load.OpenAsync(perSecond, seconds);
        TimeSpan openUsed = peer.Processor - before;
        before = peer.Processor;
        LoadResult closed = await load.ClosedAsync(Clients, Math.Min(5, seconds));
        return new JsonObject
        {
            ["warm_up_rounds"] = warmUpRounds,
            ["one_client_p50_ms"] = one.At(0.5),
            ["open_p50_ms"] = open.At(0.5),
            ["open_p99_ms"] = open.At(0.99),
            ["open_failed"] = open.Failed,
            ["open_processor_us_per_answer"] = open.SortedMs.Length == 0 ? null : Math.Round(openUsed.TotalMicroseconds / open.SortedMs.Length, 1),
            ["closed_per_second"] = closed.PerSecond,
            ["closed_failed"] = closed.Failed,
            ["closed_processor_us_per_answer"] = closed.SortedMs.Length == 0 ? null : Math.Round((peer.Processor - before).TotalMicroseconds / closed.SortedMs.Length, 1),
        };
    }

    internal static async Task<int> WarmUpAsync(Peer peer, LoadGenerator load)
    {
        double best = double.PositiveInfinity;
        int noBetter = 0;
        for (int round = 1; ; round++)
        {
            TimeSpan before = peer.Processor;
            LoadResult result = await load.ClosedAsync(Clients, WarmUpRoundSeconds);
            double each = (peer.Processor - before).TotalMicroseconds / Math.Max(1, result.SortedMs.Length);
            System.Console.Error.WriteLine($"{peer.Name}: warm-up round {round}, {each:0} us of processor an answer");
            noBetter = each < best * 0.97 ? 0 : noBetter + 1;
            best = Math.Min(best, each);
            if (round == (peer.Name == "direct" ? 2 : WarmUpRoundsMax) || round >= WarmUpRoundsMin && noBetter >= 2) return round;
        }
    }

    private static void Compare(JsonObject mode, string peer)
    {
        JsonObject direct = mode["direct"]!.AsObject(), its = mode[peer]!.AsObject();
        foreach (string figure in (string[])["one_client_p50_ms", "open_p50_ms", "open_p99_ms"])
            its["added_" + figure] = Math.Round(its[figure]!.GetValue<double>() - direct[figure]!.GetValue<double>(), 3);
        if (mode["yarp"] is not null) its["throughput_beside_yarp"] = Math.Round(its["closed_per_second"]!.GetValue<double>() / mode["yarp"]!["closed_per_second"]!.GetValue<double>(), 3);
    }

    /// <summary>Streams that have begun and say nothing more: what they keep in memory.</summary>
    public static async Task<JsonObject> IdleAsync(int streams)
    {
        string data = Directory.CreateTempSubdirectory("qanat-idle-bench").FullName;
        try
        {
            await using Peer mock = await Peer.MockAsync(1_000, perTokenMs: 600_000);
            await using Peer qanat = await Peer.QanatAsync(mock.Url, data);
            double before = qanat.ResidentMb;
            using LoadGenerator load = new(qanat.Url, qanat.Headers, LoadGenerator.Body(stream: true, 1_000));
            HttpResponseMessage[] open = await load.HoldAsync(streams);
            await Task.Delay(TimeSpan.FromSeconds(5), TimeProvider.System);
            JsonObject result = new() { ["streams"] = open.Count(response => response.IsSuccessStatusCode), ["resident_mb_before"] = before, ["resident_mb"] = qanat.ResidentMb };
            foreach (HttpResponseMessage response in open) response.Dispose();
            return result;
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }
}
