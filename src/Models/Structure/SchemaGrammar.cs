using System.Collections.Immutable;
using System.Text.Json;

namespace Qanat.Models;

/// <summary>
/// Turns a JSON Schema into a grammar of JSON texts that all match it. Not every matching text is in it: members come in the order of the schema, members it does not name come only where it speaks of
/// them, and a schema that says how objects, arrays, strings or numbers must be means those. What cannot be kept is refused, by keyword and place.
/// </summary>
internal sealed partial class SchemaGrammar
{
    private static readonly string[] Types = ["object", "array", "string", "number", "integer", "boolean", "null"];

    private sealed class Making
    {
        public GrammarRule? Rule;
    }

    private readonly Grammar grammar;
    private readonly JsonGrammar json;
    private readonly NumberGrammar numbers;
    private readonly SchemaParts parts;
    private readonly Dictionary<string, Expression> made = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Making> making = new(StringComparer.Ordinal);

    private SchemaGrammar(Grammar grammar, JsonGrammar json, JsonElement root)
    {
        this.grammar = grammar;
        this.json = json;
        numbers = new NumberGrammar(grammar, json);
        parts = new SchemaParts(root);
    }

    /// <summary>Texts of the values that match a schema; the grammar is not frozen yet.</summary>
    /// <exception cref="GrammarException">The schema cannot be kept, or nothing matches it.</exception>
    public static Expression Of(Grammar grammar, JsonGrammar json, JsonElement schema) => new SchemaGrammar(grammar, json, schema).Make([new SchemaPart(schema, "")]);

    /// <summary>The members of an object by their schemas, for forms that write them otherwise than JSON does.</summary>
    public static IReadOnlyList<(string Name, bool IsRequired, bool IsText, Expression Value)> Members(Grammar grammar, JsonGrammar json, JsonElement schema)
    {
        SchemaGrammar made = new(grammar, json, schema);
        ObjectShape shape = made.ShapeOf(made.parts.Flatten([new SchemaPart(schema, "")]));
        return [.. shape.Members.Select(member => (member.Name, member.IsRequired, made.IsPlainText(member.Schemas), made.Make(member.Schemas)))];
    }

    /// <summary>Any text is allowed: nothing but "type": "string" is said of it.</summary>
    private bool IsPlainText(IReadOnlyList<SchemaPart> schemas)
    {
        List<SchemaPart> flat = parts.Flatten(schemas);
        return Allowed(flat) is ["string"] && !flat.Any(part => part.Has("enum") || part.Has("const") || part.Has("pattern") || part.Has("format") || part.Has("minLength") || part.Has("maxLength") || part.Has("anyOf") || part.Has("oneOf"));
    }

    /// <summary>What must match all of these schemas.</summary>
    private Expression Make(IReadOnlyList<SchemaPart> schemas)
    {
        List<SchemaPart> flat = parts.Flatten(schemas);
        if (flat.Count == 0) return json.Value;
        string key = string.Join(' ', flat.Select(part => part.Pointer));
        if (made.TryGetValue(key, out Expression? known)) return known;
        if (making.TryGetValue(key, out Making? open)) return grammar.Of(open.Rule ??= grammar.Rule("#" + key));
        making[key] = open = new Making();
        Expression body = MakeParts(flat, []);
        making.Remove(key);
        if (open.Rule is not null)
        {
            open.Rule.Body = body;
            body = grammar.Of(open.Rule);
        }
        return made[key] = body;
    }

    /// <param name="chosen">Alternatives of this place that were chosen from already.</param>
    private Expression MakeParts(List<SchemaPart> flat, ImmutableHashSet<string> chosen)
    {
        if (flat.Count == 0) return json.Value;
        if (flat.Any(part => part.Schema.ValueKind == JsonValueKind.False)) return grammar.Nothing;
        foreach (SchemaPart part in flat)
        {
            foreach (string keyword in (ReadOnlySpan<string>)["anyOf", "oneOf"])
            {
                if (part.Has(keyword) && !chosen.Contains(part.Pointer + keyword)) return MakeAlternatives(flat, part, keyword, chosen);
            }
        }
        if (flat.Any(part => part.Has("enum") || part.Has("const"))) return MakeValues(flat);
        ImmutableArray<string> types = Allowed(flat);
        return grammar.Choice([.. types.Select(type => MakeType(type, flat))]);
    }

    private Expression MakeAlternatives(List<SchemaPart> flat, SchemaPart part, string keyword, ImmutableHashSet<string> chosen)
    {
        SchemaPart list = part.At(keyword);
        if (list.Schema.ValueKind != JsonValueKind.Array) throw part.Bad(keyword, "it must be an array of schemas.");
        SchemaPart[] branches = [.. Enumerable.Range(0, list.Schema.GetArrayLength()).Select(i => new SchemaPart(list.Schema[i], FormattableString.Invariant($"{list.Pointer}/{i}")))];
        if (keyword == "oneOf") RefuseOverlap(part, branches);
        chosen = chosen.Add(part.Pointer + keyword);
        return grammar.Choice([.. branches.Select(branch => MakeParts(parts.Flatten([.. flat, branch]), chosen))]);
    }

    /// <summary>Types that all the schemas allow. Where none is named, the other keywords tell which is meant.</summary>
    private static ImmutableArray<string> Allowed(List<SchemaPart> flat)
    {
        IEnumerable<string> allowed = Types;
        bool isNamed = false;
        foreach (SchemaPart part in flat.Where(part => part.Has("type")))
        {
            JsonElement type = part.Schema.GetProperty("type");
            HashSet<string> here = type.ValueKind switch
            {
                JsonValueKind.String => [type.GetString()!],
                JsonValueKind.Array => [.. type.EnumerateArray().Select(each => each.ValueKind == JsonValueKind.String ? each.GetString()! : "")],
                _ => throw part.Bad("type", "it must be a string or an array of strings."),
            };
            if (here.FirstOrDefault(each => !Types.Contains(each)) is { } unknown) throw part.Bad("type", $"'{unknown}' is no type of JSON Schema.");
            if (here.Contains("number")) here.Add("integer");
            if (part.Has("nullable") && part.Schema.GetProperty("nullable").ValueKind == JsonValueKind.True) here.Add("null");
            allowed = allowed.Where(here.Contains);
            isNamed = true;
        }
        ImmutableArray<string> types = [.. allowed];
        // Every integer is a number: both are needed only to tell integers alone.
        if (types.Contains("number")) types = types.Remove("integer");
        if (isNamed) return types;
        string? meant = flat.Select(Meant).FirstOrDefault(type => type is not null);
        return meant is null ? types : [meant];
    }

    private static string? Meant(SchemaPart part)
    {
        bool Any(params ReadOnlySpan<string> keywords)
        {
            foreach (string keyword in keywords)
                if (part.Has(keyword)) return true;
            return false;
        }

        return Any("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties") ? "object"
            : Any("items", "prefixItems", "minItems", "maxItems") ? "array"
            : Any("pattern", "minLength", "maxLength", "format") ? "string"
            : Any("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf") ? "number"
            : null;
    }

    private Expression MakeType(string type, List<SchemaPart> flat) => type switch
    {
        "object" => MakeObject(flat),
        "array" => MakeArray(flat),
        "string" => MakeString(flat),
        "boolean" => json.Boolean,
        "null" => json.Null,
        _ => MakeNumber(flat, onlyIntegers: type == "integer"),
    };

    // ---- numbers -------------------------------------------------------------------------------------------------

    private Expression MakeNumber(List<SchemaPart> flat, bool onlyIntegers)
    {
        decimal? min = null, max = null, factor = null;
        bool minExcluded = false, maxExcluded = false;
        foreach (SchemaPart part in flat)
        {
            // Draft 4 wrote "exclusiveMinimum": true beside the minimum.
            bool excludesMin = part.Has("exclusiveMinimum") && part.Schema.GetProperty("exclusiveMinimum").ValueKind == JsonValueKind.True;
            bool excludesMax = part.Has("exclusiveMaximum") && part.Schema.GetProperty("exclusiveMaximum").ValueKind == JsonValueKind.True;
            Raise(Bound(part, "minimum"), excludesMin);
            Raise(Bound(part, "exclusiveMinimum"), excluded: true);
            Lower(Bound(part, "maximum"), excludesMax);
            Lower(Bound(part, "exclusiveMaximum"), excluded: true);
            if (Bound(part, "multipleOf") is not { } multiple) continue;
            if (factor is not null && factor != multiple) throw part.Bad("multipleOf", "several of them at one place cannot be kept together.");
            factor = multiple > 0 ? multiple : throw part.Bad("multipleOf", "it must be above 0.");
        }
        if (factor is { } given && (given != decimal.Truncate(given) || given > int.MaxValue))
        {
            // Every integer is a multiple of 0.1, 0.05 and the like.
            if (given > 1 || 1 / given != decimal.Truncate(1 / given)) throw flat.First(part => part.Has("multipleOf")).Bad("multipleOf", "only integers and the parts of one can be kept.");
            (factor, onlyIntegers) = (null, true);
        }
        if (factor is null && !onlyIntegers) return numbers.Numbers(min, minExcluded, max, maxExcluded);
        long? low = min is { } least ? (long)decimal.Ceiling(minExcluded && least == decimal.Truncate(least) ? least + 1 : least) : null;
        long? high = max is { } most ? (long)decimal.Floor(maxExcluded && most == decimal.Truncate(most) ? most - 1 : most) : null;
        if (factor is null or 1) return numbers.Integers(low, high);
        return numbers.Multiples((long)factor, low, high) ?? throw flat.First(part => part.Has("multipleOf")).Bad("multipleOf", "with such bounds there are too many multiples.");

        void Raise(decimal? bound, bool excluded)
        {
            if (bound is not { } given || (min is { } known && (given < known || (given == known && !excluded)))) return;
            (min, minExcluded) = (given, excluded);
        }

        void Lower(decimal? bound, bool excluded)
        {
            if (bound is not { } given || (max is { } known && (given > known || (given == known && !excluded)))) return;
            (max, maxExcluded) = (given, excluded);
        }
    }

    private static decimal? Bound(SchemaPart part, string keyword)
    {
        const decimal Farthest = 1e17m;
        if (!part.Has(keyword)) return null;
        JsonElement value = part.Schema.GetProperty(keyword);
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return null;
        if (value.ValueKind != JsonValueKind.Number) throw part.Bad(keyword, "it must be a number.");
        if (!value.TryGetDouble(out double rough) || !double.IsFinite(rough)) throw part.Bad(keyword, "it is too large.");
        if (Math.Abs(rough) > 1e17) return rough < 0 ? -Farthest : Farthest;
        return value.TryGetDecimal(out decimal exact) ? exact : (decimal)rough;
    }

    private static int? Count(List<SchemaPart> flat, string keyword, bool isMin)
    {
        int? count = null;
        foreach (SchemaPart part in flat.Where(part => part.Has(keyword)))
        {
            decimal value = Bound(part, keyword) ?? throw part.Bad(keyword, "it must be a number.");
            if (value < 0 || value != decimal.Truncate(value)) throw part.Bad(keyword, "it must be a whole number of at least 0.");
            int here = (int)Math.Min(value, 1_000_000);
            count = count is not { } known ? here : isMin ? Math.Max(known, here) : Math.Min(known, here);
        }
        return count;
    }

    // ---- arrays --------------------------------------------------------------------------------------------------

    private Expression MakeArray(List<SchemaPart> flat)
    {
        int min = Count(flat, "minItems", isMin: true) ?? 0, max = Count(flat, "maxItems", isMin: false) ?? -1;
        if (max >= 0 && max < min) return grammar.Nothing;
        int prefixLength = flat.Max(part => Prefix(part) is { } prefix ? prefix.Schema.GetArrayLength() : 0);
        List<Expression> first = [];
        for (int i = 0; i < prefixLength; i++) first.Add(Make([.. flat.SelectMany(part => ItemAt(part, i))]));
        Expression others = Make([.. flat.SelectMany(part => ItemAt(part, prefixLength))]);
        // An item that nothing matches ends the array before it.
        int unmatched = first.IndexOf(grammar.Nothing);
        if (unmatched >= 0)
        {
            max = max < 0 ? unmatched : Math.Min(max, unmatched);
            first.RemoveRange(unmatched, first.Count - unmatched);
        }
        if (others == grammar.Nothing) max = max < 0 ? first.Count : Math.Min(max, first.Count);
        if (max >= 0 && max < min) return grammar.Nothing;
        return json.Listed("[", "]", first, others == grammar.Nothing ? null : others, min, max);
    }

    /// <summary>Schemas of the first items: "prefixItems", or "items" as an array as older drafts wrote it.</summary>
    private static SchemaPart? Prefix(SchemaPart part) =>
        part.Has("prefixItems") ? part.At("prefixItems")
        : part.Has("items") && part.Schema.GetProperty("items").ValueKind == JsonValueKind.Array ? part.At("items")
        : null;

    private static IEnumerable<SchemaPart> ItemAt(SchemaPart part, int index)
    {
        SchemaPart? prefix = Prefix(part);
        if (prefix is { } list && index < list.Schema.GetArrayLength()) return [new SchemaPart(list.Schema[index], FormattableString.Invariant($"{list.Pointer}/{index}"))];
        string rest = prefix is { } older && older.Pointer.EndsWith("/items", StringComparison.Ordinal) ? "additionalItems" : "items";
        return part.Has(rest) ? [part.At(rest)] : [];
    }
}
