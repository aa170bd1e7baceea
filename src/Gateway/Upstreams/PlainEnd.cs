using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The chunks that nearly all streams end with: why the one choice ended, what was used, or both. They are read without making a document of them; every other one is left to <see cref="OpenAiEvents"/>, which reads these too.</summary>
/// <param name="Finish">As the upstream words it; null: no choice ends here.</param> <param name="Usage">Null: it tells none.</param>
internal readonly record struct PlainEnd(int Choice, string? Finish, TokenCounts? Usage)
{
    /// <summary>False: it is another chunk.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static bool TryRead(ReadOnlySpan<byte> data, out PlainEnd end)
    {
        end = default;
        Utf8JsonReader json = new(data);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        bool hasChoices = false;
        TokenCounts? usage = null;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("choices"u8))
            {
                if (hasChoices || !TryReadChoices(ref json, out end)) return false;
                hasChoices = true;
            }
            else if (json.ValueTextEquals("usage"u8))
            {
                if (usage is not null || !TryReadUsage(ref json, out usage)) return false;
            }
            else if (PlainChunk.IsOfTheAnswer(ref json))
            {
                if (!json.Read() || json.TokenType is not (JsonTokenType.String or JsonTokenType.Number or JsonTokenType.Null)) return false;
            }
            else if (!json.Read() || json.TokenType != JsonTokenType.Null) return false;
        }
        end = end with { Usage = usage };
        return json.TokenType == JsonTokenType.EndObject;
    }

    /// <summary>A list of one, or of none.</summary>
    private static bool TryReadChoices(ref Utf8JsonReader json, out PlainEnd end)
    {
        end = default;
        if (!json.Read() || json.TokenType != JsonTokenType.StartArray || !json.Read()) return false;
        if (json.TokenType == JsonTokenType.EndArray) return true;
        if (json.TokenType != JsonTokenType.StartObject) return false;
        int? index = null;
        string? finish = null;
        bool hasDelta = false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("index"u8))
            {
                if (index is not null || !json.Read() || json.TokenType != JsonTokenType.Number || !json.TryGetInt32(out int at)) return false;
                index = at;
            }
            else if (json.ValueTextEquals("finish_reason"u8))
            {
                if (finish is not null || !json.Read() || json.TokenType != JsonTokenType.String || !PlainChunk.TryReadText(ref json, out finish)) return false;
            }
            else if (json.ValueTextEquals("delta"u8))
            {
                if (hasDelta || !SaysNothing(ref json)) return false;
                hasDelta = true;
            }
            // Completions have their text here; it is empty in chunks of a chat, where some servers leave it.
            else if (json.ValueTextEquals("text"u8))
            {
                if (!json.Read() || !(json.TokenType == JsonTokenType.Null || json.TokenType == JsonTokenType.String && json.ValueSpan.IsEmpty)) return false;
            }
            else if (!PlainAnswer.SaysNothing(ref json)) return false;
        }
        end = new PlainEnd(index ?? 0, finish, null);
        return finish is not null && json.TokenType == JsonTokenType.EndObject && json.Read() && json.TokenType == JsonTokenType.EndArray;
    }

    /// <summary>A delta without a piece.</summary>
    private static bool SaysNothing(ref Utf8JsonReader json)
    {
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("role"u8))
            {
                if (!json.Read() || json.TokenType is not (JsonTokenType.String or JsonTokenType.Null)) return false;
            }
            else if (json.ValueTextEquals("content"u8))
            {
                if (!json.Read() || !(json.TokenType == JsonTokenType.Null || json.TokenType == JsonTokenType.String && json.ValueSpan.IsEmpty)) return false;
            }
            else if (!PlainAnswer.SaysNothing(ref json)) return false;
        }
        return json.TokenType == JsonTokenType.EndObject;
    }

    /// <summary>Null, as chunks before the last have it, or an object.</summary>
    private static bool TryReadUsage(ref Utf8JsonReader json, out TokenCounts? usage)
    {
        Utf8JsonReader ahead = json;
        if (!ahead.Read() || ahead.TokenType != JsonTokenType.Null) return PlainAnswer.TryReadUsage(ref json, out usage);
        usage = null;
        json = ahead;
        return true;
    }
}
