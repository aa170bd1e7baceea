using System.Text;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

public sealed class OllamaTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Jena\"}}\n</tool_call>";

    [Fact]
    public async Task A_chat_streams_lines_unless_told_not_to()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nhm\n</think>\n\nHel", "lo", Call);
        JsonNode[] lines = await LinesAsync(gateway, "/api/chat", Chat("""
            ,"think":true,"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]
            """));
        Assert.Equal("Hello", string.Concat(lines.Select(line => (string?)line["message"]!["content"])));
        Assert.Equal("hm", string.Concat(lines.Select(line => (string?)line["message"]!["thinking"])));
        JsonNode call = Assert.Single(lines.SelectMany(line => line["message"]!["tool_calls"]?.AsArray().OfType<JsonNode>() ?? []));
        Assert.Equal(("weather", "Jena"), ((string?)call["function"]!["name"], (string?)call["function"]!["arguments"]!["city"]));
        Assert.All(lines.SkipLast(1), line => Assert.False((bool)line["done"]!));
        Assert.True((bool)lines[^1]["done"]!);
        Assert.NotNull(lines[^1]["x_qanat"]!["charge"]);
        Assert.Equal(Thinking.On, gateway.Script.LastCall.Conversation!.Thinking);
    }

    [Fact]
    public async Task A_whole_chat_has_the_agreed_form_with_its_cost()
    {
        Answer answer = await fixture.Fresh().PostAsync("/api/chat", Chat(",\"stream\":false"));
        Snapshot.Match("ollama-chat.json", answer.Pretty());
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)answer.Body["x_qanat"]!["charge"]);
    }

    [Fact]
    public async Task Options_reach_the_model()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync("/api/generate", """{"model":"scripted-1:latest","prompt":"Hi","system":"Be brief.","stream":false,"format":{"type":"object"},"options":{"num_predict":5,"temperature":0,"top_k":2,"repeat_penalty":1.2,"stop":["END"],"seed":3}}""");
        Call call = gateway.Script.LastCall;
        Assert.Equal((5, 0f, 2, 1.2f, 3UL), (call.MaxTokens, call.Sampling.Temperature, call.Sampling.TopK, call.Sampling.RepetitionPenalty, call.Sampling.Seed));
        Assert.Equal("System: Be brief.\nUser: Hi\nassistant:<|end|>", ScriptedModel.TextOf(call.Prompt));
        Assert.Equal("""{"type":"object"}""", Assert.IsType<JsonSchemaFormat>(call.Conversation!.Format).SchemaJson);
    }

    [Fact]
    public async Task A_raw_prompt_goes_to_the_model_as_it_is()
    {
        TestGateway gateway = fixture.Fresh();
        JsonNode[] lines = await LinesAsync(gateway, "/api/generate", """{"model":"scripted-1","prompt":"Once","raw":true}""");
        Assert.Equal("Hello", string.Concat(lines.Select(line => (string?)line["response"])));
        Assert.Equal((Operation.Completion, "Once"), (gateway.Script.LastCall.Operation, ScriptedModel.TextOf(gateway.Script.LastCall.Prompt)));
    }

    [Theory]
    [InlineData("/api/chat", """{"model":"scripted-1","messages":[]}""")]
    [InlineData("/api/generate", """{"model":"scripted-1"}""")]
    public async Task Loading_a_model_costs_nothing(string path, string body)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(path, body);
        Assert.Equal("load", (string?)answer.Body["done_reason"]);
        Assert.Empty(gateway.Script.Calls);
    }

    [Fact]
    public async Task Models_are_listed_and_shown()
    {
        TestGateway gateway = fixture.Fresh();
        Assert.Equal("scripted-1", (string?)(await gateway.GetAsync("/api/tags")).Body["models"]![0]!["name"]);
        Assert.Equal(ScriptedModel.ContextLength, (int)(await gateway.GetAsync("/api/ps")).Body["models"]![0]!["context_length"]!);
        Assert.Equal(ScriptedModel.ContextLength, (int)(await gateway.PostAsync("/api/show", """{"model":"scripted-1"}""")).Body["model_info"]!["qwen.context_length"]!);
        Assert.NotEmpty((string)(await gateway.GetAsync("/api/version")).Body["version"]!);
    }

    [Theory]
    [InlineData("/api/chat", """{"model":"other","messages":[{"role":"user","content":"x"}]}""", 404)]
    [InlineData("/api/chat", """{"model":"scripted-1","messages":[{"role":"user","content":"x","images":["AA=="]}]}""", 400)]
    [InlineData("/api/generate", """{"model":"scripted-1","prompt":"x","format":"xml"}""", 400)]
    public async Task Errors_are_a_sentence(string path, string body, int status)
    {
        Answer answer = await fixture.Fresh().PostAsync(path, body);
        Assert.Equal(status, answer.Status);
        Assert.NotEmpty((string)answer.Body["error"]!);
    }

    [Theory]
    [InlineData("POST", "/api/pull")]
    [InlineData("POST", "/api/push")]
    [InlineData("POST", "/api/create")]
    [InlineData("POST", "/api/copy")]
    [InlineData("DELETE", "/api/delete")]
    [InlineData("POST", "/api/blobs/sha256:29fdb92e57cf0827ded04ae6461b5931d01fa595843f55d36f5b275a52087dd2")]
    public async Task What_would_change_the_models_is_refused_in_a_sentence(string method, string path)
    {
        Answer answer = await TestGateway.SendAsync(fixture.Fresh().Http, new HttpRequestMessage(new HttpMethod(method), path) { Content = new StringContent("""{"model":"scripted-1"}""", Encoding.UTF8, "application/json") });
        Assert.Equal((404, "unknown_url"), (answer.Status, (string?)answer.Body["code"]));
        Assert.StartsWith("Models are not pulled", (string?)answer.Body["error"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_midway_is_an_error_line_and_a_cut_connection()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new ApiException(503, "server_error", "engine_lost", "The engine was lost."));
        using RawClient client = await RawClient.PostAsync(gateway, "/api/chat", Chat(""));
        string text = await client.ReadToEndAsync();
        Assert.Contains("{\"error\":\"The engine was lost.\"", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), "The chunked body must not end cleanly.");
    }

    [Fact]
    public async Task A_key_is_needed_here_too()
    {
        TestGateway gateway = fixture.Fresh();
        using HttpClient stranger = gateway.Client(null);
        Assert.Equal(401, (await TestGateway.SendAsync(stranger, new HttpRequestMessage(HttpMethod.Get, "/api/tags"))).Status);
    }

    [Fact]
    public async Task A_stream_that_waits_sends_blanks_that_belong_to_no_line()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, gate.Task, cancel);
        using RawClient client = await RawClient.PostAsync(gateway, "/api/chat", Chat(""));
        await client.ReadUntilAsync("waiting");
        Task blank = client.ReadUntilAsync("1\r\n \r\n");
        while (!blank.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(blank, Task.Delay(1, TestContext.Current.CancellationToken));
        }
        gate.SetResult();
        await client.ReadUntilAsync("\"done\":true");
    }

    private static async Task<JsonNode[]> LinesAsync(TestGateway gateway, string path, string body)
    {
        using HttpResponseMessage response = await gateway.Http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);
        Assert.Equal("application/x-ndjson", response.Content.Headers.ContentType!.MediaType);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
    }

    private static string Chat(string more) => $$"""{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}]{{more}}}""";
}
