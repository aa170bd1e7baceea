using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The whole answer that nearly all are: one choice that says text and nothing else, why it ended, and what it used. It is read without making a document of it; every other one is left to <see cref="OpenAiEvents"/>, which reads this one too.</summary>
/// <param name="Content">May be empty.</param> <param name="Finish">As the upstream words it.</param> <param name="Usage">Null: it tells none.</param>
internal readonly record struct PlainAnswer(int Choice, string Content, string Finish, TokenCounts? Usage)
{
    /// <summary>No request has more; the slow way takes them for nothing.</summary>
    private const long TokensMax = 1L << 40;

    /// <summary>False: it is another answer, or has not come to its end.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static bool TryRead(ReadOnlySpan<byte> body, out PlainAnswer answer)
    {
        answer = default;
        Utf8JsonReader json = new(body, isFinalBlock: false, state: default);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        bool hasChoice = false;
        TokenCounts? usage = null;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("choices"u8))
            {
                if (hasChoice || !TryReadChoices(ref json, out answer)) return false;
                hasChoice = true;
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
        answer = answer with { Usage = usage };
        return hasChoice && json.TokenType == JsonTokenType.EndObject && json.CurrentDepth == 0 && json.BytesConsumed == body.Length;
    }

    /// <summary>A list of one.</summary>
    private static bool TryReadChoices(ref Utf8JsonReader json, out PlainAnswer answer)
    {
        answer = default;
        if (!json.Read() || json.TokenType != JsonTokenType.StartArray || !json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        int? index = null;
        string? content = null, finish = null;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("index"u8))
            {
                if (index is not null || !json.Read() || json.TokenType != JsonTokenType.Number || !json.TryGetInt32(out int at)) return false;
                index = at;
            }
            else if (json.ValueTextEquals("message"u8))
            {
                if (content is not null || !TryReadMessage(ref json, out content)) return false;
            }
            else if (json.ValueTextEquals("finish_reason"u8))
            {
                if (finish is not null || !TryReadText(ref json, out finish)) return false;
            }
            else if (!SaysNothing(ref json)) return false;
        }
        if (content is null || finish is null || json.TokenType != JsonTokenType.EndObject || !json.Read() || json.TokenType != JsonTokenType.EndArray) return false;
        answer = new PlainAnswer(index ?? 0, content, finish, null);
        return true;
    }

    private static bool TryReadMessage(ref Utf8JsonReader json, out string? content)
    {
        content = null;
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("content"u8))
            {
                if (content is not null || !TryReadText(ref json, out content)) return false;
            }
            else if (json.ValueTextEquals("role"u8))
            {
                if (!json.Read() || json.TokenType != JsonTokenType.String) return false;
            }
            else if (!SaysNothing(ref json)) return false;
        }
        return content is not null && json.TokenType == JsonTokenType.EndObject;
    }

    /// <summary>Without details.</summary>
    internal static bool TryReadUsage(ref Utf8JsonReader json, out TokenCounts? usage)
    {
        usage = null;
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return false;
        long? input = null, output = null;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("prompt_tokens"u8))
            {
                if (input is not null || !TryReadCount(ref json, out input)) return false;
            }
            else if (json.ValueTextEquals("completion_tokens"u8))
            {
                if (output is not null || !TryReadCount(ref json, out output)) return false;
            }
            else if (json.ValueTextEquals("total_tokens"u8))
            {
                if (!json.Read() || json.TokenType != JsonTokenType.Number) return false;
            }
            else if (!SaysNothing(ref json)) return false;
        }
        usage = new TokenCounts(input ?? 0, 0, 0, output ?? 0, 0);
        return json.TokenType == JsonTokenType.EndObject;
    }

    private static bool TryReadCount(ref Utf8JsonReader json, out long? count)
    {
        count = json.Read() && json.TokenType == JsonTokenType.Number && json.TryGetInt64(out long value) && value is >= 0 and < TokensMax ? value : null;
        return count is not null;
    }

    private static bool TryReadText(ref Utf8JsonReader json, out string? text)
    {
        text = null;
        return json.Read() && json.TokenType == JsonTokenType.String && PlainChunk.TryReadText(ref json, out text);
    }

    /// <summary>A field that is null or an empty list, whatever its name.</summary>
    internal static bool SaysNothing(ref Utf8JsonReader json) =>
        json.Read() && (json.TokenType == JsonTokenType.Null || json.TokenType == JsonTokenType.StartArray && json.Read() && json.TokenType == JsonTokenType.EndArray);
}
