using System.Runtime.InteropServices;

namespace Qanat.Models;

/// <summary>
/// Expressions over symbols and their derivatives: what may come after a symbol (Brzozowski 1964, Might et al. 2011), which turns a grammar, recursion and all, into an automaton that is built only
/// where it is walked. Expressions are shared, derivatives are remembered. Not safe for threads.
/// </summary>
internal sealed class Grammar
{
    /// <summary>Remembered expressions beyond this are forgotten, which costs time and nothing else.</summary>
    private const int RememberedMax = 200_000;

    /// <summary>Parts behind each other that may all be left out: each of them may come next, and every state is made of as many.</summary>
    private const int OptionalRunMax = 256;

    /// <summary>Rules that begin with one another are followed by calls within calls.</summary>
    private const int RulesDepthMax = 500;

    private readonly record struct Key(ExpressionKind Kind, Expression? First, Expression? Second, GrammarRule? Rule, SymbolSet? Set, int Min, int Max, ChoiceKey Choices);

    private readonly record struct ChoiceKey(Expression[]? Items)
    {
        public bool Equals(ChoiceKey other) => Items is null ? other.Items is null : other.Items is not null && Items.AsSpan().SequenceEqual(other.Items);

        public override int GetHashCode()
        {
            HashCode hash = default;
            foreach (Expression item in Items ?? []) hash.Add(item.Id);
            return hash.ToHashCode();
        }
    }

    private readonly Dictionary<Key, Expression> known = [];
    private readonly List<GrammarRule> rules = [];
    private int[] boundaries = [];
    private bool isFrozen;
    private int created;

    public Grammar()
    {
        Nothing = new Expression(ExpressionKind.Nothing, created++) { IsNullable = false };
        Empty = new Expression(ExpressionKind.Empty, created++) { IsNullable = true };
    }

    /// <summary>No text at all, not even the empty one: a dead end.</summary>
    public Expression Nothing { get; }

    /// <summary>The empty text.</summary>
    public Expression Empty { get; }

    /// <summary>Choices that were looked through so far: what the work is in proportion to.</summary>
    public long Work { get; private set; }

    /// <summary>The same, and parts of sequences that were put together again: what walking takes time for.</summary>
    public long Effort { get; private set; }

    /// <summary>Beyond it walking gives up: one step alone can take minutes where optional parts are nested.</summary>
    public long EffortMax { get; set; } = long.MaxValue;

    public int Classes => boundaries.Length + 1;

    /// <exception cref="GrammarException">It is more than may be spent.</exception>
    public void Spend(long effort)
    {
        Effort += effort;
        if (Effort > EffortMax) throw new GrammarException("it is too complex: too many of its parts may come at the same place.");
    }

    // ---- making expressions --------------------------------------------------------------------------------------

    public GrammarRule Rule(string name)
    {
        GrammarRule rule = new(name);
        rules.Add(rule);
        return rule;
    }

    /// <summary>A rule with its body.</summary>
    public Expression Define(string name, Func<Expression, Expression> body)
    {
        GrammarRule rule = Rule(name);
        Expression self = Of(rule);
        rule.Body = body(self);
        return self;
    }

    public Expression Of(GrammarRule rule) => Share(new Key(ExpressionKind.Rule, null, null, rule, null, 0, 0, default));

    public Expression Set(SymbolSet set) => set.IsEmpty ? Nothing : Share(new Key(ExpressionKind.Set, null, null, null, set, 0, 0, default));

    public Expression Sequence(params ReadOnlySpan<Expression> parts)
    {
        Expression whole = Empty;
        for (int i = parts.Length - 1; i >= 0; i--) whole = Sequence(parts[i], whole);
        return whole;
    }

    public Expression Choice(params ReadOnlySpan<Expression> choices)
    {
        if (choices.Length == 2 && choices[0] == Nothing) return choices[1];
        if (choices.Length == 2 && choices[1] == Nothing) return choices[0];
        List<Expression> items = [];
        foreach (Expression choice in choices)
        {
            if (choice.Kind == ExpressionKind.Choice) items.AddRange(choice.Choices);
            else if (choice != Nothing) items.Add(choice);
        }
        Work += items.Count;
        Spend(items.Count);
        items.Sort((a, b) => a.Id.CompareTo(b.Id));
        int kept = 0;
        for (int i = 0; i < items.Count; i++)
        {
            if (kept == 0 || items[i] != items[kept - 1]) items[kept++] = items[i];
        }
        items.RemoveRange(kept, items.Count - kept);
        return items.Count switch
        {
            0 => Nothing,
            1 => items[0],
            _ => Share(new Key(ExpressionKind.Choice, null, null, null, null, 0, 0, new ChoiceKey([.. items]))),
        };
    }

    public Expression Optional(Expression expression) => Choice(expression, Empty);

    /// <param name="max">-1: no end.</param>
    public Expression Repeat(Expression expression, int min, int max)
    {
        if (max == 0 || expression == Empty) return Empty;
        if (expression == Nothing) return min == 0 ? Empty : Nothing;
        if (min == 1 && max == 1) return expression;
        return Share(new Key(ExpressionKind.Repeat, expression, null, null, null, min, max, default));
    }

    /// <summary>Texts of both languages. For regular languages alone: a grammar with it may have dead ends, which <see cref="CharacterAutomaton"/> takes out.</summary>
    public Expression Both(Expression a, Expression b)
    {
        if (a == Nothing || b == Nothing) return Nothing;
        if (a == b || IsEverything(b)) return a;
        if (IsEverything(a)) return b;
        return a.Id < b.Id ? Share(new Key(ExpressionKind.Both, a, b, null, null, 0, 0, default)) : Share(new Key(ExpressionKind.Both, b, a, null, null, 0, 0, default));
    }

    private static bool IsEverything(Expression expression) => expression is { Kind: ExpressionKind.Not, First.Kind: ExpressionKind.Nothing };

    /// <summary>All other texts, of any symbols at all. For regular languages alone, beside another language that says which symbols there are.</summary>
    public Expression Not(Expression expression) =>
        expression.Kind == ExpressionKind.Not ? expression.First! : Share(new Key(ExpressionKind.Not, expression, null, null, null, 0, 0, default));

    private Expression Sequence(Expression first, Expression rest)
    {
        if (first == Nothing || rest == Nothing) return Nothing;
        if (first == Empty) return rest;
        if (rest == Empty) return first;
        if (first.Kind != ExpressionKind.Sequence) return ShareSequence(first, rest);
        if (first.Second!.Kind != ExpressionKind.Sequence) return ShareSequence(first.First!, ShareSequence(first.Second, rest));
        List<Expression> parts = PartsOf(first);
        Spend(parts.Count);
        for (int i = parts.Count - 1; i >= 0; i--) rest = ShareSequence(parts[i], rest);
        return rest;
    }

    private Expression ShareSequence(Expression first, Expression rest) => Share(new Key(ExpressionKind.Sequence, first, rest, null, null, 0, 0, default));

    /// <summary>The parts of a sequence. Sequences are long where texts are, so nothing here goes through them by calling itself: the depth of the stack is that of the nesting.</summary>
    private static List<Expression> PartsOf(Expression sequence)
    {
        List<Expression> parts = [];
        for (; sequence.Kind == ExpressionKind.Sequence; sequence = sequence.Second!) parts.Add(sequence.First!);
        parts.Add(sequence);
        return parts;
    }

    private Expression Share(Key key)
    {
        if (known.Count >= RememberedMax && isFrozen) known.Clear();
        ref Expression? slot = ref CollectionsMarshal.GetValueRefOrAddDefault(known, key, out bool exists);
        if (exists) return slot!;
        Expression made = new(key.Kind, created++) { First = key.First, Second = key.Second, Rule = key.Rule, Set = key.Set, Min = key.Min, Max = key.Max, Choices = key.Choices.Items ?? [] };
        slot = made;
        return made;
    }

    // ---- walking -------------------------------------------------------------------------------------------------

    /// <summary>Ends the making of sets and rules: from now on expressions can be walked.</summary>
    /// <exception cref="GrammarException">A rule has no body, or begins with itself.</exception>
    public void Freeze()
    {
        SortedSet<int> starts = [];
        foreach (Expression expression in known.Values)
        {
            foreach (SymbolRange range in expression.Set?.Ranges ?? [])
            {
                starts.Add(range.First);
                starts.Add(range.Last + 1);
            }
        }
        boundaries = [.. starts];
        Check();
        isFrozen = true;
    }

    private void Check()
    {
        foreach (GrammarRule rule in rules)
            if (rule.Body is null) throw new GrammarException($"The rule '{rule.Name}' is used but not defined.");
        FindNullableRules();
        RefuseLeftRecursion();
        RefuseLongRuns();
    }

    /// <summary>The class of a symbol: symbols of one class are the same to every set.</summary>
    public int ClassOf(int symbol)
    {
        int at = Array.BinarySearch(boundaries, symbol);
        return at < 0 ? ~at : at + 1;
    }

    /// <summary>One symbol of a class.</summary>
    public int SymbolOf(int symbolClass) => symbolClass == 0 ? (boundaries.Length > 0 ? boundaries[0] - 1 : 0) : boundaries[symbolClass - 1];

    public bool IsNullable(Expression expression)
    {
        if (expression.IsNullable is { } known) return known;
        Expression whole = expression;
        for (; expression.Kind == ExpressionKind.Sequence && expression.IsNullable is null; expression = expression.Second!)
        {
            if (IsNullable(expression.First!)) continue;
            if (isFrozen) whole.IsNullable = false;
            return false;
        }
        bool nullable = expression.IsNullable ?? expression.Kind switch
        {
            ExpressionKind.Set => false,
            ExpressionKind.Both => IsNullable(expression.First!) && IsNullable(expression.Second!),
            ExpressionKind.Choice => Array.Exists(expression.Choices, IsNullable),
            ExpressionKind.Not => !IsNullable(expression.First!),
            ExpressionKind.Repeat => expression.Min == 0 || IsNullable(expression.First!),
            ExpressionKind.Rule => nullableRules.Contains(expression.Rule!),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        if (isFrozen) whole.IsNullable = nullable;
        return nullable;
    }

    /// <summary>What may come after a symbol of this class.</summary>
    public Expression After(Expression expression, int symbolClass)
    {
        if (expression.Kind is ExpressionKind.Nothing or ExpressionKind.Empty) return Nothing;
        expression.After ??= new Expression?[Classes];
        if (expression.After[symbolClass] is { } known) return known;
        Spend(1);
        return expression.After[symbolClass] = Derive(expression, symbolClass);
    }

    private Expression Derive(Expression expression, int symbolClass)
    {
        switch (expression.Kind)
        {
            case ExpressionKind.Set:
                return expression.Set!.Contains(SymbolOf(symbolClass)) ? Empty : Nothing;
            case ExpressionKind.Sequence:
                Expression within = Sequence(After(expression.First!, symbolClass), expression.Second!);
                if (!IsNullable(expression.First!)) return within;
                // Those behind it from the last on, so that each finds the next one's answer and none calls itself.
                Stack<Expression>? behind = null;
                for (Expression rest = expression.Second!; rest.Kind == ExpressionKind.Sequence && rest.After?[symbolClass] is null && IsNullable(rest.First!); rest = rest.Second!) (behind ??= new()).Push(rest);
                while (behind is not null && behind.TryPop(out Expression? rest)) After(rest, symbolClass);
                return Choice(within, After(expression.Second!, symbolClass));
            case ExpressionKind.Choice:
                return Choice(Array.ConvertAll(expression.Choices, choice => After(choice, symbolClass)));
            case ExpressionKind.Repeat:
                return Sequence(After(expression.First!, symbolClass), Repeat(expression.First!, Math.Max(0, expression.Min - 1), expression.Max < 0 ? -1 : expression.Max - 1));
            case ExpressionKind.Rule:
                return After(expression.Rule!.Body!, symbolClass);
            case ExpressionKind.Not:
                return Not(After(expression.First!, symbolClass));
            default:
                return Both(After(expression.First!, symbolClass), After(expression.Second!, symbolClass));
        }
    }

    // ---- checks --------------------------------------------------------------------------------------------------

    /// <summary>Takes out what can never be completed, as a list that must hold itself, so that whatever may come leads to an end. Before <see cref="Freeze"/>.</summary>
    /// <returns>The start without it; <see cref="Nothing"/> when there is nothing left.</returns>
    public Expression WithoutDeadEnds(Expression start)
    {
        Check();
        HashSet<GrammarRule> ending = [];
        bool grew = true;
        while (grew)
        {
            grew = false;
            foreach (GrammarRule rule in rules)
                if (!ending.Contains(rule) && Ends(rule.Body ?? Nothing, ending)) grew |= ending.Add(rule);
        }
        if (ending.Count == rules.Count) return start;
        Dictionary<Expression, Expression> kept = [];
        foreach (GrammarRule rule in rules.ToArray()) rule.Body = Keep(rule.Body ?? Nothing);
        return Keep(start);

        Expression Keep(Expression each)
        {
            if (kept.TryGetValue(each, out Expression? known)) return known;
            return kept[each] = each.Kind switch
            {
                ExpressionKind.Sequence => Sequence([.. PartsOf(each).Select(Keep)]),
                ExpressionKind.Choice => Choice(Array.ConvertAll(each.Choices, Keep)),
                ExpressionKind.Repeat => Repeat(Keep(each.First!), each.Min, each.Max),
                ExpressionKind.Rule => ending.Contains(each.Rule!) ? each : Nothing,
                _ => each,
            };
        }
    }

    private static bool Ends(Expression expression, HashSet<GrammarRule> ending)
    {
        for (; expression.Kind == ExpressionKind.Sequence; expression = expression.Second!)
            if (!Ends(expression.First!, ending)) return false;
        return expression.Kind switch
        {
            ExpressionKind.Nothing => false,
            ExpressionKind.Both => Ends(expression.First!, ending) && Ends(expression.Second!, ending),
            ExpressionKind.Choice => Array.Exists(expression.Choices, choice => Ends(choice, ending)),
            ExpressionKind.Repeat => expression.Min == 0 || Ends(expression.First!, ending),
            ExpressionKind.Rule => ending.Contains(expression.Rule!),
            _ => true,
        };
    }

    private readonly HashSet<GrammarRule> nullableRules = [];

    /// <summary>The least set of rules that can be empty.</summary>
    private void FindNullableRules()
    {
        nullableRules.Clear();
        bool grew = true;
        while (grew)
        {
            grew = false;
            foreach (GrammarRule rule in rules)
                if (!nullableRules.Contains(rule) && IsNullable(rule.Body!)) grew |= nullableRules.Add(rule);
        }
    }

    private void RefuseLongRuns()
    {
        Dictionary<Expression, int> runs = [];
        // The rest of a sequence was made before it.
        foreach (Expression sequence in known.Values.Where(each => each.Kind == ExpressionKind.Sequence && IsNullable(each.First!)))
        {
            int run = runs[sequence] = 1 + runs.GetValueOrDefault(sequence.Second!);
            if (run > OptionalRunMax) throw new GrammarException(FormattableString.Invariant($"More than {OptionalRunMax} parts behind each other may be left out."));
        }
    }

    private void RefuseLeftRecursion()
    {
        HashSet<GrammarRule> done = [];
        foreach (GrammarRule rule in rules) Visit(rule, [], done);

        void Visit(GrammarRule rule, HashSet<GrammarRule> path, HashSet<GrammarRule> done)
        {
            if (!path.Add(rule)) throw new GrammarException($"The rule '{rule.Name}' begins with itself, which never ends.");
            if (path.Count > RulesDepthMax) throw new GrammarException(FormattableString.Invariant($"More than {RulesDepthMax} rules begin with one another ('{rule.Name}')."));
            if (done.Add(rule))
            {
                foreach (GrammarRule first in FirstRules(rule.Body!).Distinct()) Visit(first, path, done);
            }
            path.Remove(rule);
        }
    }

    /// <summary>The first part, and each behind it while all before it may be empty.</summary>
    private IEnumerable<Expression> FirstParts(Expression sequence)
    {
        for (; sequence.Kind == ExpressionKind.Sequence; sequence = sequence.Second!)
        {
            yield return sequence.First!;
            if (!IsNullable(sequence.First!)) yield break;
        }
        yield return sequence;
    }

    /// <summary>Rules an expression may begin with.</summary>
    private IEnumerable<GrammarRule> FirstRules(Expression expression) => expression.Kind switch
    {
        ExpressionKind.Rule => [expression.Rule!],
        ExpressionKind.Sequence => FirstParts(expression).SelectMany(FirstRules),
        ExpressionKind.Choice => expression.Choices.SelectMany(FirstRules),
        ExpressionKind.Repeat => FirstRules(expression.First!),
        ExpressionKind.Both => FirstRules(expression.First!).Concat(FirstRules(expression.Second!)),
        _ => [],
    };
}

/// <summary>A grammar, an expression or a schema that cannot be kept; the message says what and where.</summary>
public sealed class GrammarException : Exception
{
    public GrammarException(string message) : base(message) { }
    public GrammarException(string message, Exception inner) : base(message, inner) { }
    public GrammarException() { }
}
