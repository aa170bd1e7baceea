using System.Globalization;
using System.Text;

namespace Qanat.Models;

/// <summary>Reads a grammar in GBNF, the notation of llama.cpp: rules "name ::= ...", texts in quotes, classes in brackets, groups, | * + ? {n,m}, comments behind #. The start is "root".</summary>
internal sealed class GbnfReader
{
    private const int GrammarLengthMax = 64 << 10, RepeatMax = 10_000;

    private readonly Grammar grammar;
    private readonly TextGrammar text;
    private readonly string source;
    private readonly Dictionary<string, GrammarRule> rules = new(StringComparer.Ordinal);
    private int at;

    private int depth;

    private GbnfReader(Grammar grammar, TextGrammar text, string source)
    {
        this.grammar = grammar;
        this.text = text;
        this.source = source;
    }

    /// <exception cref="GrammarException">It is no grammar; the message says where.</exception>
    public static Expression Read(Grammar grammar, TextGrammar text, string source)
    {
        if (source.Length > GrammarLengthMax) throw new GrammarException(FormattableString.Invariant($"The grammar is longer than {GrammarLengthMax} characters."));
        GbnfReader reader = new(grammar, text, source);
        reader.SkipSpace(lines: true);
        while (reader.at < source.Length) reader.ReadRule();
        return reader.rules.TryGetValue("root", out GrammarRule? root) && root.Body is not null ? grammar.Of(root) : throw new GrammarException("The grammar has no rule 'root'.");
    }

    private void ReadRule()
    {
        GrammarRule rule = RuleOf(ReadName());
        if (rule.Body is not null) throw Bad($"the rule '{rule.Name}' is defined twice");
        SkipSpace(lines: false);
        if (!Skip("::=")) throw Bad("'::=' is missing");
        SkipSpace(lines: true);
        rule.Body = ReadChoice(inGroup: false);
        SkipSpace(lines: true);
    }

    private GrammarRule RuleOf(string name)
    {
        if (!rules.TryGetValue(name, out GrammarRule? rule)) rules[name] = rule = grammar.Rule(name);
        return rule;
    }

    private string ReadName()
    {
        int from = at;
        while (at < source.Length && (char.IsAsciiLetterOrDigit(source[at]) || source[at] is '-' or '_')) at++;
        return at > from ? source[from..at] : throw Bad("a name is missing");
    }

    private Expression ReadChoice(bool inGroup)
    {
        if (++depth > RegexReader.DepthMax) throw Bad(FormattableString.Invariant($"more than {RegexReader.DepthMax} groups are open"));
        List<Expression> choices = [ReadSequence(inGroup)];
        while (Skip("|"))
        {
            SkipSpace(lines: true);
            choices.Add(ReadSequence(inGroup));
        }
        depth--;
        return grammar.Choice([.. choices]);
    }

    private Expression ReadSequence(bool inGroup)
    {
        List<Expression> parts = [];
        while (at < source.Length && source[at] is not ('|' or ')' or '\n' or '\r'))
        {
            parts.Add(ReadRepeats(ReadOne()));
            SkipSpace(inGroup);
            // A line that goes on with "|" belongs to the same rule.
            int here = at;
            SkipSpace(lines: true);
            if (at < source.Length && source[at] != '|') at = here;
        }
        return grammar.Sequence([.. parts]);
    }

    private Expression ReadOne()
    {
        switch (source[at])
        {
            case '"':
                return ReadText();
            case '[':
                return ReadClass();
            case '.':
                at++;
                return text.CodePoint(TextGrammar.AllCodePoints);
            case '(':
                at++;
                SkipSpace(lines: true);
                Expression inner = ReadChoice(inGroup: true);
                SkipSpace(lines: true);
                return Skip(")") ? inner : throw Bad("a parenthesis is not closed");
            default:
                return grammar.Of(RuleOf(ReadName()));
        }
    }

    private Expression ReadRepeats(Expression what)
    {
        while (true)
        {
            if (Skip("*")) what = grammar.Repeat(what, 0, -1);
            else if (Skip("+")) what = grammar.Repeat(what, 1, -1);
            else if (Skip("?")) what = grammar.Optional(what);
            else if (Skip("{")) what = ReadTimes(what);
            else return what;
        }
    }

    private Expression ReadTimes(Expression what)
    {
        int end = source.IndexOf('}', at);
        if (end < 0) throw Bad("a repetition is not closed");
        string[] parts = source[at..end].Split(',', StringSplitOptions.TrimEntries);
        at = end + 1;
        int max = -1;
        if (parts.Length > 2 || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int min)) throw Bad("a repetition needs whole numbers");
        if (parts.Length == 1) max = min;
        else if (parts[1].Length > 0 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out max)) throw Bad("a repetition needs whole numbers");
        if (Math.Max(min, max) > RepeatMax || (max >= 0 && max < min)) throw Bad(FormattableString.Invariant($"a repetition must be in order and at most {RepeatMax}"));
        return grammar.Repeat(what, min, max);
    }

    private Expression ReadText()
    {
        StringBuilder literal = new();
        at++;
        while (at < source.Length && source[at] != '"') literal.Append(char.ConvertFromUtf32(ReadCharacter()));
        return Skip("\"") ? text.Literal(literal.ToString()) : throw Bad("a text is not closed");
    }

    private Expression ReadClass()
    {
        at++;
        bool isNegated = Skip("^");
        List<SymbolRange> ranges = [];
        while (at < source.Length && source[at] != ']')
        {
            int first = ReadCharacter(), last = first;
            if (at + 1 < source.Length && source[at] == '-' && source[at + 1] != ']')
            {
                at++;
                last = ReadCharacter();
            }
            ranges.Add(new SymbolRange(first, last));
        }
        if (!Skip("]")) throw Bad("a class is not closed");
        SymbolSet set = SymbolSet.OfRanges(ranges);
        return text.CodePoint(isNegated ? set.Not(TextGrammar.AllCodePoints) : set);
    }

    private int ReadCharacter()
    {
        if (source[at] != '\\')
        {
            int point = char.IsHighSurrogate(source[at]) && at + 1 < source.Length && char.IsLowSurrogate(source[at + 1]) ? char.ConvertToUtf32(source[at], source[at + 1]) : source[at];
            if (point is >= 0xD800 and <= 0xDFFF) throw Bad("half of a surrogate pair stands alone");
            at += point > 0xFFFF ? 2 : 1;
            return point;
        }
        if (at + 1 == source.Length) throw Bad("it ends within an escape");
        char escaped = source[at + 1];
        at += 2;
        return escaped switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => ReadHex(2),
            'u' => ReadHex(4),
            'U' => ReadHex(8),
            '"' or '\\' or '[' or ']' or '-' or '^' => escaped,
            _ => throw Bad($"the escape \\{escaped} is not known"),
        };
    }

    private int ReadHex(int digits)
    {
        if (at + digits > source.Length || !int.TryParse(source.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) || !Rune.IsValid(value))
            throw Bad("an escape is no code point");
        at += digits;
        return value;
    }

    private bool Skip(string expected)
    {
        if (!source.AsSpan(at).StartsWith(expected, StringComparison.Ordinal)) return false;
        at += expected.Length;
        return true;
    }

    /// <param name="lines">Line breaks too.</param>
    private void SkipSpace(bool lines)
    {
        while (at < source.Length)
        {
            if (source[at] == '#') at = source.IndexOf('\n', at) is int end and >= 0 ? end : source.Length;
            else if (source[at] is ' ' or '\t' || (lines && source[at] is ('\n' or '\r'))) at++;
            else return;
        }
    }

    private GrammarException Bad(string why)
    {
        int line = source.AsSpan(0, Math.Min(at, source.Length)).Count('\n') + 1;
        return new GrammarException(FormattableString.Invariant($"The grammar cannot be read: {why} (line {line})."));
    }
}
