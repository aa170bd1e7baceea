using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Qanat.MockUpstream;

namespace Qanat.Simulation.Tests;

/// <summary>The built program asked to stop while it answers; and what it says of its configuration and its machine.</summary>
public sealed class DrainTests
{
    private const int StreamsAtOnce = 8;
    private const int TokensEach = 600;

    [Fact]
    public async Task A_server_that_is_asked_to_stop_says_so_takes_nothing_new_and_finishes_what_runs()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-drain").FullName;
        await File.WriteAllTextAsync(Path.Combine(data, "qanat.json"), """{ "drain_seconds": 600 }""", cancel);
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously), answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using MockEngine upstream = await MockEngine.StartAsync(_ =>
        {
            asked.TrySetResult();
            return new MockPlan { FirstWhen = answer.Task };
        });
        await using ServerProcess server = await ServerProcess.StartAsync(data, cancel);
        await AddAsync(server, upstream, cancel);
        // However soon the streams end, this one runs until the test has seen what it wants to see.
        Task<int> held = TokensAsync(server, cancel);
        TaskCompletionSource[] begun = [.. Enumerable.Range(0, StreamsAtOnce).Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously))];
        Task<Seen>[] streams = [.. begun.Select((its, seed) => StreamingClient.RunAsync(server.Http, "Tell me of water", TokensEach, seed, () => its.TrySetResult(), cancel))];
        await Task.WhenAll([Task.WhenAny(asked.Task, held), .. begun.Zip(streams, (its, stream) => Task.WhenAny(its.Task, stream))]);
        Task stopping = server.StopAsync(cancel);
        await UntilNotReadyAsync(server, cancel);
        using (HttpResponseMessage late = await server.Http.PostAsJsonAsync("v1/chat/completions", new { model = "qanat-tiny", messages = new[] { new { role = "user", content = "hi" } } }, cancel))
            Assert.Equal((HttpStatusCode.ServiceUnavailable, true), (late.StatusCode, late.Headers.RetryAfter is not null));
        answer.SetResult();
        Seen[] seen = await Task.WhenAll(streams);
        int last = await held;
        await stopping;
        await server.DisposeAsync();
        Assert.All(seen, one => Assert.True(one.Finished && one.Charge is not null, $"A stream was cut after {one.Tokens} tokens."));

        CommandResult usage = await ServerProcess.RunAsync(cancel, "usage", "list", "--json", "--data", data);
        JsonArray rows = JsonNode.Parse(usage.Output)!["data"]!.AsArray();
        Assert.Equal(Enumerable.Repeat("completed", StreamsAtOnce + 1), rows.Select(row => row!["outcome"]!.ToString()));
        Assert.Equal(seen.Sum(one => one.Tokens) + last, rows.Sum(row => (int)row!["tokens"]!["output"]!));
        CommandResult check = await ServerProcess.RunAsync(cancel, "books", "check", "--data", data);
        Assert.Equal((0, true), (check.ExitCode, check.Output.Contains("Every identity holds", StringComparison.Ordinal)));
        Directory.Delete(data, recursive: true);
    }

    private static async Task AddAsync(ServerProcess server, MockEngine upstream, CancellationToken cancel)
    {
        JsonObject body = new() { ["name"] = "mock", ["url"] = upstream.Url.AbsoluteUri, ["allow_private"] = true, ["models"] = new JsonArray(new JsonObject { ["name"] = "mock", ["rates"] = "input 1 output 2" }) };
        using HttpResponseMessage added = await server.Http.PostAsJsonAsync("api/upstreams", body, cancel);
        Assert.True(added.IsSuccessStatusCode, await added.Content.ReadAsStringAsync(cancel));
    }

    /// <summary>Asks the upstream's model; the tokens of its answer.</summary>
    private static async Task<int> TokensAsync(ServerProcess server, CancellationToken cancel)
    {
        using HttpResponseMessage response = await server.Http.PostAsJsonAsync("v1/chat/completions", new { model = "mock", messages = new[] { new { role = "user", content = "hi" } } }, cancel);
        string text = await response.Content.ReadAsStringAsync(cancel);
        Assert.True(response.IsSuccessStatusCode, text);
        return (int)JsonNode.Parse(text)!["usage"]!["completion_tokens"]!;
    }

    private static async Task UntilNotReadyAsync(ServerProcess server, CancellationToken cancel)
    {
        HttpStatusCode status;
        do
        {
            using HttpResponseMessage ready = await server.Http.GetAsync("readyz", cancel);
            status = ready.StatusCode;
        }
        while (status != HttpStatusCode.ServiceUnavailable);
    }

    [Fact]
    public async Task A_configuration_is_read_and_what_is_wrong_with_it_is_said()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-config").FullName;
        string file = Path.Combine(data, "qanat.json");
        Assert.Equal(0, (await ServerProcess.RunAsync(cancel, "config", "check", "--data", data)).ExitCode);
        await File.WriteAllTextAsync(file, """{ "drain_seconds": 5, "line": { "queue_max": 3 } /* a few */ }""", cancel);
        Assert.Equal(0, (await ServerProcess.RunAsync(cancel, "config", "check", "--data", data)).ExitCode);
        foreach ((string text, string complaint) in ((string, string)[])[("""{ "drain_second": 5 }""", "drain_second"), ("{", "line 1"), ("""{ "urls": "https://0.0.0.0:1" }""", "tls.certificate"), ("""{ "threads": 0 }""", "threads")])
        {
            await File.WriteAllTextAsync(file, text, cancel);
            CommandResult result = await ServerProcess.RunAsync(cancel, "config", "check", "--data", data);
            Assert.Equal(1, result.ExitCode);
            Assert.Contains(complaint, result.Errors, StringComparison.Ordinal);
        }
        CommandResult doctor = await ServerProcess.RunAsync(cancel, "doctor", "--json", "--data", data);
        JsonNode found = JsonNode.Parse(doctor.Output)!;
        Assert.Equal((1, false), (doctor.ExitCode, (bool)found["ok"]!));
        Assert.Equal("bad", found["checks"]!.AsArray().Single(each => each!["check"]!.ToString() == "configuration")!["state"]!.ToString());
        File.Delete(file);
        doctor = await ServerProcess.RunAsync(cancel, "doctor", "--json", "--data", data);
        string[] checks = [.. JsonNode.Parse(doctor.Output)!["checks"]!.AsArray().Select(each => each!["check"]!.ToString())];
        Assert.Equal(["cpu", "memory", "data directory", "clock", "disk", "fsync", "configuration", "model", "port", "books"], checks);
        Directory.Delete(data, recursive: true);
    }

    [Fact]
    public async Task The_schema_in_the_documentation_is_the_one_the_program_prints()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Qanat.slnx"))) folder = Path.GetDirectoryName(folder)!;
        CommandResult schema = await ServerProcess.RunAsync(TestContext.Current.CancellationToken, "config", "schema");
        Assert.Equal(await File.ReadAllTextAsync(Path.Combine(folder, "docs", "qanat.schema.json"), TestContext.Current.CancellationToken), schema.Output);
    }
}
