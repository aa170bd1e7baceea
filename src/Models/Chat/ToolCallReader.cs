using System.Collections.Immutable;
using System.Text.Json;
using Pieces = System.Collections.Immutable.ImmutableArray<Qanat.Models.AnswerPiece>.Builder;

namespace Qanat.Models;

/// <summary>
/// Finds calls of tools in the text of an answer while it comes, in both forms Qwen models write: JSON within &lt;tool_call&gt; (2.5, 3) and &lt;function=..&gt;&lt;parameter=..&gt; (Coder, 3.5 and later).
/// Every decision depends on the text alone and waits until the text is there, so the pieces joined are the same however it is cut. A call is told once its name is certain, and its arguments as
/// they come; what does not become a call is told as text.
/// </summary>
internal sealed partial class ToolCallReader(ImmutableArray<ToolDefinition> tools, Func<int, string> callId)
{
    private const int NameLengthMax = 256;

    private readonly TextWindow held = new();
    private Place place;
    private bool afterCall;
    private bool atLineStart = true;
    private string gap = "";
    private JsonScan scan = new();
    private ParameterSchemas? schemas;
    private bool hasParameter;
    private string parameter = "";
    private bool atValueStart;
    private int valueScanned;

    private enum Place
    {
        /// <summary>Between calls.</summary>
        Text,

        /// <summary>After the mark of a call, before its name is known.</summary>
        Head,

        /// <summary>In the JSON of the arguments.</summary>
        Arguments,

        /// <summary>In arguments that are no JSON: passed on as they are.</summary>
        Broken,

        /// <summary>Behind the arguments.</summary>
        Tail,

        /// <summary>Between parameters of the XML form.</summary>
        Parameters,

        /// <summary>In a parameter that is told as text, while it comes.</summary>
        StringValue,

        /// <summary>In a parameter that is told when it is complete.</summary>
        OtherValue,
    }

    /// <summary>Calls that were told.</summary>
    public int Count { get; private set; }

    public void Add(string text, Pieces pieces)
    {
        held.Append(text);
        while (Advance(pieces))
        {
        }
    }

    public void Finish(bool wasCut, Pieces pieces)
    {
        switch (place)
        {
            case Place.Text when !afterCall || !held.Span.IsWhiteSpace():
                Say(held.Take(held.Length), pieces);
                break;
            case Place.Head:
                Say(gap + ChatMarks.CallStart + held.Take(held.Length), pieces);
                break;
            case Place.Broken:
                Argue(held.Take(held.Length), pieces);
                break;
            case Place.Parameters when !wasCut:
                Argue("}", pieces);
                Say(held.Take(held.Length), pieces);
                break;
            case Place.StringValue or Place.OtherValue:
                FinishValue(wasCut, pieces);
                break;
        }
        held.Skip(held.Length);
        place = Place.Text;
    }

    /// <summary>Takes what is certain; false when more text is needed.</summary>
    private bool Advance(Pieces pieces) => place switch
    {
        Place.Text => AdvanceText(pieces),
        Place.Head => AdvanceHead(pieces),
        Place.Arguments => AdvanceArguments(pieces),
        Place.Broken => AdvanceBroken(pieces),
        Place.Tail => AdvanceTail(),
        Place.Parameters => AdvanceParameters(pieces),
        _ => AdvanceValue(pieces),
    };

    // ---- text ----------------------------------------------------------------------------------------------------

    private bool AdvanceText(Pieces pieces)
    {
        if (afterCall) held.SkipWhiteSpace();
        ReadOnlySpan<char> text = held.Span;
        if (text.IsEmpty) return false;
        (int at, bool isWhole) = FindCall(text);
        int certain = at < 0 ? text.Length - TextWindow.MayBegin(text, ChatMarks.CallStart) : at;
        int end = certain;
        while (end > 0 && text[end - 1] == '\n') end--;
        if (end > 0) Say(held.Take(end), pieces);
        if (!isWhole) return false;

        gap = held.Take(certain - end);
        if (held.Span.StartsWith(ChatMarks.CallStart)) held.Skip(ChatMarks.CallStart.Length);
        place = Place.Head;
        return true;
    }

    /// <summary>Where the next call begins or may begin: at its mark, or, where the model forgot it, at the tag of a function on a line of its own.</summary>
    private (int At, bool IsWhole) FindCall(ReadOnlySpan<char> text)
    {
        int mark = text.IndexOf(ChatMarks.CallStart);
        for (int at = 0; (mark < 0 || at < mark) && at < text.Length;)
        {
            int tag = text[at..].IndexOf('<');
            if (tag < 0) break;
            at += tag;
            bool beginsLine = at == 0 ? atLineStart : text[at - 1] == '\n';
            if (beginsLine && OfferedFunction(text[at..]) is not false and var offered && (mark < 0 || at < mark)) return (at, offered is true);
            at++;
        }
        return (mark, mark >= 0);
    }

    /// <summary>Whether a text begins with the tag of a tool that was offered; null: it may.</summary>
    private bool? OfferedFunction(ReadOnlySpan<char> text)
    {
        if (!StartsWith(text, ChatMarks.FunctionStart, out bool may)) return may ? null : false;
        ReadOnlySpan<char> name = text[ChatMarks.FunctionStart.Length..];
        int end = name.IndexOf('>');
        bool mayBegin = false;
        foreach (ToolDefinition tool in tools)
        {
            if (end >= 0 && name[..end].SequenceEqual(tool.Name)) return true;
            mayBegin |= end < 0 && tool.Name.AsSpan().StartsWith(name, StringComparison.Ordinal);
        }
        return mayBegin ? null : false;
    }

    private void Say(string text, Pieces pieces)
    {
        if (text.Length == 0) return;
        afterCall = false;
        atLineStart = false;
        pieces.Add(new TextPiece(text));
    }

    // ---- the head of a call --------------------------------------------------------------------------------------

    private bool AdvanceHead(Pieces pieces)
    {
        ReadOnlySpan<char> text = held.Span;
        int begin = text.IndexOfAnyExcept(" \t\r\n");
        if (begin < 0) return false;
        if (text[begin] == '{') return AdvanceJsonHead(begin, pieces);
        if (!StartsWith(text[begin..], ChatMarks.FunctionStart, out bool may)) return !may && NoCall(pieces);
        ReadOnlySpan<char> name = text[(begin + ChatMarks.FunctionStart.Length)..];
        int end = name.IndexOf('>');
        if (end < 0 && name.Length < NameLengthMax && !name.ContainsAny('\n', '<')) return false;
        if (end < 1 || end > NameLengthMax || name[..end].ContainsAny('\n', '<')) return NoCall(pieces);
        Start(name[..end].ToString(), pieces);
        held.Skip(begin + ChatMarks.FunctionStart.Length + end + 1);
        Argue("{", pieces);
        hasParameter = false;
        place = Place.Parameters;
        return true;
    }

    /// <summary>Name and arguments of a JSON object, in either order; the arguments are not waited for when the name comes first.</summary>
    private bool AdvanceJsonHead(int begin, Pieces pieces)
    {
        ReadOnlySpan<char> text = held.Span;
        string? name = null, arguments = null;
        for (int at = begin + 1; ; at++)
        {
            if (!SkipSpace(text, ref at)) return false;
            if (text[at] == '}')
            {
                if (string.IsNullOrEmpty(name)) return NoCall(pieces);
                Start(name, pieces);
                Argue(arguments ?? "{}", pieces);
                held.Skip(at);
                place = Place.Tail;
                return true;
            }
            int keyEnd = text[at] == '"' ? JsonScan.EndOf(text, at) : -2;
            if (keyEnd < 0) return keyEnd == -2 && NoCall(pieces);
            string? key = TextOf(text[at..keyEnd]);
            at = keyEnd;
            if (!SkipSpace(text, ref at)) return false;
            if (text[at] != ':') return NoCall(pieces);
            at++;
            if (!SkipSpace(text, ref at)) return false;
            bool isArguments = key is "arguments" or "parameters";
            if (isArguments && !string.IsNullOrEmpty(name) && text[at] == '{')
            {
                Start(name, pieces);
                held.Skip(at);
                scan = new JsonScan();
                place = Place.Arguments;
                return true;
            }
            int end = JsonScan.EndOf(text, at);
            if (end < 0) return end == -2 && NoCall(pieces);
            if (isArguments) arguments = Arguments(text[at..end]);
            if (key == "name") name = TextOf(text[at..end]);
            at = end;
            if (!SkipSpace(text, ref at)) return false;
            if (text[at] == '}') at--;
            else if (text[at] != ',') return NoCall(pieces);
        }
    }

    /// <summary>Arguments that come as text within the JSON are unpacked; what is no object stays as it is.</summary>
    private static string Arguments(ReadOnlySpan<char> value) => value[0] switch
    {
        '"' => TextOf(value) ?? "",
        'n' => "{}",
        _ => value.ToString(),
    };

    private static string? TextOf(ReadOnlySpan<char> json)
    {
        try
        {
            return json.IsEmpty || json[0] != '"' ? null : JsonSerializer.Deserialize(json, ChatJson.Default.String);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Start(string name, Pieces pieces)
    {
        schemas = ParameterSchemas.Of(tools.FirstOrDefault(tool => tool.Name == name));
        pieces.Add(new ToolCallStart(Count, callId(Count), name));
        Count++;
    }

    /// <summary>The mark did not begin a call: it is text, and so is what follows.</summary>
    private bool NoCall(Pieces pieces)
    {
        place = Place.Text;
        Say(gap + ChatMarks.CallStart, pieces);
        return true;
    }

    // ---- arguments in JSON ---------------------------------------------------------------------------------------

    private bool AdvanceArguments(Pieces pieces)
    {
        ReadOnlySpan<char> text = held.Span;
        for (int at = 0; at < text.Length; at++)
        {
            bool mustEscape = text[at] < ' ' && scan.IsInString;
            JsonScan.Verdict verdict = scan.Take(text[at]);
            if (verdict == JsonScan.Verdict.More && !mustEscape) continue;
            Argue(held.Take(verdict == JsonScan.Verdict.Done ? at + 1 : at), pieces);
            if (verdict == JsonScan.Verdict.More) ArgueString(held.Take(1), pieces);
            else place = verdict == JsonScan.Verdict.Done ? Place.Tail : Place.Broken;
            return true;
        }
        Argue(held.Take(text.Length), pieces);
        return false;
    }

    private bool AdvanceBroken(Pieces pieces)
    {
        ReadOnlySpan<char> text = held.Span;
        int end = text.IndexOf(ChatMarks.CallEnd);
        Argue(held.Take(end < 0 ? text.Length - TextWindow.MayBegin(text, ChatMarks.CallEnd) : end), pieces);
        if (end < 0) return false;
        place = Place.Tail;
        return true;
    }

    /// <summary>Closing braces, one too many or too few, and the closing mark. Anything else is text behind the call.</summary>
    private bool AdvanceTail()
    {
        int begin = held.Span.IndexOfAnyExcept(" \t\r\n}");
        if (begin < 0) return false;
        bool isEnd = StartsWith(held.Span[begin..], ChatMarks.CallEnd, out bool may);
        if (may) return false;
        held.Skip(isEnd ? begin + ChatMarks.CallEnd.Length : begin);
        return Close();
    }

    private bool Close()
    {
        place = Place.Text;
        afterCall = true;
        atLineStart = true;
        return true;
    }

    private void Argue(string fragment, Pieces pieces)
    {
        if (fragment.Length > 0) pieces.Add(new ToolCallArguments(Count - 1, fragment));
    }

    private void ArgueString(string text, Pieces pieces) => Argue(ParameterSchemas.Escape(text), pieces);

    private static bool SkipSpace(ReadOnlySpan<char> text, ref int at)
    {
        while (at < text.Length && text[at] is ' ' or '\t' or '\r' or '\n') at++;
        return at < text.Length;
    }

    /// <param name="may">It does not yet, but may when more comes.</param>
    private static bool StartsWith(ReadOnlySpan<char> text, ReadOnlySpan<char> mark, out bool may)
    {
        bool starts = text.StartsWith(mark);
        may = !starts && text.Length < mark.Length && mark.StartsWith(text);
        return starts;
    }
}
