using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.MockUpstream;
using Qanat.Store;

namespace Qanat.Simulation.Tests;

/// <summary>Many streams at once through upstreams that fail, with clients that leave and a server that is killed: afterwards the books hold what the upstreams counted.
/// Short here; QANAT_LOAD_SECONDS and QANAT_LOAD_STREAMS make it long.</summary>
public sealed class UpstreamLoadTests
{
    private const int Seed = 20261125;
    private const int Tenants = 3;
    private static readonly int Streams = Setting("QANAT_LOAD_STREAMS", 64);
    private static readonly int Seconds = Setting("QANAT_LOAD_SECONDS", 12);

    /// <summary>Seconds between two kills.</summary>
    private static readonly int KillEvery = Setting("QANAT_LOAD_KILL_SECONDS", 4);

    /// <summary>Answers between two kills at least: enough that some of them fail, are cut and are left.</summary>
    private const int AnswersBetweenMin = 256;

    [Fact]
    public async Task Under_aborts_retries_errors_and_kills_the_books_hold_what_the_upstreams_counted_and_no_budget_is_exceeded()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        TestContext.Current.SendDiagnosticMessage($"seed {Seed}, {Streams} streams, {Seconds} s");
        string data = Directory.CreateTempSubdirectory("qanat-load").FullName;
        await using MockEngine first = await MockEngine.StartAsync(request => Plan(request, faults: true));
        await using MockEngine second = await MockEngine.StartAsync(request => Plan(request, faults: true));
        await using MockEngine spare = await MockEngine.StartAsync(request => Plan(request, faults: false));
        MockEngine[] mocks = [first, second, spare];
        List<LoadSeen> seen = [];
        string[] keys;
        LoadTarget target = new();
        using (CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancel))
        {
            ServerProcess server = await ServerProcess.StartAsync(data, cancel);
            try
            {
                keys = await SetUpAsync(server, mocks, cancel);
                target.Set(server.Http.BaseAddress!);
                Task<List<LoadSeen>>[] clients = [.. Enumerable.Range(0, Streams).Select(index => Task.Run(() => new LoadClient(target, keys[index % Tenants], Seed + index).RunAsync(end.Token), cancel))];
                for (int elapsed = 0; elapsed < Seconds; elapsed += KillEvery)
                {
                    int answersMin = target.Answers + AnswersBetweenMin;
                    await Task.Delay(TimeSpan.FromSeconds(KillEvery), TimeProvider.System, cancel);
                    while (target.Answers < answersMin) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancel);
                    target.Clear();
                    await server.DisposeAsync();
                    server = await ServerProcess.StartAsync(data, cancel);
                    target.Set(server.Http.BaseAddress!);
                }
                await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancel);
                await end.CancelAsync();
                foreach (List<LoadSeen> each in await Task.WhenAll(clients)) seen.AddRange(each);
            }
            finally
            {
                // It is killed.
                await end.CancelAsync();
                await server.DisposeAsync();
            }
        }
        // One more start settles what the last kill left open, one orderly end posts it.
        await using (ServerProcess last = await ServerProcess.StartAsync(data, cancel)) await last.StopAsync(cancel);
        await CompareAsync(data, seen, mocks);
        Directory.Delete(data, recursive: true);
    }

    /// <summary>What happens to a request follows from its number alone.</summary>
    private static MockPlan Plan(MockRequest request, bool faults)
    {
        uint draw = unchecked((uint)(request.Number * 2654435761u + Seed)) >> 8;
        MockPlan plan = new() { Tokens = 5 + (int)(draw % 60), PerToken = TimeSpan.FromMilliseconds(draw % 3), TellsUsage = true };
        if (!faults) return plan;
        return (draw / 64 % 100) switch
        {
            < 6 => plan with { Status = 503 },
            < 9 => plan with { Status = 429, RetryAfter = "0" },
            < 13 => plan with { CutAfter = (int)(draw % 5), PerToken = TimeSpan.FromMilliseconds(1) },
            < 15 => plan with { ErrorAfter = 2, PerToken = TimeSpan.FromMilliseconds(1) },
            _ => plan,
        };
    }

    private static async Task<string[]> SetUpAsync(ServerProcess server, MockEngine[] mocks, CancellationToken cancel)
    {
        for (int index = 0; index < mocks.Length; index++)
        {
            await PostAsync(server, "api/upstreams", new JsonObject
            {
                ["name"] = string.Create(CultureInfo.InvariantCulture, $"mock-{index}"),
                ["url"] = mocks[index].Url.AbsoluteUri,
                ["allow_private"] = true,
                ["rank"] = index == 2 ? 1 : 0,
                ["models"] = new JsonArray(new JsonObject { ["name"] = "mock", ["rates"] = "input 1 output 2" }),
            }, cancel);
        }
        List<string> keys = [];
        for (int tenant = 0; tenant < Tenants; tenant++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"load-{tenant}");
            // The last one's money runs out on the way.
            await PostAsync(server, "api/tenants", new JsonObject { ["name"] = name, ["monthly_budget"] = tenant == Tenants - 1 ? "0.002" : "1000" }, cancel);
            JsonNode key = await PostAsync(server, "api/keys", new JsonObject { ["tenant"] = name, ["name"] = "k" }, cancel);
            keys.Add(key["key"]!.ToString());
        }
        return [.. keys];
    }

    private static async Task CompareAsync(string data, List<LoadSeen> seen, MockEngine[] mocks)
    {
        await using SqliteBookStore store = await SqliteBookStore.OpenAsync(data, TimeProvider.System);
        Assert.Empty(await store.ReadOpenHoldsAsync());
        Dictionary<string, UsageRecord> records = [];
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All))) records.Add(record.Id.ToString(), record);
        Dictionary<string, MockCount[]> counts = mocks.SelectMany(mock => mock.Counts).GroupBy(pair => pair.Key, pair => pair.Value).ToDictionary(group => group.Key, group => group.ToArray());

        foreach (LoadSeen one in seen.Where(one => one.Id is not null && (one.Words > 0 || one.Charge is not null)))
        {
            Assert.True(records.TryGetValue(one.Id!, out UsageRecord? record), $"{one} is not in the books");
            Assert.True(record.Tokens.Output >= one.Words, $"{one} received more than the {record.Tokens.Output} tokens metered");
            if (one.Charge is null) continue;
            Assert.Equal(one.Charge, record.Charge!.Value.ToDecimalText());
            Assert.Equal((one.Words, Outcome.Completed), (record.Tokens.Output, record.Outcome));
        }
        Assert.Equal(seen.Count(one => one.Charge is not null), seen.Where(one => one.Charge is not null).Select(one => one.Id).Distinct().Count());

        UsageRecord[] complete = [.. records.Values.Where(record => record.Outcome == Outcome.Completed)];
        foreach (UsageRecord record in complete)
        {
            MockCount served = Assert.Single(counts[record.Id.ToString()], count => count.Finished > 0);
            Assert.Equal((1, (long)served.FinishedTokens, (long)served.PromptTokens), (served.Finished, record.Tokens.Output, record.Tokens.Input));
        }
        Assert.Equal(complete.Sum(record => record.Tokens.Output), complete.Sum(record => counts[record.Id.ToString()].Sum(count => (long)count.FinishedTokens)));
        foreach (UsageRecord record in records.Values.Where(record => record.Outcome != Outcome.Completed))
            Assert.True(record.Tokens.Output <= counts.GetValueOrDefault(record.Id.ToString(), []).Sum(count => count.Sent + 1), $"{record.Id}: more metered than any upstream sent");

        DirectorySnapshot directory = await store.ReadDirectoryAsync();
        foreach (Tenant tenant in directory.Tenants.Where(tenant => tenant.MonthlyBudget is not null))
        {
            Money spent = records.Values.Where(record => record.Party.Tenant == tenant.Id).Aggregate(Money.Zero(Currency.Usd), (sum, record) => sum + record.Charge!.Value);
            Assert.True(spent <= tenant.MonthlyBudget, $"{tenant.Name} spent {spent} of {tenant.MonthlyBudget}");
        }
        BooksReport report = await BooksCheck.RunAsync(store);
        Assert.True(report.IsOk, string.Join('\n', report.Identities.Where(identity => !identity.IsOk)));
        string summary = string.Create(CultureInfo.InvariantCulture,
            $"{seen.Count} requests, {records.Count} records, {string.Join(", ", records.Values.GroupBy(record => record.Outcome).Select(group => $"{group.Count()} {group.Key}"))}, {records.Values.Count(record => record.Upstream!.Attempts.Length > 1)} after another attempt, {records.Values.Sum(record => record.Tokens.Output)} tokens");
        // What was to be tried did happen.
        foreach (Outcome outcome in (Outcome[])[Outcome.Completed, Outcome.AbortedByClient, Outcome.Failed, Outcome.Recovered])
            Assert.True(records.Values.Any(record => record.Outcome == outcome), $"No request ended as {outcome}: {summary}");
        Assert.True(records.Values.Any(record => record.Upstream!.Attempts.Length > 1), summary);
        TestContext.Current.SendDiagnosticMessage(summary);
        if (Environment.GetEnvironmentVariable("QANAT_LOAD_REPORT") is { Length: > 0 } file) await File.WriteAllTextAsync(file, summary + "\n");
    }

    private static async Task<JsonNode> PostAsync(ServerProcess server, string path, JsonObject body, CancellationToken cancel)
    {
        using HttpResponseMessage response = await server.Http.PostAsJsonAsync(path, body, cancel);
        string text = await response.Content.ReadAsStringAsync(cancel);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private static int Setting(string name, int standard) => int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out int value) ? value : standard;
}

/// <summary>Where the server is at the moment, and how much it has answered.</summary>
internal sealed class LoadTarget
{
    private int answers;

    private TaskCompletionSource<Uri> url = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>That began, whichever end they had.</summary>
    public int Answers => Volatile.Read(ref answers);

    public void Answered() => Interlocked.Increment(ref answers);
    public Task<Uri> GetAsync(CancellationToken cancel) => Volatile.Read(ref url).Task.WaitAsync(cancel);
    public void Set(Uri address) => Volatile.Read(ref url).TrySetResult(address);
    public void Clear() => Volatile.Write(ref url, new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously));
}

/// <summary>What a client saw of one request. Words are tokens, as the mock makes them.</summary>
internal sealed record LoadSeen(string? Id, long Words, string? Charge);

/// <summary>One client that asks one request after the other, whole or as a stream, and leaves some of them.</summary>
internal sealed class LoadClient(LoadTarget target, string key, int seed)
{
    private readonly Random random = new(seed);

    public async Task<List<LoadSeen>> RunAsync(CancellationToken cancel)
    {
        List<LoadSeen> all = [];
        // Who leaves closes the connection: nothing is read on for the sake of the next request.
        using HttpClient http = new(new SocketsHttpHandler { MaxResponseDrainSize = 0 }) { Timeout = TimeSpan.FromSeconds(60) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                Uri server = await target.GetAsync(cancel);
                LoadSeen seen = await AskAsync(http, server, stream: random.Next(4) != 0, leaveAfter: random.Next(6) == 0 ? random.Next(1, 20) : int.MaxValue, cancel);
                all.Add(seen);
                if (seen.Id is not null) target.Answered();
                // Refused or cut off from the server: not at once again.
                else await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancel);
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                break;
            }
        }
        return all;
    }

    private async Task<LoadSeen> AskAsync(HttpClient http, Uri server, bool stream, int leaveAfter, CancellationToken cancel)
    {
        string? id = null, charge = null;
        long words = 0;
        try
        {
            using HttpRequestMessage request = new(HttpMethod.Post, new Uri(server, "v1/chat/completions"));
            request.Content = JsonContent.Create(new { model = "mock", stream, max_tokens = 200, messages = new[] { new { role = "user", content = "how many words are in this " + random.Next(1_000) } } });
            using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
            if (!response.IsSuccessStatusCode) return new LoadSeen(null, 0, null);
            id = response.Headers.GetValues("x-qanat-request-id").First();
            using StreamReader reader = new(await response.Content.ReadAsStreamAsync(cancel));
            if (!stream)
            {
                JsonNode answer = JsonNode.Parse(await reader.ReadToEndAsync(cancel))!;
                return new LoadSeen(id, Words(answer["choices"]![0]!["message"]!["content"]!.ToString()), answer["usage"]!["x_qanat"]!["charge"]!.ToString());
            }
            while (words < leaveAfter && await reader.ReadLineAsync(cancel) is { } line)
            {
                if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
                JsonNode chunk = JsonNode.Parse(line["data: ".Length..])!;
                if ((chunk["choices"] as JsonArray) is [{ } choice, ..]) words += Words(choice["delta"]?["content"]?.ToString() ?? "");
                charge = chunk["usage"]?["x_qanat"]?["charge"]?.ToString() ?? charge;
            }
        }
        catch (Exception error) when (error is HttpRequestException or IOException or System.Text.Json.JsonException || (error is OperationCanceledException && cancel.IsCancellationRequested))
        {
            // The server was killed, or the test ends: what was seen until then counts.
        }
        return new LoadSeen(id, words, charge);
    }

    private static long Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length;
}
