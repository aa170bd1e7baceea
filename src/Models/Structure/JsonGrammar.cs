using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Qanat.Models;

/// <summary>JSON as an expression over bytes. White space is what models write, a space or a line with its indentation, and not without end; numbers are ones that every reader can hold.</summary>
internal sealed class JsonGrammar
{
    private const int IndentMax = 40, DigitsMax = 15;

    private readonly Grammar grammar;
    private readonly TextGrammar text;
    private readonly Expression character;

    public JsonGrammar(Grammar grammar)
    {
        this.grammar = grammar;
        text = new TextGrammar(grammar);
        Expression digit = grammar.Set(SymbolSet.Range('0', '9'));
        Expression blank = grammar.Set(SymbolSet.Of(' ', '\t'));
        Space = grammar.Choice(grammar.Empty, text.Literal(" "), grammar.Sequence(text.Literal("\n"), grammar.Repeat(blank, 0, IndentMax)));
        Comma = grammar.Sequence(text.Literal(","), Space);
        Colon = grammar.Sequence(text.Literal(":"), grammar.Optional(text.Literal(" ")));
        Fraction = grammar.Sequence(text.Literal("."), grammar.Repeat(digit, 1, DigitsMax));
        Expression natural = grammar.Choice(text.Literal("0"), grammar.Sequence(grammar.Set(SymbolSet.Range('1', '9')), grammar.Repeat(digit, 0, DigitsMax - 1)));
        Integer = grammar.Sequence(grammar.Optional(text.Literal("-")), natural);
        Expression exponent = grammar.Sequence(grammar.Set(SymbolSet.Of('e', 'E')), grammar.Optional(grammar.Set(SymbolSet.Of('+', '-'))), grammar.Repeat(digit, 1, 2));
        Number = grammar.Sequence(Integer, grammar.Optional(Fraction), grammar.Optional(exponent));
        character = Character();
        String = Text(grammar.Repeat(character, 0, -1));
        Boolean = grammar.Choice(text.Literal("true"), text.Literal("false"));
        Null = text.Literal("null");
        GrammarRule value = grammar.Rule("value");
        Value = grammar.Of(value);
        Object = Members(grammar.Sequence(String, Colon, Value), 0, -1);
        value.Body = grammar.Choice(Object, Array(grammar.Of(value), 0, -1), String, Number, Boolean, Null);
    }

    public TextGrammar Bytes => text;
    public Expression Space { get; }
    public Expression Comma { get; }
    public Expression Colon { get; }
    public Expression Fraction { get; }
    public Expression Integer { get; }
    public Expression Number { get; }
    public Expression String { get; }
    public Expression Boolean { get; }
    public Expression Null { get; }
    public Expression Object { get; }
    public Expression Value { get; }

    /// <summary>A string of a number of characters (code points).</summary>
    public Expression StringOfLength(int min, int max) => Text(grammar.Repeat(character, min, max));

    public Expression Text(Expression inside) => grammar.Sequence(text.Literal("\""), inside, text.Literal("\""));

    /// <summary>An object of any members of one kind.</summary>
    public Expression Members(Expression member, int min, int max) => Listed("{", "}", [], member, min, max);

    public Expression Array(Expression item, int min, int max) => Listed("[", "]", [], item, min, max);

    /// <summary>Some first items, then others, between brackets.</summary>
    /// <param name="others">Null: none.</param>
    public Expression Listed(string open, string close, IReadOnlyList<Expression> first, Expression? others, int min, int max)
    {
        Expression rest = grammar.Empty;
        int restMax = max < 0 ? -1 : Math.Max(0, max - Math.Max(1, first.Count));
        if (others is not null) rest = grammar.Repeat(grammar.Sequence(Comma, others), Math.Max(0, min - Math.Max(1, first.Count)), restMax);
        for (int i = first.Count - 1; i >= 0; i--)
        {
            if (max >= 0 && i >= max) continue;
            Expression item = i == 0 ? first[0] : grammar.Sequence(Comma, first[i]);
            rest = grammar.Sequence(item, rest);
            if (i >= min) rest = grammar.Optional(rest);
        }
        if (first.Count == 0) rest = others is null || max == 0 ? grammar.Empty : min > 0 ? grammar.Sequence(others, rest) : grammar.Optional(grammar.Sequence(others, rest));
        return grammar.Sequence(text.Literal(open), Space, rest, Space, text.Literal(close));
    }

    /// <summary>One of some code points within a string, written in the one way a writer would.</summary>
    public Expression Encode(SymbolSet points)
    {
        SymbolSet plain = points.And(SymbolSet.OfRanges([new(' ', '!'), new('#', '['), new(']', TextGrammar.LastCodePoint)]));
        List<Expression> choices = [text.CodePoint(plain)];
        foreach (int special in (IEnumerable<int>)[.. Enumerable.Range(0, ' '), '"', '\\'])
            if (points.Contains(special)) choices.Add(text.Literal(Escape(special)));
        return grammar.Choice([.. choices]);
    }

    /// <summary>A value as it is.</summary>
    public Expression Literal(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Text(text.Literal(string.Concat(value.GetString()!.Select(unit => unit < ' ' || unit is '"' or '\\' ? Escape(unit) : unit.ToString())))),
        JsonValueKind.Array => Listed("[", "]", [.. value.EnumerateArray().Select(Literal)], null, value.GetArrayLength(), -1),
        JsonValueKind.Object => Listed("{", "}", [.. value.EnumerateObject().Select(member => grammar.Sequence(Name(member.Name), Colon, Literal(member.Value)))], null, value.EnumerateObject().Count(), -1),
        _ => text.Literal(value.GetRawText()),
    };

    public Expression Name(string name) => Text(text.Literal(string.Concat(name.Select(unit => unit < ' ' || unit is '"' or '\\' ? Escape(unit) : unit.ToString()))));

    private static string Escape(int special) => special switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\b' => "\\b",
        '\f' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => string.Create(CultureInfo.InvariantCulture, $"\\u{special:x4}"),
    };

    /// <summary>Any character of a string, escaped or not; halves of surrogate pairs only together.</summary>
    private Expression Character()
    {
        Expression hex = grammar.Set(SymbolSet.OfRanges([new('0', '9'), new('a', 'f'), new('A', 'F')]));
        Expression notD = grammar.Set(SymbolSet.OfRanges([new('0', '9'), new('a', 'c'), new('A', 'C'), new('e', 'f'), new('E', 'F')]));
        Expression d = grammar.Set(SymbolSet.Of('d', 'D'));
        Expression low7 = grammar.Set(SymbolSet.Range('0', '7')), high = grammar.Set(SymbolSet.OfRanges([new('8', '9'), new('a', 'b'), new('A', 'B')])), low = grammar.Set(SymbolSet.OfRanges([new('c', 'f'), new('C', 'F')]));
        Expression escaped = grammar.Sequence(text.Literal("\\u"), grammar.Choice(
            grammar.Sequence(notD, hex, hex, hex),
            grammar.Sequence(d, low7, hex, hex),
            grammar.Sequence(d, high, hex, hex, text.Literal("\\u"), d, low, hex, hex)));
        Expression plain = text.CodePoint(SymbolSet.OfRanges([new(' ', '!'), new('#', '['), new(']', TextGrammar.LastCodePoint)]));
        return grammar.Choice(plain, grammar.Sequence(text.Literal("\\"), grammar.Set(SymbolSet.Of('"', '\\', '/', 'b', 'f', 'n', 'r', 't'))), escaped);
    }
}
