using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

public sealed class MessagesTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/messages";
    private const string Ask = """{"model":"scripted-1","max_tokens":64,"messages":[{"role":"user","content":"Hi"}]}""";

    private const string Tools = """
        {"model":"scripted-1","max_tokens":64,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"weather","description":"Tells it","input_schema":{"type":"object",
        "properties":{"city":{"type":"string"}}}},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true},"thinking":{"type":"enabled","budget_tokens":2000},
        "metadata":{"user_id":"u1"},"stop_sequences":["END"],"messages":[{"role":"user","content":"Weather?"},{"role":"assistant","content":[{"type":"thinking","thinking":"hmm","signature":"s"},
        {"type":"text","text":"Let me see."},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Jena"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":
        [{"type":"text","text":"rain"}]},{"type":"text","text":"And now?"}]}]}
        """;

    private const string Call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Jena\"}}\n</tool_call>";

    [Fact]
    public async Task A_whole_message_has_the_agreed_form_with_its_cost()
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, Ask);
        Assert.Equal(200, answer.Status);
        Snapshot.Match("anthropic-whole.json", answer.Pretty());
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)answer.Body["usage"]!["x_qanat"]!["charge"]);
        // Where Anthropic's own client reads it.
        Assert.Equal((string?)answer.Body["usage"]!["x_qanat"]!["request_id"], answer.Header("request-id"));
        Answer refused = await fixture.Fresh().PostAsync(Path, "{}");
        Assert.Equal((string?)refused.Body["request_id"], refused.Header("request-id"));
    }

    [Fact]
    public async Task A_stream_tells_thoughts_text_and_calls_in_blocks_of_their_own()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nI wo", "nder\n</think>\n\nLet me", " look.", Call);
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, Streamed(Tools));
        Snapshot.Match("anthropic-stream.txt", string.Join("\n\n", events) + "\n");
    }

    [Fact]
    public async Task A_whole_message_has_the_same_blocks()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nI wonder\n</think>\n\nLet me look." + Call);
        Answer answer = await gateway.PostAsync(Path, Tools);
        Assert.Equal(["thinking", "text", "tool_use"], answer.Body["content"]!.AsArray().Select(block => (string?)block!["type"]));
        Assert.Equal("Jena", (string?)answer.Body["content"]![2]!["input"]!["city"]);
        Assert.Equal("tool_use", (string?)answer.Body["stop_reason"]);
    }

    [Fact]
    public async Task Every_part_of_a_request_reaches_the_model()
    {
        TestGateway gateway = fixture.Fresh();
        Assert.Equal(200, (await gateway.PostAsync(Path, Tools)).Status);
        Call call = gateway.Script.LastCall;
        Conversation asked = call.Conversation!;
        Assert.Equal("System: Be brief.\nUser: Weather?\nAssistant: (hmm) Let me see.[toolu_1 weather {\"city\":\"Jena\"}]\nTool: rain[toolu_1]\nUser: And now?\nassistant/On:<|end|>", ScriptedModel.TextOf(call.Prompt));
        Assert.Equal(["weather"], asked.Tools.Select(tool => tool.Name));
        Assert.Equal((Thinking.On, 2000, false), (asked.Thinking, asked.ThinkingTokensMax, asked.ParallelToolCalls));
        Assert.Equal((64, "u1"), (call.MaxTokens, call.UserTag));
        Assert.Contains("END", call.Stop);
    }

    [Theory]
    [InlineData("""{"type":"any"}""", ToolChoiceKind.Required)]
    [InlineData("""{"type":"none"}""", ToolChoiceKind.None)]
    [InlineData("""{"type":"tool","name":"weather"}""", ToolChoiceKind.Named)]
    public async Task A_choice_of_tools_is_kept(string choice, ToolChoiceKind kind)
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync(Path, Tools.Replace("""{"type":"auto","disable_parallel_tool_use":true}""", choice, StringComparison.Ordinal));
        Assert.Equal(kind, gateway.Script.LastCall.Conversation!.ToolChoice.Kind);
    }

    [Theory]
    [InlineData("""{"thinking":{"type":"adaptive"},"output_config":{"effort":"max"}}""", """{"type":"adaptive"}""", """{"effort":"max"}""", ReasoningEffort.XHigh)]
    [InlineData("""{"thinking":{"type":"adaptive"}}""", """{"type":"adaptive"}""", null, null)]
    [InlineData("""{"thinking":{"type":"enabled","budget_tokens":1500},"output_config":{"effort":"low"}}""", """{"type":"enabled","budget_tokens":1500}""", """{"effort":"low"}""", ReasoningEffort.Low)]
    [InlineData("""{"thinking":{"type":"disabled"},"output_config":{"effort":"medium"}}""", null, """{"effort":"medium"}""", ReasoningEffort.Medium)]
    [InlineData("{}", null, null, null)]
    public async Task How_much_to_think_goes_to_Anthropics_API_as_it_was_asked_and_to_others_in_words_they_know(string asked, string? thinking, string? output, ReasoningEffort? effort)
    {
        TestGateway gateway = fixture.Fresh();
        JsonObject body = JsonNode.Parse(asked)!.AsObject();
        body["model"] = ScriptedModel.Name;
        body["max_tokens"] = 2_000;
        body["temperature"] = 0.5;
        body["messages"] = JsonNode.Parse("""[{"role":"user","content":"Hi"}]""");
        Assert.Equal(200, (await gateway.PostAsync(Path, body.ToJsonString())).Status);
        JsonElement written = WireTests.Write(new AnthropicWire(), gateway.Script.LastCall);
        Assert.Equal((thinking, output), (TextOf(written, "thinking"), TextOf(written, "output_config")));
        // Thoughts are drawn in its own way: it refuses to be told how beside them.
        Assert.Equal(thinking is null, written.TryGetProperty("temperature", out _));
        JsonElement plain = WireTests.Write(new OpenAiWire(modelStudio: true), gateway.Script.LastCall);
        Assert.Equal((false, effort?.ToString().ToLowerInvariant()), (plain.TryGetProperty("thinking", out _), plain.TryGetProperty("reasoning_effort", out JsonElement word) ? word.GetString() : null));

        static string? TextOf(JsonElement from, string name) => from.TryGetProperty(name, out JsonElement found) ? found.GetRawText() : null;
    }

    [Fact]
    public async Task An_effort_that_nobody_knows_is_refused_by_name()
    {
        Answer refused = await fixture.Fresh().PostAsync(Path, """{"model":"scripted-1","max_tokens":9,"output_config":{"effort":"heroic"},"messages":[{"role":"user","content":"Hi"}]}""");
        Assert.Equal(400, refused.Status);
        Assert.Contains("output_config.effort", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(AnswerEnd.Stop, "end_turn")]
    [InlineData(AnswerEnd.Length, "max_tokens")]
    [InlineData(AnswerEnd.Budget, "max_tokens")]
    [InlineData(AnswerEnd.Loop, "max_tokens")]
    [InlineData(AnswerEnd.ContentFilter, "refusal")]
    public async Task Stop_reasons_are_worded_as_clients_know_them(AnswerEnd end, string word)
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, end, "x");
        Assert.Equal(word, (string?)(await gateway.PostAsync(Path, Ask)).Body["stop_reason"]);
    }

    [Fact]
    public async Task A_stop_sequence_that_ended_the_answer_is_named()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.StopAt(call, "END", "x");
        Answer answer = await gateway.PostAsync(Path, Ask);
        Assert.Equal(("stop_sequence", "END"), ((string?)answer.Body["stop_reason"], (string?)answer.Body["stop_sequence"]));
        string last = (await gateway.StreamAsync(Path, Streamed(Ask))).Single(each => each.Contains("message_delta", StringComparison.Ordinal));
        Assert.Contains("\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\"", last, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_assistants_own_words_at_the_end_are_gone_on_from()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync(Path, """{"model":"scripted-1","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Well,"}]}""");
        Assert.Equal("Well,", gateway.Script.LastCall.Conversation!.BegunAnswer?.Content);
    }

    [Fact]
    public async Task Tokens_are_counted_without_a_call()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path + "/count_tokens", Ask);
        Assert.Equal("User: Hi\nassistant:".Length + 1, (int)answer.Body["input_tokens"]!);
        Assert.Empty(gateway.Script.Calls);
    }

    [Fact]
    public async Task Tokens_that_only_an_upstream_knows_are_estimated_and_said_to_be()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(ScriptedModel.Outside());
        Answer answer = await gateway.PostAsync(Path + "/count_tokens", Ask);
        Assert.Equal((200, true), (answer.Status, (bool)answer.Body["x_qanat"]!["estimated"]!));
        Assert.InRange((int)answer.Body["input_tokens"]!, 1, 100);
        Answer responses = await gateway.PostAsync("/v1/responses/input_tokens", """{"model":"scripted-1","input":"Hi"}""");
        Assert.Equal((int)answer.Body["input_tokens"]!, (int)responses.Body["input_tokens"]!);
    }

    [Fact]
    public async Task Input_tokens_are_those_that_no_cache_had()
    {
        TestGateway gateway = fixture.Fresh();
        JsonNode usage = (await gateway.PostAsync(Path, Ask)).Body["usage"]!;
        Assert.Equal(gateway.Script.LastCall.Prompt.Length, (int)usage["input_tokens"]! + (int)usage["cache_read_input_tokens"]! + (int)usage["cache_creation_input_tokens"]!);
        Assert.Equal(1, (int)usage["cache_read_input_tokens"]!);
    }

    [Theory]
    [InlineData("/anthropic/v1/messages")]
    [InlineData("/apps/anthropic/v1/messages")]
    public async Task Other_paths_serve_the_same(string path) => Assert.Equal("Hello", (string?)(await fixture.Fresh().PostAsync(path, Ask)).Body["content"]![0]!["text"]);

    [Fact]
    public async Task Models_are_listed_in_the_words_of_whoever_asks()
    {
        TestGateway gateway = fixture.Fresh();
        HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
        request.Headers.Add("anthropic-version", "2026-10-21");
        Answer answer = await gateway.SendAsync(request);
        Assert.Equal(("model", "scripted-1", false), ((string?)answer.Body["data"]![0]!["type"], (string?)answer.Body["last_id"], (bool)answer.Body["has_more"]!));
        Assert.Equal("list", (string?)(await gateway.GetAsync("/v1/models")).Body["object"]);
    }

    [Theory]
    [InlineData("""{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}]}""", 400, "invalid_request_error", "max_tokens")]
    [InlineData("""{"model":"other","max_tokens":1,"messages":[{"role":"user","content":"Hi"}]}""", 404, "not_found_error", "model")]
    [InlineData("""{"model":"scripted-1","max_tokens":1,"messages":[]}""", 400, "invalid_request_error", "messages")]
    [InlineData("""{"model":"scripted-1","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]}""", 400, "invalid_request_error", "messages[0].content[0].type")]
    [InlineData("""{"model":"scripted-1","max_tokens":1,"messages":[{"role":"robot","content":"x"}]}""", 400, "invalid_request_error", "messages[0].role")]
    public async Task Errors_have_Anthropics_form(string body, int status, string type, string param)
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, body);
        Assert.Equal((status, "error", type, param), (answer.Status, (string?)answer.Body["type"], (string?)answer.Body["error"]!["type"], (string?)answer.Body["error"]!["param"]));
    }

    [Fact]
    public async Task A_failure_midway_is_an_error_event_and_a_cut_connection()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new ApiException(503, "server_error", "engine_lost", "The engine was lost."));
        using RawClient client = await RawClient.PostAsync(gateway, Path, Streamed(Ask));
        string text = await client.ReadToEndAsync();
        Assert.Contains("partial", text, StringComparison.Ordinal);
        Assert.Contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"The engine was lost.\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("message_stop", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), "The chunked body must not end cleanly.");
    }

    private static string Streamed(string ask) => ask.TrimEnd()[..^1] + ",\"stream\":true}";
}
