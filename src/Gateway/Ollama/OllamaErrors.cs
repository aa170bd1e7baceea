using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>Ollama's errors: {"error": "a sentence"}; code and field stand beside it.</summary>
internal sealed class OllamaErrors : ErrorWords
{
    public override void Write(Utf8JsonWriter json, ApiException error, string? requestId = null)
    {
        json.WriteStartObject();
        WriteFields(json, error);
        json.WriteEndObject();
    }

    public static void WriteFields(Utf8JsonWriter json, ApiException error)
    {
        json.WriteString("error", error.Message);
        json.WriteString("code", error.Code);
        json.WriteString("param", error.Param);
    }
}
