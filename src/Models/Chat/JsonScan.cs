namespace Qanat.Models;

/// <summary>Follows one JSON value character by character and knows when it is complete. Line breaks and other control characters within strings, which models write although JSON forbids them, are let through.</summary>
internal sealed class JsonScan
{
    private const int DepthMax = 256;
    private readonly Stack<char> open = new();
    private State state = State.Value;
    private string literal = "";
    private int remaining;

    private enum State { Value, FirstItem, FirstKey, Key, Colon, Next, String, Escape, Hex, KeyString, KeyEscape, KeyHex, Number, Literal, Done }

    public enum Verdict
    {
        /// <summary>The character belongs to the value, which goes on.</summary>
        More,

        /// <summary>The value is complete with this character.</summary>
        Done,

        /// <summary>The value, a number, was complete before this character.</summary>
        DoneBefore,

        /// <summary>No JSON value goes on like this.</summary>
        Bad,
    }

    public bool IsInString => state is State.String or State.KeyString;

    /// <summary>Where the value that begins at a place ends; -1: not yet, -2: it is no JSON value.</summary>
    public static int EndOf(ReadOnlySpan<char> text, int from)
    {
        JsonScan scan = new();
        for (int at = from; at < text.Length; at++)
        {
            switch (scan.Take(text[at]))
            {
                case Verdict.Done: return at + 1;
                case Verdict.DoneBefore: return at;
                case Verdict.Bad: return -2;
            }
        }
        return -1;
    }

    public Verdict Take(char next)
    {
        switch (state)
        {
            case State.String or State.KeyString:
                if (next == '"') return state == State.String ? End() : To(State.Colon);
                return next == '\\' ? To(state == State.String ? State.Escape : State.KeyEscape) : Verdict.More;
            case State.Escape or State.KeyEscape:
                remaining = 4;
                if (next == 'u') return To(state == State.Escape ? State.Hex : State.KeyHex);
                return "\"\\/bfnrt".Contains(next, StringComparison.Ordinal) ? To(state == State.Escape ? State.String : State.KeyString) : Verdict.Bad;
            case State.Hex or State.KeyHex:
                if (!char.IsAsciiHexDigit(next)) return Verdict.Bad;
                return --remaining > 0 ? Verdict.More : To(state == State.Hex ? State.String : State.KeyString);
            case State.Literal:
                if (literal[^remaining] != next) return Verdict.Bad;
                return --remaining > 0 ? Verdict.More : End();
            case State.Number when char.IsAsciiDigit(next) || next is '+' or '-' or '.' or 'e' or 'E':
                return Verdict.More;
            case State.Number:
                if (End() == Verdict.Done) return Verdict.DoneBefore;
                return Take(next);
        }
        if (next is ' ' or '\t' or '\n' or '\r') return Verdict.More;
        return state switch
        {
            State.Value => Begin(next),
            State.FirstItem => next == ']' ? Close('[') : Begin(next),
            State.FirstKey when next == '}' => Close('{'),
            State.FirstKey or State.Key => next == '"' ? To(State.KeyString) : Verdict.Bad,
            State.Colon => next == ':' ? To(State.Value) : Verdict.Bad,
            State.Next when next == ',' => To(open.Peek() == '{' ? State.Key : State.Value),
            State.Next when next == '}' => Close('{'),
            State.Next when next == ']' => Close('['),
            _ => Verdict.Bad,
        };
    }

    private Verdict Begin(char next)
    {
        switch (next)
        {
            case '{' or '[':
                if (open.Count == DepthMax) return Verdict.Bad;
                open.Push(next);
                return To(next == '{' ? State.FirstKey : State.FirstItem);
            case '"':
                return To(State.String);
            case 't' or 'f' or 'n':
                literal = next switch { 't' => "true", 'f' => "false", _ => "null" };
                remaining = literal.Length - 1;
                return To(State.Literal);
            default:
                return char.IsAsciiDigit(next) || next == '-' ? To(State.Number) : Verdict.Bad;
        }
    }

    private Verdict Close(char opening) => open.TryPop(out char top) && top == opening ? End() : Verdict.Bad;

    private Verdict End()
    {
        state = open.Count == 0 ? State.Done : State.Next;
        return open.Count == 0 ? Verdict.Done : Verdict.More;
    }

    private Verdict To(State next)
    {
        state = next;
        return Verdict.More;
    }
}
