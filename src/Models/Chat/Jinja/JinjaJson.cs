using System.Globalization;
using System.Text;

namespace Qanat.Models;

/// <summary>Values as Python's json.dumps writes them, with characters beyond ASCII as they are: so models were shown tools.</summary>
internal sealed class JinjaJson(int line, int? indent, string item, string colon, bool sortsKeys, bool escapesUnicode)
{
    private readonly StringBuilder _json = new();

    public static string Write(JinjaArguments arguments, JinjaValue value)
    {
        int? indent = arguments.Integer(0, "indent");
        string item = indent is null ? ", " : ",", colon = ": ";
        if (arguments.Find(2, "separators") is ListValue { Items: [TextValue first, TextValue second] }) (item, colon) = (first.Text.Value, second.Text.Value);
        var json = new JinjaJson(arguments.Line, indent, item, colon, arguments.Flag(3, "sort_keys"), arguments.Flag(1, "ensure_ascii"));
        json.Add(value, 0);
        return json._json.ToString();
    }

    private void Add(JinjaValue value, int depth)
    {
        if (depth > JinjaRun.DepthMax) throw new JinjaException(line, "a value is nested too deeply to be written as JSON");
        switch (value)
        {
            case NoneValue: _json.Append("null"); break;
            case BooleanValue: _json.Append(value.IsTrue ? "true" : "false"); break;
            case IntegerValue or FloatValue: _json.Append(value.Repr()); break;
            case TextValue text: AddText(text.Text.Value); break;
            case ListValue list:
                _json.Append('[');
                AddEach(list.Items, depth, each => Add(each, depth + 1));
                _json.Append(']');
                break;
            case MapValue map:
                _json.Append('{');
                IEnumerable<KeyValuePair<string, JinjaValue>> members = sortsKeys ? map.Members.OrderBy(member => member.Key, StringComparer.Ordinal) : map.Members;
                AddEach([.. members], depth, member =>
                {
                    AddText(member.Key);
                    _json.Append(colon);
                    Add(member.Value, depth + 1);
                });
                _json.Append('}');
                break;
            default: throw new JinjaException(line, $"{value.Kind} cannot be written as JSON");
        }
    }

    private void AddEach<T>(IReadOnlyList<T> items, int depth, Action<T> add)
    {
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0) _json.Append(item);
            BreakLine(depth + 1);
            add(items[i]);
        }
        if (items.Count > 0) BreakLine(depth);
    }

    private void BreakLine(int depth)
    {
        if (indent is { } width) _json.Append('\n').Append(' ', Math.Clamp(width, 0, 16) * depth);
    }

    private void AddText(string text)
    {
        _json.Append('"');
        foreach (char unit in text)
        {
            string? escape = unit switch { '"' => "\\\"", '\\' => "\\\\", '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", '\b' => "\\b", '\f' => "\\f", _ => null };
            if (escape is not null) _json.Append(escape);
            else if (unit < ' ' || (escapesUnicode && unit > '\x7f')) _json.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
            else _json.Append(unit);
        }
        _json.Append('"');
    }
}
