using System.Net;
using System.Text;

namespace Qanat.Gateway.Tests;

/// <summary>What is refused: always in OpenAI's words, with the field's name, never with a bare status.</summary>
public sealed class RefusalTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Chat = "/v1/chat/completions";
    private const string Completions = "/v1/completions";

    [Theory]
    [InlineData("temperature", "\"hot\"")]
    [InlineData("temperature", "3")]
    [InlineData("temperature", "-0.1")]
    [InlineData("temperature", "1e999")]
    [InlineData("top_p", "1.5")]
    [InlineData("top_k", "-2")]
    [InlineData("top_k", "1.5")]
    [InlineData("min_p", "2")]
    [InlineData("presence_penalty", "3")]
    [InlineData("frequency_penalty", "-3")]
    [InlineData("repetition_penalty", "0")]
    [InlineData("n", "0")]
    [InlineData("n", "1000000")]
    [InlineData("n", "\"2\"")]
    [InlineData("max_tokens", "0")]
    [InlineData("max_tokens", "-1")]
    [InlineData("max_completion_tokens", "true")]
    [InlineData("seed", "\"x\"")]
    [InlineData("seed", "1.5")]
    [InlineData("stop", "5")]
    [InlineData("stop", "\"\"")]
    [InlineData("stop[1]", "[\"a\",7]", "stop")]
    [InlineData("logit_bias", "{\"x\":1}")]
    [InlineData("logit_bias", "{\"257\":1}")]
    [InlineData("logit_bias.65", "{\"65\":101}", "logit_bias")]
    [InlineData("logprobs", "3")]
    [InlineData("top_logprobs", "5")]
    [InlineData("top_logprobs", "21")]
    [InlineData("user", "{}")]
    [InlineData("stream", "\"yes\"")]
    [InlineData("stream_options", "true")]
    [InlineData("stream_options.include_usage", "{\"include_usage\":1}", "stream_options")]
    [InlineData("enable_thinking", "\"no\"")]
    [InlineData("ignore_eos", "1")]
    [InlineData("response_format.type", "{\"type\":\"yaml\"}", "response_format")]
    [InlineData("response_format.json_schema", "{\"type\":\"json_schema\"}", "response_format")]
    [InlineData("response_format.json_schema.schema", "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":5}}", "response_format")]
    [InlineData("tools[0].function", "[{\"type\":\"function\"}]", "tools")]
    [InlineData("tools[0].function.name", "[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", "tools")]
    [InlineData("tools[0].type", "[{\"type\":\"web_search\"}]", "tools")]
    [InlineData("reasoning_effort", "\"much\"")]
    [InlineData("thinking_budget", "-1")]
    [InlineData("loop_tokens_max", "1")]
    [InlineData("response_format", "\"json\"")]
    [InlineData("tool_choice", "\"required\"")]
    [InlineData("tool_choice.type", "{\"type\":\"mcp\"}", "tool_choice")]
    [InlineData("tool_choice.allowed_tools", "{\"type\":\"allowed_tools\"}", "tool_choice")]
    [InlineData("tool_choice.allowed_tools.tools", "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\"}}", "tool_choice")]
    [InlineData("tool_choice.allowed_tools.mode", "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"none\",\"tools\":[]}}", "tool_choice")]
    [InlineData("tool_choice.allowed_tools.tools[0].function.name", "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"x\"}}]}}", "tool_choice")]
    [InlineData("tool_choice", "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[]}}")]
    [InlineData("functions", "[{\"name\":\"clock\"}]")]
    [InlineData("function_call", "{\"name\":\"clock\"}")]
    [InlineData("function_call", "\"auto\"")]
    [InlineData("model", "5")]
    [InlineData("messages", "\"Hi\"")]
    [InlineData("messages", "[]")]
    [InlineData("messages[0]", "[1]", "messages")]
    [InlineData("messages[0].role", "[{\"content\":\"x\"}]", "messages")]
    [InlineData("messages[0].role", "[{\"role\":\"robot\",\"content\":\"x\"}]", "messages")]
    [InlineData("messages[0].content", "[{\"role\":\"user\"}]", "messages")]
    [InlineData("messages[0].content", "[{\"role\":\"user\",\"content\":7}]", "messages")]
    [InlineData("messages[0].content[0].type", "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]", "messages")]
    [InlineData("messages[0].content[0].text", "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "messages")]
    [InlineData("messages[0].content", "[{\"role\":\"user\",\"content\":\"\\ud800\"}]", "messages")]
    [InlineData("messages[0].content[0].type", "[{\"role\":\"user\",\"content\":[{}]}]", "messages")]
    [InlineData("messages[0].function_call.name", "[{\"role\":\"assistant\",\"function_call\":{}}]", "messages")]
    [InlineData("messages[0].tool_calls[0].function", "[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "messages")]
    public async Task A_bad_field_of_a_chat_is_named(string param, string value, string? field = null)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Chat, With(field ?? param, value));
        Assert.Equal((400, param), (answer.Status, answer.Param));
        Assert.Empty(gateway.Script.Calls);
    }

    [Theory]
    [InlineData("prompt", "5")]
    [InlineData("prompt", "[]")]
    [InlineData("prompt", "\"\"")]
    [InlineData("prompt[1]", "[65,257]", "prompt")]
    [InlineData("prompt[1]", "[65,-1]", "prompt")]
    [InlineData("prompt[1]", "[65,\"x\"]", "prompt")]
    [InlineData("prompt[1][0]", "[[65],[1.5]]", "prompt")]
    [InlineData("prompt[0]", "[{}]", "prompt")]
    [InlineData("logprobs", "-1")]
    [InlineData("logprobs", "\"all\"")]
    [InlineData("best_of", "2")]
    [InlineData("suffix", "\"end\"")]
    [InlineData("echo", "1")]
    [InlineData("n", "33")]
    public async Task A_bad_field_of_a_completion_is_named(string param, string value, string? field = null)
    {
        TestGateway gateway = fixture.Fresh();
        string prompt = (field ?? param) == "prompt" ? "" : "\"prompt\":\"x\",";
        Answer answer = await gateway.PostAsync(Completions, $$"""{"model":"scripted-1",{{prompt}}"{{field ?? param}}":{{value}}}""");
        Assert.Equal((400, param), (answer.Status, answer.Param));
    }

    [Theory]
    [InlineData("{", "invalid_json")]
    [InlineData("", "invalid_json")]
    [InlineData("{\"model\":\"scripted-1\",}", "invalid_json")]
    [InlineData("[1,2]", "invalid_type")]
    [InlineData("\"text\"", "invalid_type")]
    [InlineData("{}", "missing_required_parameter")]
    public async Task A_body_that_is_no_request_is_refused(string body, string code)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Chat, body);
        Assert.Equal((400, code), (answer.Status, answer.Code));
    }

    [Theory]
    [InlineData("/v1/chat/completions", null)]
    [InlineData("/v1/nothing", null)]
    [InlineData("/v1/messages", "request_id")]
    [InlineData("/api/v1/services/aigc/text-generation/generation", "request_id")]
    [InlineData("/api/chat", null)]
    public async Task Every_refusal_has_an_id_in_its_header_and_where_the_API_has_one_in_its_body(string path, string? field)
    {
        TestGateway gateway = fixture.Fresh();
        Answer[] refused = [await gateway.PostAsync(path, "{}"), await gateway.PostAsync(path, "{}")];
        Assert.All(refused, each => Assert.True(each.Status >= 400 && each.Header("x-request-id") is { Length: > 0 }, each.Text));
        Assert.NotEqual(refused[0].Header("x-request-id"), refused[1].Header("x-request-id"));
        if (field is not null) Assert.Equal(refused[0].Header("x-request-id"), (string?)refused[0].Body[field]);
    }

    [Fact]
    public async Task What_is_not_served_at_the_moment_is_logged_in_one_line()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (_, _) => Script.Refuse(new ApiException(503, "server_error", "model_not_served", "Nobody serves it, says this test."));
        Answer refused = await gateway.PostAsync(Chat, """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}]}""");
        string line = Assert.Single(gateway.Log.Lines, each => each.Contains("Nobody serves it, says this test.", StringComparison.Ordinal));
        Assert.StartsWith("Warning", line, StringComparison.Ordinal);
        Assert.Contains(refused.Header("x-request-id")!, line, StringComparison.Ordinal);
        Assert.DoesNotContain(" at ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nesting_has_a_limit()
    {
        TestGateway gateway = fixture.Fresh();
        string deep = new string('[', 1000) + new string(']', 1000);
        Answer answer = await gateway.PostAsync(Chat, With("metadata", deep));
        Assert.Equal((400, "invalid_json"), (answer.Status, answer.Code));
    }

    [Fact]
    public async Task A_prompt_beyond_the_context_is_refused_and_max_tokens_beyond_it_is_not()
    {
        TestGateway gateway = fixture.Fresh();
        Answer tooLong = await gateway.PostAsync(Completions, $$"""{"model":"scripted-1","prompt":"{{new string('x', ScriptedModel.ContextLength)}}"}""");
        Assert.Equal((400, "context_length_exceeded", "prompt"), (tooLong.Status, tooLong.Code, tooLong.Param));
        Answer fits = await gateway.PostAsync(Completions, $$"""{"model":"scripted-1","max_tokens":1000000,"prompt":"{{new string('x', ScriptedModel.ContextLength - 1)}}"}""");
        Assert.Equal(200, fits.Status);
    }

    [Fact]
    public async Task An_unknown_model_is_404_and_names_those_that_are_served()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Chat, With("model", "\"gpt-9\""));
        Assert.Equal((404, "model_not_found", "model"), (answer.Status, answer.Code, answer.Param));
        Assert.Contains("scripted-1", answer.Message, StringComparison.Ordinal);
        Answer shown = await gateway.GetAsync("/v1/models/gpt-9");
        Assert.Equal((404, "model_not_found"), (shown.Status, shown.Code));
    }

    [Fact]
    public async Task Errors_have_the_agreed_form_in_both_shapes()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Chat, With("temperature", "9"));
        Snapshot.Match("error.json", answer.Text + "\n");
    }

    [Theory]
    [InlineData("GET", Chat, 405)]
    [InlineData("DELETE", "/v1/models", 405)]
    [InlineData("POST", "/v1/embeddingz", 404)]
    [InlineData("GET", "/v1/embeddingz", 404)]
    [InlineData("GET", "/api/nothing", 404)]
    public async Task Unknown_paths_and_methods_are_errors_in_the_same_form_and_never_pages(string method, string path, int status)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
        Assert.Equal(status, answer.Status);
        Assert.NotNull(answer.Code);
        Assert.Equal((string?)answer.Body["error"]!["message"], (string?)answer.Body["message"]);
    }

    [Fact]
    public async Task Another_content_type_is_415()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StringContent(With("n", "1"), Encoding.UTF8, "text/plain") });
        Assert.Equal((415, "unsupported_media_type"), (answer.Status, answer.Code));
    }

    [Fact]
    public async Task A_body_over_the_limit_is_413_and_one_at_the_limit_is_read()
    {
        string body = With("n", "1");
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { BodyBytesMax = body.Length });
        Assert.Equal(200, (await gateway.PostAsync(Chat, body)).Status);
        Answer answer = await gateway.PostAsync(Chat, body + " ");
        Assert.Equal((413, "request_too_large"), (answer.Status, answer.Code));
    }

    [Fact]
    public async Task A_chunked_body_over_the_limit_is_413_too()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { BodyBytesMax = 1000 });
        using HttpRequestMessage request = new(HttpMethod.Post, Chat) { Content = new StringContent(new string(' ', 2000), Encoding.UTF8, "application/json") };
        request.Headers.TransferEncodingChunked = true;
        Answer answer = await gateway.SendAsync(request);
        Assert.Equal((413, "request_too_large"), (answer.Status, answer.Code));
    }

    [Theory]
    [InlineData(429, 2500, "3", "2500")]
    [InlineData(429, null, "1", "1000")]
    [InlineData(503, 300, "1", "300")]
    [InlineData(500, null, "1", "1000")]
    [InlineData(402, null, null, null)]
    [InlineData(400, null, null, null)]
    public async Task Waiting_times_are_told_in_both_units_on_429_and_every_5xx(int status, int? waitMs, string? seconds, string? milliseconds)
    {
        TestGateway gateway = fixture.Fresh();
        TimeSpan? wait = waitMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null;
        gateway.Script.Answer = (_, _) => Script.Refuse(new ApiException(status, "server_error", "told", "Told.", null, wait));
        foreach (string stream in (string[])["false", "true"])
        {
            Answer answer = await gateway.PostAsync(Chat, With("stream", stream));
            Assert.Equal((status, seconds, milliseconds), (answer.Status, answer.Header("Retry-After"), answer.Header("retry-after-ms")));
        }
    }

    [Fact]
    public async Task Neither_prompts_nor_keys_are_logged()
    {
        TestGateway gateway = fixture.Fresh();
        const string secret = "a very private question";
        await gateway.PostAsync(Chat, With("messages", $$"""[{"role":"user","content":"{{secret}}"}]"""));
        await gateway.PostAsync(Chat, With("temperature", $"\"{secret}\""));
        gateway.Script.Answer = (_, _) => throw new InvalidOperationException("failed");
        await gateway.PostAsync(Chat, With("messages", $$"""[{"role":"user","content":"{{secret}}"}]"""));
        Assert.NotEmpty(gateway.Log.Lines);
        Assert.DoesNotContain(gateway.Log.Lines, line => line.Contains(secret, StringComparison.Ordinal) || line.Contains(gateway.Key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Health_needs_no_key()
    {
        TestGateway gateway = fixture.Fresh();
        using HttpClient anyone = gateway.Client(key: null);
        using HttpResponseMessage response = await anyone.GetAsync("/healthz", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private static string With(string field, string value)
    {
        string model = field == "model" ? "" : "\"model\":\"scripted-1\",";
        string messages = field == "messages" ? "" : "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],";
        return $$"""{{{model}}{{messages}}"{{field}}":{{value}}}""";
    }
}
