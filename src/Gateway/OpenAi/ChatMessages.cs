using System.Text;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads the messages of a chat request. Text only: pictures, sound and files are refused.</summary>
internal static class ChatMessages
{
    public static List<ChatMessage> Read(JsonFields fields)
    {
        string param = fields.PathOf("messages");
        if (!fields.TryGet("messages", out JsonElement value)) throw Refusal.Missing(param);
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of messages", JsonFields.Kind(value));
        List<ChatMessage> messages = new(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{messages.Count}]");
            if (item.ValueKind != JsonValueKind.Object) throw Refusal.Type(itemParam, "a message object", JsonFields.Kind(item));
            messages.Add(ReadMessage(new JsonFields(item, itemParam)));
        }
        if (messages.Count == 0) throw Refusal.Value(param, "at least one message is needed.");
        return messages;
    }

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
        bool calledTools = message.TryGet("tool_calls", out JsonElement toolCalls);
        string content = ReadContent(message, required: role != ChatRole.Assistant);
        if (role == ChatRole.Assistant && calledTools) content = WithToolCalls(content, toolCalls, message.PathOf("tool_calls"));
        string? reasoning = role == ChatRole.Assistant ? message.Text("reasoning_content") ?? message.Text("reasoning") : null;
        return new ChatMessage(role, content, reasoning);
    }

    private static string ReadContent(JsonFields message, bool required)
    {
        string param = message.PathOf("content");
        if (!message.TryGet("content", out JsonElement value)) return required ? throw Refusal.Missing(param) : "";
        if (value.ValueKind == JsonValueKind.String) return JsonFields.TextOf(value, param);
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
        string type = part.RequiredText("type");
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

    /// <summary>Calls that the assistant made earlier, in the words in which Qwen models make them.</summary>
    private static string WithToolCalls(string content, JsonElement toolCalls, string param)
    {
        if (toolCalls.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of tool calls", JsonFields.Kind(toolCalls));
        StringBuilder text = new(content);
        int index = 0;
        foreach (JsonElement item in toolCalls.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{index++}]");
            if (item.ValueKind != JsonValueKind.Object) throw Refusal.Type(itemParam, "a tool call object", JsonFields.Kind(item));
            JsonFields function = new JsonFields(item, itemParam).Object("function") ?? throw Refusal.Missing($"{itemParam}.function");
            string name = JsonSerializer.Serialize(function.RequiredText("name"), GatewayJson.Default.String);
            string arguments = function.Text("arguments") ?? "{}";
            if (text.Length > 0) text.Append('\n');
            text.Append("<tool_call>\n{\"name\": ").Append(name).Append(", \"arguments\": ").Append(arguments).Append("}\n</tool_call>");
        }
        return text.ToString();
    }
}
