using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

public sealed class ResponsesTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/responses";
    private const string Call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Jena\"}}\n</tool_call>";
    private const string Tools = "\"tools\":[{\"type\":\"function\",\"name\":\"weather\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}},{\"type\":\"web_search\"},{\"type\":\"custom\",\"name\":\"apply_patch\"}]";

    [Fact]
    public async Task A_whole_response_has_the_agreed_form_with_its_cost()
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, Ask("\"input\":\"Hi\",\"store\":false"));
        Assert.Equal(200, answer.Status);
        Snapshot.Match("responses-whole.json", answer.Pretty());
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)answer.Body["usage"]!["x_qanat"]!["charge"]);
    }

    [Fact]
    public async Task A_stream_tells_every_item_with_events_of_its_own()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nI wo", "nder\n</think>\n\nLet me", " look.", Call);
        IReadOnlyList<string> blocks = await gateway.StreamAsync(Path, Ask("\"input\":\"Hi\",\"stream\":true,\"store\":false," + Tools));
        Snapshot.Match("responses-stream.txt", string.Join("\n\n", blocks) + "\n");
        Event[] events = [.. Event.All(blocks).Where(each => each.Data is not null)];
        Assert.Equal(Enumerable.Range(0, events.Length), events.Select(each => (int)each.Data!["sequence_number"]!));
        Assert.All(events, each => Assert.Equal(each.Name, (string?)each.Data!["type"]));
    }

    [Fact]
    public async Task The_end_of_a_stream_is_what_a_whole_response_is()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nI wonder\n</think>\n\nLook." + Call);
        string ask = "\"input\":\"Hi\",\"store\":false," + Tools;
        Answer whole = await gateway.PostAsync(Path, Ask(ask));
        Event[] events = [.. Event.All(await gateway.StreamAsync(Path, Ask(ask + ",\"stream\":true"))).Where(each => each.Data is not null)];
        Assert.Equal("response.completed", events[^1].Name);
        Assert.Equal(whole.Body.ToJsonString(), events[^1].Data!["response"]!.ToJsonString());
        Assert.Equal(["reasoning", "message", "function_call"], whole.Body["output"]!.AsArray().Select(item => (string?)item!["type"]));
    }

    [Fact]
    public async Task Thoughts_are_a_summary_for_whoever_asks_for_one_and_come_back_as_one_opaque_text()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\ndeep\n</think>\n\nHello");
        Answer answer = await gateway.PostAsync(Path, Ask("\"input\":\"Hi\",\"store\":false,\"reasoning\":{\"summary\":\"auto\",\"effort\":\"low\"},\"include\":[\"reasoning.encrypted_content\"]"));
        JsonNode reasoning = answer.Body["output"]![0]!;
        Assert.Equal("deep", (string?)reasoning["summary"]![0]!["text"]);
        Assert.Empty(reasoning["content"]!.AsArray());
        Assert.Equal(ReasoningEffort.Low, gateway.Script.LastCall.Conversation!.Effort);
        string encoded = (string)reasoning["encrypted_content"]!;
        await gateway.PostAsync(Path, Ask($$"""
            "store":false,"input":[{"role":"user","content":"Hi"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"{{encoded}}"},
            {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]},{"role":"user","content":"Go on"}]
            """));
        Assert.Equal("User: Hi\nAssistant: (deep) Hello\nUser: Go on\nassistant:<|end|>", ScriptedModel.TextOf(gateway.Script.LastCall.Prompt));
    }

    [Fact]
    public async Task A_response_is_continued_by_its_id()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "Look." + Call);
        Answer first = await gateway.PostAsync(Path, Ask("\"store\":true,\"instructions\":\"Be brief.\",\"input\":\"Weather?\"," + Tools));
        string callId = (string)first.Body["output"]![1]!["call_id"]!;
        Answer second = await gateway.PostAsync(Path, Ask($$"""
            "store":true,"previous_response_id":"{{first.Body["id"]}}","input":[{"type":"function_call_output","call_id":"{{callId}}","output":"rain"}]
            """));
        Assert.Equal(200, second.Status);
        Assert.Equal("User: Weather?\nAssistant: Look.[call_0 weather {\"city\": \"Jena\"}]\nTool: rain[call_0]\nassistant:<|end|>", ScriptedModel.TextOf(gateway.Script.LastCall.Prompt));
        Assert.Equal((string?)first.Body["id"], (string?)second.Body["previous_response_id"]);
        await gateway.PostAsync(Path, Ask($$"""
            "previous_response_id":"{{second.Body["id"]}}","input":"Thanks"
            """));
        Assert.Contains("Tool: rain[call_0]\nAssistant: Look.", ScriptedModel.TextOf(gateway.Script.LastCall.Prompt), StringComparison.Ordinal);
        Assert.EndsWith("User: Thanks\nassistant:<|end|>", ScriptedModel.TextOf(gateway.Script.LastCall.Prompt), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Items_may_be_named_instead_of_sent()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer first = await gateway.PostAsync(Path, Ask("\"input\":\"Hi\",\"store\":true"));
        string item = (string)first.Body["output"]![0]!["id"]!;
        await gateway.PostAsync(Path, Ask($$"""
            "input":[{"role":"user","content":"Hi"},{"type":"item_reference","id":"{{item}}"},{"role":"user","content":"More"}]
            """));
        Assert.Equal("User: Hi\nAssistant: Hello\nUser: More\nassistant:<|end|>", ScriptedModel.TextOf(gateway.Script.LastCall.Prompt));
        Answer lost = await gateway.PostAsync(Path, Ask("\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_gone\"}]"));
        Assert.Equal((404, "item_not_found", "input[0].id"), (lost.Status, lost.Code, lost.Param));
    }

    [Fact]
    public async Task A_kept_response_is_shown_listed_and_deleted()
    {
        TestGateway gateway = fixture.Fresh();
        Answer made = await gateway.PostAsync(Path, Ask("\"store\":true,\"input\":[{\"role\":\"user\",\"content\":\"One\"},{\"role\":\"user\",\"content\":\"Two\"}]"));
        string at = Path + "/" + (string)made.Body["id"]!;
        Assert.Equal(made.Body.ToJsonString(), (await gateway.GetAsync(at)).Body.ToJsonString());
        Answer items = await gateway.GetAsync(at + "/input_items?limit=1&order=asc");
        Assert.Equal(("One", true), ((string?)items.Body["data"]![0]!["content"], (bool)items.Body["has_more"]!));
        Answer rest = await gateway.GetAsync(at + "/input_items?order=asc&after=" + items.Body["last_id"]);
        Assert.Equal(("Two", false), ((string?)rest.Body["data"]![0]!["content"], (bool)rest.Body["has_more"]!));
        Assert.True((bool)(await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, at))).Body["deleted"]!);
        Assert.Equal((404, "response_not_found"), ((await gateway.GetAsync(at)).Status, (await gateway.GetAsync(at)).Code));
    }

    [Fact]
    public async Task Another_tenant_does_not_find_it()
    {
        TestGateway gateway = fixture.Fresh();
        Answer made = await gateway.PostAsync(Path, Ask("\"input\":\"Hi\",\"store\":true"));
        Assert.Equal(200, (await gateway.GetAsync(Path + "/" + made.Body["id"])).Status);
        using HttpClient other = gateway.Client(TestGateway.OwnerKey);
        Assert.Equal(404, (await TestGateway.SendAsync(other, new HttpRequestMessage(HttpMethod.Get, Path + "/" + made.Body["id"]))).Status);
    }

    [Fact]
    public async Task Every_part_of_a_request_reaches_the_model()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, Ask("""
            "store":false,"input":[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"input_text","text":"Hi"}]}],"max_output_tokens":9,"temperature":0.5,"user":"u1","parallel_tool_calls":false,
            "text":{"format":{"type":"json_schema","name":"out","schema":{"type":"object"},"strict":true}},"tool_choice":{"type":"function","name":"weather"},"metadata":{"a":"b"},"prompt_cache_key":"k","client_metadata":{},
            """ + Tools));
        Assert.Equal(200, answer.Status);
        Call call = gateway.Script.LastCall;
        Conversation asked = call.Conversation!;
        Assert.Equal("System: Be brief.\nUser: Hi\nassistant:<|end|>", ScriptedModel.TextOf(call.Prompt));
        Assert.Equal((9, 0.5f, "u1"), (call.MaxTokens, call.Sampling.Temperature, call.UserTag));
        Assert.Equal(["weather"], asked.Tools.Select(tool => tool.Name));
        Assert.Equal((ToolChoice.Named("weather"), false), (asked.ToolChoice, asked.ParallelToolCalls));
        Assert.Equal(("out", true), (((JsonSchemaFormat)asked.Format).Name, ((JsonSchemaFormat)asked.Format).Strict));
        Assert.Equal("b", (string?)answer.Body["metadata"]!["a"]);
        Assert.Equal(3, answer.Body["tools"]!.AsArray().Count);
    }

    [Fact]
    public async Task Only_the_tools_that_are_allowed_are_offered()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, Ask("""
            "input":"Hi","top_logprobs":0,"tools":[{"type":"function","name":"clock"},{"type":"function","name":"weather"},{"type":"web_search"}],
            "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"weather"},{"type":"web_search"}]}
            """));
        Conversation asked = gateway.Script.LastCall.Conversation!;
        Assert.Equal(["weather"], asked.OfferedTools.Select(tool => tool.Name));
        Assert.Equal(ToolChoice.Required, asked.ToolChoice);
        Assert.Equal(3, answer.Body["tools"]!.AsArray().Count);
    }

    [Fact]
    public async Task An_answer_that_ran_out_of_room_is_incomplete()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, AnswerEnd.Length, "cut");
        Answer answer = await gateway.PostAsync(Path, Ask("\"input\":\"Hi\""));
        Assert.Equal(("incomplete", "max_output_tokens", "incomplete"),
            ((string?)answer.Body["status"], (string?)answer.Body["incomplete_details"]!["reason"], (string?)answer.Body["output"]![0]!["status"]));
        Event last = Event.All(await gateway.StreamAsync(Path, Ask("\"input\":\"Hi\",\"stream\":true"))).Last(each => each.Data is not null);
        Assert.Equal("response.incomplete", last.Name);
    }

    [Fact]
    public async Task A_failure_midway_is_told_twice_over_and_the_connection_breaks()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new ApiException(503, "server_error", "engine_lost", "The engine was lost."));
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask("\"input\":\"Hi\",\"stream\":true"));
        string text = await client.ReadToEndAsync();
        Assert.Contains("event: response.failed", text, StringComparison.Ordinal);
        Assert.Contains("event: error\ndata: {\"type\":\"error\",", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), "The chunked body must not end cleanly.");
    }

    [Fact]
    public async Task Tokens_are_counted_without_a_call()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path + "/input_tokens", Ask("\"input\":\"Hi\""));
        Assert.Equal("User: Hi\nassistant:".Length + 1, (int)answer.Body["input_tokens"]!);
        Assert.Empty(gateway.Script.Calls);
    }

    [Theory]
    [InlineData("\"store\":false", 400, "input")]
    [InlineData("\"input\":[]", 400, "input")]
    [InlineData("\"input\":\"x\",\"background\":true", 400, "background")]
    [InlineData("\"input\":\"x\",\"previous_response_id\":\"resp_gone\"", 404, "previous_response_id")]
    [InlineData("\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]", 400, "input[0].content[0].type")]
    [InlineData("\"input\":\"x\",\"tool_choice\":\"required\"", 400, "tool_choice")]
    [InlineData("\"input\":\"x\",\"top_logprobs\":2", 400, "top_logprobs")]
    [InlineData("\"input\":\"x\",\"top_logprobs\":\"two\"", 400, "top_logprobs")]
    [InlineData("\"input\":\"x\",\"include\":[\"message.output_text.logprobs\"]", 400, "include")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"a\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"b\"}]}", 400, "tool_choice.tools[0].name")]
    [InlineData("\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"a\"}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"web_search\"}]}", 400, "tool_choice")]
    public async Task Errors_name_the_field(string fields, int status, string param)
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, Ask(fields));
        Assert.Equal((status, param), (answer.Status, answer.Param));
    }

    private static string Ask(string fields) => "{\"model\":\"scripted-1\"," + fields.Trim() + "}";
}
