using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

public sealed class KillTests
{
    private const int Rounds = 16;
    private const int StreamsPerRound = 8;

    [Fact]
    public async Task Killed_at_random_instants_under_load_the_books_hold_every_token_a_client_received_and_nothing_twice()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-kill").FullName;
        Random random = new(20261122);
        List<Seen> all = [];
        for (int round = 0; round < Rounds; round++)
        {
            await using ServerProcess server = await ServerProcess.StartAsync(data, cancel);
            int eventsUntilDeath = random.Next(1, 500);
            TaskCompletionSource death = new();
            int events = 0;
            Task<Seen>[] clients = [.. Enumerable.Range(0, StreamsPerRound).Select(index => StreamingClient.RunAsync(server.Http, "Who may draw from the channel, and when? ",
                maxTokens: 40 + 30 * index, seed: round * 100 + index, () =>
                {
                    if (Interlocked.Increment(ref events) == eventsUntilDeath) death.TrySetResult();
                }, cancel))];
            await Task.WhenAny(death.Task, Task.WhenAll(clients));
            await server.KillAsync();
            all.AddRange(await Task.WhenAll(clients));
        }

        await using ServerProcess last = await ServerProcess.StartAsync(data, cancel);
        Dictionary<string, JsonNode> records = await UsageAsync(last, cancel);
        foreach (Seen seen in all.Where(seen => seen.RequestId is not null && (seen.Tokens > 0 || seen.Finished)))
        {
            Assert.True(records.TryGetValue(seen.RequestId!, out JsonNode? record), $"{seen} is not in the books");
            long metered = record["tokens"]!["output"]!.GetValue<long>();
            Assert.True(metered >= seen.Tokens, $"{seen} received more than the {metered} tokens metered");
            if (seen.Charge is null) continue;
            Assert.Equal(seen.Charge, record["charge"]!.ToString());
            Assert.Equal(seen.Tokens, metered);
        }
        Assert.Contains(all, seen => seen is { Tokens: > 0, Finished: false });
        Assert.Contains(records.Values, record => record["outcome"]!.ToString() == "recovered");

        JsonNode check = await last.GetAsync("api/books/check", cancel);
        Assert.All(check["identities"]!.AsArray(), identity => Assert.True(identity!["ok"]!.GetValue<bool>(), identity.ToJsonString()));
        Assert.True(check["ok"]!.GetValue<bool>());
        Directory.Delete(data, recursive: true);
    }

    [Fact]
    public async Task A_client_that_disconnects_pays_for_what_was_generated_and_its_sequence_stops()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-leave").FullName;
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            using CancellationTokenSource leaving = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            int chunks = 0;
            // So many that they take seconds on any machine: a client that is slow to leave still leaves before the end.
            const int TokensMax = 30_000;
            Seen seen = await StreamingClient.RunAsync(server.Http, "Tell me everything. ", TokensMax, seed: 1, () =>
            {
                if (++chunks == 10) leaving.Cancel();
            }, leaving.Token);
            JsonNode? record = null;
            while (record is null) (await UsageAsync(server, cancel)).TryGetValue(seen.RequestId!, out record);
            Assert.Equal("aborted_by_client", record["outcome"]!.ToString());
            long metered = record["tokens"]!["output"]!.GetValue<long>();
            Assert.InRange(metered, seen.Tokens, TokensMax - 1);
            Assert.True((await server.GetAsync("api/books/check", cancel))["ok"]!.GetValue<bool>());
        }
        Directory.Delete(data, recursive: true);
    }

    private static async Task<Dictionary<string, JsonNode>> UsageAsync(ServerProcess server, CancellationToken cancel)
    {
        Dictionary<string, JsonNode> records = new(StringComparer.Ordinal);
        string path = "api/usage?limit=500";
        while (true)
        {
            JsonArray page = (await server.GetAsync(path, cancel))["data"]!.AsArray();
            // Add, not set: the same request twice would be billed twice.
            foreach (JsonNode? record in page) records.Add(record!["id"]!.ToString(), record);
            if (page.Count == 0) return records;
            path = $"api/usage?limit=500&before={page[^1]!["id"]}";
        }
    }
}
