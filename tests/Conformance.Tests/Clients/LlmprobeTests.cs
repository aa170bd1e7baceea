using System.Diagnostics;
using System.Text.Json.Nodes;
using Qanat.Gateway.Tests;

namespace Qanat.Conformance.Tests;

/// <summary>npm llmprobe, a suite that checks servers against the specifications of four APIs: all of it over a model that does as it is told, its core over the real engine with random weights.
/// What it says of a model's capabilities is not looked at.</summary>
public sealed class LlmprobeTests(RealServer server) : IClassFixture<RealServer>
{
    [Fact]
    public async Task No_requirement_of_the_specifications_fails_on_any_surface()
    {
        await using TestGateway gateway = await ObligingModel.StartAsync();
        JsonNode conformance = await ProbeAsync(new Uri(gateway.Uri, "v1"), gateway.Key, ScriptedModel.Name);
        Assert.Equal(["chat", "completions", "count-tokens", "embeddings", "messages", "models", "responses"], Surfaces(conformance));
        Assert.True((int)conformance["total"]! >= 190, conformance.ToJsonString());
        Assert.DoesNotContain(conformance["inconclusive"]!.AsArray(), each => !KnownInconclusive.Contains((string)each!["id"]!));
    }

    [Fact]
    public async Task No_core_requirement_fails_over_the_engine_itself()
    {
        JsonNode conformance = await ProbeAsync(server.Api, server.Key, "qanat-tiny", "--quick");
        Assert.Equal(["chat", "messages", "models", "responses"], Surfaces(conformance));
        // How many requirements a check looks at hangs on what the model says: a call that is cut by the limit has no end to look at. Random weights leave that, and no other check, undecided.
        string[] kept = [.. from result in conformance["results"]!.AsArray()
                            let id = (string)result!["id"]!
                            where (string?)result["outcome"] == "pass" || (string?)result["outcome"] == "inconclusive" && id.EndsWith("-tool-serialization", StringComparison.Ordinal)
                            select id];
        Assert.Equal(["models-list", .. CoreChecks("chat"), .. CoreChecks("responses"), .. CoreChecks("messages")], kept);
    }

    private static IEnumerable<string> CoreChecks(string surface) => ((string[])["basic", "streaming", "finish-length", "errors", "tool-serialization"]).Select(check => $"{surface}-{check}");

    /// <summary>What the suite cannot see of a server without the model's help.</summary>
    private static readonly string[] KnownInconclusive = [];

    /// <summary>On a slow machine an answer takes longer than the suite waits by itself.</summary>
    private const string RequestSecondsMax = "300";

    /// <summary>Runs the suite, and refuses any requirement ("MUST") that failed.</summary>
    private static async Task<JsonNode> ProbeAsync(Uri api, string key, string model, params string[] depth)
    {
        string folder = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Clients"));
        string home = Directory.CreateTempSubdirectory("qanat-llmprobe-").FullName;
        ProcessStartInfo start = new("node", ["node_modules/llmprobe/bin/dist/llmprobe.mjs", api.ToString(), "-k", key, "-m", model, "--json", "--no-bench", "--no-save", "--timeout", RequestSecondsMax, .. depth]) { WorkingDirectory = folder };
        start.Environment["HOME"] = home;
        string problem = "";
        string output = await Task.Run(() => NodePackages.Run(start, out problem)) ?? problem;
        Directory.Delete(home, recursive: true);
        if (Environment.GetEnvironmentVariable("QANAT_LLMPROBE_REPORT") is { Length: > 0 } report) await File.WriteAllTextAsync(report, output, TestContext.Current.CancellationToken);
        Assert.Contains("\"conformance\"", output, StringComparison.Ordinal);
        JsonNode conformance = JsonNode.Parse(output[output.IndexOf('{', StringComparison.Ordinal)..(output.LastIndexOf('}') + 1)])!["conformance"]!;
        Assert.Empty(from result in conformance["results"]!.AsArray()
                     from failure in result!["failures"]!.AsArray()
                     where (string?)failure!["severity"] == "MUST"
                     select $"{result["id"]}: {failure["label"]}: {failure["message"]}");
        return conformance;
    }

    private static IEnumerable<string?> Surfaces(JsonNode conformance) => conformance["bySurface"]!.AsArray().Select(each => (string?)each!["surface"]).Order(StringComparer.Ordinal);
}
