using System.Text.Json;

namespace Qanat.Models;

/// <content>Objects, and whether alternatives exclude each other.</content>
internal sealed partial class SchemaGrammar
{
    /// <summary>Optional members behind each other: each of them may come next.</summary>
    private const int OptionalMembersMax = 1024;

    private const int WrittenOutMax = 64;

    private sealed record Member(string Name, bool IsRequired, List<SchemaPart> Schemas);

    /// <param name="Extras">Members that are not named: how their names are written, and their schemas.</param>
    /// <param name="ExtrasMin">Of them.</param> <param name="ExtrasMax">-1: no end.</param>
    private sealed record ObjectShape(List<Member> Members, List<(Expression Name, List<SchemaPart> Schemas)> Extras, int ExtrasMin, int ExtrasMax, bool IsPossible);

    private Expression MakeObject(List<SchemaPart> flat)
    {
        ObjectShape shape = ShapeOf(flat);
        if (!shape.IsPossible) return grammar.Nothing;
        if (shape.Members.Count == 0 && shape.Extras.Count == 0) return json.Members(grammar.Nothing, 0, 0);
        Expression extra = grammar.Choice([.. shape.Extras.Select(each => grammar.Sequence(each.Name, json.Colon, Make(each.Schemas)))]);
        if (shape.Members.Count == 0) return json.Members(extra, shape.ExtrasMin, shape.ExtrasMax);

        Expression more = grammar.Repeat(grammar.Sequence(json.Comma, extra), shape.ExtrasMin, extra == grammar.Nothing ? 0 : shape.ExtrasMax);
        Expression alone = shape.ExtrasMin == 0
            ? grammar.Optional(grammar.Sequence(extra, grammar.Repeat(grammar.Sequence(json.Comma, extra), 0, Fewer(shape.ExtrasMax))))
            : grammar.Sequence(extra, grammar.Repeat(grammar.Sequence(json.Comma, extra), shape.ExtrasMin - 1, Fewer(shape.ExtrasMax)));
        if (shape.ExtrasMax == 0) alone = grammar.Empty;
        // From the last member to the first: what may follow a member that was written.
        Expression following = more;
        List<Expression> begins = [];
        for (int i = shape.Members.Count - 1; i >= 0; i--)
        {
            Member member = shape.Members[i];
            Expression value = Make(member.Schemas);
            if (value == grammar.Nothing && !member.IsRequired) continue;
            Expression behind = Shared(FormattableString.Invariant($"members {i}"), following);
            // Every so many members as a whole: written out, the choices of many members are as many as their square.
            if (i % WrittenOutMax == 0) following = behind;
            Expression first = grammar.Sequence(json.Name(member.Name), json.Colon, value, behind), next = grammar.Sequence(json.Comma, first);
            if (member.IsRequired) begins.Clear();
            begins.Add(first);
            following = member.IsRequired ? next : grammar.Choice(next, following);
        }
        if (!shape.Members.Exists(member => member.IsRequired)) begins.Add(alone);
        return grammar.Sequence(json.Bytes.Literal("{"), json.Space, grammar.Choice([.. begins]), json.Space, json.Bytes.Literal("}"));
    }

    /// <summary>A rule of its own for what is used twice, so that it is not written out again and again.</summary>
    private Expression Shared(string name, Expression body)
    {
        if (body == grammar.Empty) return body;
        GrammarRule rule = grammar.Rule(name);
        rule.Body = body;
        return grammar.Of(rule);
    }

    private static int Fewer(int max) => max < 0 ? -1 : Math.Max(0, max - 1);

    private ObjectShape ShapeOf(List<SchemaPart> flat)
    {
        HashSet<string> named = new(StringComparer.Ordinal), required = new(StringComparer.Ordinal);
        List<string> names = [];
        List<Named> parts = [];
        foreach (SchemaPart part in flat)
        {
            Dictionary<string, JsonElement> properties = new(StringComparer.Ordinal);
            foreach (JsonProperty property in Object(part, "properties"))
            {
                properties[property.Name] = property.Value;
                if (named.Add(property.Name)) names.Add(property.Name);
            }
            parts.Add(new Named(part, properties));
            if (!part.Has("required") || part.Schema.GetProperty("required").ValueKind != JsonValueKind.Array) continue;
            foreach (JsonElement name in part.Schema.GetProperty("required").EnumerateArray()) required.Add(name.GetString()!);
        }
        names.AddRange(required.Where(name => !named.Contains(name)).Order(StringComparer.Ordinal));

        List<Member> members = [.. names.Select(name => new Member(name, required.Contains(name), SchemasOf(name, parts)))];
        List<(Expression, List<SchemaPart>)> extras = Extras(flat, names);
        int min = Count(flat, "minProperties", isMin: true) ?? 0, max = Count(flat, "maxProperties", isMin: false) ?? -1;
        CheckNames(flat, members);
        bool isPossible = max < 0 || max >= required.Count;
        // Where a maximum bounds the number, optional members behind it are left out; where a minimum asks for more than is required, the first optional ones are written always.
        if (max >= 0) members = Limited(members, max);
        int always = members.Count(member => member.IsRequired);
        for (int i = 0; i < members.Count && always < min; i++)
        {
            if (!members[i].IsRequired) always++;
            members[i] = members[i] with { IsRequired = true };
        }
        int lacking = Math.Max(0, min - always);
        if (lacking > 0 && (extras.Count == 0 || lacking > 1)) throw flat.First(part => part.Has("minProperties")).Bad("minProperties", "members without names of their own cannot be counted.");
        RefuseManyOptional(flat, members);
        int extrasMax = extras.Count == 0 ? 0 : max < 0 ? -1 : Math.Max(0, max - members.Count);
        return new ObjectShape(members, extras, lacking, extrasMax, isPossible && (lacking == 0 || extrasMax != 0));
    }

    private static void RefuseManyOptional(List<SchemaPart> flat, List<Member> members)
    {
        int run = 0;
        foreach (Member member in members)
        {
            run = member.IsRequired ? 0 : run + 1;
            if (run > OptionalMembersMax)
                throw flat.First(part => part.Has("properties")).Bad("properties", FormattableString.Invariant($"more than {OptionalMembersMax} members behind each other may be left out; name some of them as required, or fewer of them."));
        }
    }

    private static List<Member> Limited(List<Member> members, int max)
    {
        int optional = max - members.Count(member => member.IsRequired);
        return [.. members.Where(member => member.IsRequired || optional-- > 0)];
    }

    private static IEnumerable<JsonProperty> Object(SchemaPart part, string keyword)
    {
        if (!part.Has(keyword)) return [];
        JsonElement value = part.Schema.GetProperty(keyword);
        return value.ValueKind == JsonValueKind.Object ? value.EnumerateObject() : throw part.Bad(keyword, "it must be an object.");
    }

    /// <summary>What each schema says of a member: by its name, by a pattern of its name, or as one it does not name.</summary>
    private List<SchemaPart> SchemasOf(string name, List<Named> parts)
    {
        List<SchemaPart> schemas = [];
        bool isEvaluated = parts.Exists(other => other.Properties.ContainsKey(name));
        foreach ((SchemaPart part, Dictionary<string, JsonElement> properties) in parts)
        {
            bool isNamed = properties.TryGetValue(name, out JsonElement own);
            if (isNamed) schemas.Add(Under(part, "properties", name, own));
            foreach (JsonProperty pattern in Object(part, "patternProperties"))
            {
                if (!PatternOf(part, "patternProperties", pattern.Name).Matches(name)) continue;
                isNamed = true;
                schemas.Add(Under(part, "patternProperties", pattern.Name, pattern.Value));
            }
            if (!isNamed && part.Has("additionalProperties")) schemas.Add(part.At("additionalProperties"));
            if (!isNamed && !isEvaluated && part.Has("unevaluatedProperties")) schemas.Add(part.At("unevaluatedProperties"));
        }
        return schemas;
    }

    /// <summary>A schema and the members it names, found by their names: in a document they are looked for one by one.</summary>
    private readonly record struct Named(SchemaPart Part, Dictionary<string, JsonElement> Properties);

    private static SchemaPart Under(SchemaPart part, string keyword, string name) => Under(part, keyword, name, part.Schema.GetProperty(keyword).GetProperty(name));

    private static SchemaPart Under(SchemaPart part, string keyword, string name, JsonElement schema) =>
        new(schema, $"{part.Pointer}/{keyword}/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}");

    /// <summary>Members that are not named come where the schema speaks of them, or of no member at all.</summary>
    private List<(Expression Name, List<SchemaPart> Schemas)> Extras(List<SchemaPart> flat, List<string> names)
    {
        (SchemaPart Part, string Pattern)[] patterns = [.. flat.SelectMany(part => Object(part, "patternProperties").Select(pattern => (part, pattern.Name)))];
        if (patterns.Length > 1) throw patterns[1].Part.Bad("patternProperties", "more than one pattern of names cannot be kept, because a name may match several.");
        List<SchemaPart> schemas = [];
        if (patterns.Length == 1)
        {
            (SchemaPart part, string pattern) = patterns[0];
            schemas.Add(Under(part, "patternProperties", pattern));
            schemas.AddRange(flat.Where(other => other.Pointer != part.Pointer && other.Has("additionalProperties")).Select(other => other.At("additionalProperties")));
            return [(Names(flat, names, pattern), schemas)];
        }
        foreach (SchemaPart part in flat)
        {
            if (part.Has("additionalProperties")) schemas.Add(part.At("additionalProperties"));
            if (part.Has("unevaluatedProperties")) schemas.Add(part.At("unevaluatedProperties"));
        }
        if (schemas.Any(schema => schema.Schema.ValueKind == JsonValueKind.False)) return [];
        bool spoken = schemas.Count > 0 || names.Count == 0 || flat.Any(part => part.Has("propertyNames"));
        return spoken ? [(Names(flat, names, null), schemas)] : [];
    }

    /// <summary>Names of members other than these.</summary>
    private Expression Names(List<SchemaPart> flat, List<string> without, string? pattern)
    {
        SchemaPart[] rules = [.. flat.Where(part => part.Has("propertyNames")).Select(part => part.At("propertyNames"))];
        if (rules.Length == 0 && pattern is null && without.Count == 0) return json.String;
        return Written(characters =>
        {
            Expression language = RegexReader.Marked(characters, Others(characters, without));
            if (pattern is not null) language = characters.Both(language, RegexReader.Anywhere(characters, pattern));
            List<SchemaPart> all = parts.Flatten(rules);
            if (all.FirstOrDefault(part => part.Has("enum") || part.Has("const") || part.Has("anyOf") || part.Has("oneOf")) is { Pointer: not null } bad) throw bad.Bad("propertyNames", "only patterns, formats and lengths of names can be kept.");
            return Restricted(characters, language, all);
        }, flat[0], "propertyNames");
    }

    /// <summary>Texts that are none of these.</summary>
    private static Expression Others(Grammar characters, IEnumerable<string> texts)
    {
        Expression all = characters.Set(TextGrammar.AllCodePoints), any = characters.Repeat(all, 0, -1);
        int[][] excluded = [.. texts.Select(text => text.EnumerateRunes().Select(rune => rune.Value).ToArray())];
        return From(0, excluded);

        Expression From(int depth, int[][] with)
        {
            List<Expression> choices = [];
            if (!with.Any(text => text.Length == depth)) choices.Add(characters.Empty);
            SymbolSet begun = SymbolSet.Empty;
            foreach (IGrouping<int, int[]> next in with.Where(text => text.Length > depth).GroupBy(text => text[depth]))
            {
                SymbolSet one = SymbolSet.Range(next.Key, next.Key);
                begun = begun.Or(one);
                choices.Add(characters.Sequence(characters.Set(one), From(depth + 1, [.. next])));
            }
            choices.Add(characters.Sequence(characters.Set(begun.Not(TextGrammar.AllCodePoints)), any));
            return characters.Choice([.. choices]);
        }
    }

    private void CheckNames(List<SchemaPart> flat, List<Member> members)
    {
        List<SchemaPart> rules = parts.Flatten(flat.Where(part => part.Has("propertyNames")).Select(part => part.At("propertyNames")));
        if (rules.Count == 0 || members.Count == 0) return;
        Grammar characters = new();
        CharacterAutomaton allowed = CharacterAutomaton.Of(characters, Restricted(characters, RegexReader.Marked(characters, characters.Repeat(characters.Set(TextGrammar.AllCodePoints), 0, -1)), rules));
        if (members.FirstOrDefault(member => !allowed.Matches(member.Name)) is { } bad) throw rules[0].Bad("propertyNames", $"the schema's own member '{bad.Name}' is not among the names it allows.");
    }

    // ---- oneOf ---------------------------------------------------------------------------------------------------

    /// <summary>A grammar cannot count how many alternatives match: those of oneOf must be told apart by type, or by a member or value that is constant in each.</summary>
    private void RefuseOverlap(SchemaPart part, SchemaPart[] branches)
    {
        List<SchemaPart>[] flat = [.. branches.Select(branch => parts.Flatten([branch]))];
        for (int a = 0; a < flat.Length; a++)
        {
            for (int b = a + 1; b < flat.Length; b++)
                if (!Exclude(flat[a], flat[b], 0)) throw part.Bad("oneOf", FormattableString.Invariant($"its alternatives {a} and {b} may both match; use anyOf, or tell them apart by type or by a constant member that both require."));
        }
    }

    private bool Exclude(List<SchemaPart> a, List<SchemaPart> b, int depth)
    {
        if (a.Concat(b).Any(part => part.Schema.ValueKind == JsonValueKind.False)) return true;
        HashSet<string>? valuesA = ValuesOf(a), valuesB = ValuesOf(b);
        if (valuesA is not null && valuesB is not null) return !valuesA.Overlaps(valuesB);
        string[] typesA = NamedTypes(a), typesB = NamedTypes(b), writtenA = WrittenTypes(a), writtenB = WrittenTypes(b);
        // What is written for one must not match the other; a schema without a type matches more than is written for it.
        if (!writtenA.Intersect(typesB).Any() && !writtenB.Intersect(typesA).Any()) return true;
        if (valuesA is not null && !valuesA.Any(value => typesB.Contains(TypeOf(value)))) return true;
        if (valuesB is not null && !valuesB.Any(value => typesA.Contains(TypeOf(value)))) return true;
        if (depth > 4 || writtenA.Concat(writtenB).Distinct().ToArray() is not ["object"]) return false;
        string[] requiredA = [.. RequiredNames(a)], requiredB = [.. RequiredNames(b)];
        if (requiredA.Intersect(requiredB).Any(name => Exclude(MemberSchemas(a, name), MemberSchemas(b, name), depth + 1))) return true;
        return requiredA.Any(name => Forbids(b, name)) || requiredB.Any(name => Forbids(a, name));
    }

    private List<SchemaPart> MemberSchemas(List<SchemaPart> flat, string name) =>
        parts.Flatten(flat.Where(part => part.Has("properties") && part.Schema.GetProperty("properties").TryGetProperty(name, out _)).Select(part => Under(part, "properties", name)));

    private static IEnumerable<string> RequiredNames(List<SchemaPart> flat) => flat.Where(part => part.Has("required") && part.Schema.GetProperty("required").ValueKind == JsonValueKind.Array)
        .SelectMany(part => part.Schema.GetProperty("required").EnumerateArray().Select(name => name.GetString()!));

    private static bool Forbids(List<SchemaPart> flat, string name) => flat.Any(part =>
        part.Has("additionalProperties") && part.Schema.GetProperty("additionalProperties").ValueKind == JsonValueKind.False && !part.Has("patternProperties")
        && !(part.Has("properties") && part.Schema.GetProperty("properties").TryGetProperty(name, out _)));

    private static string[] WrittenTypes(List<SchemaPart> flat) => [.. Allowed(flat).Select(type => type == "integer" ? "number" : type).Distinct()];

    private static string[] NamedTypes(List<SchemaPart> flat)
    {
        IEnumerable<string> types = Types.Except(["integer"]);
        foreach (SchemaPart part in flat.Where(part => part.Has("type")))
        {
            JsonElement type = part.Schema.GetProperty("type");
            string[] here = type.ValueKind == JsonValueKind.String ? [type.GetString()!] : [.. type.EnumerateArray().Select(each => each.GetString()!)];
            if (part.Has("nullable")) here = [.. here, "null"];
            types = types.Intersect(here.Select(each => each == "integer" ? "number" : each));
        }
        return [.. types];
    }

    private static string TypeOf(string value) => value[0] switch
    {
        '"' => "string",
        '{' => "object",
        '[' => "array",
        't' or 'f' => "boolean",
        'n' => "null",
        _ => "number",
    };

    private static HashSet<string>? ValuesOf(List<SchemaPart> flat)
    {
        SchemaPart given = flat.FirstOrDefault(part => part.Has("enum") || part.Has("const"));
        if (given.Pointer is null) return null;
        return given.Has("const") ? [Canonical(given.Schema.GetProperty("const"))] : [.. given.Schema.GetProperty("enum").EnumerateArray().Select(Canonical)];
    }
}
