using System.Text;
using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>Reads fields that hold a list of objects, or text either as a string or as parts.</summary>
internal static class ContentText
{
    /// <summary>The objects of an array, each with its place; a missing array is empty.</summary>
    public static IEnumerable<JsonFields> Objects(JsonFields fields, string name)
    {
        if (!fields.TryGet(name, out JsonElement value)) yield break;
        string param = fields.PathOf(name);
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of objects", JsonFields.Kind(value));
        int index = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Object) throw Refusal.Type(JsonFields.PathOf(param, index), "an object", JsonFields.Kind(item));
            yield return new JsonFields(item, param, index++);
        }
    }

    /// <summary>A string, or an array whose objects are each worth a text; null: absent.</summary>
    public static string? Read(JsonFields fields, string name, Func<JsonFields, string> textOf)
    {
        if (!fields.TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.String) return JsonFields.TextOf(value, fields.PathOf(name));
        StringBuilder text = new();
        foreach (JsonFields part in Objects(fields, name)) text.Append(textOf(part));
        return text.ToString();
    }

    /// <summary>The JSON text of a field that must be an object; null: absent.</summary>
    public static string? ObjectText(JsonFields fields, string name)
    {
        if (!fields.TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind != JsonValueKind.Object) throw Refusal.Type(fields.PathOf(name), "an object", JsonFields.Kind(value));
        return value.GetRawText();
    }

    /// <summary>A list of strings; a missing one is empty.</summary>
    public static IEnumerable<string> Strings(JsonFields fields, string name)
    {
        if (!fields.TryGet(name, out JsonElement value)) yield break;
        string param = fields.PathOf(name);
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of strings", JsonFields.Kind(value));
        int index = 0;
        foreach (JsonElement item in value.EnumerateArray())
            yield return JsonFields.TextOf(item, FormattableString.Invariant($"{param}[{index++}]"));
    }

    public static ApiException NotText(JsonFields part, string type) => new(400, Refusal.InvalidRequest, "unsupported_content",
        $"Content of type '{type[..Math.Min(40, type.Length)]}' is not supported: the models served here read text only.", part.PathOf("type"));
}
