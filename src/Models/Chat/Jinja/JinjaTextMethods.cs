using System.Globalization;

namespace Qanat.Models;

/// <summary>Methods of texts, as Python has them.</summary>
internal static class JinjaTextMethods
{
    private static readonly Dictionary<string, Func<JinjaText, JinjaRun, JinjaArguments, JinjaValue>> s_methods = new(StringComparer.Ordinal)
    {
        ["startswith"] = (text, _, arguments) => JinjaValue.Of(AnyOf(arguments, text.Value.StartsWith)),
        ["endswith"] = (text, _, arguments) => JinjaValue.Of(AnyOf(arguments, text.Value.EndsWith)),
        ["strip"] = (text, _, arguments) => Strip(text, arguments, start: true, end: true),
        ["lstrip"] = (text, _, arguments) => Strip(text, arguments, start: true, end: false),
        ["rstrip"] = (text, _, arguments) => Strip(text, arguments, start: false, end: true),
        ["split"] = (text, run, arguments) => Split(text, run, arguments, fromEnd: false),
        ["rsplit"] = (text, run, arguments) => Split(text, run, arguments, fromEnd: true),
        ["splitlines"] = (text, _, _) => Lines(text),
        ["upper"] = (text, _, _) => new TextValue(text.WithCase(value => value.ToUpperInvariant())),
        ["lower"] = (text, _, _) => new TextValue(text.WithCase(value => value.ToLowerInvariant())),
        ["title"] = (text, _, _) => new TextValue(text.WithCase(CultureInfo.InvariantCulture.TextInfo.ToTitleCase)),
        ["capitalize"] = (text, _, _) => new TextValue(Capitalized(text)),
        ["replace"] = (text, run, arguments) => new TextValue(Replace(text, run, arguments)),
        ["find"] = (text, _, arguments) => new IntegerValue(text.Value.IndexOf(TextAt(arguments, 0), StringComparison.Ordinal)),
        ["count"] = (text, _, arguments) => new IntegerValue(Count(text.Value, TextAt(arguments, 0))),
        ["join"] = (text, run, arguments) => new TextValue(Join(run, arguments.Line, text, arguments.Need(0, "iterable"))),
        ["removeprefix"] = (text, _, arguments) => new TextValue(text.Value.StartsWith(TextAt(arguments, 0), StringComparison.Ordinal) ? text.Slice(TextAt(arguments, 0).Length, text.Length - TextAt(arguments, 0).Length) : text),
        ["removesuffix"] = (text, _, arguments) => new TextValue(text.Value.EndsWith(TextAt(arguments, 0), StringComparison.Ordinal) ? text.Slice(0, text.Length - TextAt(arguments, 0).Length) : text),
        ["isdigit"] = (text, _, _) => JinjaValue.Of(text.Length > 0 && text.Value.All(char.IsDigit)),
        ["isspace"] = (text, _, _) => JinjaValue.Of(text.Length > 0 && text.Value.All(JinjaText.IsSpace)),
    };

    /// <summary>A method of a text; null: there is none of that name.</summary>
    public static JinjaValue? Find(JinjaText text, string name) =>
        s_methods.TryGetValue(name, out Func<JinjaText, JinjaRun, JinjaArguments, JinjaValue>? method) ? new FunctionValue(name, (run, arguments) => method(text, run, arguments)) : null;

    public static JinjaText Join(JinjaRun run, int line, JinjaText separator, JinjaValue values)
    {
        var joined = new JinjaText.Builder();
        IReadOnlyList<JinjaValue> items = values.Items ?? throw new JinjaException(line, $"{values.Kind} cannot be joined");
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0) joined.Add(run.Made(line, separator));
            joined.Add(run.Made(line, items[i].Written()));
        }
        return joined.Finish();
    }

    public static JinjaText Replace(JinjaText text, JinjaRun run, JinjaArguments arguments)
    {
        string old = arguments.Need(0, "old").Written().Value;
        JinjaText fresh = arguments.Need(1, "new").Written();
        int left = arguments.Integer(2, "count") is { } count and >= 0 ? count : int.MaxValue;
        var replaced = new JinjaText.Builder();
        int at = 0;
        if (old.Length == 0) throw new JinjaException(arguments.Line, "nothing cannot be replaced");
        for (int found; left > 0 && (found = text.Value.IndexOf(old, at, StringComparison.Ordinal)) >= 0; left--, at = found + old.Length)
        {
            replaced.Add(text.Slice(at, found - at));
            replaced.Add(run.Made(arguments.Line, fresh));
        }
        replaced.Add(text.Slice(at, text.Length - at));
        return run.Made(arguments.Line, replaced.Finish());
    }

    public static JinjaText Capitalized(JinjaText text) => text.WithCase(value => value.Length == 0 ? value : char.ToUpperInvariant(value[0]) + value[1..].ToLowerInvariant());

    private static ListValue Split(JinjaText text, JinjaRun run, JinjaArguments arguments, bool fromEnd)
    {
        string? separator = arguments.Text(0, "sep");
        int most = arguments.Integer(1, "maxsplit") is { } limit and >= 0 ? limit : int.MaxValue;
        if (separator is { Length: 0 }) throw new JinjaException(arguments.Line, "a text cannot be split at nothing");
        List<TextRange> cuts = [.. separator is null ? Spaces(text.Value) : Places(text.Value, separator)];
        if (cuts.Count > most) cuts = fromEnd ? cuts[^most..] : cuts[..most];
        run.Step(arguments.Line, cuts.Count);
        var parts = new List<JinjaValue>();
        int start = 0;
        foreach (TextRange cut in cuts)
        {
            parts.Add(new TextValue(text.Slice(start, cut.Start - start)));
            start = cut.End;
        }
        parts.Add(new TextValue(text.Slice(start, text.Length - start)));
        return new ListValue(separator is null ? [.. parts.Where(part => part.IsTrue)] : parts);
    }

    private static IEnumerable<TextRange> Places(string text, string separator)
    {
        for (int at = text.IndexOf(separator, StringComparison.Ordinal); at >= 0; at = text.IndexOf(separator, at + separator.Length, StringComparison.Ordinal))
            yield return new TextRange(at, at + separator.Length);
    }

    /// <summary>Runs of white space; those at the ends of the text are cuts as well, and leave empty parts behind.</summary>
    private static IEnumerable<TextRange> Spaces(string text)
    {
        for (int at = 0; at < text.Length; at++)
        {
            if (!JinjaText.IsSpace(text[at])) continue;
            int start = at;
            while (at < text.Length && JinjaText.IsSpace(text[at])) at++;
            yield return new TextRange(start, at);
        }
    }

    private static ListValue Lines(JinjaText text)
    {
        var lines = new List<JinjaValue>();
        for (int start = 0; start < text.Length;)
        {
            int end = text.Value.AsSpan(start).IndexOfAny('\n', '\r');
            if (end < 0)
            {
                lines.Add(new TextValue(text.Slice(start, text.Length - start)));
                break;
            }
            lines.Add(new TextValue(text.Slice(start, end)));
            start += end + (text.Value.AsSpan(start + end).StartsWith("\r\n") ? 2 : 1);
        }
        return new ListValue(lines);
    }

    private static TextValue Strip(JinjaText text, JinjaArguments arguments, bool start, bool end)
    {
        string? characters = arguments.Text(0, "chars");
        return new TextValue(text.Trim(characters is null ? JinjaText.IsSpace : unit => characters.Contains(unit, StringComparison.Ordinal), start, end));
    }

    private static bool AnyOf(JinjaArguments arguments, Func<string, StringComparison, bool> holds) => arguments.Need(0, "prefix") is ListValue several
        ? several.Items.Any(each => holds(each.Written().Value, StringComparison.Ordinal))
        : holds(TextAt(arguments, 0), StringComparison.Ordinal);

    private static string TextAt(JinjaArguments arguments, int index) => arguments.Text(index, "text") ?? throw new JinjaException(arguments.Line, "a string is missing");

    private static int Count(string text, string part) => part.Length == 0 ? text.Length + 1 : Places(text, part).Count();
}
