using System.Text.Json;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>Words log probabilities as OpenAI's chats have them, and Model Studio's native answers too.</summary>
internal static class LogprobsJson
{
    /// <param name="told">Entries as an upstream told them, instead of tokens.</param>
    public static void WriteContent(Utf8JsonWriter json, ServedModel model, IEnumerable<GeneratedToken> tokens, IEnumerable<string> told)
    {
        json.WriteStartArray("content"u8);
        foreach (string entry in told) json.WriteRawValue(entry);
        foreach (GeneratedToken token in tokens)
        {
            json.WriteStartObject();
            WriteToken(json, model, token.Token, token.Logprob);
            json.WriteStartArray("top_logprobs"u8);
            foreach (TokenLogprob other in token.Top)
            {
                json.WriteStartObject();
                WriteToken(json, model, other.Token, other.Logprob);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteToken(Utf8JsonWriter json, ServedModel model, int token, float logprob)
    {
        ReadOnlySpan<byte> bytes = TokenText.BytesOf(model, token);
        json.WriteString("token"u8, TokenText.Of(bytes));
        json.WriteNumber("logprob"u8, TokenText.Finite(logprob));
        json.WriteStartArray("bytes"u8);
        foreach (byte value in bytes)
            json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
