using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Bench;

/// <summary>What the gateway, with its books on, adds to calls of an upstream, beside a bare YARP and npm's Portkey gateway (which keep no books): same mock, same machine, in turn.</summary>
internal static class UpstreamOverhead
{
    private const int Tokens = 16;
    private const int Clients = 32;

    public static async Task RunAsync(int perSecond, int seconds, bool stream)
    {
        string data = Directory.CreateTempSubdirectory("qanat-upstream-bench").FullName;
        JsonObject result = new() { ["rate_per_second"] = perSecond, ["seconds"] = seconds, ["tokens"] = Tokens, ["closed_loop_clients"] = Clients };
        await using (Peer mock = await Peer.MockAsync(Tokens, perTokenMs: 0))
        {
            await using Peer qanat = await Peer.QanatAsync(mock.Url, data);
            await using Peer yarp = await Peer.YarpAsync(mock.Url);
            Peer? portkey = await Peer.PortkeyAsync(mock.Url);
            if (portkey is null) await System.Console.Error.WriteLineAsync("npm or node is missing: Portkey's gateway is not measured.");
            Peer[] all = portkey is null ? [mock, yarp, qanat] : [mock, yarp, qanat, portkey];
            JsonObject mode = [];
            foreach (Peer peer in all) mode[peer.Name] = await MeasureAsync(peer, stream, perSecond, seconds);
            foreach (Peer peer in all.Skip(1)) Compare(mode, peer.Name);
            result[stream ? "streaming" : "whole"] = mode;
            if (portkey is not null) await portkey.DisposeAsync();
        }
        Directory.Delete(data, recursive: true);
        System.Console.WriteLine(result.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
    }

    private static async Task<JsonObject> MeasureAsync(Peer peer, bool stream, int perSecond, int seconds)
    {
        using LoadGenerator load = new(peer.Url, peer.Headers, LoadGenerator.Body(stream, 64));
        await load.ClosedAsync(8, 3);
        LoadResult one = await load.ClosedAsync(1, Math.Min(3, seconds));
        LoadResult open = await load.OpenAsync(perSecond, seconds);
        LoadResult closed = await load.ClosedAsync(Clients, Math.Min(5, seconds));
        return new JsonObject
        {
            ["one_client_p50_ms"] = one.At(0.5),
            ["open_p50_ms"] = open.At(0.5),
            ["open_p99_ms"] = open.At(0.99),
            ["open_failed"] = open.Failed,
            ["closed_per_second"] = closed.PerSecond,
            ["closed_failed"] = closed.Failed,
        };
    }

    private static void Compare(JsonObject mode, string peer)
    {
        JsonObject direct = mode["direct"]!.AsObject(), its = mode[peer]!.AsObject();
        foreach (string figure in (string[])["one_client_p50_ms", "open_p50_ms", "open_p99_ms"])
            its["added_" + figure] = Math.Round(its[figure]!.GetValue<double>() - direct[figure]!.GetValue<double>(), 3);
        its["throughput_beside_yarp"] = Math.Round(its["closed_per_second"]!.GetValue<double>() / mode["yarp"]!["closed_per_second"]!.GetValue<double>(), 3);
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
