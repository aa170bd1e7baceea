using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>What clients say their requests have in common: OpenAI's prompt_cache_key, headers of agents, the session of Qwen Code, the user that Anthropic's clients name.</summary>
internal static class SessionHints
{
    private const int CharsMax = 256;
    private static readonly string[] Headers = ["x-session-affinity", "session-id", "x-session-id"];

    public static GenerationRequest Add(HttpRequest http, JsonFields fields, GenerationRequest request) =>
        Find(http, fields) is { } session ? request with { Calls = [.. request.Calls.Select(call => call with { Session = session })] } : request;

    private static string? Find(HttpRequest http, JsonFields fields)
    {
        string? told = fields.TryGet("prompt_cache_key", out JsonElement key) && key.ValueKind == JsonValueKind.String ? key.GetString() : null;
        told ??= Array.ConvertAll(Headers, header => (string?)http.Headers[header]).FirstOrDefault(value => !string.IsNullOrEmpty(value));
        if (fields.TryGet("metadata", out JsonElement metadata) && metadata.ValueKind == JsonValueKind.Object) told ??= TextOf(metadata, "sessionId") ?? TextOf(metadata, "user_id");
        return string.IsNullOrEmpty(told) ? null : told[..Math.Min(told.Length, CharsMax)];
    }

    private static string? TextOf(JsonElement of, string name) => of.TryGetProperty(name, out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;
}
