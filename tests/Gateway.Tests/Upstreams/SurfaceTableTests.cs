using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

/// <summary>A gateway with its real pipeline, before an upstream that says what a test writes.</summary>
public sealed class SurfaceTableFixture : IAsyncLifetime
{
    private readonly HashSet<RequestId> known = [];
    private UpstreamDirectory? directory;

    internal TestGateway Gateway { get; private set; } = null!;
    internal WireMock Mock { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Mock = await WireMock.StartAsync();
        Gateway = await TestGateway.StartAsync(ScriptedModel.Outside());
        IBookStore store = Gateway.Store;
        UpstreamOptions options = new() { FailuresMax = 1_000, AttemptsMax = 1 };
        directory = await UpstreamDirectory.LoadAsync(Gateway.Get<IDocumentStore>(), store, Gateway.Get<SecretBox>(), options, TimeProvider.System, default);
        MeterOptions meter = new();
        UpstreamServing serving = new(directory, Gateway.Get<TariffState>(), Gateway.Get<BudgetLimits>(), store, Gateway.Get<LiveMeter>(), meter, TimeProvider.System, NullLogger<UpstreamServing>.Instance);
        CallPipeline pipeline = new(new RoutingState { Upstreams = directory }, Gateway.Get<TariffState>(), Gateway.Get<BudgetLimits>(), store, meter, TimeProvider.System, serving);
        Gateway.Script.Answer = pipeline.RunAsync;
    }

    /// <summary>The same upstream from now on speaks another language. It has time enough for answers to be fetched as a whole.</summary>
    internal async Task SpeakAsync(UpstreamProtocol protocol)
    {
        foreach (UsageRecord record in await RecordsAsync()) known.Add(record.Id);
        string path = protocol == UpstreamProtocol.ModelStudio ? "compatible-mode/v1" : "v1";
        UpstreamModel model = new(new ModelName(ScriptedModel.Name), "theirs", UpstreamFixture.Asked);
        await directory!.SaveAsync(new UpstreamSpec("elsewhere", protocol, new Uri(Mock.Url, path), [model]) { AllowPrivate = true, FirstByteTimeout = TimeSpan.FromHours(2) }, "sk-theirs", "test", default);
    }

    /// <summary>The one that was made since: ids of one millisecond do not tell which is the later.</summary>
    internal async Task<UsageRecord> OnlyNewRecordAsync() => Assert.Single(await RecordsAsync(), record => !known.Contains(record.Id));

    internal async Task<IReadOnlyList<UsageRecord>> RecordsAsync() => await Gateway.Store.ReadUsageAsync(new UsageQuery(Period.All, Limit: 10_000));

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        directory!.Dispose();
        await Mock.DisposeAsync();
    }
}

/// <summary>Every surface before every kind of upstream, whole and as a stream: what the upstream says comes in the surface's words, and is metered as the upstream told it.</summary>
public sealed class SurfaceTableTests(SurfaceTableFixture fixture) : IClassFixture<SurfaceTableFixture>
{
    private const string Text = "Hello there", Thought = "let me see", Secret = "SECRET of the upstream";
    private static readonly TokenCounts Used = new(4321, 1234, 0, 567, 0);

    /// <summary>By path: the request without its end, how it asks for a stream, and what says why an answer ended after tools were called, after all room was used.</summary>
    private static readonly Dictionary<string, (string Body, string Stream, string Tools, string Length)> Surfaces = new(StringComparer.Ordinal)
    {
        ["/v1/chat/completions"] = ("""{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]""", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}", "finish_reason=tool_calls", "finish_reason=length"),
        ["/v1/completions"] = ("""{"model":"scripted-1","prompt":"Hi" """, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}", "", "finish_reason=length"),
        ["/v1/responses"] = ("""{"model":"scripted-1","store":false,"input":"Hi","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]""", ",\"stream\":true", "status=completed", "reason=max_output_tokens"),
        ["/v1/messages"] = ("""{"model":"scripted-1","max_tokens":4000,"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]""", ",\"stream\":true", "stop_reason=tool_use", "stop_reason=max_tokens"),
        ["/api/v1/services/aigc/text-generation/generation"] = ("""{"model":"scripted-1","input":{"messages":[{"role":"user","content":"Hi"}]},"parameters":{"result_format":"message","incremental_output":true,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}""", "", "finish_reason=tool_calls", "finish_reason=length"),
        ["/api/chat"] = ("""{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]""", ",\"stream\":true", "done_reason=stop", "done_reason=length"),
        ["/api/generate"] = ("""{"model":"scripted-1","prompt":"Hi" """, ",\"stream\":true", "", "done_reason=length"),
    };

    public static TheoryData<string, string, bool> Table => new MatrixTheoryData<string, string, bool>([.. Surfaces.Keys], [.. Enum.GetNames<UpstreamProtocol>()], [false, true]);

    [Theory]
    [MemberData(nameof(Table))]
    public async Task What_an_upstream_says_comes_in_the_surfaces_words_and_is_metered_as_it_was_told(string path, string kind, bool stream)
    {
        UpstreamProtocol protocol = await SpeakAsync(kind, request => Says(request, request.HasTools));
        (int status, string told) = await AskAsync(path, stream);
        Assert.True(status == 200, told);
        bool hasTools = Surfaces[path].Tools.Length > 0;
        AssertHas(told, hasTools ? Surfaces[path].Tools : Surfaces[path].Length, Text, path == "/v1/messages" ? "input_tokens=3087" : "4321", "567");
        if (path != "/v1/completions") AssertHas(told, path == "/api/generate" && protocol == UpstreamProtocol.Anthropic ? Text : Thought);
        if (hasTools) AssertHas(told, "name=f");
        // Ollama's API knows no cached tokens.
        if (!path.StartsWith("/api/chat", StringComparison.Ordinal) && !path.StartsWith("/api/generate", StringComparison.Ordinal)) AssertHas(told, "1234");
        WireRequest asked = fixture.Mock.Last;
        Assert.Equal("theirs", asked.Body.GetProperty("model").GetString());
        Assert.Equal(protocol == UpstreamProtocol.Anthropic ? "sk-theirs" : "Bearer sk-theirs", asked.Secret);
        UsageRecord record = await fixture.OnlyNewRecordAsync();
        TokenCounts expected = Used with { Reasoning = protocol == UpstreamProtocol.Anthropic ? 0 : 33 };
        Assert.Equal((Outcome.Completed, expected, new PoolName("upstream/elsewhere")), (record.Outcome, record.Tokens, record.Pool));
        Assert.Equal(Rating.Charge(TestGateway.Rates, expected), record.Charge);
        Assert.Equal(Rating.Charge(UpstreamFixture.Asked, expected), record.Cost);
    }

    [Theory]
    [MemberData(nameof(Table))]
    public async Task An_answer_that_has_used_its_room_says_so(string path, string kind, bool stream)
    {
        await SpeakAsync(kind, request => Says(request, calls: false));
        (int status, string told) = await AskAsync(path, stream);
        Assert.True(status == 200, told);
        AssertHas(told, Surfaces[path].Length, Text);
    }

    [Theory]
    [MemberData(nameof(Table))]
    public async Task An_error_before_the_answer_is_the_surfaces_own_and_nothing_of_the_upstreams(string path, string kind, bool stream)
    {
        await SpeakAsync(kind, _ => new WireAnswer("{\"error\":{\"message\":\"" + Secret + "\"}}", 500));
        int before = await CountAsync();
        (int status, string told) = await AskAsync(path, stream);
        Assert.Equal(503, status);
        AssertError(path, told, "upstream_unavailable");
        Assert.Equal(before, await CountAsync());
    }

    [Theory]
    [MemberData(nameof(Table))]
    public async Task An_error_midway_ends_a_stream_in_the_surfaces_words_and_is_not_charged(string path, string kind, bool stream)
    {
        // What follows comes only once a client that reads a stream has the first piece.
        TaskCompletionSource received = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await SpeakAsync(kind, request => SaysAndFails(request, stream ? received.Task : Task.CompletedTask));
        (int status, string told) = await AskAsync(path, stream, received);
        AssertError(path, told, "upstream_cut", "upstream_unavailable");
        if (!stream)
        {
            Assert.True(status >= 500, told);
            return;
        }
        Assert.Equal(200, status);
        AssertHas(told, Text);
        UsageRecord record = await fixture.OnlyNewRecordAsync();
        Assert.Equal((Outcome.Failed, Money.Zero(Currency.Usd)), (record.Outcome, record.Charge));
        Assert.True(record.Tokens.Output > 0 && record.Cost > Money.Zero(Currency.Usd));
    }

    public static TheoryData<string, string> Streams => new MatrixTheoryData<string, string>([.. Surfaces.Keys], [.. Enum.GetNames<UpstreamProtocol>()]);

    [Theory]
    [MemberData(nameof(Streams))]
    public async Task A_stream_that_its_tenants_stop_ends_tells_what_it_is_charged_beside_the_error(string path, string kind)
    {
        (string told, UsageRecord[] records) = await StopAsync(path, kind);
        AssertHas(told, "is stopped", "x_qanat.charge=" + Assert.Single(records).Charge!.Value.ToDecimalText() + "\n", "x_qanat.request_id=" + records[0].Id + "\n");
        Assert.Equal(Outcome.CutByLimit, records[0].Outcome);
        Assert.True(records[0].Charge > Money.Zero(Currency.Usd) && records[0].Tokens.Output > 0 && records[0].Cost > Money.Zero(Currency.Usd));
    }

    [Fact]
    public async Task A_stream_of_two_prompts_that_its_tenants_stop_ends_tells_what_both_are_charged()
    {
        (string told, UsageRecord[] records) = await StopAsync("/v1/completions", nameof(UpstreamProtocol.OpenAi), """{"model":"scripted-1","prompt":["Hi","Ho"] """, pieces: 2);
        Assert.Equal([Outcome.CutByLimit, Outcome.CutByLimit], records.Select(record => record.Outcome));
        AssertHas(told, "is stopped", "x_qanat.charge=" + (records[0].Charge!.Value + records[1].Charge!.Value).ToDecimalText() + "\n");
    }

    /// <summary>Asks for a stream, stops the tenant once it has received its first pieces, and starts it again.</summary>
    private async Task<(string Told, UsageRecord[] Records)> StopAsync(string path, string kind, string? body = null, int pieces = 1)
    {
        TaskCompletionSource received = new(TaskCreationOptions.RunContinuationsAsynchronously), over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await SpeakAsync(kind, request => SaysAndFails(request, over.Task));
        HashSet<RequestId> before = [.. (await fixture.Gateway.Store.ReadUsageAsync(new UsageQuery(Period.All, Limit: 10_000))).Select(record => record.Id)];
        try
        {
            Task<(int, string)> asking = AskAsync(path, stream: true, received, body, pieces);
            await Task.WhenAny(asking, received.Task);
            Assert.Equal(200, (await fixture.Gateway.AdminAsync("POST", "/api/tenants/acme/stop", "{}")).Status);
            (int status, string told) = await asking;
            Assert.Equal(200, status);
            return (told, [.. (await fixture.Gateway.Store.ReadUsageAsync(new UsageQuery(Period.All, Limit: 10_000))).Where(record => !before.Contains(record.Id))]);
        }
        finally
        {
            over.SetResult();
            await fixture.Gateway.AdminAsync("POST", "/api/tenants/acme/start", "{}");
        }
    }

    private async Task<UpstreamProtocol> SpeakAsync(string kind, Func<WireRequest, WireAnswer> script)
    {
        UpstreamProtocol protocol = Enum.Parse<UpstreamProtocol>(kind);
        await fixture.SpeakAsync(protocol);
        fixture.Mock.Script = script;
        return protocol;
    }

    /// <summary>The status, and every value of the answer as "name=value" lines; of a broken stream what came of it.</summary>
    private async Task<(int Status, string Told)> AskAsync(string path, bool stream, TaskCompletionSource? received = null, string? asked = null, int pieces = 1)
    {
        (string body, string streamed, _, _) = Surfaces[path];
        body = asked ?? body;
        string end = stream ? streamed : path.StartsWith("/api/chat", StringComparison.Ordinal) || path.StartsWith("/api/generate", StringComparison.Ordinal) ? ",\"stream\":false" : "";
        using HttpRequestMessage request = new(HttpMethod.Post, path) { Content = new StringContent(body + end + "}", Encoding.UTF8, "application/json") };
        if (stream && streamed.Length == 0) request.Headers.Add("X-DashScope-SSE", "enable");
        using HttpResponseMessage response = await fixture.Gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        StringBuilder text = new();
        using (StreamReader reader = new(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)))
        {
            try
            {
                while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
                {
                    text.Append(line).Append('\n');
                    if (line.Contains(Text, StringComparison.Ordinal) && --pieces == 0) received?.TrySetResult();
                }
            }
            catch (Exception error) when (error is HttpIOException or IOException)
            {
                // A stream that broke off.
            }
        }
        StringBuilder told = new();
        foreach (string line in text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string json = line.StartsWith("data:", StringComparison.Ordinal) ? line["data:".Length..].Trim() : line;
            if (json.StartsWith('{')) Tell("", JsonNode.Parse(json), told);
        }
        return ((int)response.StatusCode, told.ToString());
    }

    private static void Tell(string name, JsonNode? node, StringBuilder told)
    {
        if (node is JsonObject fields)
        {
            foreach ((string field, JsonNode? value) in fields) Tell(name == "x_qanat" ? $"{name}.{field}" : field, value, told);
        }
        else if (node is JsonArray items)
        {
            foreach (JsonNode? item in items) Tell(name, item, told);
        }
        else if (node is not null) told.Append(name).Append('=').Append(node).Append('\n');
    }

    private static void AssertHas(string told, params string[] parts) => Assert.All(parts, part => Assert.Contains(part, told, StringComparison.Ordinal));

    private static void AssertError(string path, string told, params string[] codes)
    {
        Assert.DoesNotContain("SECRET", told, StringComparison.Ordinal);
        string[] words = path switch
        {
            "/v1/messages" => ["type=error", "message="],
            // Midway its event says that the response has failed; before, it is OpenAI's body.
            "/v1/responses" => ["code=", "message="],
            "/api/chat" or "/api/generate" => ["error="],
            _ when path.StartsWith("/api/v1", StringComparison.Ordinal) => ["code=", "message="],
            _ => ["code=", "message=", "type=server_error"],
        };
        AssertHas(told, words);
        if (!path.StartsWith("/api/v1", StringComparison.Ordinal)) Assert.Contains(codes, code => told.Contains("code=" + code, StringComparison.Ordinal));
    }

    private async Task<int> CountAsync() => (await fixture.RecordsAsync()).Count;

    /// <summary>Thoughts, a text and, where tools are offered, a call of one; 4321 tokens read, 1234 of them from a cache, 567 written.</summary>
    private static WireAnswer Says(WireRequest request, bool calls) => request.Path switch
    {
        "/v1/messages" => request.Streams ? Stream(AnthropicEvents(calls)) : new WireAnswer($$$$"""
            {"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"{{{{Thought}}}}","signature":"s"},{"type":"text","text":"{{{{Text}}}}"}{{{{(calls ? """,{"type":"tool_use","id":"toolu_9","name":"f","input":{"x":"1"}}""" : "")}}}}],
            "stop_reason":"{{{{(calls ? "tool_use" : "max_tokens")}}}}","usage":{"input_tokens":3087,"cache_read_input_tokens":1234,"cache_creation_input_tokens":0,"output_tokens":567}}
            """),
        _ when request.Path.EndsWith("/chat/completions", StringComparison.Ordinal) => request.Streams ? Stream(ChatChunks(calls)) : new WireAnswer($$$$"""
            {"choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"{{{{Thought}}}}","content":"{{{{Text}}}}"{{{{(calls ? ",\"tool_calls\":[{\"id\":\"call_9\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\\\"1\\\"}\"}}]" : "")}}}}},
            "finish_reason":"{{{{(calls ? "tool_calls" : "length")}}}}"}],{{{{OpenAiUsage}}}}}
            """),
        _ => request.Streams
            ? Stream([$$$$"""{"choices":[{"index":0,"text":"{{{{Text}}}}","finish_reason":null}]}""", """{"choices":[{"index":0,"text":"","finish_reason":"length"}]}""", "{\"choices\":[]," + OpenAiUsage + "}", "[DONE]"])
            : new WireAnswer($$$$"""{"choices":[{"index":0,"text":"{{{{Text}}}}","finish_reason":"length"}],{{{{OpenAiUsage}}}}}"""),
    };

    private const string OpenAiUsage = """
        "usage":{"prompt_tokens":4321,"completion_tokens":567,"total_tokens":4888,"prompt_tokens_details":{"cached_tokens":1234},"completion_tokens_details":{"reasoning_tokens":33}}
        """;

    private static IEnumerable<string> ChatChunks(bool calls)
    {
        yield return $$$$"""{"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"{{{{Thought}}}}"}}]}""";
        yield return $$$$"""{"choices":[{"index":0,"delta":{"content":"{{{{Text}}}}"}}]}""";
        if (calls) yield return """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_9","type":"function","function":{"name":"f","arguments":""}}]}}]}""";
        if (calls) yield return """{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":\"1\"}"}}]}}]}""";
        yield return $$$$"""{"choices":[{"index":0,"delta":{},"finish_reason":"{{{{(calls ? "tool_calls" : "length")}}}}"}]}""";
        yield return "{\"choices\":[]," + OpenAiUsage + "}";
        yield return "[DONE]";
    }

    private static IEnumerable<string> AnthropicEvents(bool calls)
    {
        yield return """{"type":"message_start","message":{"role":"assistant","content":[],"usage":{"input_tokens":3087,"cache_read_input_tokens":1234,"cache_creation_input_tokens":0,"output_tokens":1}}}""";
        yield return """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}""";
        yield return $$$$"""{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"{{{{Thought}}}}"}}""";
        yield return """{"type":"content_block_stop","index":0}""";
        yield return """{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}""";
        yield return $$$$"""{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"{{{{Text}}}}"}}""";
        if (calls) yield return """{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_9","name":"f","input":{}}}""";
        if (calls) yield return """{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":\"1\"}"}}""";
        yield return $$$$"""{"type":"message_delta","delta":{"stop_reason":"{{{{(calls ? "tool_use" : "max_tokens")}}}}"},"usage":{"output_tokens":567}}""";
        yield return """{"type":"message_stop"}""";
    }

    /// <summary>A stream tells a text and, later, an error; a whole answer is one that nobody can read.</summary>
    private static WireAnswer SaysAndFails(WireRequest request, Task later)
    {
        if (!request.Streams) return new WireAnswer("{\"choices\":[{\"index\":0,\"message\":{\"content\":\"" + Secret);
        (string text, string error) = request.Path switch
        {
            "/v1/messages" => ($$$$"""{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"{{{{Text}}}}"}}""", $$$$"""{"type":"error","error":{"type":"overloaded_error","message":"{{{{Secret}}}}"}}"""),
            _ when request.Path.EndsWith("/chat/completions", StringComparison.Ordinal) => ($$$$"""{"choices":[{"index":0,"delta":{"content":"{{{{Text}}}}"}}]}""", $$$$"""{"error":{"message":"{{{{Secret}}}}"}}"""),
            _ => ($$$$"""{"choices":[{"index":0,"text":"{{{{Text}}}}","finish_reason":null}]}""", $$$$"""{"error":{"message":"{{{{Secret}}}}"}}"""),
        };
        return Stream([text]) with { Rest = AfterAsync(later, $"data: {error}\n\n") };
    }

    private static async Task<string> AfterAsync(Task first, string text)
    {
        await first;
        return text;
    }

    private static WireAnswer Stream(IEnumerable<string> data) => new(string.Concat(data.Select(each => $"data: {each}\n\n")));
}
