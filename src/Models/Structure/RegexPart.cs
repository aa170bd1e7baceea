namespace Qanat.Models;

/// <summary>A part of a regular expression as it is written.</summary>
internal abstract record RegexPart
{
    /// <summary>One of some characters, or the mark of the text's start.</summary>
    public sealed record Symbols(SymbolSet Set) : RegexPart;

    /// <summary>$: the end of the text is next.</summary>
    public sealed record End : RegexPart;

    public sealed record Sequence(IReadOnlyList<RegexPart> Parts) : RegexPart;

    public sealed record Choice(IReadOnlyList<RegexPart> Parts) : RegexPart;

    /// <param name="Max">-1: no end.</param>
    public sealed record Repeat(RegexPart What, int Min, int Max) : RegexPart;

    /// <summary>(?=...) and (?!...): what is next does, or does not, begin like this.</summary>
    public sealed record Ahead(RegexPart What, bool IsForbidden) : RegexPart;

    /// <summary>It looks at what comes behind it without taking it.</summary>
    private bool Looks(bool alsoAtTheEnd) => this switch
    {
        Ahead => true,
        End => alsoAtTheEnd,
        Sequence sequence => sequence.Parts.Any(part => part.Looks(alsoAtTheEnd)),
        Choice choice => choice.Parts.Any(part => part.Looks(alsoAtTheEnd)),
        Repeat repeat => repeat.What.Looks(alsoAtTheEnd),
        _ => false,
    };

    /// <summary>Texts that are this part and then <paramref name="rest"/>. What looks ahead must hold of all that follows it: the texts of both.</summary>
    /// <exception cref="GrammarException">What is repeated looks ahead.</exception>
    public Expression Then(Expression rest, Grammar grammar)
    {
        if (!Looks(alsoAtTheEnd: true)) return grammar.Sequence(Taken(grammar), rest);
        switch (this)
        {
            case End:
                return grammar.Both(grammar.Sequence(Mark(grammar, CharacterAutomaton.TextEnd), Anything(grammar)), rest);
            case Ahead ahead:
                // The mark of the start may still be to come: what is looked for is behind it.
                Expression like = grammar.Sequence(grammar.Optional(Mark(grammar, CharacterAutomaton.TextStart)), ahead.What.Then(Anything(grammar), grammar));
                return grammar.Both(ahead.IsForbidden ? grammar.Not(like) : like, rest);
            case Sequence sequence:
                return sequence.Parts.Reverse().Aggregate(rest, (behind, part) => part.Then(behind, grammar));
            case Choice choice:
                return grammar.Choice([.. choice.Parts.Select(part => part.Then(rest, grammar))]);
            case Repeat { Max: 1 } once:
                Expression taken = once.What.Then(rest, grammar);
                return once.Min == 1 ? taken : grammar.Choice(taken, rest);
            default:
                // Behind its end a text has nothing that could be repeated.
                return Looks(alsoAtTheEnd: false) ? throw new GrammarException("looking ahead cannot be kept in what is repeated") : grammar.Sequence(Taken(grammar), rest);
        }
    }

    /// <summary>The part alone; the end of the text is taken as a character is.</summary>
    private Expression Taken(Grammar grammar) => this switch
    {
        Symbols symbols => grammar.Set(symbols.Set),
        End => Mark(grammar, CharacterAutomaton.TextEnd),
        Sequence sequence => grammar.Sequence([.. sequence.Parts.Select(part => part.Taken(grammar))]),
        Choice choice => grammar.Choice([.. choice.Parts.Select(part => part.Taken(grammar))]),
        Repeat repeat => grammar.Repeat(repeat.What.Taken(grammar), repeat.Min, repeat.Max),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static Expression Mark(Grammar grammar, int mark) => grammar.Set(SymbolSet.Range(mark, mark));

    private static Expression Anything(Grammar grammar) =>
        grammar.Repeat(grammar.Choice(grammar.Set(TextGrammar.AllCodePoints), Mark(grammar, CharacterAutomaton.TextStart), Mark(grammar, CharacterAutomaton.TextEnd)), 0, -1);
}
