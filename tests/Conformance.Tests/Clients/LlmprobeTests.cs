using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Qanat.Conformance.Tests;

/// <summary>npm llmprobe, a suite that checks OpenAI-compatible servers against the specifications, against the real server with its own small model. Its checks of what a model is capable of say nothing here: the weights are random.</summary>
public sealed class LlmprobeTests(RealServer server) : IClassFixture<RealServer>
{
    [Fact]
    public async Task No_requirement_of_the_specifications_fails_on_any_surface()
    {
        string folder = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Clients"));
        string home = Directory.CreateTempSubdirectory("qanat-llmprobe-").FullName;
        ProcessStartInfo start = new("node", ["node_modules/llmprobe/bin/dist/llmprobe.mjs", server.Api.ToString(), "-k", server.Key, "-m", "qanat-tiny", "--json", "--no-bench", "--no-save", "--quick"]) { WorkingDirectory = folder };
        start.Environment["HOME"] = home;
        string problem = "";
        string output = await Task.Run(() => NodePackages.Run(start, out problem)) ?? problem;
        Directory.Delete(home, recursive: true);
        JsonNode report = JsonNode.Parse(output[output.IndexOf('{', StringComparison.Ordinal)..(output.LastIndexOf('}') + 1)])!;
        string[] failed = [.. from result in report["conformance"]!["results"]!.AsArray()
                              from failure in result!["failures"]!.AsArray()
                              where (string?)failure!["severity"] == "MUST"
                              select $"{result["id"]}: {failure["label"]}: {failure["message"]}"];
        Assert.Empty(failed);
        Assert.Equal(["chat", "messages", "models", "responses"], report["conformance"]!["bySurface"]!.AsArray().Select(each => (string?)each!["surface"]).Order(StringComparer.Ordinal));
        Assert.True((int)report["conformance"]!["total"]! >= 70, output);
    }
}
