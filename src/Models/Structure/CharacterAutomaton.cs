namespace Qanat.Models;

/// <summary>
/// A regular language over code points, worked out state by state and freed of dead ends, so that whatever it allows can be completed. Patterns, lengths and formats are put together here;
/// then each state becomes a rule of a grammar over bytes.
/// </summary>
internal sealed class CharacterAutomaton
{
    private const int StatesMax = 20_000;

    /// <summary>A second or two.</summary>
    private const long WorkMax = 2_000_000, EffortMax = 10 * WorkMax;

    /// <summary>Marks of the beginning and the end of the text, for ^ and $.</summary>
    public const int TextStart = TextGrammar.LastCodePoint + 1, TextEnd = TextGrammar.LastCodePoint + 2;

    private readonly List<Dictionary<int, SymbolSet>> moves = [];
    private readonly List<bool> accepts = [];
    private int start = -1;

    private CharacterAutomaton()
    {
    }

    public bool IsEmpty => start < 0;

    /// <param name="language">Over code points, with marks for the ends of the text where it looks at them.</param>
    /// <exception cref="GrammarException">It has too many states.</exception>
    public static CharacterAutomaton Of(Grammar grammar, Expression language)
    {
        grammar.Freeze();
        grammar.EffortMax = grammar.Effort + EffortMax;
        int startClass = grammar.ClassOf(TextStart), endClass = grammar.ClassOf(TextEnd);
        List<Expression> states = [grammar.After(language, startClass)];
        Dictionary<Expression, int> numbers = new() { [states[0]] = 0 };
        List<Dictionary<int, List<SymbolRange>>> found = [];
        CharacterAutomaton automaton = new();
        for (int state = 0; state < states.Count; state++)
        {
            if (states.Count > StatesMax) throw new GrammarException(FormattableString.Invariant($"it is too complex: more than {StatesMax} states."));
            if (grammar.Work > WorkMax) throw new GrammarException("it is too complex: too many of its parts may come at the same place.");
            automaton.accepts.Add(grammar.IsNullable(grammar.After(states[state], endClass)));
            Dictionary<int, List<SymbolRange>> next = [];
            for (int each = 0; each < grammar.Classes; each++)
            {
                int first = each == 0 ? 0 : grammar.SymbolOf(each);
                int last = each + 1 < grammar.Classes ? grammar.SymbolOf(each + 1) - 1 : TextGrammar.LastCodePoint;
                if (first > Math.Min(last, TextGrammar.LastCodePoint)) continue;
                Expression after = grammar.After(states[state], each);
                if (after == grammar.Nothing) continue;
                if (!numbers.TryGetValue(after, out int number))
                {
                    numbers[after] = number = states.Count;
                    states.Add(after);
                }
                if (!next.TryGetValue(number, out List<SymbolRange>? ranges)) next[number] = ranges = [];
                ranges.Add(new SymbolRange(first, Math.Min(last, TextGrammar.LastCodePoint)));
            }
            found.Add(next);
        }
        automaton.KeepLiving(found);
        return automaton;
    }

    /// <summary>The language in a grammar over bytes.</summary>
    /// <param name="encode">One of some code points as bytes; Nothing when none of them can be written.</param>
    public Expression Into(Grammar target, string name, Func<SymbolSet, Expression> encode)
    {
        if (IsEmpty) return target.Nothing;
        GrammarRule[] rules = [.. Enumerable.Range(0, moves.Count).Select(state => target.Rule($"{name}-{state}"))];
        for (int state = 0; state < rules.Length; state++)
        {
            List<Expression> choices = [.. moves[state].Select(move => target.Sequence(encode(move.Value), target.Of(rules[move.Key])))];
            if (accepts[state]) choices.Add(target.Empty);
            rules[state].Body = target.Choice([.. choices]);
        }
        return target.Of(rules[start]);
    }

    /// <summary>Whether a text is in the language: the slow way, for values that are known.</summary>
    public bool Matches(string text)
    {
        int state = start;
        foreach (System.Text.Rune rune in text.EnumerateRunes())
        {
            if (state < 0) return false;
            state = moves[state].Where(move => move.Value.Contains(rune.Value)).Select(move => move.Key).FirstOrDefault(-1);
        }
        return state >= 0 && accepts[state];
    }

    private void KeepLiving(List<Dictionary<int, List<SymbolRange>>> found)
    {
        List<int>[] before = [.. found.Select(_ => new List<int>())];
        for (int state = 0; state < found.Count; state++)
        {
            foreach (int next in found[state].Keys) before[next].Add(state);
        }
        bool[] lives = [.. accepts];
        Stack<int> reached = new(Enumerable.Range(0, lives.Length).Where(state => lives[state]));
        while (reached.TryPop(out int state))
        {
            foreach (int earlier in before[state])
            {
                if (lives[earlier]) continue;
                lives[earlier] = true;
                reached.Push(earlier);
            }
        }
        foreach (Dictionary<int, List<SymbolRange>> next in found)
            moves.Add(next.Where(move => lives[move.Key]).ToDictionary(move => move.Key, move => SymbolSet.OfRanges(move.Value).And(TextGrammar.AllCodePoints)));
        start = lives[0] ? 0 : -1;
    }
}
