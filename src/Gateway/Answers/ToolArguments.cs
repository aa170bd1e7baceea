using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Gateway;

/// <summary>The arguments of a tool call, for APIs that show them as an object and not as its text.</summary>
internal static class ToolArguments
{
    /// <summary>Writes the object; a text that is none (an answer that was cut, a model that erred) is shown as it is, in a field of its own.</summary>
    public static void Write(Utf8JsonWriter json, string arguments)
    {
        try
        {
            if (JsonNode.Parse(arguments) is JsonObject found)
            {
                found.WriteTo(json);
                return;
            }
        }
        catch (JsonException)
        {
            // Told below.
        }
        json.WriteStartObject();
        json.WriteString("unparsed", arguments);
        json.WriteEndObject();
    }
}
