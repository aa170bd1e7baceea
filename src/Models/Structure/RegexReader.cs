using System.Globalization;

namespace Qanat.Models;

/// <summary>Reads a regular expression in ECMAScript's notation, the one of JSON Schema, as a language over code points. What is no regular language (back references), and looking behind, is refused by name.</summary>
internal sealed class RegexReader
{
    private const int RepeatMax = 1000, PatternLengthMax = 8192;

    /// <summary>Groups within each other: whoever reads them and follows them goes as deep, on a stack that ends.</summary>
    public const int DepthMax = 100;

    private static readonly SymbolSet Digits = SymbolSet.Range('0', '9');
    private static readonly SymbolSet WordCharacters = SymbolSet.OfRanges([new('0', '9'), new('A', 'Z'), new('a', 'z'), new('_', '_')]);
    private static readonly SymbolSet Spaces = SymbolSet.OfRanges([new('\t', '\r'), new(' ', ' '), new(0xA0, 0xA0), new(0x1680, 0x1680), new(0x2000, 0x200A), new(0x2028, 0x2029), new(0x202F, 0x202F), new(0x205F, 0x205F), new(0x3000, 0x3000), new(0xFEFF, 0xFEFF)]);
    private static readonly SymbolSet LineEnds = SymbolSet.OfRanges([new('\n', '\n'), new('\r', '\r'), new(0x2028, 0x2029)]);

    private readonly string pattern;
    private int at;

    /// <summary>So many groups that look ahead are open.</summary>
    private int ahead;
    private int depth;

    private RegexReader(string pattern) => this.pattern = pattern;

    /// <summary>Texts in which the pattern is found anywhere, between the marks of the text's ends.</summary>
    /// <exception cref="GrammarException">It is no regular expression, or one that cannot be kept.</exception>
    public static Expression Anywhere(Grammar grammar, string pattern)
    {
        Expression any = grammar.Set(TextGrammar.AllCodePoints);
        Expression before = grammar.Repeat(grammar.Choice(any, grammar.Set(SymbolSet.Range(CharacterAutomaton.TextStart, CharacterAutomaton.TextStart))), 0, -1);
        Expression after = grammar.Repeat(grammar.Choice(any, grammar.Set(SymbolSet.Range(CharacterAutomaton.TextEnd, CharacterAutomaton.TextEnd))), 0, -1);
        return grammar.Sequence(before, Read(grammar, pattern, after));
    }

    /// <summary>Texts that the pattern matches as a whole, between the marks of the text's ends.</summary>
    public static Expression Whole(Grammar grammar, string pattern)
    {
        // Its own ^ and $ may take the marks.
        Expression start = grammar.Set(SymbolSet.Range(CharacterAutomaton.TextStart, CharacterAutomaton.TextStart));
        Expression end = grammar.Set(SymbolSet.Range(CharacterAutomaton.TextEnd, CharacterAutomaton.TextEnd));
        return grammar.Sequence(grammar.Optional(start), Read(grammar, pattern, grammar.Optional(end)));
    }

    /// <summary>A language over code points alone, put between the marks.</summary>
    public static Expression Marked(Grammar grammar, Expression language) => grammar.Sequence(
        grammar.Set(SymbolSet.Range(CharacterAutomaton.TextStart, CharacterAutomaton.TextStart)), language,
        grammar.Set(SymbolSet.Range(CharacterAutomaton.TextEnd, CharacterAutomaton.TextEnd)));

    /// <summary>The pattern and what comes behind it.</summary>
    private static Expression Read(Grammar grammar, string pattern, Expression rest)
    {
        if (pattern.Length > PatternLengthMax) throw new GrammarException(FormattableString.Invariant($"a pattern is longer than {PatternLengthMax} characters."));
        RegexReader reader = new(pattern);
        RegexPart read = reader.ReadChoice();
        if (reader.at != pattern.Length) throw reader.Bad("a parenthesis is closed that was not opened");
        try
        {
            return read.Then(rest, grammar);
        }
        catch (GrammarException error)
        {
            throw new GrammarException($"{error.Message} (in the pattern '{Shown(pattern)}').", error);
        }
    }

    private RegexPart ReadChoice()
    {
        if (++depth > DepthMax) throw Bad(FormattableString.Invariant($"more than {DepthMax} groups are open"));
        List<RegexPart> choices = [ReadSequence()];
        while (Skip('|')) choices.Add(ReadSequence());
        depth--;
        return choices is [{ } only] ? only : new RegexPart.Choice(choices);
    }

    private RegexPart.Sequence ReadSequence()
    {
        List<RegexPart> parts = [];
        while (at < pattern.Length && pattern[at] is not ('|' or ')')) parts.Add(ReadRepeat());
        return new RegexPart.Sequence(parts);
    }

    private RegexPart ReadRepeat()
    {
        RegexPart what = ReadOne();
        if (at == pattern.Length) return what;
        (int min, int max)? times = pattern[at] switch
        {
            '*' => (0, -1),
            '+' => (1, -1),
            '?' => (0, 1),
            '{' => ReadTimes(),
            _ => null,
        };
        if (times is not (int least, int most)) return what;
        at++;
        // Whether it takes as much or as little as it can makes no difference to what it matches.
        Skip('?');
        return new RegexPart.Repeat(what, least, most);
    }

    /// <summary>{n}, {n,}, {n,m}; leaves the place at its end. A brace that is none of these stands for itself.</summary>
    private (int, int)? ReadTimes()
    {
        int end = pattern.IndexOf('}', at);
        if (end < 0) return null;
        string[] parts = pattern[(at + 1)..end].Split(',');
        if (parts.Length > 2 || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int min)) return null;
        int max = min;
        if (parts.Length == 2 && parts[1].Length == 0) max = -1;
        else if (parts.Length == 2 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out max)) return null;
        if (max >= 0 && max < min) throw Bad("a repetition's end is before its start");
        if (Math.Max(min, max) > RepeatMax) throw Bad(FormattableString.Invariant($"it repeats more than {RepeatMax} times"));
        at = end;
        return (min, max);
    }

    private RegexPart ReadOne()
    {
        char next = pattern[at++];
        switch (next)
        {
            case '.': return new RegexPart.Symbols(LineEnds.Not(TextGrammar.AllCodePoints));
            case '^' when ahead > 0: throw Bad("the start of the text cannot be looked for ahead");
            case '^': return new RegexPart.Symbols(One(CharacterAutomaton.TextStart));
            case '$': return new RegexPart.End();
            case '[': return new RegexPart.Symbols(ReadClass());
            case '(': return ReadGroup();
            case '\\': return new RegexPart.Symbols(ReadEscape(inClass: false));
            case '*' or '+' or '?': throw Bad("there is nothing to repeat");
            default: return new RegexPart.Symbols(One(char.IsHighSurrogate(next) && at < pattern.Length ? char.ConvertToUtf32(next, pattern[at++]) : next));
        }
    }

    private RegexPart ReadGroup()
    {
        if (at + 1 < pattern.Length && pattern[at] == '?' && pattern[at + 1] is '=' or '!') return ReadAhead();
        if (Skip('?'))
        {
            if (Skip('<') && at < pattern.Length && pattern[at] is not ('=' or '!'))
            {
                int end = pattern.IndexOf('>', at);
                at = end < 0 ? throw Bad("a group's name does not end") : end + 1;
            }
            else if (!Skip(':'))
            {
                throw Bad("looking behind cannot be kept");
            }
        }
        RegexPart inner = ReadChoice();
        return Skip(')') ? inner : throw Bad("a parenthesis is not closed");
    }

    private RegexPart.Ahead ReadAhead()
    {
        bool isForbidden = pattern[at + 1] == '!';
        at += 2;
        ahead++;
        RegexPart what = ReadChoice();
        ahead--;
        return Skip(')') ? new RegexPart.Ahead(what, isForbidden) : throw Bad("a parenthesis is not closed");
    }

    private SymbolSet ReadClass()
    {
        bool isNegated = Skip('^');
        SymbolSet set = SymbolSet.Empty;
        while (!Skip(']'))
        {
            SymbolSet from = ReadClassAtom();
            bool isRange = at + 1 < pattern.Length && pattern[at] == '-' && pattern[at + 1] != ']' && IsOne(from);
            if (!isRange)
            {
                set = set.Or(from);
                continue;
            }
            at++;
            SymbolSet to = ReadClassAtom();
            set = IsOne(to) ? set.Or(Ordered(from.Ranges[0].First, to.Ranges[0].First)) : set.Or(from).Or(SymbolSet.Of('-')).Or(to);
        }
        return isNegated ? set.Not(TextGrammar.AllCodePoints) : set;
    }

    private SymbolSet Ordered(int first, int last) => first <= last ? SymbolSet.Range(first, last) : throw Bad("a range ends before it starts");

    private static bool IsOne(SymbolSet set) => set.Ranges.Length == 1 && set.Ranges[0].First == set.Ranges[0].Last;

    private SymbolSet ReadClassAtom()
    {
        if (at == pattern.Length) throw Bad("a class is not closed");
        char next = pattern[at++];
        if (next == '\\') return ReadEscape(inClass: true);
        int point = char.IsHighSurrogate(next) && at < pattern.Length ? char.ConvertToUtf32(next, pattern[at++]) : next;
        return SymbolSet.Range(point, point);
    }

    private SymbolSet ReadEscape(bool inClass)
    {
        if (at == pattern.Length) throw Bad("it ends within an escape");
        char next = pattern[at++];
        switch (next)
        {
            case 'd': return Digits;
            case 'D': return Digits.Not(TextGrammar.AllCodePoints);
            case 'w': return WordCharacters;
            case 'W': return WordCharacters.Not(TextGrammar.AllCodePoints);
            case 's': return Spaces;
            case 'S': return Spaces.Not(TextGrammar.AllCodePoints);
            case 'n': return SymbolSet.Of('\n');
            case 'r': return SymbolSet.Of('\r');
            case 't': return SymbolSet.Of('\t');
            case 'f': return SymbolSet.Of('\f');
            case 'v': return SymbolSet.Of('\v');
            case '0': return SymbolSet.Of('\0');
            case 'b' when inClass: return SymbolSet.Of('\b');
            case 'x': return One(ReadHex(2));
            case 'u' when Skip('{'):
                int end = pattern.IndexOf('}', at);
                return end < 0 ? throw Bad("a code point is not closed") : One(ReadHex(end - at, closes: true));
            case 'u':
                int point = ReadHex(4);
                if (point is < 0xD800 or > 0xDBFF || at + 6 > pattern.Length || pattern[at] != '\\' || pattern[at + 1] != 'u') return One(point);
                at += 2;
                return One(0x10000 + (point - 0xD800) * 0x400 + (ReadHex(4) - 0xDC00));
            case 'p' or 'P': throw Bad("classes of Unicode properties cannot be kept");
            case 'b' or 'B': throw Bad("borders of words cannot be kept");
            case 'k' or (>= '1' and <= '9'): throw Bad("references to groups cannot be kept");
            default:
                if (char.IsAsciiLetterOrDigit(next)) throw Bad($"the escape \\{next} is not known");
                return One(next);
        }
    }

    private static SymbolSet One(int point) => SymbolSet.Range(point, point);

    private int ReadHex(int digits, bool closes = false)
    {
        if (digits is < 1 or > 6 || at + digits > pattern.Length || !int.TryParse(pattern.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value))
            throw Bad("an escape lacks its hexadecimal digits");
        at += digits + (closes ? 1 : 0);
        return value;
    }

    private bool Skip(char expected)
    {
        if (at == pattern.Length || pattern[at] != expected) return false;
        at++;
        return true;
    }

    private static string Shown(string pattern) => pattern.Length <= 200 ? pattern : pattern[..200] + "...";

    private GrammarException Bad(string why) => new(FormattableString.Invariant($"{why} (at character {Math.Min(at, pattern.Length)} of the pattern '{Shown(pattern)}')."));
}
