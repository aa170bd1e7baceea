using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Gateway;

/// <summary>JSON of a request that an answer repeats or that is kept: checked before anything is served, because it must be writable afterwards.</summary>
internal static class RepeatableJson
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <exception cref="ApiException">400: it has half a surrogate pair, or a field twice.</exception>
    public static JsonNode? Of(string json, string param)
    {
        try
        {
            JsonNode? node = JsonNode.Parse(json, documentOptions: Strict);
            node?.ToJsonString();
            return node;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException)
        {
            throw Refusal.Value(param, "it must be valid Unicode text, and must not name a field twice.");
        }
    }
}
