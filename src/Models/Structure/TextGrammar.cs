using System.Text;

namespace Qanat.Models;

/// <summary>Expressions over the bytes of UTF-8 text.</summary>
internal sealed class TextGrammar(Grammar grammar)
{
    public const int LastCodePoint = 0x10FFFF;
    public static readonly SymbolSet AllCodePoints = SymbolSet.OfRanges([new SymbolRange(0, 0xD7FF), new SymbolRange(0xE000, LastCodePoint)]);

    public Grammar Grammar => grammar;

    public Expression Literal(string text) => Literal(Encoding.UTF8.GetBytes(text));

    public Expression Literal(ReadOnlySpan<byte> bytes)
    {
        Expression literal = grammar.Empty;
        for (int i = bytes.Length - 1; i >= 0; i--) literal = grammar.Sequence(Byte(bytes[i], bytes[i]), literal);
        return literal;
    }

    /// <summary>One of the code points, as UTF-8.</summary>
    public Expression CodePoint(SymbolSet set)
    {
        List<Expression> choices = [];
        foreach (SymbolRange range in set.And(AllCodePoints).Ranges)
        {
            foreach ((int last, int length) in (ReadOnlySpan<(int, int)>)[(0x7F, 1), (0x7FF, 2), (0xFFFF, 3), (LastCodePoint, 4)])
            {
                int lowest = length switch { 1 => 0, 2 => 0x80, 3 => 0x800, _ => 0x10000 };
                int from = Math.Max(range.First, lowest), to = Math.Min(range.Last, last);
                if (from <= to) choices.Add(Between(Utf8(from, length), Utf8(to, length)));
            }
        }
        return grammar.Choice([.. choices]);
    }

    /// <summary>Text up to and with the first time the mark comes.</summary>
    public Expression Until(string name, string mark) => Marked(name, mark, ends: true);

    /// <summary>Text up to and with the first time the mark comes, no line of which begins with another.</summary>
    public Expression Until(string name, string mark, string neverAtLineStart)
    {
        byte[] end = Encoding.UTF8.GetBytes(mark), never = Encoding.UTF8.GetBytes(neverAtLineStart);
        byte[] told = [.. end.Union(never).Append((byte)'\n')];
        Dictionary<(int Matched, int Begun), GrammarRule> rules = [];
        return grammar.Of(From(0, 0));

        // How much has come of the one, and of the other since the line began; -1: the line began otherwise.
        GrammarRule From(int matched, int begun)
        {
            if (rules.TryGetValue((matched, begun), out GrammarRule? known)) return known;
            GrammarRule rule = rules[(matched, begun)] = grammar.Rule($"{name}-{matched}-{begun}");
            List<Expression> choices = [];
            foreach (byte next in told)
            {
                int now = Matched(end, matched, next), line = next == '\n' ? 0 : begun >= 0 && never[begun] == next ? begun + 1 : -1;
                if (now == end.Length) choices.Add(Byte(next, next));
                else if (line < never.Length) choices.Add(grammar.Sequence(Byte(next, next), grammar.Of(From(now, line))));
            }
            SymbolSet others = SymbolSet.OfRanges(told.Select(each => new SymbolRange(each, each))).Not(SymbolSet.Range(0, 0xFF));
            choices.Add(grammar.Sequence(grammar.Set(others), grammar.Of(From(0, -1))));
            rule.Body = grammar.Choice([.. choices]);
            return rule;
        }
    }

    /// <summary>Text in which the mark does not come.</summary>
    public Expression Without(string name, string mark) => Marked(name, mark, ends: false);

    private Expression Marked(string name, string mark, bool ends)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(mark);
        GrammarRule[] rules = [.. Enumerable.Range(0, bytes.Length).Select(matched => grammar.Rule($"{name}-{matched}"))];
        for (int matched = 0; matched < bytes.Length; matched++)
        {
            List<Expression> choices = [];
            foreach (byte next in bytes.Distinct())
            {
                int now = Matched(bytes, matched, next);
                if (now == bytes.Length && !ends) continue;
                choices.Add(grammar.Sequence(Byte(next, next), now == bytes.Length ? grammar.Empty : grammar.Of(rules[now])));
            }
            if (!ends) choices.Add(grammar.Empty);
            SymbolSet others = SymbolSet.OfRanges(bytes.Select(each => new SymbolRange(each, each))).Not(SymbolSet.Range(0, 0xFF));
            choices.Add(grammar.Sequence(grammar.Set(others), grammar.Of(rules[0])));
            rules[matched].Body = grammar.Choice([.. choices]);
        }
        return grammar.Of(rules[0]);
    }

    private Expression Byte(int first, int last) => grammar.Set(SymbolSet.Range(first, last));

    /// <summary>How much of the mark is matched after one more byte (Knuth, Morris, Pratt).</summary>
    private static int Matched(byte[] mark, int matched, byte next)
    {
        byte[] text = [.. mark.AsSpan(0, matched), next];
        for (int length = Math.Min(mark.Length, text.Length); length > 0; length--)
            if (text.AsSpan(text.Length - length).SequenceEqual(mark.AsSpan(0, length))) return length;
        return 0;
    }

    /// <summary>Byte strings of one length from one to another, all of whose later bytes are continuations.</summary>
    private Expression Between(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        if (from.Length == 1) return Byte(from[0], to[0]);
        if (from[0] == to[0]) return grammar.Sequence(Byte(from[0], from[0]), Between(from[1..], to[1..]));
        byte[] lowest = [.. Enumerable.Repeat((byte)0x80, from.Length - 1)], highest = [.. Enumerable.Repeat((byte)0xBF, from.Length - 1)];
        List<Expression> choices = [];
        int first = from[0], last = to[0];
        if (!from[1..].SequenceEqual(lowest)) choices.Add(grammar.Sequence(Byte(first, first++), Between(from[1..], highest)));
        if (!to[1..].SequenceEqual(highest)) choices.Add(grammar.Sequence(Byte(last, last--), Between(lowest, to[1..])));
        if (first <= last) choices.Add(grammar.Sequence(Byte(first, last), Between(lowest, highest)));
        return grammar.Choice([.. choices]);
    }

    private static byte[] Utf8(int codePoint, int length) => length switch
    {
        1 => [(byte)codePoint],
        2 => [(byte)(0xC0 | codePoint >> 6), (byte)(0x80 | codePoint & 0x3F)],
        3 => [(byte)(0xE0 | codePoint >> 12), (byte)(0x80 | codePoint >> 6 & 0x3F), (byte)(0x80 | codePoint & 0x3F)],
        _ => [(byte)(0xF0 | codePoint >> 18), (byte)(0x80 | codePoint >> 12 & 0x3F), (byte)(0x80 | codePoint >> 6 & 0x3F), (byte)(0x80 | codePoint & 0x3F)],
    };
}
