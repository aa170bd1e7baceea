using System.Runtime.InteropServices;
using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>Named fields of a JSON object in a request. A field that is null counts as absent; a field of the wrong kind is refused by its name.</summary>
internal readonly struct JsonFields
{
    private readonly JsonElement body;
    private readonly JsonElement extra;
    private readonly string path;

    /// <summary>Which item of a list it is; -1: none. Only what is refused is called by its place.</summary>
    private readonly int index = -1;

    /// <summary>With which characters its names begin, one bit for several. Most fields that are asked for are not there, and most of those need no look at the names.</summary>
    private readonly ulong begins;

    /// <param name="body">An object.</param>
    /// <param name="path">Where the object is in the request, e.g. "messages[0]"; empty: the request itself.</param>
    public JsonFields(JsonElement body, string path)
    {
        this.body = body;
        this.path = path;
        begins = BeginsOf(body);
    }

    /// <param name="list">Where the list is in the request, e.g. "messages".</param>
    /// <param name="index">The place of the object in it.</param>
    public JsonFields(JsonElement body, string list, int index) : this(body, list) => this.index = index;

    private JsonFields(JsonElement body, JsonElement extra)
    {
        this.body = body;
        this.extra = extra;
        path = "";
        begins = BeginsOf(body);
    }

    /// <summary>The request's own fields, merged with those of a literal "extra_body" object, which some clients send as it is; extra_body wins as it does in the clients that merge it themselves.</summary>
    public static JsonFields OfRequest(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw new ApiException(400, Refusal.InvalidRequest, "invalid_type", $"The request body must be a JSON object, not {Kind(root)}.");
        bool hasExtra = TryFind(root, "extra_body", "", out JsonElement extra) && extra.ValueKind == JsonValueKind.Object;
        return hasExtra ? new JsonFields(root, extra) : new JsonFields(root, "");
    }

    public JsonElement Element => body;

    /// <summary>The object's own text.</summary>
    public string Raw => body.GetRawText();

    public string PathOf(string name) => path.Length == 0 ? name : $"{Path}.{name}";

    private string Path => index < 0 ? path : PathOf(path, index);

    /// <summary>What an item of a list is called.</summary>
    public static string PathOf(string list, int index) => FormattableString.Invariant($"{list}[{index}]");

    public bool TryGet(string name, out JsonElement value)
    {
        bool extraHas = extra.ValueKind == JsonValueKind.Object && TryFind(extra, name, "extra_body", out value) && value.ValueKind != JsonValueKind.Null;
        return extraHas ? extra.TryGetProperty(name, out value) : TryFind(name, out value) && value.ValueKind != JsonValueKind.Null;
    }

    /// <summary>Whether the field is there, even as null.</summary>
    public bool Says(string name) => TryFind(name, out _);

    public string? Text(string name) => TryGet(name, out JsonElement value) ? TextOf(name, value) : null;

    /// <summary>The text of a field whose value is known.</summary>
    /// <exception cref="ApiException">400: not a string, or not valid Unicode.</exception>
    public string TextOf(string name, JsonElement value) => TryText(value) ?? TextOf(value, PathOf(name));

    /// <summary>A text, or a number as it was written: amounts arrive as either.</summary>
    public string? TextOrNumber(string name) => TryGet(name, out JsonElement value)
        ? value.ValueKind == JsonValueKind.Number ? value.GetRawText() : TextOf(value, PathOf(name))
        : null;

    public string RequiredText(string name) => Text(name) ?? throw Refusal.Missing(PathOf(name));

    public bool? Flag(string name)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        return value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Refusal.Type(PathOf(name), "a boolean", Kind(value)),
        };
    }

    public long? Integer(string name, long min, long max)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        if (IntegerOf(value, PathOf(name)) is { } number && number >= min && number <= max) return number;
        throw Refusal.Value(PathOf(name), $"it must be an integer from {min} to {max}.");
    }

    /// <summary>An integer of at least <paramref name="min"/>; anything above int's range counts as its end.</summary>
    public int? IntegerAtLeast(string name, int min)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        if (IntegerOf(value, PathOf(name)) is { } number && number >= min) return (int)Math.Min(number, int.MaxValue);
        throw Refusal.Value(PathOf(name), $"it must be an integer of at least {min}.");
    }

    public float? Number(string name, double min, double max)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        return NumberOf(value, PathOf(name), min, max);
    }

    /// <summary>A field that must be an object.</summary>
    public JsonFields? Object(string name)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind != JsonValueKind.Object) throw Refusal.Type(PathOf(name), "an object", Kind(value));
        return new JsonFields(value, PathOf(name));
    }

    public static float NumberOf(JsonElement value, string param, double min, double max)
    {
        if (value.ValueKind != JsonValueKind.Number) throw Refusal.Type(param, "a number", Kind(value));
        if (value.TryGetDouble(out double number) && number >= min && number <= max) return (float)number;
        throw Refusal.Value(param, FormattableString.Invariant($"it must be a number from {min} to {max}."));
    }

    /// <summary>A whole number, also when it is written like 16.0; beyond long it counts as the end of its range. Null: not whole.</summary>
    /// <exception cref="ApiException">400: not a number.</exception>
    public static long? IntegerOf(JsonElement value, string param)
    {
        if (value.ValueKind != JsonValueKind.Number) throw Refusal.Type(param, "an integer", Kind(value));
        if (value.TryGetInt64(out long number)) return number;
        if (!value.TryGetDouble(out double real) || Math.Floor(real) != real) return null;
        return real switch
        {
            >= long.MaxValue => long.MaxValue,
            <= long.MinValue => long.MinValue,
            _ => (long)real,
        };
    }

    /// <exception cref="ApiException">400: not a string, or not valid Unicode.</exception>
    public static string TextOf(JsonElement value, string param)
    {
        if (value.ValueKind != JsonValueKind.String) throw Refusal.Type(param, "a string", Kind(value));
        return TryText(value) ?? throw Refusal.Value(param, "it must be valid Unicode text: it contains broken UTF-8 or half of a surrogate pair.");
    }

    private static string? TryText(JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    private bool TryFind(string name, out JsonElement value)
    {
        value = default;
        return (name.Length == 0 || (begins & BitOf(name[0])) != 0) && TryFind(body, name, path, out value, index);
    }

    private static ulong BeginsOf(JsonElement body)
    {
        if (body.ValueKind != JsonValueKind.Object) return ulong.MaxValue;
        ulong begins = 0;
        foreach (JsonProperty property in body.EnumerateObject())
        {
            ReadOnlySpan<byte> name = JsonMarshal.GetRawUtf8PropertyName(property);
            // An escape may stand for any character, and a broken one is refused by whoever looks at it.
            if (name.Contains((byte)'\\')) return ulong.MaxValue;
            if (name.Length > 0) begins |= name[0] < 0x80 ? BitOf((char)name[0]) : ulong.MaxValue;
        }
        return begins;
    }

    private static ulong BitOf(char first) => 1UL << (first & 63);

    private static bool TryFind(JsonElement body, string name, string path, out JsonElement value, int index = -1)
    {
        try
        {
            return body.TryGetProperty(name, out value);
        }
        catch (InvalidOperationException)
        {
            // Names are compared unescaped, and one of them cannot be.
            throw Refusal.Value(path.Length == 0 ? name : index < 0 ? path : PathOf(path, index), "the names of fields must be valid Unicode text.");
        }
    }
}
