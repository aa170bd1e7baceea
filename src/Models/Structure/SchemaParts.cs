using System.Text.Json;

namespace Qanat.Models;

/// <summary>A schema and where it is, as a JSON pointer from the root.</summary>
internal readonly record struct SchemaPart(JsonElement Schema, string Pointer)
{
    public SchemaPart At(string keyword) => new(Schema.GetProperty(keyword), $"{Pointer}/{keyword}");
    public bool Has(string keyword) => Schema.ValueKind == JsonValueKind.Object && Schema.TryGetProperty(keyword, out _);

    public bool HasAny(ReadOnlySpan<string> keywords)
    {
        foreach (string keyword in keywords)
            if (Has(keyword)) return true;
        return false;
    }

    public GrammarException Bad(string keyword, string why) => new($"The schema's '{keyword}' at {(Pointer.Length == 0 ? "#" : "#" + Pointer)} cannot be kept: {why}");
}

/// <summary>Takes a schema apart into the schemas that must all hold at the same place: itself, what it refers to, and all of its allOf.</summary>
internal sealed class SchemaParts
{
    private const int PartsMax = 64;

    /// <summary>Keywords that say what an instance must be like and that a grammar cannot keep.</summary>
    private static readonly string[] Refused =
        ["not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "contains", "minContains", "maxContains", "unevaluatedItems", "$dynamicRef", "$recursiveRef"];

    private readonly JsonElement root;
    private readonly Dictionary<string, SchemaPart> anchors = new(StringComparer.Ordinal);

    public SchemaParts(JsonElement root)
    {
        this.root = root;
        FindAnchors(new SchemaPart(root, ""), 0);
    }

    /// <exception cref="GrammarException">A keyword cannot be kept, or a reference leads nowhere.</exception>
    public List<SchemaPart> Flatten(IEnumerable<SchemaPart> parts)
    {
        List<SchemaPart> flat = [];
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (SchemaPart part in parts) Add(part, flat, seen, 0);
        return flat;
    }

    private void Add(SchemaPart part, List<SchemaPart> flat, HashSet<string> seen, int depth)
    {
        if (part.Schema.ValueKind == JsonValueKind.True || !seen.Add(part.Pointer)) return;
        if (depth > PartsMax || flat.Count > PartsMax) throw part.Bad("allOf", "too many schemas hold at one place.");
        if (part.Schema.ValueKind is not (JsonValueKind.Object or JsonValueKind.False)) throw new GrammarException($"The schema at #{part.Pointer} must be an object or a boolean.");
        flat.Add(part);
        if (part.Schema.ValueKind == JsonValueKind.False) return;
        foreach (string keyword in Refused)
            if (part.Has(keyword)) throw part.Bad(keyword, "structured output does not support this keyword.");
        if (part.Has("$ref")) Add(Resolve(part), flat, seen, depth + 1);
        if (part.Has("allOf"))
        {
            SchemaPart all = part.At("allOf");
            for (int i = 0; i < all.Schema.GetArrayLength(); i++) Add(new SchemaPart(all.Schema[i], FormattableString.Invariant($"{all.Pointer}/{i}")), flat, seen, depth + 1);
        }
    }

    private SchemaPart Resolve(SchemaPart part)
    {
        JsonElement value = part.Schema.GetProperty("$ref");
        string reference = value.ValueKind == JsonValueKind.String ? Uri.UnescapeDataString(value.GetString()!) : throw part.Bad("$ref", "it must be a string.");
        if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("$id", out JsonElement id) && id.ValueKind == JsonValueKind.String && id.GetString() is { Length: > 0 } name && reference.StartsWith(name.TrimEnd('#'), StringComparison.Ordinal))
            reference = "#" + reference[name.TrimEnd('#').Length..].TrimStart('#');
        if (reference is "#" or "") return new SchemaPart(root, "");
        if (anchors.TryGetValue(reference, out SchemaPart anchored)) return anchored;
        if (!reference.StartsWith("#/", StringComparison.Ordinal)) throw part.Bad("$ref", $"'{reference}' is not within the schema.");
        JsonElement at = root;
        foreach (string step in reference[2..].Split('/').Select(step => step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)))
        {
            bool isFound = at.ValueKind switch
            {
                JsonValueKind.Object => at.TryGetProperty(step, out at),
                JsonValueKind.Array when int.TryParse(step, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int index) && index < at.GetArrayLength() => (at = at[index]).ValueKind != JsonValueKind.Undefined,
                _ => false,
            };
            if (!isFound) throw part.Bad("$ref", $"'{reference}' leads nowhere.");
        }
        return new SchemaPart(at, reference[1..]);
    }

    private void FindAnchors(SchemaPart part, int depth)
    {
        if (depth > PartsMax) return;
        if (part.Schema.ValueKind == JsonValueKind.Array)
        {
            for (int i = 0; i < part.Schema.GetArrayLength(); i++) FindAnchors(new SchemaPart(part.Schema[i], FormattableString.Invariant($"{part.Pointer}/{i}")), depth + 1);
        }
        if (part.Schema.ValueKind != JsonValueKind.Object) return;
        if (part.Schema.TryGetProperty("$anchor", out JsonElement anchor) && anchor.ValueKind == JsonValueKind.String) anchors.TryAdd("#" + anchor.GetString(), part);
        if (part.Schema.TryGetProperty("$id", out JsonElement id) && id.ValueKind == JsonValueKind.String) anchors.TryAdd(id.GetString()!, part);
        foreach (JsonProperty member in part.Schema.EnumerateObject())
        {
            if (member.Name is not ("const" or "enum" or "default" or "examples")) FindAnchors(new SchemaPart(member.Value, $"{part.Pointer}/{member.Name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}"), depth + 1);
        }
    }
}
