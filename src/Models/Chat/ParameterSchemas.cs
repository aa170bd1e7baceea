using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Qanat.Models;

[JsonSerializable(typeof(string))]
internal sealed partial class ChatJson : JsonSerializerContext;

/// <summary>What a tool's JSON Schema says of its parameters, as far as it takes to tell text from other values.</summary>
internal sealed class ParameterSchemas
{
    private static readonly ParameterSchemas None = new([]);

    private readonly Dictionary<string, JsonElement> properties;

    private ParameterSchemas(Dictionary<string, JsonElement> properties) => this.properties = properties;

    public static ParameterSchemas Of(ToolDefinition? tool)
    {
        if (tool?.ParametersJson is not { } json) return None;
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("properties", out JsonElement properties) || properties.ValueKind != JsonValueKind.Object)
                return None;
            Dictionary<string, JsonElement> known = new(StringComparer.Ordinal);
            foreach (JsonProperty property in properties.EnumerateObject()) known[property.Name] = property.Value.Clone();
            return new ParameterSchemas(known);
        }
        catch (JsonException)
        {
            return None;
        }
    }

    /// <summary>Whether the parameter is text and nothing else; one that no schema knows is.</summary>
    public bool IsText(string name) => !properties.TryGetValue(name, out JsonElement schema) || Kinds(schema) is Kind.Text or Kind.None;

    /// <summary>The value of a parameter as JSON: parsed where the schema wants something else than text, and text where it cannot be parsed.</summary>
    public string Coerce(string name, string value)
    {
        Kind kinds = properties.TryGetValue(name, out JsonElement schema) ? Kinds(schema) : Kind.Text;
        string trimmed = value.Trim();
        if (trimmed is "null" or "None" && kinds.HasFlag(Kind.Null)) return "null";
        if (kinds.HasFlag(Kind.Boolean) && trimmed is "true" or "True") return "true";
        if (kinds.HasFlag(Kind.Boolean) && trimmed is "false" or "False") return "false";
        if (!kinds.HasFlag(Kind.Text) && IsJson(trimmed)) return trimmed;
        return $"\"{Escape(value)}\"";
    }

    /// <summary>Text as the inside of a JSON string.</summary>
    public static string Escape(string text)
    {
        if (!text.AsSpan().ContainsAny('"', '\\') && !text.AsSpan().ContainsAnyInRange('\0', '\x1f')) return text;
        StringBuilder escaped = new(text.Length + 16);
        foreach (char unit in text)
        {
            _ = unit switch
            {
                '"' or '\\' => escaped.Append('\\').Append(unit),
                '\n' => escaped.Append("\\n"),
                '\r' => escaped.Append("\\r"),
                '\t' => escaped.Append("\\t"),
                < ' ' => escaped.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}"),
                _ => escaped.Append(unit),
            };
        }
        return escaped.ToString();
    }

    [Flags]
    private enum Kind { None = 0, Text = 1, Boolean = 2, Null = 4, Other = 8 }

    private static Kind Kinds(JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object) return Kind.None;
        Kind kinds = Kind.None;
        if (schema.TryGetProperty("type", out JsonElement type))
        {
            if (type.ValueKind == JsonValueKind.Array) kinds = type.EnumerateArray().Aggregate(kinds, (sum, each) => sum | KindOf(each));
            else kinds = KindOf(type);
        }
        else if (schema.TryGetProperty("enum", out JsonElement values) && values.ValueKind == JsonValueKind.Array)
        {
            kinds = values.EnumerateArray().Aggregate(kinds, (sum, each) => sum | KindOfValue(each));
        }
        else if (schema.TryGetProperty("const", out JsonElement value))
        {
            kinds = KindOfValue(value);
        }
        else
        {
            foreach (string keyword in (ReadOnlySpan<string>)["anyOf", "oneOf", "allOf"])
            {
                if (schema.TryGetProperty(keyword, out JsonElement choices) && choices.ValueKind == JsonValueKind.Array)
                    kinds = choices.EnumerateArray().Aggregate(kinds, (sum, each) => sum | Kinds(each));
            }
            if (schema.TryGetProperty("$ref", out _)) kinds |= Kind.Other;
        }
        if (schema.TryGetProperty("nullable", out JsonElement nullable) && nullable.ValueKind == JsonValueKind.True) kinds |= Kind.Null;
        return kinds;
    }

    private static Kind KindOf(JsonElement type) => type.ValueKind != JsonValueKind.String ? Kind.None : type.GetString() switch
    {
        "string" => Kind.Text,
        "boolean" => Kind.Boolean,
        "null" => Kind.Null,
        _ => Kind.Other,
    };

    private static Kind KindOfValue(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Kind.Text,
        JsonValueKind.True or JsonValueKind.False => Kind.Boolean,
        JsonValueKind.Null => Kind.Null,
        _ => Kind.Other,
    };

    private static bool IsJson(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
