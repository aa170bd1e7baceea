using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Gateway;
using Qanat.Store;

namespace Qanat.Cli.Tests;

/// <summary>What was said is looked for in every byte of the data directory.</summary>
public sealed class NothingKeptTests
{
    private const string Marker = "zanzibar-plover-4711";

    [Fact]
    public async Task Nothing_that_was_said_is_on_the_disk_unless_the_tenant_wants_it_and_then_only_sealed()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        string model = server.Server.Deployment!.Name.Value;
        object[] messages = [new { role = "user", content = Marker }];
        (string Path, object Body)[] asked =
        [
            ("v1/chat/completions", new { model, messages, max_tokens = 4, user = "u1" }),
            ("v1/chat/completions", new { model, messages, max_tokens = 4, stream = true }),
            ("v1/completions", new { model, prompt = Marker, max_tokens = 4, echo = true }),
            ("v1/messages", new { model, messages, max_tokens = 4 }),
            ("v1/responses", new { model, input = Marker, max_output_tokens = 4 }),
            ("v1/responses", new { model, input = Marker, max_output_tokens = 4, store = false, instructions = Marker, metadata = new { note = Marker } }),
            ("api/chat", new { model, messages, stream = false, options = new { num_predict = 4 } }),
            ("api/v1/services/aigc/text-generation/generation", new { model, input = new { messages }, parameters = new { max_tokens = 4 } }),
            // Refused, in the ways that could have been logged.
            ("v1/chat/completions", new { model = "no-such-model", messages }),
            ("v1/chat/completions", new { model, messages = new[] { new { role = Marker, content = "x" } } }),
            ("v1/chat/completions", new { model, messages, response_format = new { type = "json_schema", json_schema = new { name = "x", schema = new { type = Marker } } } }),
        ];
        foreach ((string path, object body) in asked)
        {
            using HttpResponseMessage response = await server.Owner.PostAsJsonAsync(path, body, TestContext.Current.CancellationToken);
            string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.True(response.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest or HttpStatusCode.NotFound, $"{path}: {response.StatusCode} {text}");
        }
        Assert.Equal([], FilesWith(server.Folder, Marker));

        TenantId house = server.Directory.Current.FindTenant(FirstStart.HouseTenant)!.Id;
        await server.Get<TranscriptChanges>().KeepAsync("test", house, 1, CancellationToken.None);
        using (await server.Owner.PostAsJsonAsync("v1/chat/completions", asked[0].Body, TestContext.Current.CancellationToken)) { }
        Assert.Contains(Marker, await server.Owner.GetStringAsync($"api/transcripts/{await OnlyKeptAsync(server)}?tenant=house", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal([], FilesWith(server.Folder, Marker));

        using (HttpResponseMessage stored = await server.Owner.PostAsJsonAsync("v1/responses", new { model, input = Marker, max_output_tokens = 4, store = true }, TestContext.Current.CancellationToken))
        {
            string id = (string)JsonNode.Parse(await stored.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["id"]!;
            Assert.Contains(Marker, await server.Owner.GetStringAsync($"v1/responses/{id}/input_items", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
        Assert.Equal([], FilesWith(server.Folder, Marker));

        await RunBatchAsync(server, model);
        await RunTaskAsync(server, model);
        Assert.Equal([], FilesWith(server.Folder, Marker));

        // The search finds what is there.
        await server.Get<IDocumentStore>().TryAddAsync(new NewDocument(new DocumentKey("probe", house, "1"), Instant.Now(TimeProvider.System), Encoding.UTF8.GetBytes(Marker)), CancellationToken.None);
        Assert.NotEmpty(FilesWith(server.Folder, Marker));
    }

    /// <summary>Its input and its results say what was said, to whoever asks for them.</summary>
    private static async Task RunBatchAsync(RunningServer server, string model)
    {
        string row = JsonSerializer.Serialize(new { custom_id = "a", method = "POST", url = "/v1/completions", body = new { model, prompt = Marker, max_tokens = 4, echo = true } });
        using MultipartFormDataContent form = new() { { new StringContent("batch"), "purpose" }, { new StringContent(row), "file", "rows.jsonl" } };
        JsonNode file = await SentAsync(server.Owner.PostAsync("v1/files", form, TestContext.Current.CancellationToken));
        JsonNode batch = await SentAsync(server.Owner.PostAsJsonAsync("v1/batches", new { input_file_id = (string)file["id"]!, endpoint = "/v1/completions", completion_window = "24h" }, TestContext.Current.CancellationToken));
        while ((string?)batch["status"] is "validating" or "in_progress" or "finalizing") batch = await SentAsync(server.Owner.GetAsync($"v1/batches/{batch["id"]}", TestContext.Current.CancellationToken));
        foreach (string name in (string[])["input_file_id", "output_file_id"])
            Assert.Contains(Marker, await server.Owner.GetStringAsync($"v1/files/{batch[name]}/content", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static async Task RunTaskAsync(RunningServer server, string model)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "api/v1/services/aigc/text-generation/generation")
        {
            Content = JsonContent.Create(new { model, input = new { messages = new[] { new { role = "user", content = Marker } } }, parameters = new { max_tokens = 4 } }),
        };
        request.Headers.Add("X-DashScope-Async", "enable");
        JsonNode task = await SentAsync(server.Owner.SendAsync(request, TestContext.Current.CancellationToken));
        while ((string?)task["output"]!["task_status"] is "PENDING" or "RUNNING") task = await SentAsync(server.Owner.GetAsync($"api/v1/tasks/{task["output"]!["task_id"]}", TestContext.Current.CancellationToken));
        Assert.Equal("SUCCEEDED", (string?)task["output"]!["task_status"]);
    }

    private static async Task<JsonNode> SentAsync(Task<HttpResponseMessage> sending)
    {
        using HttpResponseMessage response = await sending;
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private static async Task<string> OnlyKeptAsync(RunningServer server)
    {
        JsonNode list = (await server.Owner.GetFromJsonAsync<JsonNode>("api/transcripts?tenant=house", TestContext.Current.CancellationToken))!;
        return (string)Assert.Single(list["data"]!.AsArray())!["id"]!;
    }

    private static string[] FilesWith(string folder, string text)
    {
        byte[] sought = Encoding.UTF8.GetBytes(text);
        return [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != "qanat.lock").Where(file => Bytes(file).AsSpan().IndexOf(sought) >= 0).Select(file => Path.GetRelativePath(folder, file))];
    }

    /// <summary>Of a file that the server may write to, shorten or delete meanwhile.</summary>
    private static byte[] Bytes(string file)
    {
        try
        {
            using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using MemoryStream bytes = new();
            stream.CopyTo(bytes);
            return bytes.ToArray();
        }
        catch (FileNotFoundException)
        {
            return [];
        }
    }
}
