using System.Globalization;

namespace Qanat.Models;

/// <summary>What stands behind a bar: filters of the language and those that trainers of models add.</summary>
internal static class JinjaFilters
{
    private delegate JinjaValue Filter(JinjaRun run, JinjaValue value, JinjaArguments arguments);

    private static readonly Dictionary<string, Filter> s_filters = new(StringComparer.Ordinal)
    {
        ["tojson"] = (run, value, arguments) => new TextValue(run.Made(arguments.Line, JinjaText.Outside(JinjaJson.Write(arguments, value)))),
        ["trim"] = (_, value, arguments) => new TextValue(value.Written().Trim(arguments.Text(0, "chars") is { } set ? unit => set.Contains(unit, StringComparison.Ordinal) : JinjaText.IsSpace, start: true, end: true)),
        ["string"] = (_, value, _) => new TextValue(value.Written()),
        ["safe"] = (_, value, _) => value is TextValue ? value : new TextValue(value.Written()),
        ["length"] = (_, value, arguments) => Length(value, arguments.Line),
        ["count"] = (_, value, arguments) => Length(value, arguments.Line),
        ["upper"] = Method("upper"),
        ["lower"] = Method("lower"),
        ["title"] = Method("title"),
        ["capitalize"] = Method("capitalize"),
        ["replace"] = (run, value, arguments) => new TextValue(JinjaTextMethods.Replace(value.Written(), run, arguments)),
        ["indent"] = Indent,
        ["join"] = Join,
        ["default"] = Default,
        ["d"] = Default,
        ["items"] = (_, value, arguments) => value switch { MapValue map => map.Pairs(), UndefinedValue => new ListValue([]), _ => throw Wrong(arguments.Line, value, "has no members") },
        ["dictsort"] = (_, value, arguments) => value is MapValue map
            ? new ListValue([.. map.Pairs().Items.OrderBy(pair => pair.Items![0].Written().Value, StringComparer.OrdinalIgnoreCase)])
            : throw Wrong(arguments.Line, value, "has no members"),
        ["list"] = (_, value, arguments) => new ListValue(Items(value, arguments.Line)),
        ["first"] = (_, value, arguments) => Items(value, arguments.Line) is [var first, ..] ? first : new UndefinedValue("first"),
        ["last"] = (_, value, arguments) => Items(value, arguments.Line) is [.., var last] ? last : new UndefinedValue("last"),
        ["reverse"] = (_, value, arguments) => value is TextValue ? new TextValue(Joined(Items(value, arguments.Line).Reverse())) : new ListValue([.. Items(value, arguments.Line).Reverse()]),
        ["unique"] = (_, value, arguments) => new ListValue(Unique(Items(value, arguments.Line))),
        ["sort"] = Sort,
        ["map"] = Map,
        ["select"] = (run, value, arguments) => Choose(run, value, arguments, byAttribute: false, keeps: true),
        ["reject"] = (run, value, arguments) => Choose(run, value, arguments, byAttribute: false, keeps: false),
        ["selectattr"] = (run, value, arguments) => Choose(run, value, arguments, byAttribute: true, keeps: true),
        ["rejectattr"] = (run, value, arguments) => Choose(run, value, arguments, byAttribute: true, keeps: false),
        ["int"] = ToInteger,
        ["float"] = ToFloat,
        ["abs"] = (_, value, arguments) => value switch { IntegerValue whole => new IntegerValue(Math.Abs(Math.Max(whole.Value, -long.MaxValue))), FloatValue number => new FloatValue(Math.Abs(number.Value)), _ => throw Wrong(arguments.Line, value, "is no number") },
        ["min"] = (_, value, arguments) => Extreme(value, arguments.Line, sign: -1),
        ["max"] = (_, value, arguments) => Extreme(value, arguments.Line, sign: 1),
        ["sum"] = (_, value, arguments) => Items(value, arguments.Line).Aggregate((JinjaValue)new IntegerValue(0), (sum, each) => JinjaArithmetic.Of(arguments.Line, "+", sum, each)),
    };

    public static bool Has(string name) => s_filters.ContainsKey(name);

    public static JinjaValue Apply(JinjaRun run, string name, JinjaValue value, JinjaArguments arguments) =>
        s_filters.TryGetValue(name, out Filter? filter) ? filter(run, value, arguments) : throw new JinjaException(arguments.Line, $"there is no filter {name}");

    private static Filter Method(string name) => (run, value, arguments) => ((FunctionValue)JinjaTextMethods.Find(value.Written(), name)!).Call(run, arguments);

    private static IReadOnlyList<JinjaValue> Items(JinjaValue value, int line) => value.Items ?? throw Wrong(line, value, "has no items");

    private static JinjaException Wrong(int line, JinjaValue value, string problem) => new(line, $"{value.Kind} {problem}");

    private static IntegerValue Length(JinjaValue value, int line) => new(value is TextValue text ? text.Text.Value.EnumerateRunes().Count() : Items(value, line).Count);

    private static JinjaValue Default(JinjaRun run, JinjaValue value, JinjaArguments arguments) =>
        value is UndefinedValue || (arguments.Flag(1, "boolean") && !value.IsTrue) ? arguments.Find(0, "default_value") ?? TextValue.Own("") : value;

    private static TextValue Join(JinjaRun run, JinjaValue value, JinjaArguments arguments)
    {
        JinjaValue items = arguments.Text(1, "attribute") is { } attribute ? new ListValue([.. Items(value, arguments.Line).Select(item => Member(item, attribute))]) : value;
        return new TextValue(JinjaTextMethods.Join(run, arguments.Line, arguments.Find(0, "d")?.Written() ?? JinjaText.Empty, items));
    }

    private static TextValue Indent(JinjaRun run, JinjaValue value, JinjaArguments arguments)
    {
        JinjaText margin = arguments.Find(0, "width") is TextValue given ? given.Text : JinjaText.Own(new string(' ', Math.Clamp(arguments.Integer(0, "width") ?? 4, 0, 64)));
        JinjaText text = value.Written();
        var indented = new JinjaText.Builder();
        bool first = true;
        for (int start = 0; start <= text.Length;)
        {
            int end = text.Value.IndexOf('\n', start);
            int next = end < 0 ? text.Length : end + 1;
            bool isBlank = (end < 0 ? text.Length : end) == start;
            if ((!first || arguments.Flag(1, "first")) && (!isBlank || arguments.Flag(2, "blank"))) indented.Add(run.Made(arguments.Line, margin));
            indented.Add(text.Slice(start, next - start));
            first = false;
            if (end < 0) break;
            start = next;
        }
        return new TextValue(run.Made(arguments.Line, indented.Finish()));
    }

    private static ListValue Map(JinjaRun run, JinjaValue value, JinjaArguments arguments)
    {
        IReadOnlyList<JinjaValue> items = Items(value, arguments.Line);
        run.Step(arguments.Line, items.Count);
        if (arguments.Named.GetValueOrDefault("attribute") is TextValue attribute)
            return new ListValue([.. items.Select(item => Member(item, attribute.Text.Value) is UndefinedValue ? arguments.Named.GetValueOrDefault("default") ?? new UndefinedValue(attribute.Text.Value) : Member(item, attribute.Text.Value))]);
        string filter = arguments.Text(0, "filter") ?? throw new JinjaException(arguments.Line, "map needs a filter or an attribute");
        return new ListValue([.. items.Select(item => Apply(run, filter, item, arguments.Without(1)))]);
    }

    private static ListValue Choose(JinjaRun run, JinjaValue value, JinjaArguments arguments, bool byAttribute, bool keeps)
    {
        IReadOnlyList<JinjaValue> items = Items(value, arguments.Line);
        run.Step(arguments.Line, items.Count);
        int first = byAttribute ? 1 : 0;
        string? attribute = byAttribute ? arguments.Text(0, "attribute") : null;
        string? test = arguments.Text(first, "test");
        return new ListValue([.. items.Where(item =>
        {
            JinjaValue tested = attribute is null ? item : Member(item, attribute);
            return (test is null ? tested.IsTrue : JinjaTests.Holds(test, tested, arguments.Without(first + 1))) == keeps;
        })]);
    }

    /// <summary>An attribute of an attribute too, with dots between.</summary>
    private static JinjaValue Member(JinjaValue value, string path)
    {
        foreach (string name in path.Split('.'))
        {
            JinjaValue? member = value is MapValue map ? map.Member(name) : int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && value.Items is { } items ? items.ElementAtOrDefault(index) : value.Attribute(name);
            if (member is null) return new UndefinedValue(path);
            value = member;
        }
        return value;
    }

    private static ListValue Sort(JinjaRun run, JinjaValue value, JinjaArguments arguments)
    {
        List<JinjaValue> items = [.. Items(value, arguments.Line)];
        run.Step(arguments.Line, items.Count);
        bool heedsCase = arguments.Flag(1, "case_sensitive");
        string? attribute = arguments.Text(2, "attribute");
        JinjaValue Key(JinjaValue item) => (attribute is null ? item : Member(item, attribute)) is var key && key is TextValue text && !heedsCase ? TextValue.Own(text.Text.Value.ToLowerInvariant()) : key;
        var order = Comparer<JinjaValue>.Create((left, right) => JinjaCompare.Order(arguments.Line, left, right));
        return new ListValue(arguments.Flag(0, "reverse") ? [.. items.OrderByDescending(Key, order)] : [.. items.OrderBy(Key, order)]);
    }

    private static List<JinjaValue> Unique(IReadOnlyList<JinjaValue> items)
    {
        var unique = new List<JinjaValue>();
        foreach (JinjaValue item in items)
            if (!unique.Exists(other => JinjaCompare.AreEqual(other, item))) unique.Add(item);
        return unique;
    }

    private static JinjaText Joined(IEnumerable<JinjaValue> items)
    {
        var joined = new JinjaText.Builder();
        foreach (JinjaValue item in items) joined.Add(item.Written());
        return joined.Finish();
    }

    private static JinjaValue Extreme(JinjaValue value, int line, int sign)
    {
        JinjaValue? best = null;
        foreach (JinjaValue item in Items(value, line))
            if (best is null || JinjaCompare.Order(line, item, best) * sign > 0) best = item;
        return best ?? new UndefinedValue("item");
    }

    private static JinjaValue ToInteger(JinjaRun run, JinjaValue value, JinjaArguments arguments) => value switch
    {
        IntegerValue => value,
        TextValue text when long.TryParse(text.Text.Value.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole) => new IntegerValue(whole),
        _ when JinjaCompare.Number(ToFloat(run, value, arguments)) is { } number && Math.Abs(number) < long.MaxValue => new IntegerValue((long)number),
        _ => arguments.Find(0, "default") ?? new IntegerValue(0),
    };

    private static JinjaValue ToFloat(JinjaRun run, JinjaValue value, JinjaArguments arguments) => value switch
    {
        TextValue text => double.TryParse(text.Text.Value.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? new FloatValue(number) : arguments.Find(0, "default") ?? new FloatValue(0),
        _ => JinjaCompare.Number(value) is { } number ? new FloatValue(number) : arguments.Find(0, "default") ?? new FloatValue(0),
    };
}
