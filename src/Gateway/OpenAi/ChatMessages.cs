using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads the messages of a chat request. Text only: pictures, sound and files are refused.</summary>
internal static class ChatMessages
{
    public static ImmutableArray<ChatMessage> Read(JsonFields fields)
    {
        string param = fields.PathOf("messages");
        if (!fields.TryGet("messages", out JsonElement value)) throw Refusal.Missing(param);
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of messages", JsonFields.Kind(value));
        ImmutableArray<ChatMessage>.Builder messages = ImmutableArray.CreateBuilder<ChatMessage>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Object) throw Refusal.Type(JsonFields.PathOf(param, messages.Count), "a message object", JsonFields.Kind(item));
            messages.Add(ReadMessage(new JsonFields(item, param, messages.Count)));
        }
        if (messages.Count == 0) throw Refusal.Value(param, "at least one message is needed.");
        return messages.MoveToImmutable();
    }

    /// <summary>Model Studio's mark at the last message: the answer goes on from it.</summary>
    public static bool EndsPartially(JsonFields fields) =>
        fields.TryGet("messages", out JsonElement value) && value.ValueKind == JsonValueKind.Array && value.GetArrayLength() is > 0 and int count
        && value[count - 1].ValueKind == JsonValueKind.Object && (new JsonFields(value[count - 1], fields.PathOf("messages")).Flag("partial") ?? false);

    private static ChatMessage ReadMessage(JsonFields message)
    {
        ChatRole role = message.RequiredText("role") switch
        {
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            "tool" or "function" => ChatRole.Tool,
            _ => throw Refusal.Value(message.PathOf("role"), "it must be 'system', 'developer', 'user', 'assistant' or 'tool'."),
        };
        string content = ReadContent(message, required: role != ChatRole.Assistant);
        if (role == ChatRole.Tool) return new ChatMessage(role, content) { ToolCallId = message.Text("tool_call_id") ?? (message.Text("role") == "function" ? message.Text("name") : null) };
        if (role != ChatRole.Assistant) return new ChatMessage(role, content);
        return new ChatMessage(role, content, message.Text("reasoning_content") ?? message.Text("reasoning")) { ToolCalls = ReadToolCalls(message) };
    }

    private static string ReadContent(JsonFields message, bool required)
    {
        if (!message.TryGet("content", out JsonElement value)) return required ? throw Refusal.Missing(message.PathOf("content")) : "";
        if (value.ValueKind == JsonValueKind.String) return message.TextOf("content", value);
        string param = message.PathOf("content");
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "a string or an array of content parts", JsonFields.Kind(value));
        StringBuilder text = new();
        int index = 0;
        foreach (JsonElement part in value.EnumerateArray())
        {
            string partParam = FormattableString.Invariant($"{param}[{index++}]");
            if (part.ValueKind != JsonValueKind.Object) throw Refusal.Type(partParam, "a content part object", JsonFields.Kind(part));
            text.Append(ReadPart(new JsonFields(part, partParam)));
        }
        return text.ToString();
    }

    private static string ReadPart(JsonFields part)
    {
        if (part.Text("type") is not { } type) return ReadUntyped(part);
        return type switch
        {
            "text" or "input_text" or "output_text" => part.RequiredText("text"),
            "refusal" => part.RequiredText("refusal"),
            "image_url" or "input_image" or "image" or "input_audio" or "audio" or "video" or "video_url" or "file" or "input_file" =>
                throw new ApiException(400, Refusal.InvalidRequest, "unsupported_content",
                    $"Content of type '{type}' is not supported: the models served here read text only. Send parts of type 'text'.", part.PathOf("type")),
            _ => throw Refusal.Value(part.PathOf("type"), "it must be 'text'."),
        };
    }

    /// <summary>A part in the words of Model Studio's native API: its only field says what it is.</summary>
    private static string ReadUntyped(JsonFields part)
    {
        foreach (string name in (ReadOnlySpan<string>)["image", "audio", "video"])
        {
            if (part.Says(name))
                throw new ApiException(400, Refusal.InvalidRequest, "unsupported_content", $"Content of type '{name}' is not supported: the models served here read text only. Send parts of text.", part.PathOf(name));
        }
        return part.Text("text") ?? throw Refusal.Missing(part.PathOf("type"));
    }

    /// <summary>Calls that the assistant made earlier. Some clients send arguments as the object itself rather than as its text. Before there were tools a turn had one "function_call", which its answer knows by the function's name.</summary>
    private static ImmutableArray<ToolCall> ReadToolCalls(JsonFields message)
    {
        if (!message.TryGet("tool_calls", out JsonElement value)) return message.Object("function_call") is { } only ? [ReadCall(only, id: only.Text("name"))] : [];
        string param = message.PathOf("tool_calls");
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of tool calls", JsonFields.Kind(value));
        ImmutableArray<ToolCall>.Builder calls = ImmutableArray.CreateBuilder<ToolCall>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{calls.Count}]");
            if (item.ValueKind != JsonValueKind.Object) throw Refusal.Type(itemParam, "a tool call object", JsonFields.Kind(item));
            JsonFields call = new(item, itemParam);
            JsonFields function = call.Object("function") ?? throw Refusal.Missing($"{itemParam}.function");
            calls.Add(ReadCall(function, call.Text("id")));
        }
        return calls.MoveToImmutable();
    }

    private static ToolCall ReadCall(JsonFields function, string? id)
    {
        bool isObject = function.TryGet("arguments", out JsonElement arguments) && arguments.ValueKind == JsonValueKind.Object;
        string json = isObject ? arguments.GetRawText() : function.Text("arguments") ?? "";
        return new ToolCall(function.RequiredText("name"), string.IsNullOrWhiteSpace(json) ? "{}" : json, id);
    }
}
