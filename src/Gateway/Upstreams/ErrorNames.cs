using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>What an upstream's error is called. Its sentence is left out: many repeat what was asked, or the key, and neither belongs in a log or on a page.</summary>
internal static class ErrorNames
{
    private const int LengthMax = 60;
    private static readonly string[] Fields = ["type", "code", "status", "param"];

    /// <summary>" (type, code)", or nothing when it has no names.</summary>
    public static string Of(string body)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            return Of(document.RootElement);
        }
        catch (JsonException)
        {
            return "";
        }
    }

    /// <param name="root">The error, or what holds it in a field of this name.</param>
    public static string Of(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object) return "";
        JsonElement error = root.TryGetProperty("error", out JsonElement inner) && inner.ValueKind == JsonValueKind.Object ? inner : root;
        string[] names = [.. Fields.Select(field => Name(error, field)).OfType<string>().Distinct(StringComparer.Ordinal)];
        return names.Length == 0 ? "" : $" ({string.Join(", ", names)})";
    }

    private static string? Name(JsonElement error, string field)
    {
        if (!error.TryGetProperty(field, out JsonElement value)) return null;
        string? text = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Number => value.GetRawText(),
            _ => null,
        };
        return text is { Length: > 0 and <= LengthMax } && text.All(each => char.IsAsciiLetterOrDigit(each) || each is '_' or '-' or '.' or '[' or ']') ? text : null;
    }
}
