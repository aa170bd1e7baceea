using System.Collections.Immutable;
using System.Text;

namespace Qanat.Models;

/// <summary>A text of a template that remembers which of its characters came from a conversation: those never become marks of the format, whatever the template did with them.</summary>
internal sealed class JinjaText
{
    public static readonly JinjaText Empty = new("", []);

    private JinjaText(string value, ImmutableArray<TextRange> foreign)
    {
        Value = value;
        Foreign = foreign;
    }

    public string Value { get; }

    /// <summary>The characters that are not the template's own; in order, apart from each other, none empty.</summary>
    public ImmutableArray<TextRange> Foreign { get; }

    public int Length => Value.Length;

    /// <summary>Written in the template.</summary>
    public static JinjaText Own(string value) => new(value, []);

    /// <summary>From the conversation, or made of what is.</summary>
    public static JinjaText Outside(string value) => new(value, value.Length == 0 ? [] : [new TextRange(0, value.Length)]);

    public JinjaText Slice(int start, int length)
    {
        if (length == Length) return this;
        if (Foreign.IsEmpty) return Own(Value.Substring(start, length));
        ImmutableArray<TextRange>.Builder ranges = ImmutableArray.CreateBuilder<TextRange>();
        foreach (TextRange range in Foreign)
        {
            int from = Math.Max(range.Start, start), to = Math.Min(range.End, start + length);
            if (from < to) ranges.Add(new TextRange(from - start, to - start));
        }
        return new JinjaText(Value.Substring(start, length), ranges.DrainToImmutable());
    }

    /// <summary>The same characters in another case; one unit stays one unit.</summary>
    public JinjaText WithCase(Func<string, string> convert) => new(convert(Value), Foreign);

    public JinjaText Trim(Func<char, bool> isTrimmed, bool start, bool end)
    {
        int from = 0, to = Length;
        while (start && from < to && isTrimmed(Value[from])) from++;
        while (end && to > from && isTrimmed(Value[to - 1])) to--;
        return Slice(from, to - from);
    }

    /// <summary>White space as the templates' language has it.</summary>
    public static bool IsSpace(char unit) => char.IsWhiteSpace(unit) || unit is >= '\x1c' and <= '\x1f';

    public override string ToString() => Value;

    /// <summary>Joins texts.</summary>
    internal sealed class Builder
    {
        private readonly StringBuilder _value = new();
        private readonly ImmutableArray<TextRange>.Builder _foreign = ImmutableArray.CreateBuilder<TextRange>();

        public int Length => _value.Length;

        public void Add(JinjaText text)
        {
            int offset = _value.Length;
            foreach (TextRange range in text.Foreign)
            {
                if (_foreign.Count > 0 && _foreign[^1].End == range.Start + offset) _foreign[^1] = new TextRange(_foreign[^1].Start, range.End + offset);
                else _foreign.Add(new TextRange(range.Start + offset, range.End + offset));
            }
            _value.Append(text.Value);
        }

        public JinjaText Finish() => new(_value.ToString(), _foreign.DrainToImmutable());
    }
}

/// <summary>Characters from a start up to an end.</summary>
internal readonly record struct TextRange(int Start, int End);
