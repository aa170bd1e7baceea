using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Caching that a request asks for, as in Anthropic's API and Model Studio: "cache_control" at a tool, a message or a part of one asks to keep everything up to there. The last mark counts, because it holds the others.</summary>
internal static class CacheMarks
{
    /// <summary>Both APIs keep nothing shorter: creating it costs more than finding it again would save.</summary>
    private const int TokensMin = 1024;

    /// <summary>Whether an object, or one of the parts of its content, carries a mark.</summary>
    public static bool IsMarked(JsonFields item) => IsMarked(item.Element);

    /// <summary>How many messages of a list, from its beginning, are asked to be kept; null: no mark. Marked tools alone count as no messages.</summary>
    public static int? Last(JsonFields fields, string name, JsonFields tools)
    {
        int? last = AnyMarked(tools, "tools") ? 0 : null;
        if (!fields.TryGet(name, out JsonElement messages)) return last;
        if (messages.ValueKind != JsonValueKind.Array) throw Refusal.Type(fields.PathOf(name), "an array of objects", JsonFields.Kind(messages));
        int count = 0;
        foreach (JsonElement message in messages.EnumerateArray())
        {
            if (message.ValueKind != JsonValueKind.Object) throw Refusal.Type(JsonFields.PathOf(fields.PathOf(name), count), "an object", JsonFields.Kind(message));
            count++;
            if (IsMarked(message)) last = count;
        }
        return last;
    }

    public static bool AnyMarked(JsonFields fields, string name) => fields.TryGet(name, out JsonElement list) && list.ValueKind == JsonValueKind.Array && list.EnumerateArray().Any(IsMarked);

    /// <summary>How many tokens of a prompt, from its beginning, are asked to be kept: as far as the prompt of the messages up to the mark is the beginning of it.</summary>
    public static int TokensOf(ServedModel model, Conversation conversation, ImmutableArray<int> prompt)
    {
        if (conversation.CachedMessages is not { } count || prompt.Length < TokensMin) return 0;
        if (count >= conversation.Messages.Length && conversation.BegunAnswer is null) return prompt.Length;
        ImmutableArray<ChatMessage> messages = conversation.Messages;
        // Tools stand in the turn of the system; without one, any turn lets them be written.
        if (count == 0) messages = messages[0].Role == ChatRole.System ? messages[..1] : [new ChatMessage(ChatRole.User, "")];
        else messages = messages[..count];
        int same = prompt.AsSpan().CommonPrefixLength(model.RenderChat(conversation with { Messages = messages, ContinuesLast = false }));
        return same < TokensMin ? 0 : same;
    }

    private static bool IsMarked(JsonElement item)
    {
        if (item.ValueKind != JsonValueKind.Object) return false;
        if (item.TryGetProperty("cache_control", out JsonElement mark) && mark.ValueKind == JsonValueKind.Object) return true;
        return item.TryGetProperty("content", out JsonElement parts) && parts.ValueKind == JsonValueKind.Array && parts.EnumerateArray().Any(IsMarked);
    }
}
