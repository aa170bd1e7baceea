using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>A tool call as OpenAI and DashScope word it.</summary>
internal static class ToolCallJson
{
    public static void Write(Utf8JsonWriter json, int index, ToldPart call)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteString("id", call.Id);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", call.Name);
        json.WriteString("arguments", call.Text);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
