using System.Text;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

public sealed class NativeGenerationTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/api/v1/services/aigc/text-generation/generation";
    private const string Call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Jena\"}}\n</tool_call>";

    [Fact]
    public async Task A_whole_answer_as_text_has_the_agreed_form_with_its_cost()
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, Ask("{}"));
        Snapshot.Match("dashscope-text.json", answer.Pretty());
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)answer.Body["usage"]!["x_qanat"]!["charge"]);
    }

    [Fact]
    public async Task A_whole_answer_as_messages_has_thoughts_and_calls_beside_its_text()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nhm\n</think>\n\nLook:" + Call);
        Answer answer = await gateway.PostAsync(Path, Ask("""{"result_format":"message","tools":[{"type":"function","function":{"name":"weather"}}]}"""));
        JsonNode choice = answer.Body["output"]!["choices"]![0]!;
        Assert.Equal(("tool_calls", "hm"), ((string?)choice["finish_reason"], (string?)choice["message"]!["reasoning_content"]));
        Assert.Equal("weather", (string?)choice["message"]!["tool_calls"]![0]!["function"]!["name"]);
        Assert.Equal("""{"city": "Jena"}""", (string?)choice["message"]!["tool_calls"]![0]!["function"]!["arguments"]);
    }

    [Fact]
    public async Task A_stream_is_cumulative_unless_told_otherwise()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "Hel", "lo", "!");
        Event[] events = await StreamAsync(gateway, Ask("{}"));
        Assert.Equal(["Hel", "Hello", "Hello!", "Hello!"], events.Select(each => (string?)each.Data!["output"]!["text"]));
        Assert.Equal(["null", "null", "null", "stop"], events.Select(each => (string?)each.Data!["output"]!["finish_reason"]));
        Assert.Equal([3, 5, 6, 6], events.Select(each => (int)each.Data!["usage"]!["output_tokens"]!));
        Assert.NotNull(events[^1].Data!["usage"]!["x_qanat"]!["charge"]);
    }

    [Fact]
    public async Task An_incremental_stream_tells_what_is_new()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nhm\n</think>\n\nHel", "lo", Call);
        Event[] events = await StreamAsync(gateway, Ask("""{"result_format":"message","incremental_output":true,"tools":[{"type":"function","function":{"name":"weather"}}]}"""));
        JsonNode[] messages = [.. events.Select(each => each.Data!["output"]!["choices"]![0]!["message"]!)];
        Assert.Equal("hm", string.Concat(messages.Select(message => (string?)message["reasoning_content"])));
        Assert.Equal("Hello", string.Concat(messages.Select(message => (string?)message["content"])));
        JsonNode[] calls = [.. messages.SelectMany(message => message["tool_calls"]?.AsArray().OfType<JsonNode>() ?? [])];
        Assert.All(calls, call => Assert.Equal(0, (int)call["index"]!));
        Assert.Equal("weather", string.Concat(calls.Select(call => (string?)call["function"]!["name"])));
        Assert.Equal("""{"city": "Jena"}""", string.Concat(calls.Select(call => (string?)call["function"]!["arguments"])));
        Assert.Equal("tool_calls", (string?)events[^1].Data!["output"]!["choices"]![0]!["finish_reason"]);
        Assert.All(events.SkipLast(1), each => Assert.Equal("null", (string?)each.Data!["output"]!["choices"]![0]!["finish_reason"]));
    }

    [Fact]
    public async Task Events_are_numbered_and_carry_their_status()
    {
        Event[] events = await StreamAsync(fixture.Fresh(), Ask("{}"));
        Assert.All(events.Select((each, index) => (each, index)), pair => Assert.StartsWith($"id:{pair.index + 1}\nevent:result\n:HTTP_STATUS/200\ndata: {{", pair.each.Text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Parameters_reach_the_model()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync(Path, Ask("""{"max_tokens":9,"temperature":0.5,"top_k":3,"seed":7,"stop":["END"],"enable_thinking":false,"thinking_budget":50,"result_format":"message","n":2}"""));
        Call call = gateway.Script.LastCall;
        Assert.Equal((9, 2, 3, 7UL), (call.MaxTokens, call.Choices, call.Sampling.TopK, call.Sampling.Seed));
        Assert.Equal((Thinking.Off, 50), (call.Conversation!.Thinking, call.Conversation.ThinkingTokensMax));
        Assert.Equal(["END"], call.Stop);
    }

    [Fact]
    public async Task What_an_answer_must_be_and_how_hard_to_think_reach_the_model()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync(Path, Ask("""{"response_format":{"type":"json_object"},"reasoning_effort":"low"}"""));
        Assert.Equal((AnswerFormat.JsonObject, ReasoningEffort.Low), (gateway.Script.LastCall.Conversation!.Format, gateway.Script.LastCall.Conversation.Effort));
        await gateway.PostAsync(Path, Ask("""{"response_format":{"type":"json_schema","json_schema":{"name":"city","schema":{"type":"string"}}},"reasoning_effort":"none"}"""));
        Conversation asked = gateway.Script.LastCall.Conversation!;
        Assert.Equal(("city", """{"type":"string"}""", Thinking.Off), (Assert.IsType<JsonSchemaFormat>(asked.Format).Name, ((JsonSchemaFormat)asked.Format).SchemaJson, asked.Thinking));
    }

    [Fact]
    public async Task Log_probabilities_of_all_tokens_stand_beside_a_message()
    {
        TestGateway gateway = fixture.Fresh();
        JsonNode choice = (await gateway.PostAsync(Path, Ask("""{"result_format":"message","logprobs":true,"top_logprobs":2}"""))).Body["output"]!["choices"]![0]!;
        JsonNode[] tokens = [.. choice["logprobs"]!["content"]!.AsArray().OfType<JsonNode>()];
        Assert.Equal("Hello", string.Concat(tokens.Select(token => (string?)token["token"])));
        Assert.All(tokens, token => Assert.Equal((-0.5, 2), ((double)token["logprob"]!, token["top_logprobs"]!.AsArray().Count)));
        Assert.Equal(2, gateway.Script.LastCall.TopLogprobs);
    }

    [Theory]
    [InlineData("true", "Hel", "lo", "")]
    [InlineData("false", "Hel", "Hello", "Hello")]
    public async Task Log_probabilities_of_a_stream_come_as_its_text_does(string incremental, params string[] told)
    {
        Event[] events = await StreamAsync(fixture.Fresh(), Ask($$"""{"result_format":"message","incremental_output":{{incremental}},"logprobs":true}"""));
        Assert.Equal(told, events.Select(each => string.Concat(each.Data!["output"]!["choices"]![0]!["logprobs"]!["content"]!.AsArray().Select(token => (string?)token!["token"]))));
    }

    [Fact]
    public async Task Tokens_of_which_nothing_is_said_are_told_with_the_next_event()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "Look:<tool_", Call["<tool_".Length..]);
        Event[] events = await StreamAsync(gateway, Ask("""{"result_format":"message","incremental_output":true,"logprobs":true,"tools":[{"type":"function","function":{"name":"weather"}}]}"""));
        Assert.Equal("Look:" + Call, string.Concat(events.SelectMany(each => each.Data!["output"]!["choices"]![0]!["logprobs"]!["content"]!.AsArray().Select(token => (string?)token!["token"]))));
    }

    [Fact]
    public async Task Parts_of_content_need_no_type()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, """{"model":"scripted-1","input":{"messages":[{"role":"user","content":[{"text":"Hi"},{"text":" there"}]}]}}""");
        Assert.Equal((200, "User: Hi there\nassistant:<|end|>"), (answer.Status, ScriptedModel.TextOf(gateway.Script.LastCall.Prompt)));
        Answer picture = await gateway.PostAsync(Path, """{"model":"scripted-1","input":{"messages":[{"role":"user","content":[{"image":"https://example.org/a.png"},{"text":"What is it?"}]}]}}""");
        Assert.Equal((400, "input.messages[0].content[0].image"), (picture.Status, (string?)picture.Body["param"]));
    }

    [Fact]
    public async Task A_prompt_alone_is_a_users_message()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync(Path, """{"model":"scripted-1","input":{"prompt":"Hi"}}""");
        Assert.Equal("User: Hi\nassistant:<|end|>", ScriptedModel.TextOf(gateway.Script.LastCall.Prompt));
    }

    [Theory]
    [InlineData("""{"model":"scripted-1"}""", 400, "InvalidParameter")]
    [InlineData("""{"model":"other","input":{"prompt":"x"}}""", 404, "ModelNotFound")]
    [InlineData("""{"model":"scripted-1","input":{"prompt":"x"},"parameters":{"result_format":"xml"}}""", 400, "InvalidParameter")]
    [InlineData("""{"model":"scripted-1","input":{"prompt":"x"},"parameters":{"response_format":{"type":"yaml"}}}""", 400, "InvalidParameter")]
    [InlineData("""{"model":"scripted-1","input":{"prompt":"x"},"parameters":{"reasoning_effort":"much"}}""", 400, "InvalidParameter")]
    [InlineData("""{"model":"scripted-1","input":{"prompt":"x"},"parameters":{"logprobs":true}}""", 400, "InvalidParameter")]
    [InlineData("""{"model":"scripted-1","input":{"prompt":"x"},"parameters":{"result_format":"message","top_logprobs":2}}""", 400, "InvalidParameter")]
    [InlineData("{", 400, "InvalidParameter")]
    public async Task Errors_have_the_native_form(string body, int status, string code)
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, body);
        Assert.Equal((status, code), (answer.Status, (string?)answer.Body["code"]));
        Assert.NotEmpty((string)answer.Body["message"]!);
        Assert.NotNull(answer.Body["request_id"]);
    }

    [Fact]
    public async Task A_busy_server_is_named_in_native_codes_with_the_time_to_wait()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (_, _) => Script.Refuse(new ApiException(429, "rate_limit_error", "rate_limit_exceeded", "Too fast.", retryAfter: TimeSpan.FromMilliseconds(300)));
        Answer answer = await gateway.PostAsync(Path, Ask("{}"));
        Assert.Equal((429, "Throttling.RateQuota", "1", "300"), (answer.Status, (string?)answer.Body["code"], answer.Header("Retry-After"), answer.Header("retry-after-ms")));
    }

    [Theory]
    [InlineData(429, "tokens", "rate_limit_exceeded", 429, "Throttling.AllocationQuota")]
    [InlineData(429, "requests", "rate_limit_exceeded", 429, "Throttling.RateQuota")]
    [InlineData(429, "rate_limit_error", "too_many_concurrent_requests", 429, "Throttling.RateQuota")]
    [InlineData(429, "rate_limit_error", "queue_full", 429, "Throttling.BurstRate")]
    [InlineData(429, "insufficient_quota", "free_quota_held", 429, "Throttling.AllocationQuota")]
    [InlineData(429, "insufficient_quota", "budget_held", 429, "Throttling.AllocationQuota")]
    [InlineData(402, "insufficient_quota", "free_quota_exhausted", 403, "AllocationQuota.FreeTierOnly")]
    [InlineData(402, "insufficient_quota", "credit_exhausted", 400, "Arrearage")]
    [InlineData(402, "insufficient_quota", "budget_exceeded", 400, "Arrearage")]
    [InlineData(403, "permission_error", "tenant_stopped", 403, "AccessDenied")]
    public async Task What_is_used_up_has_the_codes_and_the_status_that_native_clients_know(int status, string type, string code, int toldStatus, string toldCode)
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (_, _) => Script.Refuse(new ApiException(status, type, code, "Used up."));
        Answer answer = await gateway.PostAsync(Path, Ask("{}"));
        Assert.Equal((toldStatus, toldCode, "Used up."), (answer.Status, (string?)answer.Body["code"], (string?)answer.Body["message"]));
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new ApiException(status, type, code, "Used up."));
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask("{}"), "X-DashScope-SSE: enable\r\n");
        Assert.Contains($"event:error\n:HTTP_STATUS/{toldStatus}\ndata: {{\"code\":\"{toldCode}\"", await client.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"requests_per_minute":1}""", "Throttling.RateQuota")]
    [InlineData("""{"tokens_per_minute":200}""", "Throttling.AllocationQuota")]
    public async Task Tokens_used_up_are_told_apart_from_requests_used_up(string limits, string code)
    {
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        gateway.Script.Answer = (call, _) => Script.Say(call, new string('a', 150));
        await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", limits);
        Assert.Equal(200, (await gateway.PostAsync(Path, Ask("""{"max_tokens":150}"""))).Status);
        Answer second = await gateway.PostAsync(Path, Ask("""{"max_tokens":150}"""));
        Assert.Equal((429, code), (second.Status, (string?)second.Body["code"]));
    }

    [Fact]
    public async Task A_failure_midway_is_an_error_event_and_a_cut_connection()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new ApiException(503, "server_error", "engine_lost", "The engine was lost."));
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask("{}"), "X-DashScope-SSE: enable\r\n");
        string text = await client.ReadToEndAsync();
        Assert.Contains("id:2\nevent:error\n:HTTP_STATUS/503\ndata: {\"code\":\"ModelServingError\",\"message\":\"The engine was lost.\"", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), "The chunked body must not end cleanly.");
    }

    [Fact]
    public async Task OpenAIs_API_is_also_where_Model_Studio_serves_it()
    {
        TestGateway gateway = fixture.Fresh();
        Assert.Equal(200, (await gateway.GetAsync("/compatible-mode/v1/models")).Status);
        Answer answer = await gateway.PostAsync("/compatible-mode/v1/chat/completions", """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}]}""");
        Assert.Equal("Hello", (string?)answer.Body["choices"]![0]!["message"]!["content"]);
    }

    private static async Task<Event[]> StreamAsync(TestGateway gateway, string body)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, Path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("X-DashScope-SSE", "enable");
        using HttpResponseMessage response = await gateway.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return [.. Event.All(text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))];
    }

    private static string Ask(string parameters) => """{"model":"scripted-1","input":{"messages":[{"role":"user","content":"Hi"}]},"parameters":""" + parameters + "}";
}
