using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>OpenAI's chat completions and completions. Fields that only some servers know are written only when they say something.</summary>
internal sealed class OpenAiWire(bool modelStudio) : IUpstreamWire
{
    public string PathOf(Call call) => call switch
    {
        { Texts.Query: not null } => modelStudio ? TextsWire.ModelStudioRerank : TextsWire.Rerank,
        { Texts: not null } => TextsWire.Embeddings,
        { Conversation: null } => "completions",
        _ => "chat/completions",
    };

    public void Authorize(HttpRequestMessage request, string secret) => request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + secret);

    public IAnswerEvents Read(Call call) => call.Texts is { } texts ? new TextsEvents(texts) : new OpenAiEvents(call.Choices, call.Conversation is not null);

    public void Write(Utf8JsonWriter json, Call call, UpstreamModel model, int? maxTokens, bool stream)
    {
        if (call.Texts is { } texts)
        {
            TextsWire.Write(json, texts, model);
            return;
        }
        json.WriteStartObject();
        json.WriteString("model"u8, model.Theirs);
        if (call.Conversation is { } conversation)
        {
            WriteMessages(json, conversation, modelStudio ? conversation.CachedMessages : null);
            WriteTools(json, conversation);
            WriteFormat(json, conversation.Format);
            WriteThinking(json, conversation);
        }
        else WritePrompt(json, call);
        if (maxTokens is { } most) json.WriteNumber("max_tokens"u8, most);
        if (call.Choices > 1) json.WriteNumber("n"u8, call.Choices);
        WriteSampling(json, call);
        if (stream)
        {
            json.WriteBoolean("stream"u8, true);
            json.WriteStartObject("stream_options"u8);
            json.WriteBoolean("include_usage"u8, true);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    /// <param name="cached">As many messages end with a mark; only Model Studio knows it.</param>
    private void WriteMessages(Utf8JsonWriter json, Conversation conversation, int? cached)
    {
        json.WriteStartArray("messages"u8);
        int written = 0;
        foreach (ChatMessage message in conversation.Messages)
        {
            json.WriteStartObject();
            json.WriteString("role"u8, message.Role switch
            {
                ChatRole.System => "system",
                ChatRole.User => "user",
                ChatRole.Assistant => "assistant",
                _ => "tool",
            });
            if (++written == cached && message.Content.Length > 0) WriteMarked(json, message.Content);
            else json.WriteString("content"u8, message.Content);
            if (modelStudio && message == conversation.BegunAnswer) json.WriteBoolean("partial"u8, true);
            if (message.ReasoningContent is { } reasoning) json.WriteString("reasoning_content"u8, reasoning);
            if (message.ToolCallId is { } id) json.WriteString("tool_call_id"u8, id);
            if (!message.ToolCalls.IsEmpty) WriteToolCalls(json, message);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteMarked(Utf8JsonWriter json, string content)
    {
        json.WriteStartArray("content"u8);
        json.WriteStartObject();
        json.WriteString("type"u8, "text");
        json.WriteString("text"u8, content);
        AnthropicWire.WriteCacheMark(json);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteToolCalls(Utf8JsonWriter json, ChatMessage message)
    {
        json.WriteStartArray("tool_calls"u8);
        foreach (ToolCall call in message.ToolCalls)
        {
            json.WriteStartObject();
            json.WriteString("id"u8, call.Id ?? "");
            json.WriteString("type"u8, "function");
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, call.Name);
            json.WriteString("arguments"u8, call.ArgumentsJson);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteTools(Utf8JsonWriter json, Conversation conversation)
    {
        if (conversation.Tools.IsEmpty) return;
        json.WriteStartArray("tools"u8);
        foreach (ToolDefinition tool in conversation.Tools)
        {
            json.WriteStartObject();
            json.WriteString("type"u8, "function");
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, tool.Name);
            if (tool.Description is { } description) json.WriteString("description"u8, description);
            if (tool.ParametersJson is { } parameters)
            {
                json.WritePropertyName("parameters");
                json.WriteRawValue(parameters);
            }
            if (tool.Strict) json.WriteBoolean("strict"u8, true);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        switch (conversation.ToolChoice.Kind)
        {
            case ToolChoiceKind.None: json.WriteString("tool_choice"u8, "none"); break;
            case ToolChoiceKind.Required: json.WriteString("tool_choice"u8, "required"); break;
            case ToolChoiceKind.Named:
                json.WriteStartObject("tool_choice"u8);
                json.WriteString("type"u8, "function");
                json.WriteStartObject("function"u8);
                json.WriteString("name"u8, conversation.ToolChoice.Name);
                json.WriteEndObject();
                json.WriteEndObject();
                break;
            default: break;
        }
        if (!conversation.ParallelToolCalls) json.WriteBoolean("parallel_tool_calls"u8, false);
    }

    private static void WriteFormat(Utf8JsonWriter json, AnswerFormat format)
    {
        switch (format)
        {
            case JsonObjectFormat:
                json.WriteStartObject("response_format"u8);
                json.WriteString("type"u8, "json_object");
                json.WriteEndObject();
                break;
            case JsonSchemaFormat schema:
                json.WriteStartObject("response_format"u8);
                json.WriteString("type"u8, "json_schema");
                json.WriteStartObject("json_schema"u8);
                json.WriteString("name"u8, schema.Name);
                if (schema.Description is { } description) json.WriteString("description"u8, description);
                json.WritePropertyName("schema");
                json.WriteRawValue(schema.SchemaJson);
                if (schema.Strict) json.WriteBoolean("strict"u8, true);
                json.WriteEndObject();
                json.WriteEndObject();
                break;
            case RegexFormat regex:
                json.WriteString("guided_regex"u8, regex.Pattern);
                break;
            case GrammarFormat grammar:
                json.WriteString("grammar"u8, grammar.Grammar);
                break;
            default: break;
        }
    }

    private void WriteThinking(Utf8JsonWriter json, Conversation conversation)
    {
        if (conversation.Thinking != Thinking.ModelDefault)
        {
            bool on = conversation.Thinking == Thinking.On;
            if (modelStudio) json.WriteBoolean("enable_thinking"u8, on);
            else
            {
                json.WriteStartObject("chat_template_kwargs"u8);
                json.WriteBoolean("enable_thinking"u8, on);
                json.WriteEndObject();
            }
        }
        if (modelStudio && conversation.ThinkingTokensMax is { } budget) json.WriteNumber("thinking_budget"u8, budget);
        if (conversation.Effort is { } effort) json.WriteString("reasoning_effort"u8, effort.ToString().ToLowerInvariant());
        if (modelStudio && conversation.PreserveThinking is { } preserve) json.WriteBoolean("preserve_thinking"u8, preserve);
    }

    private static void WritePrompt(Utf8JsonWriter json, Call call)
    {
        if (call.PromptText is { } text)
        {
            json.WriteString("prompt"u8, text);
            return;
        }
        json.WriteStartArray("prompt"u8);
        foreach (int token in call.Prompt) json.WriteNumberValue(token);
        json.WriteEndArray();
    }

    private static void WriteSampling(Utf8JsonWriter json, Call call)
    {
        Engine.SamplingOptions said = call.Sampling, standard = new();
        if (said.Temperature != standard.Temperature) json.WriteNumber("temperature"u8, said.Temperature);
        if (said.TopP != standard.TopP) json.WriteNumber("top_p"u8, said.TopP);
        if (said.TopK != standard.TopK) json.WriteNumber("top_k"u8, said.TopK);
        if (said.MinP != standard.MinP) json.WriteNumber("min_p"u8, said.MinP);
        if (said.RepetitionPenalty != standard.RepetitionPenalty) json.WriteNumber("repetition_penalty"u8, said.RepetitionPenalty);
        if (said.PresencePenalty != standard.PresencePenalty) json.WriteNumber("presence_penalty"u8, said.PresencePenalty);
        if (said.FrequencyPenalty != standard.FrequencyPenalty) json.WriteNumber("frequency_penalty"u8, said.FrequencyPenalty);
        // Drawn here when the client names none. Some servers take no more than 31 bits of it.
        json.WriteNumber("seed"u8, (long)(said.Seed & int.MaxValue));
        if (call.TopLogprobs >= 0) json.WriteBoolean("logprobs"u8, true);
        if (call.TopLogprobs > 0) json.WriteNumber("top_logprobs"u8, call.TopLogprobs);
        if (call.IgnoreStopTokens) json.WriteBoolean("ignore_eos"u8, true);
        if (!call.Stop.IsDefaultOrEmpty)
        {
            json.WriteStartArray("stop"u8);
            foreach (string stop in call.Stop) json.WriteStringValue(stop);
            json.WriteEndArray();
        }
        if (said.LogitBias.IsEmpty) return;
        json.WriteStartObject("logit_bias"u8);
        foreach ((int token, float bias) in said.LogitBias) json.WriteNumber(token.ToString(System.Globalization.CultureInfo.InvariantCulture), bias);
        json.WriteEndObject();
    }
}

/// <summary>Reads chunks and whole answers of OpenAI's API.</summary>
internal sealed class OpenAiEvents(int choices, bool chat) : IAnswerEvents
{
    private const string Streamed = "delta";
    private readonly HashSet<int> finished = [];
    private readonly HashSet<(int Choice, int Index)> begun = [];
    private readonly PlainChunks plainChunks = new();
    private bool done;

    public void Take(ReadOnlySpan<byte> data, List<UpstreamEvent> events)
    {
        if (data.SequenceEqual("[DONE]"u8))
        {
            Complete(events);
            return;
        }
        Read(data, events, Streamed);
    }

    public void TakeWhole(ReadOnlySpan<byte> body, List<UpstreamEvent> events)
    {
        Read(body, events, "message");
        Complete(events);
    }

    public bool TryTakeWhole(ReadOnlySpan<byte> body, List<UpstreamEvent> events)
    {
        // The other way says what is wrong with those that are refused.
        if (!chat || choices > 1 || !IsPlain(body, out PlainAnswer plain) || plain.Choice != 0) return false;
        if (plain.Content.Length > 0) events.Add(new UpstreamPieces(plain.Choice, [new TextPiece(plain.Content)], 0));
        if (finished.Add(plain.Choice)) events.Add(new UpstreamFinish(plain.Choice, ReasonOf(plain.Finish)));
        if (plain.Usage is { } usage) events.Add(new UpstreamUsage(usage));
        Complete(events);
        return true;
    }

    private static bool IsPlain(ReadOnlySpan<byte> body, out PlainAnswer plain)
    {
        try
        {
            return PlainAnswer.TryRead(body, out plain);
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException)
        {
            plain = default;
            return false;
        }
    }

    public void End(List<UpstreamEvent> events)
    {
        // A clean end after every finish_reason is an answer, [DONE] or not.
        if (!done) Complete(events);
    }

    private void Complete(List<UpstreamEvent> events)
    {
        if (finished.Count < choices) throw new UpstreamException(UpstreamFailure.Cut, "The answer ended without a finish_reason.");
        done = true;
        events.Add(new UpstreamDone());
    }

    private void Read(ReadOnlySpan<byte> data, List<UpstreamEvent> events, string message)
    {
        try
        {
            if (chat && message == Streamed && TryReadPlain(data, events)) return;
            Utf8JsonReader reader = new(data);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw Nonsense();
            if (root.TryGetProperty("error", out JsonElement error) && error.ValueKind != JsonValueKind.Null)
                throw new UpstreamException(UpstreamFailure.Cut, $"It told an error midway{ErrorNames.Of(root)}.");
            if (root.TryGetProperty("choices", out JsonElement list) && list.ValueKind == JsonValueKind.Array)
            {
                foreach (JsonElement choice in list.EnumerateArray()) ReadChoice(choice, events, message);
            }
            if (root.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object) events.Add(new UpstreamUsage(ReadUsage(usage)));
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException or FormatException)
        {
            throw new UpstreamException(UpstreamFailure.Cut, "What it sent is not an answer of OpenAI's API: " + wrong.Message, inner: wrong);
        }
    }

    /// <summary>What nearly all chunks are. False: the other way reads it, and says what is wrong with those that are refused.</summary>
    private bool TryReadPlain(ReadOnlySpan<byte> data, List<UpstreamEvent> events)
    {
        try
        {
            return IsTakenPlainly(data, events);
        }
        catch (InvalidOperationException)
        {
            // A name that cannot be compared: it may be one that nobody asks for.
            return false;
        }
    }

    private bool IsTakenPlainly(ReadOnlySpan<byte> data, List<UpstreamEvent> events)
    {
        if (plainChunks.TryRead(data, out PlainChunk plain))
        {
            if (plain.Choice < 0 || plain.Choice >= choices) return false;
            if (plain.Content.Length > 0) events.Add(new UpstreamPieces(plain.Choice, [new TextPiece(plain.Content)], 0));
            return true;
        }
        if (!PlainEnd.TryRead(data, out PlainEnd end) || end.Choice < 0 || end.Choice >= choices) return false;
        if (end.Finish is { } reason && finished.Add(end.Choice)) events.Add(new UpstreamFinish(end.Choice, ReasonOf(reason)));
        if (end.Usage is { } usage) events.Add(new UpstreamUsage(usage));
        return true;
    }

    private void ReadChoice(JsonElement choice, List<UpstreamEvent> events, string message)
    {
        int index = choice.TryGetProperty("index", out JsonElement at) ? at.GetInt32() : 0;
        if (index < 0 || index >= choices) throw Nonsense();
        List<AnswerPiece> pieces = [];
        if (!chat)
        {
            if (TextOf(choice, "text") is { Length: > 0 } text) pieces.Add(new TextPiece(text));
        }
        else if (choice.TryGetProperty(message, out JsonElement said) && said.ValueKind == JsonValueKind.Object)
        {
            if ((TextOf(said, "reasoning_content") ?? TextOf(said, "reasoning")) is { Length: > 0 } reasoning) pieces.Add(new ReasoningPiece(reasoning));
            if (TextOf(said, "content") is { Length: > 0 } content) pieces.Add(new TextPiece(content));
            if (said.TryGetProperty("tool_calls", out JsonElement calls) && calls.ValueKind == JsonValueKind.Array) ReadCalls(index, calls, pieces);
        }
        ImmutableArray<string> logprobs = LogprobsOf(choice);
        if (pieces.Count > 0) events.Add(new UpstreamPieces(index, [.. pieces], logprobs.Length) { Logprobs = logprobs });
        if (TextOf(choice, "finish_reason") is { } reason && finished.Add(index)) events.Add(new UpstreamFinish(index, ReasonOf(reason), TextOf(choice, "stop_reason")));
    }

    private static ImmutableArray<string> LogprobsOf(JsonElement choice) =>
        choice.TryGetProperty("logprobs", out JsonElement logprobs) && logprobs.ValueKind == JsonValueKind.Object && logprobs.TryGetProperty("content", out JsonElement told) && told.ValueKind == JsonValueKind.Array
            ? [.. told.EnumerateArray().Where(each => each.ValueKind == JsonValueKind.Object).Select(each => each.GetRawText())]
            : [];

    private void ReadCalls(int choice, JsonElement calls, List<AnswerPiece> pieces)
    {
        int position = 0;
        foreach (JsonElement call in calls.EnumerateArray())
        {
            int index = call.TryGetProperty("index", out JsonElement at) && at.ValueKind == JsonValueKind.Number ? at.GetInt32() : position;
            position++;
            if (!call.TryGetProperty("function", out JsonElement function) || function.ValueKind != JsonValueKind.Object) continue;
            if (begun.Add((choice, index))) pieces.Add(new ToolCallStart(index, TextOf(call, "id") ?? "", TextOf(function, "name") ?? throw Nonsense()));
            if (TextOf(function, "arguments") is { Length: > 0 } arguments) pieces.Add(new ToolCallArguments(index, arguments));
        }
    }

    private static AnswerEnd ReasonOf(string reason) => reason switch
    {
        "length" => AnswerEnd.Length,
        "tool_calls" or "function_call" => AnswerEnd.ToolCalls,
        "content_filter" => AnswerEnd.ContentFilter,
        _ => AnswerEnd.Stop,
    };

    /// <summary>Some servers leave total or parts out; parts never exceed their whole.</summary>
    private static TokenCounts ReadUsage(JsonElement usage)
    {
        long input = Count(usage, "prompt_tokens"), output = Count(usage, "completion_tokens");
        long cached = usage.TryGetProperty("prompt_tokens_details", out JsonElement inDetails) && inDetails.ValueKind == JsonValueKind.Object ? Count(inDetails, "cached_tokens") : 0;
        long written = inDetails.ValueKind == JsonValueKind.Object ? Count(inDetails, "cache_creation_input_tokens") : 0;
        long reasoning = usage.TryGetProperty("completion_tokens_details", out JsonElement outDetails) && outDetails.ValueKind == JsonValueKind.Object ? Count(outDetails, "reasoning_tokens") : 0;
        cached = Math.Min(cached, input);
        return new TokenCounts(input, cached, Math.Min(written, input - cached), output, Math.Min(reasoning, output));
    }

    internal static long Count(JsonElement of, string name) =>
        of.TryGetProperty(name, out JsonElement count) && count.ValueKind == JsonValueKind.Number && count.TryGetInt64(out long value) && value is >= 0 and < 1L << 40 ? value : 0;

    internal static string? TextOf(JsonElement of, string name) => of.TryGetProperty(name, out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;

    private static UpstreamException Nonsense() => new(UpstreamFailure.Cut, "What it sent is not an answer of OpenAI's API.");
}
