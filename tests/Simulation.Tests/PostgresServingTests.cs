using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Qanat.Store.Tests;

namespace Qanat.Simulation.Tests;

/// <summary>The built program with its books in PostgreSQL, as a whole.</summary>
public sealed class PostgresServingTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Books_in_PostgreSQL_keep_their_figures_through_a_stop_and_a_kill()
    {
        string store = PostgresServer.Shared.NewSchema();
        string data = Directory.CreateTempSubdirectory("qanat-postgres").FullName;
        Seen complete, cut;
        string key, trial, usage;
        await using (ServerProcess server = await ServerProcess.StartAsync(data, Cancel, "--store", store))
        {
            await PostAsync(server, "api/tenants", new JsonObject { ["name"] = "acme" });
            key = (await PostAsync(server, "api/keys", new JsonObject { ["tenant"] = "acme", ["name"] = "k" }))["key"]!.ToString();
            using HttpClient acme = As(key, server);
            complete = await StreamingClient.RunAsync(acme, "Whose books are these?", maxTokens: 20, seed: 1, () => { }, Cancel);
            (trial, usage) = (await CheckedTrialAsync(server), await UsageAsync(server));
            await server.StopAsync(Cancel);
        }
        Assert.False(File.Exists(Path.Combine(data, "qanat.db")), "These books were to be in PostgreSQL.");
        await using (ServerProcess server = await ServerProcess.StartAsync(data, Cancel, "--store", store))
        {
            Assert.Equal(usage, await UsageAsync(server));
            Assert.Equal(ReceivableOf(trial), ReceivableOf(await CheckedTrialAsync(server)));
            using HttpClient acme = As(key, server);
            TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
            int received = 0;
            // So many that they take seconds on any machine, and the kill comes before the end.
            Task<Seen> stream = StreamingClient.RunAsync(acme, "Tell me everything.", maxTokens: 30_000, seed: 2, () =>
            {
                if (Interlocked.Increment(ref received) == 20) begun.SetResult();
            }, Cancel);
            await Task.WhenAny(begun.Task, stream);
            await server.KillAsync();
            cut = await stream;
        }
        await using (ServerProcess server = await ServerProcess.StartAsync(data, Cancel, "--store", store))
        {
            await CheckedTrialAsync(server);
            JsonArray records = JsonNode.Parse(await UsageAsync(server))!["data"]!.AsArray();
            Assert.Equal([("recovered", cut.RequestId!), ("completed", complete.RequestId!)], records.Select(record => (record!["outcome"]!.ToString(), record["id"]!.ToString())));
            Assert.Equal(complete.Charge, records[1]!["charge"]!.ToString());
            Assert.Equal(complete.Tokens, records[1]!["tokens"]!["output"]!.GetValue<int>());
            Assert.InRange(cut.Tokens, 15, records[0]!["tokens"]!["output"]!.GetValue<int>());
            await server.StopAsync(Cancel);
        }
        CommandResult check = await ServerProcess.RunAsync(Cancel, "books", "check", "--data", data, "--store", store);
        Assert.Equal((0, true), (check.ExitCode, check.Output.Contains("Every identity holds", StringComparison.Ordinal)));
        Directory.Delete(data, recursive: true);
    }

    private static HttpClient As(string key, ServerProcess server)
    {
        HttpClient http = new() { BaseAddress = server.Http.BaseAddress };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }

    private static async Task<JsonNode> PostAsync(ServerProcess server, string path, JsonObject body)
    {
        using HttpResponseMessage response = await server.Http.PostAsJsonAsync(path, body, Cancel);
        response.EnsureSuccessStatusCode();
        return JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!;
    }

    private static async Task<string> UsageAsync(ServerProcess server) => (await server.GetAsync("api/usage?tenant=acme", Cancel)).ToJsonString();

    /// <summary>The trial balance, after every identity was found to hold.</summary>
    private static async Task<string> CheckedTrialAsync(ServerProcess server)
    {
        Assert.True((await server.GetAsync("api/books/check", Cancel))["ok"]!.GetValue<bool>());
        return (await server.GetAsync("api/books/trial", Cancel)).ToJsonString();
    }

    /// <summary>Unlike the cost of capacity, it stands still while nobody asks.</summary>
    private static string ReceivableOf(string trial) =>
        Assert.Single(JsonNode.Parse(trial)!["accounts"]!.AsArray(), account => account!["account"]!.ToString() == "assets:receivables")!["amount"]!.ToString();
}
