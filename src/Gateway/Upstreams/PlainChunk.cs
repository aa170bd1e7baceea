using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>The chunk that nearly all of a stream consists of: a piece of one choice's text and nothing else. It is read without making a document of it; every other one is left to <see cref="OpenAiEvents"/>, which reads this one too.</summary>
/// <param name="Content">May be empty.</param> <param name="Place">Where it stands in the chunk, its quotes included.</param>
internal readonly record struct PlainChunk(int Choice, string Content, Range Place)
{
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static bool TryRead(ReadOnlySpan<byte> data, out PlainChunk chunk)
    {
        chunk = default;
        Utf8JsonReader json = new(data);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        bool hasChoice = false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("choices"u8))
            {
                if (hasChoice || !TryReadChoices(ref json, out chunk)) return false;
                hasChoice = true;
            }
            else if (IsOfTheAnswer(ref json))
            {
                if (!json.Read() || json.TokenType is not (JsonTokenType.String or JsonTokenType.Number or JsonTokenType.Null)) return false;
            }
            else if (!IsNull(ref json)) return false;
        }
        return hasChoice && json.TokenType == JsonTokenType.EndObject;
    }

    /// <summary>Fields that every chunk repeats and nobody reads.</summary>
    internal static bool IsOfTheAnswer(ref Utf8JsonReader json) =>
        json.ValueTextEquals("id"u8) || json.ValueTextEquals("object"u8) || json.ValueTextEquals("created"u8) || json.ValueTextEquals("model"u8) || json.ValueTextEquals("system_fingerprint"u8);

    /// <summary>A list of one.</summary>
    private static bool TryReadChoices(ref Utf8JsonReader json, out PlainChunk chunk)
    {
        chunk = default;
        if (!json.Read() || json.TokenType != JsonTokenType.StartArray || !json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        int? index = null;
        string? content = null;
        Range place = default;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("index"u8))
            {
                if (index is not null || !json.Read() || json.TokenType != JsonTokenType.Number || !json.TryGetInt32(out int at)) return false;
                index = at;
            }
            else if (json.ValueTextEquals("delta"u8))
            {
                if (content is not null || !TryReadDelta(ref json, out content, out place)) return false;
            }
            else if (!IsNull(ref json)) return false;
        }
        if (content is null || json.TokenType != JsonTokenType.EndObject || !json.Read() || json.TokenType != JsonTokenType.EndArray) return false;
        chunk = new PlainChunk(index ?? 0, content, place);
        return true;
    }

    private static bool TryReadDelta(ref Utf8JsonReader json, out string? content, out Range place)
    {
        (content, place) = (null, default);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("content"u8))
            {
                if (content is not null || !json.Read() || json.TokenType != JsonTokenType.String || !TryReadText(ref json, out content)) return false;
                place = (int)json.TokenStartIndex..(int)json.BytesConsumed;
            }
            else if (json.ValueTextEquals("role"u8))
            {
                if (!json.Read() || json.TokenType != JsonTokenType.String) return false;
            }
            else if (!IsNull(ref json)) return false;
        }
        return content is not null && json.TokenType == JsonTokenType.EndObject;
    }

    internal static bool TryReadText(ref Utf8JsonReader json, out string? text)
    {
        try
        {
            text = json.GetString();
            return true;
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair, or broken UTF-8.
            text = null;
            return false;
        }
    }

    /// <summary>A field that says nothing, whatever its name.</summary>
    private static bool IsNull(ref Utf8JsonReader json) => json.Read() && json.TokenType == JsonTokenType.Null;
}
