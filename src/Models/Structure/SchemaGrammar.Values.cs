using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Models;

/// <content>Values that are listed, and strings.</content>
internal sealed partial class SchemaGrammar
{
    private const int ValueLengthMax = 8192, LengthMax = 1_000_000;

    private Expression MakeValues(List<SchemaPart> flat) => grammar.Choice([.. Listed(flat).Select(json.Literal)]);

    /// <summary>The values that every enum and const lists, that the types allow, and that keep what is said beside the lists.</summary>
    private static List<JsonElement> Listed(List<SchemaPart> flat)
    {
        List<JsonElement>? values = null;
        foreach (SchemaPart part in flat)
        {
            if (part.Has("const")) Keep([part.Schema.GetProperty("const")]);
            if (!part.Has("enum")) continue;
            SchemaPart list = part.At("enum");
            if (list.Schema.ValueKind != JsonValueKind.Array) throw part.Bad("enum", "it must be an array.");
            Keep(list.Schema.EnumerateArray());
        }
        if (values!.Find(value => value.GetRawText().Length > ValueLengthMax) is { ValueKind: not JsonValueKind.Undefined }) throw flat[0].Bad("enum", FormattableString.Invariant($"a value is longer than {ValueLengthMax} characters."));
        HashSet<string> types = [.. Allowed(flat.Where(part => part.Has("type")).ToList())];
        return [.. values.Where(value => (types.Contains(TypeOf(Canonical(value))) || (types.Contains("integer") && IsInteger(value))) && Fits(value, flat))];

        void Keep(IEnumerable<JsonElement> given)
        {
            HashSet<string> here = [];
            List<JsonElement> list = [.. given.Where(value => here.Add(Canonical(value)))];
            values = values is null ? list : [.. values.Where(value => here.Contains(Canonical(value)))];
        }
    }

    /// <summary>
    /// Whether a listed value keeps what is said beside the list. Of strings the format is not looked at: what is written here for a format is a part of it, and whoever lists a value says that it is of
    /// the format.
    /// </summary>
    private static bool Fits(JsonElement value, List<SchemaPart> flat)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String when flat.Any(part => part.Has("pattern") || part.Has("minLength") || part.Has("maxLength")):
                Grammar characters = new();
                Expression any = RegexReader.Marked(characters, characters.Repeat(characters.Set(TextGrammar.AllCodePoints), 0, -1));
                return CharacterAutomaton.Of(characters, Restricted(characters, any, flat, ["pattern"])).Matches(value.GetString()!);
            case JsonValueKind.Number:
                return BoundsOf(flat).Allow(value);
            case JsonValueKind.Array when flat.Find(part => part.HasAny(ArrayKeywords)) is { Pointer: not null } beside:
                throw beside.Bad("enum", "listed arrays cannot be checked against the other keywords beside the list.");
            case JsonValueKind.Object when flat.Find(part => part.HasAny(ObjectKeywords)) is { Pointer: not null } beside:
                throw beside.Bad("enum", "listed objects cannot be checked against the other keywords beside the list.");
            default:
                return true;
        }
    }

    private static bool IsInteger(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && Math.Floor(number) == number;

    /// <summary>Equal for equal values: members in order, numbers as numbers.</summary>
    private static string Canonical(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(',', value.EnumerateObject().OrderBy(member => member.Name, StringComparer.Ordinal).Select(member => JsonValue.Create(member.Name).ToJsonString() + ":" + Canonical(member.Value))) + "}",
        JsonValueKind.Array => "[" + string.Join(',', value.EnumerateArray().Select(Canonical)) + "]",
        JsonValueKind.String => JsonValue.Create(value.GetString()!).ToJsonString(),
        JsonValueKind.Number when value.TryGetDouble(out double number) => number.ToString("R", System.Globalization.CultureInfo.InvariantCulture),
        _ => value.GetRawText(),
    };

    private Expression MakeString(List<SchemaPart> flat)
    {
        int min = Count(flat, "minLength", isMin: true) ?? 0, max = Count(flat, "maxLength", isMin: false) ?? -1;
        if (max >= 0 && max < min) return grammar.Nothing;
        if (min > LengthMax / 10) throw flat.First(part => part.Has("minLength")).Bad("minLength", "it is too long for an answer.");
        if (!flat.Any(part => part.Has("pattern") || part.Has("format"))) return max < 0 && min == 0 ? json.String : json.StringOfLength(min, max);
        return Written(characters => Restricted(characters, RegexReader.Marked(characters, characters.Repeat(characters.Set(TextGrammar.AllCodePoints), 0, -1)), flat),
            flat.First(part => part.Has("pattern") || part.Has("format")), flat.Any(part => part.Has("pattern")) ? "pattern" : "format");
    }

    /// <summary>Strings of a language over characters, as JSON.</summary>
    private Expression Written(Func<Grammar, Expression> language, SchemaPart part, string keyword)
    {
        Grammar characters = new();
        try
        {
            CharacterAutomaton automaton = CharacterAutomaton.Of(characters, language(characters));
            Expression inside = automaton.Into(grammar, FormattableString.Invariant($"text {written++}"), json.Encode);
            return inside == grammar.Nothing ? grammar.Nothing : json.Text(inside);
        }
        catch (GrammarException error) when (!error.Message.StartsWith("The schema's", StringComparison.Ordinal))
        {
            throw part.Bad(keyword, error.Message);
        }
    }

    private int written;

    /// <summary>A language cut down to what patterns, formats and lengths allow.</summary>
    private static Expression Restricted(Grammar characters, Expression language, List<SchemaPart> flat) => Restricted(characters, language, flat, ["pattern", "format"]);

    private static Expression Restricted(Grammar characters, Expression language, List<SchemaPart> flat, ReadOnlySpan<string> keywords)
    {
        foreach (SchemaPart part in flat)
        {
            foreach (string keyword in keywords)
            {
                if (!part.Has(keyword) || IsSaidByPattern(part, keyword)) continue;
                JsonElement value = part.Schema.GetProperty(keyword);
                if (value.ValueKind != JsonValueKind.String) throw part.Bad(keyword, "it must be a string.");
                string pattern = keyword == "pattern" ? value.GetString()! : TextFormats.Find(value.GetString()!) ?? throw part.Bad("format", $"the format '{value.GetString()}' is not known; known are {TextFormats.Names}.");
                try
                {
                    language = characters.Both(language, RegexReader.Anywhere(characters, pattern));
                }
                catch (GrammarException error)
                {
                    throw part.Bad(keyword, error.Message);
                }
            }
        }
        int min = Count(flat, "minLength", isMin: true) ?? 0, max = Count(flat, "maxLength", isMin: false) ?? -1;
        if (min == 0 && max < 0) return language;
        return characters.Both(language, RegexReader.Marked(characters, characters.Repeat(characters.Set(TextGrammar.AllCodePoints), min, max)));
    }

    /// <summary>Generators of schemas have formats of their own, and write beside them the pattern that each stands for.</summary>
    private static bool IsSaidByPattern(SchemaPart part, string keyword) =>
        keyword == "format" && part.Has("pattern") && part.Schema.GetProperty("format") is { ValueKind: JsonValueKind.String } format && TextFormats.Find(format.GetString()!) is null;

    private CharacterAutomaton PatternOf(SchemaPart part, string keyword, string pattern)
    {
        if (patterns.TryGetValue(pattern, out CharacterAutomaton? known)) return known;
        Grammar characters = new();
        try
        {
            return patterns[pattern] = CharacterAutomaton.Of(characters, RegexReader.Anywhere(characters, pattern));
        }
        catch (GrammarException error)
        {
            throw part.Bad(keyword, error.Message);
        }
    }

    private readonly Dictionary<string, CharacterAutomaton> patterns = new(StringComparer.Ordinal);
}
