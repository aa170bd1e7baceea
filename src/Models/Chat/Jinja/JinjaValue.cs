using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Qanat.Models;

/// <summary>A value of the templates' language, which are Python's.</summary>
internal abstract class JinjaValue
{
    public static readonly JinjaValue None = new NoneValue();
    public static readonly JinjaValue True = new BooleanValue(true);
    public static readonly JinjaValue False = new BooleanValue(false);

    /// <summary>For error messages.</summary>
    public abstract string Kind { get; }

    public abstract bool IsTrue { get; }

    /// <summary>As it is written into the text.</summary>
    public virtual JinjaText Written() => JinjaText.Outside(Repr());

    /// <summary>As it is written within a list.</summary>
    public abstract string Repr();

    /// <summary>What a loop runs over; null: nothing can.</summary>
    public virtual IReadOnlyList<JinjaValue>? Items => null;

    /// <summary>An attribute or a method; null: there is none.</summary>
    public virtual JinjaValue? Attribute(string name) => null;

    public static JinjaValue Of(bool value) => value ? True : False;

    /// <summary>Values from a conversation: their texts are foreign.</summary>
    public static JinjaValue Of(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => MapOf(json),
        JsonValueKind.Array => new ListValue([.. json.EnumerateArray().Select(Of)]),
        JsonValueKind.String => TextValue.Outside(json.GetString()!),
        JsonValueKind.Number => json.TryGetInt64(out long whole) ? new IntegerValue(whole) : new FloatValue(json.GetDouble(), json.GetRawText()),
        JsonValueKind.True => True,
        JsonValueKind.False => False,
        _ => None,
    };

    private static MapValue MapOf(JsonElement json)
    {
        var map = new MapValue();
        foreach (JsonProperty member in json.EnumerateObject()) map.Set(member.Name, Of(member.Value));
        return map;
    }
}

/// <summary>What is not there: written as nothing, false, and an error to look into.</summary>
internal sealed class UndefinedValue(string name) : JinjaValue
{
    public string Name { get; } = name;
    public override string Kind => "undefined";
    public override bool IsTrue => false;
    public override IReadOnlyList<JinjaValue> Items => [];
    public override JinjaText Written() => JinjaText.Empty;
    public override string Repr() => "Undefined";
}

internal sealed class NoneValue : JinjaValue
{
    public override string Kind => "none";
    public override bool IsTrue => false;
    public override JinjaText Written() => JinjaText.Own("None");
    public override string Repr() => "None";
}

internal sealed class BooleanValue(bool value) : JinjaValue
{
    public override string Kind => "boolean";
    public override bool IsTrue => value;
    public override JinjaText Written() => JinjaText.Own(Repr());
    public override string Repr() => value ? "True" : "False";
}

internal sealed class IntegerValue(long value) : JinjaValue
{
    public long Value => value;
    public override string Kind => "integer";
    public override bool IsTrue => value != 0;
    public override string Repr() => value.ToString(CultureInfo.InvariantCulture);
}

/// <param name="raw">As it was written in the JSON it came from; null: it was computed.</param>
internal sealed class FloatValue(double value, string? raw = null) : JinjaValue
{
    public double Value => value;
    public override string Kind => "float";
    public override bool IsTrue => value != 0;

    public override string Repr()
    {
        if (raw is not null) return raw;
        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        return shortest.AsSpan().ContainsAny('.', 'E', 'N') || shortest.Contains('∞', StringComparison.Ordinal) ? shortest.Replace("E", "e", StringComparison.Ordinal) : shortest + ".0";
    }
}

internal sealed class TextValue(JinjaText text) : JinjaValue
{
    public JinjaText Text => text;
    public override string Kind => "string";
    public override bool IsTrue => text.Length > 0;
    public override JinjaText Written() => text;

    public override IReadOnlyList<JinjaValue> Items
    {
        get
        {
            var characters = new List<JinjaValue>(text.Length);
            for (int at = 0; at < text.Length;)
            {
                int length = Rune.TryGetRuneAt(text.Value, at, out Rune rune) ? rune.Utf16SequenceLength : 1;
                characters.Add(new TextValue(text.Slice(at, length)));
                at += length;
            }
            return characters;
        }
    }

    public static TextValue Own(string value) => new(JinjaText.Own(value));
    public static TextValue Outside(string value) => new(JinjaText.Outside(value));

    public override JinjaValue? Attribute(string name) => JinjaTextMethods.Find(text, name);

    public override string Repr()
    {
        char quote = text.Value.Contains('\'', StringComparison.Ordinal) && !text.Value.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        var shown = new StringBuilder().Append(quote);
        foreach (char unit in text.Value)
        {
            if (unit == quote || unit == '\\') shown.Append('\\').Append(unit);
            else if (unit == '\n') shown.Append("\\n");
            else if (unit == '\t') shown.Append("\\t");
            else if (unit == '\r') shown.Append("\\r");
            else shown.Append(unit);
        }
        return shown.Append(quote).ToString();
    }
}

internal sealed class ListValue(IReadOnlyList<JinjaValue> items) : JinjaValue
{
    public override string Kind => "list";
    public override bool IsTrue => items.Count > 0;
    public override IReadOnlyList<JinjaValue> Items => items;
    public override string Repr() => $"[{string.Join(", ", items.Select(item => item.Repr()))}]";

    public override JinjaValue? Attribute(string name) => name switch
    {
        "count" => new FunctionValue(name, (_, arguments) => new IntegerValue(items.Count(item => JinjaCompare.AreEqual(item, arguments.Need(0, "value"))))),
        _ => null,
    };
}

/// <summary>Members in the order they were set; their names are texts.</summary>
internal sealed class MapValue : JinjaValue
{
    private readonly OrderedDictionary<string, JinjaValue> _members = new(StringComparer.Ordinal);

    public IReadOnlyCollection<KeyValuePair<string, JinjaValue>> Members => _members;
    public override string Kind => "mapping";
    public override bool IsTrue => _members.Count > 0;
    public override IReadOnlyList<JinjaValue> Items => [.. _members.Keys.Select(TextValue.Outside)];

    public MapValue Set(string name, JinjaValue value)
    {
        _members[name] = value;
        return this;
    }

    public JinjaValue? Member(string name) => _members.GetValueOrDefault(name);

    public ListValue Pairs() => new([.. _members.Select(member => new ListValue([TextValue.Outside(member.Key), member.Value]))]);

    public override string Repr() => $"{{{string.Join(", ", _members.Select(member => $"{TextValue.Own(member.Key).Repr()}: {member.Value.Repr()}"))}}}";

    /// <summary>Methods come before members, as an attribute of a dictionary; members come first as an item of it.</summary>
    public override JinjaValue? Attribute(string name) => name switch
    {
        "items" => new FunctionValue(name, (_, _) => Pairs()),
        "keys" => new FunctionValue(name, (_, _) => new ListValue(Items)),
        "values" => new FunctionValue(name, (_, _) => new ListValue([.. _members.Values])),
        "get" => new FunctionValue(name, (_, arguments) => Member(arguments.Need(0, "key").Written().Value) ?? arguments.Find(1, "default") ?? None),
        _ => Member(name),
    };
}

/// <summary>What namespace() gives: the one thing that templates can change from within a loop.</summary>
internal sealed class NamespaceValue : JinjaValue
{
    public Dictionary<string, JinjaValue> Members { get; } = new(StringComparer.Ordinal);
    public override string Kind => "namespace";
    public override bool IsTrue => true;
    public override string Repr() => "<Namespace>";
    public override JinjaValue? Attribute(string name) => Members.GetValueOrDefault(name);
}

/// <summary>A macro, a method or a function of the language.</summary>
internal sealed class FunctionValue(string name, Func<JinjaRun, JinjaArguments, JinjaValue> call) : JinjaValue
{
    public override string Kind => "function";
    public override bool IsTrue => true;
    public JinjaValue Call(JinjaRun run, JinjaArguments arguments) => call(run, arguments);
    public override string Repr() => $"<function {name}>";
}
