using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>What clients say their requests have in common: OpenAI's prompt_cache_key, headers of agents, the session of Qwen Code.</summary>
internal static class SessionHints
{
    private const int CharsMax = 256;
    private static readonly string[] Headers = ["x-session-affinity", "session-id", "x-session-id"];

    public static GenerationRequest Add(HttpRequest http, JsonFields fields, GenerationRequest request) =>
        Find(http, fields) is { } session ? request with { Calls = [.. request.Calls.Select(call => call with { Session = session })] } : request;

    private static string? Find(HttpRequest http, JsonFields fields)
    {
        string? told = fields.TryGet("prompt_cache_key", out System.Text.Json.JsonElement key) && key.ValueKind == System.Text.Json.JsonValueKind.String ? key.GetString() : null;
        told ??= Array.ConvertAll(Headers, header => (string?)http.Headers[header]).FirstOrDefault(value => !string.IsNullOrEmpty(value));
        if (told is null && fields.TryGet("metadata", out System.Text.Json.JsonElement metadata) && metadata.ValueKind == System.Text.Json.JsonValueKind.Object
            && metadata.TryGetProperty("sessionId", out System.Text.Json.JsonElement session) && session.ValueKind == System.Text.Json.JsonValueKind.String) told = session.GetString();
        return string.IsNullOrEmpty(told) ? null : told[..Math.Min(told.Length, CharsMax)];
    }
}
