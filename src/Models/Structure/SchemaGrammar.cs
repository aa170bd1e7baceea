using System.Collections.Immutable;
using System.Text.Json;

namespace Qanat.Models;

/// <summary>
/// Turns a JSON Schema into a grammar of JSON texts that all match it. Not every matching text is in it: members come in the order of the schema, members it does not name come only where it speaks of
/// them, and a schema that says how objects, arrays, strings or numbers must be means those. What cannot be kept is refused, by keyword and place.
/// </summary>
internal sealed partial class SchemaGrammar
{
    /// <summary>Each of their subsets is a state.</summary>
    private const int DistinctMax = 10;

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

    private static readonly string[] ObjectKeywords = ["properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties"];
    private static readonly string[] ArrayKeywords = ["items", "prefixItems", "minItems", "maxItems"];

    private static string? Meant(SchemaPart part) =>
        part.HasAny(ObjectKeywords) ? "object"
        : part.HasAny(ArrayKeywords) ? "array"
        : part.HasAny(["pattern", "minLength", "maxLength", "format"]) ? "string"
        : part.HasAny(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) ? "number"
        : null;

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
        NumberBounds bounds = BoundsOf(flat);
        if (bounds.Factor is null) return onlyIntegers ? numbers.Integers(bounds.LeastWhole, bounds.GreatestWhole) : numbers.Numbers(bounds);
        return numbers.Multiples(bounds, onlyIntegers) ?? throw flat.First(part => part.Has("multipleOf")).Bad("multipleOf", "it is too large or too small, or with such bounds there are too many multiples.");
    }

    private static NumberBounds BoundsOf(List<SchemaPart> flat)
    {
        NumberBounds bounds = default;
        foreach (SchemaPart part in flat)
        {
            // Draft 4 wrote "exclusiveMinimum": true beside the minimum.
            bool excludesMin = part.Has("exclusiveMinimum") && part.Schema.GetProperty("exclusiveMinimum").ValueKind == JsonValueKind.True;
            bool excludesMax = part.Has("exclusiveMaximum") && part.Schema.GetProperty("exclusiveMaximum").ValueKind == JsonValueKind.True;
            bounds = bounds.AtLeast(Bound(part, "minimum"), excludesMin).AtLeast(Bound(part, "exclusiveMinimum"), excluded: true)
                .AtMost(Bound(part, "maximum"), excludesMax).AtMost(Bound(part, "exclusiveMaximum"), excluded: true);
            if (Bound(part, "multipleOf") is not { } multiple) continue;
            if (multiple <= 0) throw part.Bad("multipleOf", "it must be above 0.");
            bounds = bounds.InStepsOf(multiple) ?? throw part.Bad("multipleOf", "several of them at one place cannot be kept together.");
        }
        return bounds;
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
        if (max is < 0 or > 1 && flat.Find(part => part.Has("uniqueItems") && part.At("uniqueItems").Schema.ValueKind == JsonValueKind.True) is { Pointer: not null } unique) return MakeDistinct(flat, unique, min, max);
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

    /// <summary>Items that are all different, in any order: values that are listed, so few that what has been said of them can be told apart.</summary>
    private Expression MakeDistinct(List<SchemaPart> flat, SchemaPart unique, int min, int max)
    {
        List<SchemaPart> items = parts.Flatten(flat.SelectMany(part => ItemAt(part, 0)));
        bool isListed = !flat.Any(part => Prefix(part) is not null) && items.Any(part => part.Has("enum") || part.Has("const")) && !items.Any(part => part.Has("anyOf") || part.Has("oneOf"));
        if (!isListed) throw unique.Bad("uniqueItems", "only values that are listed (enum) can be kept apart.");
        List<JsonElement> values = Listed(items);
        if (values.Count > DistinctMax) throw unique.Bad("uniqueItems", FormattableString.Invariant($"more than {DistinctMax} listed values cannot be kept apart."));
        GrammarRule?[] rules = new GrammarRule?[1 << values.Count];
        Expression[] written = [.. values.Select(json.Literal)];
        return grammar.Sequence(json.Bytes.Literal("["), json.Space, From(0, 0), json.Space, json.Bytes.Literal("]"));

        // What may come when some have been said.
        Expression From(int said, int count)
        {
            if (rules[said] is { } known) return grammar.Of(known);
            GrammarRule rule = rules[said] = grammar.Rule(FormattableString.Invariant($"distinct {said}"));
            List<Expression> choices = [];
            if (count >= min) choices.Add(grammar.Empty);
            for (int i = 0; i < written.Length && (max < 0 || count < max); i++)
                if ((said >> i & 1) == 0) choices.Add(grammar.Sequence(count == 0 ? grammar.Empty : json.Comma, written[i], From(said | 1 << i, count + 1)));
            rule.Body = grammar.Choice([.. choices]);
            return grammar.Of(rule);
        }
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
