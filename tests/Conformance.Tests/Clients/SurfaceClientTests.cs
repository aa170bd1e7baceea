using System.Text.Json.Nodes;
using Qanat.Gateway.Tests;

namespace Qanat.Conformance.Tests;

/// <summary>npm clients of every API against the front door over a scripted model: clients.mjs says what they saw, the tests say what they should have.</summary>
public sealed class SurfaceClientTests(SurfaceClientTests.Session session) : IClassFixture<SurfaceClientTests.Session>
{
    /// <summary>"User: Hi\nassistant:" and the mark after it, a token a byte.</summary>
    private const int PromptTokens = 20;

    [Theory]
    [InlineData("ai-openai-compatible", true, "")]
    [InlineData("ai-openai", false, "")]
    [InlineData("ai-anthropic", true, "")]
    // Sends "extra_body": {"enable_thinking": false}, which the scripted model's prompt shows.
    [InlineData("qwen-ai-provider", true, "/Off")]
    public async Task The_Vercel_SDK_reads_text_thoughts_streams_usage_and_runs_tools(string provider, bool showsThoughts, string morePrompt)
    {
        JsonNode seen = await session.SeenAsync(provider);
        Assert.Equal((ScriptedServer.Said, ScriptedServer.Said, "stop", "stop"), ((string?)seen["text"], (string?)seen["streamed"], (string?)seen["finish"], (string?)seen["streamedFinish"]));
        if (showsThoughts) Assert.Equal("hm", (string?)seen["reasoning"]);
        Assert.Equal(PromptTokens + morePrompt.Length, (int)seen["input"]!);
        Assert.True((int)seen["output"]! > 0);
        Assert.Equal(["rain in Jena"], seen["tools"]!.AsArray().Select(each => (string?)each));
        Assert.Equal((2, ScriptedServer.AfterTools), ((int)seen["steps"]!, (string?)seen["afterTools"]));
    }

    [Fact]
    public async Task Tools_run_through_Responses_that_are_not_stored()
    {
        JsonNode seen = await session.SeenAsync("ai-openai-nostore");
        Assert.Equal(["rain in Jena"], seen["tools"]!.AsArray().Select(each => (string?)each));
        Assert.Equal(ScriptedServer.AfterTools, (string?)seen["text"]);
    }

    [Fact]
    public async Task A_client_that_names_items_which_are_not_stored_is_told_what_to_set()
    {
        JsonNode? seen = (await session.AllAsync())["ai-openai-unset"];
        Assert.True((int?)seen!["status"] == 404, seen.ToJsonString());
        Assert.Contains("\"store\": true", (string?)seen["failed"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_reads_only_flat_errors_shows_the_servers_sentence()
    {
        JsonNode? seen = (await session.AllAsync())["qwen-error"];
        Assert.Contains("'nowhere' does not exist", (string?)seen!["failed"], StringComparison.Ordinal);
        Assert.Equal(404, (int)seen["status"]!);
    }

    [Fact]
    public async Task OpenAIs_client_makes_continues_shows_and_deletes_responses()
    {
        JsonNode seen = await session.SeenAsync("openai-responses");
        Assert.Equal((ScriptedServer.Said, ScriptedServer.Said, ScriptedServer.Said, 1), ((string?)seen["text"], (string?)seen["again"], (string?)seen["second"], (int)seen["items"]!));
        Assert.Equal("Jena", (string?)JsonNode.Parse((string)seen["streamed"]!)!["city"]);
        Assert.Contains("response.completed", seen["kinds"]!.AsArray().Select(kind => (string?)kind));
        Assert.NotEmpty((string)seen["charge"]!);
    }

    [Fact]
    public async Task OpenAIs_client_uploads_a_file_and_runs_a_batch()
    {
        JsonNode seen = await session.SeenAsync("openai-batches");
        Assert.Equal(("completed", 1, 0, ScriptedServer.Said, 1),
            ((string?)seen["status"], (int)seen["counts"]!["completed"]!, (int)seen["counts"]!["failed"]!, (string?)seen["said"], (int)seen["listed"]!));
    }

    [Fact]
    public async Task Every_client_of_embeddings_reads_the_same_vectors()
    {
        JsonNode seen = await session.SeenAsync("embeddings");
        Assert.Equal(15, (int)seen["tokens"]!);
        float[][] wanted = [[0.8f, 0.2f, 0.4f, 0.4f], [.. new[] { 11f, 1, 2, 2 }.Select(value => value / MathF.Sqrt(130))]];
        foreach (string client in (string[])["openai", "vercel", "ollama"])
        {
            float[][] vectors = [.. seen[client]!.AsArray().Select(vector => vector!.AsArray().Select(value => (float)value!).ToArray())];
            for (int index = 0; index < wanted.Length; index++) Assert.All(vectors[index].Zip(wanted[index]), pair => Assert.Equal(pair.Second, pair.First, 1e-6f));
        }
    }

    [Fact]
    public async Task Anthropics_client_reads_blocks_streams_tools_counts_models_and_errors()
    {
        JsonNode seen = await session.SeenAsync("anthropic");
        Assert.Equal(["thinking", "text"], seen["blocks"]!.AsArray().Select(block => (string?)block));
        Assert.Equal((ScriptedServer.Said, "end_turn", "tool_use"), ((string?)seen["text"], (string?)seen["stop"], (string?)seen["stopStreamed"]));
        Assert.Equal(("Jena", PromptTokens, PromptTokens), ((string?)seen["call"]!["city"], (int)seen["input"]!, (int)seen["counted"]!));
        Assert.Equal(["scripted-1"], seen["models"]!.AsArray().Select(each => (string?)each));
        Assert.Equal(("NotFoundError", "not_found_error"), ((string?)seen["refused"]!["kind"], (string?)seen["refused"]!["type"]));
        Assert.NotEmpty((string)seen["charge"]!);
    }

    [Fact]
    public async Task LangChain_reads_text_thoughts_usage_and_calls()
    {
        JsonNode seen = await session.SeenAsync("langchain");
        Assert.Equal((ScriptedServer.Said, ScriptedServer.Said, PromptTokens), ((string?)seen["text"], (string?)seen["streamed"], (int)seen["input"]!));
        Assert.Equal("Jena", (string?)Assert.Single(seen["calls"]!.AsArray())!["args"]!["city"]);
    }

    [Fact]
    public async Task Ollamas_client_chats_generates_calls_and_lists()
    {
        JsonNode seen = await session.SeenAsync("ollama");
        Assert.Equal((ScriptedServer.Said, "hm", "stop"), ((string?)seen["text"], (string?)seen["thinking"], (string?)seen["done"]));
        Assert.Equal((ScriptedServer.Said, "hm", ScriptedServer.Said), ((string?)seen["streamed"], (string?)seen["thought"], (string?)seen["generated"]));
        Assert.Equal(("weather", "Jena"), ((string?)seen["call"]!["name"], (string?)seen["call"]!["arguments"]!["city"]));
        Assert.Equal(["scripted-1"], seen["tags"]!.AsArray().Select(each => (string?)each));
        Assert.Equal(5, seen["refusals"]!.AsArray().Count);
        Assert.All(seen["refusals"]!.AsArray(), each => Assert.StartsWith("Models are not pulled", (string?)each, StringComparison.Ordinal));
    }

    /// <summary>Runs the clients once for all tests.</summary>
    public sealed class Session : IAsyncLifetime
    {
        private readonly Lazy<Task<JsonNode>> seen;

        public Session() => seen = new Lazy<Task<JsonNode>>(RunAsync);

        internal Task<JsonNode> AllAsync() => seen.Value;

        internal async Task<JsonNode> SeenAsync(string client)
        {
            JsonNode found = (await seen.Value)[client]!;
            Assert.True(found["failed"] is null, $"{client}: {found["failed"]}");
            return found;
        }

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private static async Task<JsonNode> RunAsync()
        {
            string folder = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Clients"));
            await using TestGateway gateway = await ScriptedServer.StartAsync(tool => tool == "weather" ? "{\"city\": \"Jena\"}" : null);
            return JsonNode.Parse(await Task.Run(() => NodePackages.RunAndRead(folder, "clients.mjs", gateway.Uri.ToString().TrimEnd('/'), gateway.Key)))!;
        }
    }
}
