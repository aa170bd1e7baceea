using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

/// <summary>What a chat request means to the pipeline.</summary>
public sealed class ChatRequestTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/chat/completions";

    [Fact]
    public async Task Options_reach_the_call_as_they_were_asked()
    {
        Call call = await CallOfAsync("""
            "temperature":0.25,"top_p":0.5,"top_k":7,"min_p":0.125,"presence_penalty":-1,"frequency_penalty":1.5,"repetition_penalty":1.25,"seed":-5,
            "logit_bias":{"65":-100,"66":2.5},"n":3,"max_tokens":9,"stop":["a","bb"],"logprobs":true,"top_logprobs":4,"user":"u-1","ignore_eos":true
            """);
        Assert.Equal((Operation.Chat, "scripted-1", 3, 9, 4, true, "u-1"), (call.Operation, call.Model.Value, call.Choices, call.MaxTokens, call.TopLogprobs, call.IgnoreStopTokens, call.UserTag));
        Assert.Equal(["a", "bb"], call.Stop);
        Assert.Equal((0.25f, 0.5f, 7, 0.125f), (call.Sampling.Temperature, call.Sampling.TopP, call.Sampling.TopK, call.Sampling.MinP));
        Assert.Equal((-1f, 1.5f, 1.25f), (call.Sampling.PresencePenalty, call.Sampling.FrequencyPenalty, call.Sampling.RepetitionPenalty));
        Assert.Equal(unchecked((ulong)-5L), call.Sampling.Seed);
        Assert.Equal([new(65, -100f), new(66, 2.5f)], call.Sampling.LogitBias.OrderBy(entry => entry.Key));
    }

    [Fact]
    public async Task Without_options_a_call_is_sampled_plainly_up_to_the_context()
    {
        Call call = await CallOfAsync("\"unknown_field\":{\"a\":[1]},\"parallel_tool_calls\":true,\"store\":false,\"temperature\":null");
        Assert.Null(call.MaxTokens);
        Assert.Equal((1, -1, false, null), (call.Choices, call.TopLogprobs, call.IgnoreStopTokens, call.UserTag));
        Assert.Equal((1f, 1f, 0, 0f), (call.Sampling.Temperature, call.Sampling.TopP, call.Sampling.TopK, call.Sampling.MinP));
        Assert.Empty(call.Stop);
    }

    [Fact]
    public async Task Requests_without_a_seed_differ()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync(Path, Body(""));
        await gateway.PostAsync(Path, Body(""));
        Assert.Equal(2, gateway.Script.Calls.Select(call => call.Sampling.Seed).Distinct().Count());
    }

    [Theory]
    [InlineData("\"stop\":\"x\"", "x")]
    [InlineData("\"max_completion_tokens\":5", "5")]
    [InlineData("\"max_tokens\":99999999999999999999", "2147483647")]
    [InlineData("\"max_tokens\":32000.0", "32000")]
    [InlineData("\"top_k\":-1", "0")]
    [InlineData("\"top_k\":100000", "0")]
    public async Task Other_ways_to_say_it_mean_the_same(string field, string meaning)
    {
        Call call = await CallOfAsync(field);
        string said = field.Contains("stop", StringComparison.Ordinal) ? call.Stop[0]
            : field.Contains("top_k", StringComparison.Ordinal) ? $"{call.Sampling.TopK}" : $"{call.MaxTokens}";
        Assert.Equal(meaning, said);
    }

    [Theory]
    [InlineData("auto", "Auto")]
    [InlineData("required", "Required")]
    public async Task Only_the_tools_that_are_allowed_are_offered(string mode, string kind)
    {
        Call call = await CallOfAsync($$$"""
            "tools":[{"type":"function","function":{"name":"clock"}},{"type":"function","function":{"name":"weather"}}],
            "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"{{{mode}}}","tools":[{"type":"function","function":{"name":"weather"}}]}}
            """);
        Assert.Equal(["weather"], call.Conversation!.OfferedTools.Select(tool => tool.Name));
        Assert.Equal(kind, call.Conversation.ToolChoice.Kind.ToString());
    }

    [Theory]
    [InlineData("xhigh")]
    [InlineData("max")]
    public async Task The_most_effort_has_two_words(string word) => Assert.Equal(ReasoningEffort.XHigh, (await CallOfAsync($"\"reasoning_effort\":\"{word}\"")).Conversation!.Effort);

    [Fact]
    public async Task Calls_in_the_words_from_before_there_were_tools_are_part_of_the_prompt()
    {
        Call call = await CallOfAsync("""
            "functions":[],"messages":[{"role":"user","content":"When?"},{"role":"assistant","content":null,"function_call":{"name":"clock","arguments":"{}"}},{"role":"function","name":"clock","content":"12:00"}]
            """);
        Assert.Equal("User: When?\nAssistant: [clock clock {}]\nTool: 12:00[clock]\nassistant:<|end|>", ScriptedModel.TextOf(call.Prompt));
    }

    [Fact]
    public async Task Messages_of_every_role_become_the_prompt()
    {
        Call call = await CallOfAsync("", """
            [{"role":"developer","content":"Be brief."},
             {"role":"user","content":[{"type":"text","text":"What is "},{"type":"text","text":"the time?"}],"name":"x"},
             {"role":"assistant","content":null,"reasoning_content":"ask a tool","tool_calls":[{"id":"c1","type":"function","function":{"name":"clock","arguments":"{\"zone\":\"UTC\"}"}}]},
             {"role":"tool","tool_call_id":"c1","content":"12:00"}]
            """);
        Assert.Equal("""
            System: Be brief.
            User: What is the time?
            Assistant: (ask a tool) [c1 clock {"zone":"UTC"}]
            Tool: 12:00[c1]
            assistant:<|end|>
            """, ScriptedModel.TextOf(call.Prompt));
    }

    [Theory]
    [InlineData("\"enable_thinking\":false", "assistant/Off:")]
    [InlineData("\"enable_thinking\":true", "assistant/On:")]
    [InlineData("\"chat_template_kwargs\":{\"enable_thinking\":false}", "assistant/Off:")]
    [InlineData("\"extra_body\":{\"enable_thinking\":false}", "assistant/Off:")]
    [InlineData("\"extra_body\":{\"chat_template_kwargs\":{\"enable_thinking\":true}}", "assistant/On:")]
    [InlineData("\"max_tokens\":1", "assistant:")]
    public async Task Thinking_is_switched_in_every_way_that_clients_know(string field, string end)
    {
        Call call = await CallOfAsync(field);
        Assert.EndsWith(end + "<|end|>", ScriptedModel.TextOf(call.Prompt), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"extra_body\":{\"top_k\":3}", 3)]
    [InlineData("\"top_k\":9,\"extra_body\":{\"top_k\":3}", 3)]
    [InlineData("\"top_k\":9,\"extra_body\":{\"top_k\":null}", 9)]
    [InlineData("\"top_k\":9,\"extra_body\":\"text\"", 9)]
    public async Task Extra_body_is_merged_and_wins(string fields, int topK) => Assert.Equal(topK, (await CallOfAsync(fields)).Sampling.TopK);

    [Theory]
    [InlineData("", 0.6f, 20, 0.95f)]
    [InlineData("\"temperature\":0.1,\"top_k\":0,\"top_p\":1", 0.1f, 0, 1f)]
    public async Task What_a_model_s_makers_advise_holds_where_nothing_is_said(string fields, float temperature, int topK, float topP)
    {
        ServedModel model = ScriptedModel.Served(sampling: new Models.SamplingDefaults { Temperature = 0.6f, TopK = 20, TopP = 0.95f });
        await using TestGateway gateway = await TestGateway.StartAsync(model);
        await gateway.PostAsync(Path, Body(fields));
        Engine.SamplingOptions sampling = gateway.Script.Calls.Single().Sampling;
        Assert.Equal((temperature, topK, topP), (sampling.Temperature, sampling.TopK, sampling.TopP));
    }

    [Fact]
    public async Task Model_names_are_found_without_regard_to_case()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, Body("").Replace("scripted-1", "Scripted-1", StringComparison.Ordinal));
        Assert.Equal((200, "scripted-1"), (answer.Status, (string?)answer.Body["model"]));
    }

    [Fact]
    public async Task A_body_of_ten_megabytes_is_read()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(ScriptedModel.Served(contextLength: 20 << 20));
        string text = new('x', 10 << 20);
        Answer answer = await gateway.PostAsync(Path, Body("", $$"""[{"role":"user","content":"{{text}}"}]"""));
        Assert.Equal(200, answer.Status);
        Assert.True((int)answer.Body["usage"]!["prompt_tokens"]! > 10 << 20);
    }

    [Fact]
    public async Task Two_requests_on_one_connection_do_not_mix()
    {
        TestGateway gateway = fixture.Fresh();
        string body = Body("\"max_tokens\":3");
        using RawClient client = await RawClient.PostAsync(gateway, Path, body);
        await client.SendAsync($"POST {Path} HTTP/1.1\r\nHost: test\r\nx-api-key: {gateway.Key}\r\nConnection: close\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        string both = await client.ReadToEndAsync();
        Assert.Equal(2, both.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.Equal(2, gateway.Script.Calls.Count);
    }

    internal static string Body(string fields, string messages = """[{"role":"user","content":"Hi"}]""") =>
        $$"""{"model":"scripted-1","messages":{{messages}}{{(fields.Length == 0 ? "" : "," + fields)}}}""";

    private async Task<Call> CallOfAsync(string fields, string messages = """[{"role":"user","content":"Hi"}]""")
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, Body(fields, messages));
        Assert.True(answer.Status == 200, answer.Text);
        return gateway.Script.LastCall;
    }
}
