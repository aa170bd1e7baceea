using System.Buffers;
using System.Text;
using System.Text.Json;
using CsCheck;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

/// <summary>The languages of upstreams, written and read.</summary>
public sealed class WireTests
{
    private const string Stream = """
        : a comment
        data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"hm"}}]}

        data: {"choices":[{"index":0,"delta":{"content":"Grüße"}}]}

        event: ignored
        data: {"choices":[{"index":0,
        data: "delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"read","arguments":""}}]}}]}

        data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}}]}

        data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}

        data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":16},"completion_tokens_details":{"reasoning_tokens":2}}}

        data: [DONE]


        """;

    private static readonly string[] Expected =
    [
        "reasoning hm", "text Grüße", "call 0 call_1 read", "arguments 0 {\"a\":1}", "finish ToolCalls", "usage 20/16/0/9/2", "done",
    ];

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public void A_stream_reads_the_same_wherever_its_bytes_are_cut(string newLine)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Stream.ReplaceLineEndings(newLine));
        for (int cut = 0; cut <= bytes.Length; cut++)
            Assert.Equal(Expected, Read(bytes[..cut], bytes[cut..]));
    }

    [Fact]
    public void A_stream_that_is_cut_before_its_end_is_never_taken_for_an_answer()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Stream.ReplaceLineEndings("\n"));
        int finish = Stream.ReplaceLineEndings("\n").IndexOf("\"usage\":null", StringComparison.Ordinal);
        for (int cut = 0; cut < Encoding.UTF8.GetByteCount(Stream.ReplaceLineEndings("\n")[..finish]); cut++)
            Assert.Throws<UpstreamException>(() => Read(bytes[..cut]));
    }

    [Theory]
    [InlineData("{\"choices\":[{\"index\":7,\"delta\":{\"content\":\"x\"}}]}")]
    [InlineData("{\"choices\":[{\"index\":-1,\"delta\":{\"content\":\"x\"}}]}")]
    [InlineData("[1,2]")]
    [InlineData("not json")]
    [InlineData("{\"error\":{\"message\":\"overloaded\"}}")]
    public void Nonsense_is_a_cut(string data)
    {
        UpstreamException error = Assert.Throws<UpstreamException>(() => new OpenAiEvents(1, chat: true).Take(Encoding.UTF8.GetBytes(data), []));
        Assert.Equal(UpstreamFailure.Cut, error.Kind);
    }

    [Theory]
    [InlineData("""{"error":{"message":"the prompt said: SECRET","type":"overloaded_error","code":"E-7"}}""", " (overloaded_error, E-7)")]
    [InlineData("""{"code":"Throttling.RateQuota","message":"SECRET","request_id":"r"}""", " (Throttling.RateQuota)")]
    [InlineData("""{"object":"error","message":"SECRET","type":"BadRequestError","param":null,"code":400}""", " (BadRequestError, 400)")]
    [InlineData("""{"error":"SECRET"}""", "")]
    [InlineData("""{"error":{"code":"what was asked: SECRET"}}""", "")]
    [InlineData("SECRET", "")]
    [InlineData("[\"SECRET\"]", "")]
    public void Of_an_upstreams_error_only_its_names_are_kept(string body, string names) => Assert.Equal(names, ErrorNames.Of(body));

    /// <summary>The fast way to read a chunk is compared with the other, which a field that it does not know makes sure of.</summary>
    [Fact]
    public void A_chunk_of_text_alone_reads_the_same_with_and_without_a_document_of_it()
    {
        string[] roots = ["\"id\":\"c\"", "\"created\":1", "\"model\":null", "\"usage\":null", "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}", "\"error\":null", "\"error\":\"no\"", "\"object\":{}"];
        string[] parts = ["\"index\":0", "\"index\":1", "\"index\":2", "\"index\":1.0", "\"index\":\"0\"", "\"finish_reason\":null", "\"finish_reason\":\"stop\"", "\"logprobs\":null", "\"logprobs\":{\"content\":[{\"token\":\"a\"}]}", "\"delta\":null"];
        string[] said = ["\"content\":\"\"", "\"content\":\"a \\u00fc\\n\"", "\"content\":null", "\"content\":\"\\ud800\"", "\"content\":[1]", "\"role\":\"assistant\"", "\"reasoning_content\":\"hm\"", "\"reasoning_content\":null", "\"tool_calls\":null",
            "\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]"];
        int fast = 0;
        Gen.Select(Some(roots), Some(parts), Some(said), Gen.Int[0, 20]).Sample((root, part, words, cut) =>
        {
            string choice = "{" + string.Join(',', [.. part, "\"delta\":{" + string.Join(',', words) + "}"]) + "}";
            string fields = string.Join(',', [.. root, $"\"choices\":[{choice}]"]) + "}";
            if (cut > 18) fields = fields[..^(cut - 17)];
            string plain = "{" + fields, other = "{\"unknown\":{}," + fields;
            if (Told(plain) is { } told) Interlocked.Add(ref fast, told.Length > 0 && PlainChunk.TryRead(Encoding.UTF8.GetBytes(plain), out _) ? 1 : 0);
            Assert.False(Told(other) is not null && PlainChunk.TryRead(Encoding.UTF8.GetBytes(other), out _));
            Assert.Equal(Told(other), Told(plain));
        }, iter: 10_000);
        Assert.InRange(fast, 10, 10_000);

        static Gen<string[]> Some(string[] from) => Gen.Int[0, from.Length - 1].Select(index => from[index]).Array[0, 3];

        // Null: it is no answer.
        static string[]? Told(string data)
        {
            List<UpstreamEvent> events = [];
            try
            {
                new OpenAiEvents(2, chat: true).Take(Encoding.UTF8.GetBytes(data), events);
                return [.. events.SelectMany(happened => Words(happened).Prepend(happened is UpstreamPieces { Choice: var choice } ? $"choice {choice}" : ""))];
            }
            catch (UpstreamException)
            {
                return null;
            }
        }
    }

    [Fact]
    public void A_call_is_written_whole_for_openai()
    {
        JsonElement body = Write(new OpenAiWire(modelStudio: false), Full);
        Assert.Equal("""
            {"model":"theirs","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"read a"},{"role":"assistant","content":"","reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"read","arguments":"{\u0022a\u0022:1}"}}]},{"role":"tool","content":"42","tool_call_id":"c1"}],
            "tools":[{"type":"function","function":{"name":"read","description":"reads","parameters":{"type":"object"}}}],"tool_choice":{"type":"function","function":{"name":"read"}},"parallel_tool_calls":false,
            "response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"},"strict":true}},"chat_template_kwargs":{"enable_thinking":false},
            "max_tokens":99,"temperature":0.5,"seed":7,"stop":["END"],"stream":true,"stream_options":{"include_usage":true}}
            """.ReplaceLineEndings(""), body.GetRawText().Replace("\\\"", "\\u0022", StringComparison.Ordinal));
    }

    [Fact]
    public void Thinking_is_asked_for_in_the_words_of_model_studio()
    {
        Call call = Full with { Conversation = Full.Conversation! with { Thinking = Thinking.On, ThinkingTokensMax = 512 } };
        JsonElement body = Write(new OpenAiWire(modelStudio: true), call);
        Assert.True(body.GetProperty("enable_thinking").GetBoolean());
        Assert.Equal(512, body.GetProperty("thinking_budget").GetInt32());
        Assert.False(body.TryGetProperty("chat_template_kwargs", out _));
    }

    [Fact]
    public void A_call_is_written_and_an_answer_read_in_anthropics_words()
    {
        JsonElement body = Write(new AnthropicWire(), Free(Full));
        Assert.Equal("be brief", body.GetProperty("system").GetString());
        Assert.Equal(["user", "assistant", "user"], body.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("role").GetString()));
        Assert.Equal("tool_result", body.GetProperty("messages")[2].GetProperty("content")[0].GetProperty("type").GetString());
        Assert.Equal("tool", body.GetProperty("tool_choice").GetProperty("type").GetString());

        AnthropicEvents reading = new();
        List<UpstreamEvent> events = [];
        foreach (string data in (string[])
        [
            """{"type":"message_start","message":{"usage":{"input_tokens":4,"cache_read_input_tokens":16,"output_tokens":1}}}""",
            """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüße"}}""",
            """{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_1","name":"read","input":{}}}""",
            """{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}""",
            """{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}""",
            """{"type":"message_stop"}""",
        ]) reading.Take(Encoding.UTF8.GetBytes(data), events);
        Assert.Equal(["reasoning hm", "text Grüße", "call 0 call_1 read", "arguments 0 {\"a\":1}", "usage 20/16/0/9/0", "finish ToolCalls", "done"], events.SelectMany(Words));
    }

    [Fact]
    public void Anthropics_API_is_asked_for_no_format_and_for_no_more_thoughts_than_it_has_room_for()
    {
        Assert.Equal(UpstreamFailure.Refused, Assert.Throws<UpstreamException>(() => Write(new AnthropicWire(), Full)).Kind);
        Call thinks = Full with { Conversation = Conversation.Of(new ChatMessage(ChatRole.User, "read a")) with { Thinking = Thinking.On, ThinkingTokensMax = 9_000 } };
        Assert.False(Write(new AnthropicWire(), thinks with { MaxTokens = 1_024 }).TryGetProperty("thinking", out _));
        Assert.Equal(1_999, Write(new AnthropicWire(), thinks with { MaxTokens = 2_000 }).GetProperty("thinking").GetProperty("budget_tokens").GetInt32());
        // Nor where a tool must be called, or an answer was begun: it refuses both.
        Conversation asked = thinks.Conversation!;
        Conversation forced = asked with { Tools = Full.Conversation!.Tools, ToolChoice = ToolChoice.Required };
        Conversation begun = asked with { Messages = asked.Messages.Add(new ChatMessage(ChatRole.Assistant, "Well,")) };
        Assert.All((Conversation[])[forced, begun], each => Assert.False(Write(new AnthropicWire(), thinks with { MaxTokens = 2_000, Conversation = each }).TryGetProperty("thinking", out _)));
    }

    [Fact]
    public void Anthropics_API_is_not_asked_to_think_as_it_sees_fit_where_it_refuses_to()
    {
        Conversation asked = Conversation.Of(new ChatMessage(ChatRole.User, "read a")) with { ThinksAsItSeesFit = true };
        Conversation begun = asked with { Messages = asked.Messages.Add(new ChatMessage(ChatRole.Assistant, "Well,")) };
        Conversation forced = asked with { Tools = Full.Conversation!.Tools, ToolChoice = ToolChoice.Required };
        Assert.All((Conversation[])[begun, forced], each => Assert.False(Write(new AnthropicWire(), Full with { Conversation = each }).TryGetProperty("thinking", out _)));
    }

    [Fact]
    public void Anthropics_API_is_told_of_tools_that_may_not_be_called_now_because_earlier_turns_called_them()
    {
        JsonElement body = Write(new AnthropicWire(), Free(Full with { Conversation = Full.Conversation! with { ToolChoice = ToolChoice.None } }));
        Assert.Equal(("read", "none"), (body.GetProperty("tools")[0].GetProperty("name").GetString(), body.GetProperty("tool_choice").GetProperty("type").GetString()));
    }

    [Fact]
    public void What_was_read_may_be_told_at_the_end_only()
    {
        List<UpstreamEvent> events = [];
        AnthropicEvents reading = new();
        reading.Take("""{"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}"""u8, events);
        reading.Take("""{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":7,"cache_read_input_tokens":3,"output_tokens":9}}"""u8, events);
        Assert.Equal(new TokenCounts(10, 3, 0, 9, 0), Assert.Single(events.OfType<UpstreamUsage>()).Tokens);
    }

    /// <summary>Cut at any byte an answer in Anthropic's words is either not whole, which is an error, or complete.</summary>
    [Fact]
    public void A_stream_of_anthropics_reads_the_same_wherever_it_is_cut_and_is_never_taken_for_whole_before_its_end()
    {
        string stream = string.Concat(((string[])
        [
            """{"type":"message_start","message":{"usage":{"input_tokens":4,"cache_creation_input_tokens":16,"output_tokens":1}}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße"}}""",
            """{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"output_tokens":9}}""",
            """{"type":"message_stop"}""",
        ]).Select(data => $"event: x\ndata: {data}\n\n"));
        byte[] bytes = Encoding.UTF8.GetBytes(stream);
        int told = Encoding.UTF8.GetByteCount(stream[..stream.IndexOf("\"usage\":{\"output_tokens\":9}", StringComparison.Ordinal)]);
        string[] expected = ["text Grüße", "usage 20/0/16/9/0", "finish Stop", "done"];
        for (int cut = 0; cut <= bytes.Length; cut++)
        {
            Assert.Equal(expected, Read(new AnthropicEvents(), bytes[..cut], bytes[cut..]));
            if (cut < told) Assert.Throws<UpstreamException>(() => Read(new AnthropicEvents(), bytes[..cut]));
        }
    }

    [Fact]
    public void Log_probabilities_are_asked_for_and_passed_on_word_for_word()
    {
        JsonElement body = Write(new OpenAiWire(modelStudio: false), Full with { TopLogprobs = 2 });
        Assert.Equal((true, 2), (body.GetProperty("logprobs").GetBoolean(), body.GetProperty("top_logprobs").GetInt32()));
        List<UpstreamEvent> events = [];
        const string entry = """{"token":"a","logprob":-0.25,"bytes":[97],"top_logprobs":[]}""";
        new OpenAiEvents(1, chat: true).Take(Encoding.UTF8.GetBytes($$$"""{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{{{entry}}}]}}]}"""), events);
        Assert.Equal([entry], Assert.IsType<UpstreamPieces>(Assert.Single(events)).Logprobs);
        Assert.Throws<UpstreamException>(() => Write(new AnthropicWire(), Full with { TopLogprobs = 0 }));
    }

    [Fact]
    public void Marks_for_the_cache_are_passed_on_where_they_are_known()
    {
        Call marked = Full with { Conversation = Full.Conversation! with { CachedMessages = 2 } };
        Assert.Equal(CacheMode.Explicit, marked.Cache);
        JsonElement anthropic = Write(new AnthropicWire(), Free(marked)).GetProperty("messages")[0].GetProperty("content")[0];
        Assert.Equal("ephemeral", anthropic.GetProperty("cache_control").GetProperty("type").GetString());
        JsonElement studio = Write(new OpenAiWire(modelStudio: true), marked).GetProperty("messages")[1].GetProperty("content")[0];
        Assert.Equal("ephemeral", studio.GetProperty("cache_control").GetProperty("type").GetString());
        Assert.DoesNotContain("cache_control", Write(new OpenAiWire(modelStudio: false), marked).GetRawText(), StringComparison.Ordinal);
        JsonElement system = Write(new AnthropicWire(), Free(Full with { Conversation = Full.Conversation! with { CachedMessages = 1 } })).GetProperty("system")[0];
        Assert.Equal("ephemeral", system.GetProperty("cache_control").GetProperty("type").GetString());
        JsonElement tool = Write(new AnthropicWire(), Free(Full with { Conversation = Full.Conversation! with { CachedMessages = 0 } })).GetProperty("tools")[0];
        Assert.Equal("ephemeral", tool.GetProperty("cache_control").GetProperty("type").GetString());
    }

    private static Call Full => new(Callers.With(), Operation.Chat, new ModelName("m"), [], 1, 99, new SamplingOptions { Temperature = 0.5f, Seed = 7 }, ["END"], -1, false, null)
    {
        Conversation = Conversation.Of(new ChatMessage(ChatRole.System, "be brief"), new ChatMessage(ChatRole.User, "read a"),
            new ChatMessage(ChatRole.Assistant, "", "hm") { ToolCalls = [new ToolCall("read", """{"a":1}""", "c1")] }, new ChatMessage(ChatRole.Tool, "42") { ToolCallId = "c1" }) with
        {
            Tools = [new ToolDefinition("read", "reads", """{"type":"object"}""")],
            ToolChoice = ToolChoice.Named("read"),
            ParallelToolCalls = false,
            Format = new JsonSchemaFormat("s", """{"type":"object"}""") { Strict = true },
            Thinking = Thinking.Off,
        },
    };

    /// <summary>The same without a format of its answer.</summary>
    private static Call Free(Call call) => call with { Conversation = call.Conversation! with { Format = new TextFormat() } };

    internal static JsonElement Write(IUpstreamWire wire, Call call)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, JsonAnswer.Options)) wire.Write(json, call, new UpstreamModel(call.Model, "theirs", null), call.MaxTokens, stream: true);
        return JsonDocument.Parse(buffer.WrittenMemory).RootElement;
    }

    private static IEnumerable<string> Read(params byte[][] arriving) => Read(new OpenAiEvents(1, chat: true), arriving);

    private static IEnumerable<string> Read(IAnswerEvents reading, params byte[][] arriving)
    {
        ServerSentEvents lines = new();
        List<UpstreamEvent> events = [];
        byte[] rest = [];
        for (int part = 0; part < arriving.Length; part++)
        {
            ReadOnlySequence<byte> buffer = new([.. rest, .. arriving[part]]);
            bool isLast = part == arriving.Length - 1;
            while (lines.TryRead(ref buffer, isLast, out ReadOnlySpan<byte> data)) reading.Take(data, events);
            rest = buffer.ToArray();
            if (isLast) reading.End(events);
        }
        return [.. events.SelectMany(Words)];
    }

    private static IEnumerable<string> Words(UpstreamEvent happened) => happened switch
    {
        UpstreamPieces told => told.Pieces.Select(piece => piece switch
        {
            TextPiece text => "text " + text.Text,
            ReasoningPiece thought => "reasoning " + thought.Text,
            ToolCallStart start => $"call {start.Index} {start.Id} {start.Name}",
            ToolCallArguments arguments => $"arguments {arguments.Index} {arguments.Fragment}",
            _ => "?",
        }),
        UpstreamFinish finish => ["finish " + finish.Reason],
        UpstreamUsage { Tokens: var t } => [$"usage {t.Input}/{t.CacheRead}/{t.CacheWrite}/{t.Output}/{t.Reasoning}"],
        _ => ["done"],
    };
}
