using System.Net;
using System.Net.Http.Json;
using System.Text;
using Qanat.Books;
using Qanat.Gateway;

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
            string id = (string)System.Text.Json.Nodes.JsonNode.Parse(await stored.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["id"]!;
            Assert.Contains(Marker, await server.Owner.GetStringAsync($"v1/responses/{id}/input_items", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
        Assert.Equal([], FilesWith(server.Folder, Marker));

        // The search finds what is there: a file that a client uploads.
        using MultipartFormDataContent form = new() { { new StringContent("batch"), "purpose" }, { new StringContent(Marker), "file", "rows.jsonl" } };
        using (HttpResponseMessage uploaded = await server.Owner.PostAsync("v1/files", form, TestContext.Current.CancellationToken)) Assert.Equal(HttpStatusCode.OK, uploaded.StatusCode);
        Assert.NotEmpty(FilesWith(server.Folder, Marker));
    }

    private static async Task<string> OnlyKeptAsync(RunningServer server)
    {
        System.Text.Json.Nodes.JsonNode list = (await server.Owner.GetFromJsonAsync<System.Text.Json.Nodes.JsonNode>("api/transcripts?tenant=house", TestContext.Current.CancellationToken))!;
        return (string)Assert.Single(list["data"]!.AsArray())!["id"]!;
    }

    private static string[] FilesWith(string folder, string text)
    {
        byte[] sought = Encoding.UTF8.GetBytes(text);
        return [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != "qanat.lock").Where(file => Bytes(file).AsSpan().IndexOf(sought) >= 0).Select(file => Path.GetRelativePath(folder, file))];
    }

    private static byte[] Bytes(string file)
    {
        using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
