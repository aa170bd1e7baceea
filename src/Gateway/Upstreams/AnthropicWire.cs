using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Anthropic's messages.</summary>
internal sealed class AnthropicWire : IUpstreamWire
{
    private const string Version = "2023-06-01";

    /// <summary>The API demands a limit; this one is what its models' smallest answers allow.</summary>
    private const int MaxTokensDefault = 8_192;

    /// <summary>The smallest budget for thinking that the API takes.</summary>
    private const int ThinkingTokensMin = 1_024;

    public string PathOf(Call call) => "messages";

    public void Authorize(HttpRequestMessage request, string secret)
    {
        request.Headers.TryAddWithoutValidation("x-api-key", secret);
        request.Headers.TryAddWithoutValidation("anthropic-version", Version);
    }

    public IAnswerEvents Read(Call call) => new AnthropicEvents();

    public void Write(Utf8JsonWriter json, Call call, UpstreamModel model, int? maxTokens, bool stream)
    {
        if (call.Texts is not null) throw new UpstreamException(UpstreamFailure.Refused, "Anthropic's API makes no embeddings and ranks nothing.");
        Conversation conversation = call.Conversation ?? Conversation.Of(new ChatMessage(ChatRole.User, call.PromptText
            ?? throw new UpstreamException(UpstreamFailure.Refused, "A prompt of tokens cannot be put into Anthropic's API.")));
        if (call.TopLogprobs >= 0) throw new UpstreamException(UpstreamFailure.Refused, "Anthropic's API tells no log probabilities.");
        if (call.Choices > 1) throw new UpstreamException(UpstreamFailure.Refused, "Anthropic's API gives one choice.");
        // A caller relies on a format that was asked for.
        if (conversation.Format is not TextFormat) throw new UpstreamException(UpstreamFailure.Refused, "Anthropic's API promises no format of an answer.");
        int most = maxTokens ?? MaxTokensDefault;
        json.WriteStartObject();
        json.WriteString("model", model.Theirs);
        json.WriteNumber("max_tokens", most);
        string system = string.Join("\n\n", conversation.Messages.Where(message => message.Role == ChatRole.System).Select(message => message.Content));
        ChatMessage? marked = conversation.CachedMessages is > 0 and int count ? conversation.Messages[count - 1] : null;
        WriteSystem(json, system, marked?.Role == ChatRole.System);
        WriteMessages(json, conversation, marked);
        WriteTools(json, conversation);
        // The budget is part of max_tokens, and less than it.
        if (conversation.Thinking == Thinking.On && most > ThinkingTokensMin)
        {
            json.WriteStartObject("thinking");
            json.WriteString("type", "enabled");
            json.WriteNumber("budget_tokens", Math.Clamp(conversation.ThinkingTokensMax ?? most / 2, ThinkingTokensMin, most - 1));
            json.WriteEndObject();
        }
        Engine.SamplingOptions standard = new();
        if (call.Sampling.Temperature != standard.Temperature) json.WriteNumber("temperature", Math.Min(1, call.Sampling.Temperature));
        if (call.Sampling.TopP != standard.TopP) json.WriteNumber("top_p", call.Sampling.TopP);
        if (call.Sampling.TopK != standard.TopK) json.WriteNumber("top_k", call.Sampling.TopK);
        if (!call.Stop.IsDefaultOrEmpty)
        {
            json.WriteStartArray("stop_sequences");
            foreach (string stop in call.Stop) json.WriteStringValue(stop);
            json.WriteEndArray();
        }
        if (stream) json.WriteBoolean("stream", true);
        json.WriteEndObject();
    }

    private static void WriteSystem(Utf8JsonWriter json, string system, bool marked)
    {
        if (system.Length == 0) return;
        if (!marked)
        {
            json.WriteString("system", system);
            return;
        }
        json.WriteStartArray("system");
        json.WriteStartObject();
        json.WriteString("type", "text");
        json.WriteString("text", system);
        WriteCacheMark(json);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    /// <summary>Asks for everything up to here to be kept in the cache.</summary>
    public static void WriteCacheMark(Utf8JsonWriter json)
    {
        json.WriteStartObject("cache_control");
        json.WriteString("type", "ephemeral");
        json.WriteEndObject();
    }

    /// <summary>Turns of one side that follow each other become one, as the API demands; a tool's result is the user's turn.</summary>
    private static void WriteMessages(Utf8JsonWriter json, Conversation conversation, ChatMessage? marked)
    {
        json.WriteStartArray("messages");
        bool? assistant = null;
        foreach (ChatMessage message in conversation.Messages.Where(message => message.Role != ChatRole.System))
        {
            bool isAssistant = message.Role == ChatRole.Assistant;
            if (assistant != isAssistant)
            {
                if (assistant is not null) EndMessage(json);
                json.WriteStartObject();
                json.WriteString("role", isAssistant ? "assistant" : "user");
                json.WriteStartArray("content");
                assistant = isAssistant;
            }
            WriteParts(json, message, ReferenceEquals(message, marked));
        }
        if (assistant is not null) EndMessage(json);
        json.WriteEndArray();
    }

    private static void EndMessage(Utf8JsonWriter json)
    {
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteParts(Utf8JsonWriter json, ChatMessage message, bool marked)
    {
        if (message.Role == ChatRole.Tool)
        {
            json.WriteStartObject();
            json.WriteString("type", "tool_result");
            json.WriteString("tool_use_id", message.ToolCallId ?? "");
            json.WriteString("content", message.Content);
            if (marked) WriteCacheMark(json);
            json.WriteEndObject();
            return;
        }
        if (message.Content.Length > 0)
        {
            json.WriteStartObject();
            json.WriteString("type", "text");
            json.WriteString("text", message.Content);
            if (marked && message.ToolCalls.IsEmpty) WriteCacheMark(json);
            json.WriteEndObject();
        }
        foreach (ToolCall call in message.ToolCalls)
        {
            json.WriteStartObject();
            json.WriteString("type", "tool_use");
            json.WriteString("id", call.Id ?? "");
            json.WriteString("name", call.Name);
            json.WritePropertyName("input");
            json.WriteRawValue(call.ArgumentsJson.Length == 0 ? "{}" : call.ArgumentsJson);
            if (marked && call == message.ToolCalls[^1]) WriteCacheMark(json);
            json.WriteEndObject();
        }
    }

    private static void WriteTools(Utf8JsonWriter json, Conversation conversation)
    {
        if (conversation.OfferedTools.IsEmpty) return;
        json.WriteStartArray("tools");
        foreach (ToolDefinition tool in conversation.OfferedTools)
        {
            json.WriteStartObject();
            json.WriteString("name", tool.Name);
            if (tool.Description is { } description) json.WriteString("description", description);
            json.WritePropertyName("input_schema");
            json.WriteRawValue(tool.ParametersJson ?? """{"type":"object","properties":{}}""");
            if (conversation.CachedMessages == 0 && tool == conversation.OfferedTools[^1]) WriteCacheMark(json);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartObject("tool_choice");
        json.WriteString("type", conversation.ToolChoice.Kind switch
        {
            ToolChoiceKind.Required => "any",
            ToolChoiceKind.Named => "tool",
            _ => "auto",
        });
        if (conversation.ToolChoice.Kind == ToolChoiceKind.Named) json.WriteString("name", conversation.ToolChoice.Name);
        if (!conversation.ParallelToolCalls) json.WriteBoolean("disable_parallel_tool_use", true);
        json.WriteEndObject();
    }
}

/// <summary>Reads events and whole answers of Anthropic's API.</summary>
internal sealed class AnthropicEvents : IAnswerEvents
{
    private readonly Dictionary<int, int> toolOf = [];
    private long input, cacheRead, cacheWrite;
    private bool finished, done;

    public void Take(ReadOnlySpan<byte> data, List<UpstreamEvent> events) => Read(data, root =>
    {
        switch (OpenAiEvents.TextOf(root, "type"))
        {
            case "message_start" when root.TryGetProperty("message", out JsonElement message) && message.TryGetProperty("usage", out JsonElement usage):
                ReadInput(usage);
                break;
            case "content_block_start" when root.TryGetProperty("content_block", out JsonElement block):
                Begin(IndexOf(root), block, events, whole: false);
                break;
            case "content_block_delta" when root.TryGetProperty("delta", out JsonElement delta):
                Add(IndexOf(root), delta, events);
                break;
            case "message_delta":
                if (root.TryGetProperty("usage", out JsonElement total))
                {
                    // Some know what they read only at the end.
                    if (OpenAiEvents.Count(total, "input_tokens") > 0) ReadInput(total);
                    events.Add(Usage(total));
                }
                if (root.TryGetProperty("delta", out JsonElement end)) Finish(end, events);
                break;
            case "message_stop":
                Complete(events);
                break;
            case "error":
                throw new UpstreamException(UpstreamFailure.Cut, $"It told an error midway{ErrorNames.Of(root)}.");
            default:
                break;
        }
    });

    public void TakeWhole(ReadOnlySpan<byte> body, List<UpstreamEvent> events) => Read(body, root =>
    {
        if (root.TryGetProperty("content", out JsonElement content) && content.ValueKind == JsonValueKind.Array)
        {
            int index = 0;
            foreach (JsonElement block in content.EnumerateArray()) Begin(index++, block, events, whole: true);
        }
        if (root.TryGetProperty("usage", out JsonElement usage))
        {
            ReadInput(usage);
            events.Add(Usage(usage));
        }
        Finish(root, events);
        Complete(events);
    });

    public void End(List<UpstreamEvent> events)
    {
        if (!done) Complete(events);
    }

    private void Begin(int index, JsonElement block, List<UpstreamEvent> events, bool whole)
    {
        switch (OpenAiEvents.TextOf(block, "type"))
        {
            case "text" when OpenAiEvents.TextOf(block, "text") is { Length: > 0 } text:
                Tell(events, new TextPiece(text));
                break;
            case "thinking" when OpenAiEvents.TextOf(block, "thinking") is { Length: > 0 } thought:
                Tell(events, new ReasoningPiece(thought));
                break;
            case "tool_use":
                toolOf[index] = toolOf.Count;
                Tell(events, new ToolCallStart(toolOf[index], OpenAiEvents.TextOf(block, "id") ?? "", OpenAiEvents.TextOf(block, "name") ?? ""));
                if (whole && block.TryGetProperty("input", out JsonElement arguments)) Tell(events, new ToolCallArguments(toolOf[index], arguments.GetRawText()));
                break;
            default:
                break;
        }
    }

    private void Add(int index, JsonElement delta, List<UpstreamEvent> events)
    {
        switch (OpenAiEvents.TextOf(delta, "type"))
        {
            case "text_delta": Tell(events, new TextPiece(OpenAiEvents.TextOf(delta, "text") ?? "")); break;
            case "thinking_delta": Tell(events, new ReasoningPiece(OpenAiEvents.TextOf(delta, "thinking") ?? "")); break;
            case "input_json_delta" when toolOf.TryGetValue(index, out int tool): Tell(events, new ToolCallArguments(tool, OpenAiEvents.TextOf(delta, "partial_json") ?? "")); break;
            default: break;
        }
    }

    private void Finish(JsonElement end, List<UpstreamEvent> events)
    {
        if (finished || OpenAiEvents.TextOf(end, "stop_reason") is not { } reason) return;
        finished = true;
        events.Add(new UpstreamFinish(0, reason switch
        {
            "max_tokens" or "model_context_window_exceeded" => AnswerEnd.Length,
            "tool_use" => AnswerEnd.ToolCalls,
            "refusal" => AnswerEnd.ContentFilter,
            _ => AnswerEnd.Stop,
        }, OpenAiEvents.TextOf(end, "stop_sequence")));
    }

    private void Complete(List<UpstreamEvent> events)
    {
        if (!finished) throw new UpstreamException(UpstreamFailure.Cut, "The answer ended without a stop_reason.");
        done = true;
        events.Add(new UpstreamDone());
    }

    /// <summary>Its input count is without what was read from or written to the cache; ours is the whole prompt.</summary>
    private void ReadInput(JsonElement usage)
    {
        cacheRead = OpenAiEvents.Count(usage, "cache_read_input_tokens");
        cacheWrite = OpenAiEvents.Count(usage, "cache_creation_input_tokens");
        input = OpenAiEvents.Count(usage, "input_tokens") + cacheRead + cacheWrite;
    }

    private UpstreamUsage Usage(JsonElement usage) => new(new TokenCounts(input, cacheRead, cacheWrite, OpenAiEvents.Count(usage, "output_tokens"), 0));

    private static void Tell(List<UpstreamEvent> events, AnswerPiece piece) => events.Add(new UpstreamPieces(0, [piece], 0));

    private static int IndexOf(JsonElement root) => root.TryGetProperty("index", out JsonElement index) ? index.GetInt32() : 0;

    private static void Read(ReadOnlySpan<byte> data, Action<JsonElement> take)
    {
        try
        {
            Utf8JsonReader reader = new(data);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            take(document.RootElement);
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException or FormatException)
        {
            throw new UpstreamException(UpstreamFailure.Cut, "What it sent is not an answer of Anthropic's API: " + wrong.Message, inner: wrong);
        }
    }
}
