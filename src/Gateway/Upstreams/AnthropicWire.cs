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
        bool thinks = WriteThinking(json, conversation, most);
        // Thoughts are drawn in its own way.
        if (!thinks) WriteSampling(json, call.Sampling);
        if (!call.Stop.IsDefaultOrEmpty)
        {
            json.WriteStartArray("stop_sequences");
            foreach (string stop in call.Stop) json.WriteStringValue(stop);
            json.WriteEndArray();
        }
        if (stream) json.WriteBoolean("stream", true);
        json.WriteEndObject();
    }

    /// <summary>True: thoughts are asked for.</summary>
    private static bool WriteThinking(Utf8JsonWriter json, Conversation conversation, int mostTokens)
    {
        if (conversation.EffortWord is { } effort)
        {
            json.WriteStartObject("output_config");
            json.WriteString("effort", effort);
            json.WriteEndObject();
        }
        bool budgeted = conversation.Thinking == Thinking.On && mostTokens > ThinkingTokensMin;
        if (!budgeted && !conversation.ThinksAsItSeesFit || !MayThink(conversation)) return false;
        json.WriteStartObject("thinking");
        json.WriteString("type", budgeted ? "enabled" : "adaptive");
        // The budget is part of max_tokens, and less than it.
        if (budgeted) json.WriteNumber("budget_tokens", Math.Clamp(conversation.ThinkingTokensMax ?? mostTokens / 2, ThinkingTokensMin, mostTokens - 1));
        json.WriteEndObject();
        return true;
    }

    /// <summary>The API refuses to think where a tool must be called, where the answer goes on from a text, and in the middle of a turn that called tools without a sealed thought before.</summary>
    private static bool MayThink(Conversation conversation)
    {
        if (conversation.ToolChoice.IsForced && !conversation.OfferedTools.IsEmpty || conversation.Messages[^1].Role == ChatRole.Assistant) return false;
        ChatMessage? last = conversation.Messages.LastOrDefault(message => message.Role == ChatRole.Assistant);
        return last is null || last.ToolCalls.IsEmpty || last.Blocks is { } blocks && BeginsWithThought(blocks);
    }

    private static bool BeginsWithThought(string blocks)
    {
        using JsonDocument document = JsonDocument.Parse(blocks);
        return document.RootElement.GetArrayLength() > 0 && document.RootElement[0] is var first && OpenAiEvents.TextOf(first, "type") is "thinking" or "redacted_thinking" && !IsUnsigned(first);
    }

    /// <summary>A thought that no engine of this API had: it would take it for forged.</summary>
    private static bool IsUnsigned(JsonElement block) =>
        OpenAiEvents.TextOf(block, "type") == "thinking" && OpenAiEvents.TextOf(block, "signature") is null or "" or MessageTeller.Unsigned;

    private static void WriteSampling(Utf8JsonWriter json, Engine.SamplingOptions said)
    {
        Engine.SamplingOptions standard = new();
        if (said.Temperature != standard.Temperature) json.WriteNumber("temperature", Math.Min(1, said.Temperature));
        if (said.TopP != standard.TopP) json.WriteNumber("top_p", said.TopP);
        if (said.TopK != standard.TopK) json.WriteNumber("top_k", said.TopK);
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
        if (message.Blocks is { } blocks)
        {
            WriteBlocks(json, blocks);
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

    /// <summary>A turn word for word, its marks for the cache among it.</summary>
    private static void WriteBlocks(Utf8JsonWriter json, string blocks)
    {
        using JsonDocument document = JsonDocument.Parse(blocks);
        foreach (JsonElement block in document.RootElement.EnumerateArray())
        {
            if (!IsUnsigned(block)) json.WriteRawValue(block.GetRawText());
        }
    }

    /// <summary>Tools that may not be called now are told too: earlier turns may have called them.</summary>
    private static void WriteTools(Utf8JsonWriter json, Conversation conversation)
    {
        if (conversation.Tools.IsEmpty) return;
        json.WriteStartArray("tools");
        foreach (ToolDefinition tool in conversation.Tools)
        {
            json.WriteStartObject();
            json.WriteString("name", tool.Name);
            if (tool.Description is { } description) json.WriteString("description", description);
            json.WritePropertyName("input_schema");
            json.WriteRawValue(tool.ParametersJson ?? """{"type":"object","properties":{}}""");
            if (conversation.CachedMessages == 0 && tool == conversation.Tools[^1]) WriteCacheMark(json);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartObject("tool_choice");
        json.WriteString("type", conversation.ToolChoice.Kind switch
        {
            ToolChoiceKind.Required => "any",
            ToolChoiceKind.Named => "tool",
            ToolChoiceKind.None => "none",
            _ => "auto",
        });
        if (conversation.ToolChoice.Kind == ToolChoiceKind.Named) json.WriteString("name", conversation.ToolChoice.Name);
        if (!conversation.ParallelToolCalls && conversation.ToolChoice.Kind != ToolChoiceKind.None) json.WriteBoolean("disable_parallel_tool_use", true);
        json.WriteEndObject();
    }
}
