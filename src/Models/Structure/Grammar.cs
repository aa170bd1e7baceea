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

    public int Classes => boundaries.Length + 1;

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
        if (a == b) return a;
        return a.Id < b.Id ? Share(new Key(ExpressionKind.Both, a, b, null, null, 0, 0, default)) : Share(new Key(ExpressionKind.Both, b, a, null, null, 0, 0, default));
    }

    private Expression Sequence(Expression first, Expression rest)
    {
        if (first == Nothing || rest == Nothing) return Nothing;
        if (first == Empty) return rest;
        if (rest == Empty) return first;
        if (first.Kind == ExpressionKind.Sequence) return Sequence(first.First!, Sequence(first.Second!, rest));
        return Share(new Key(ExpressionKind.Sequence, first, rest, null, null, 0, 0, default));
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
        bool nullable = expression.Kind switch
        {
            ExpressionKind.Set => false,
            ExpressionKind.Sequence or ExpressionKind.Both => IsNullable(expression.First!) && IsNullable(expression.Second!),
            ExpressionKind.Choice => Array.Exists(expression.Choices, IsNullable),
            ExpressionKind.Repeat => expression.Min == 0 || IsNullable(expression.First!),
            ExpressionKind.Rule => nullableRules.Contains(expression.Rule!),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        if (isFrozen) expression.IsNullable = nullable;
        return nullable;
    }

    /// <summary>What may come after a symbol of this class.</summary>
    public Expression After(Expression expression, int symbolClass)
    {
        if (expression.Kind is ExpressionKind.Nothing or ExpressionKind.Empty) return Nothing;
        expression.After ??= new Expression?[Classes];
        return expression.After[symbolClass] ??= Derive(expression, symbolClass);
    }

    private Expression Derive(Expression expression, int symbolClass)
    {
        switch (expression.Kind)
        {
            case ExpressionKind.Set:
                return expression.Set!.Contains(SymbolOf(symbolClass)) ? Empty : Nothing;
            case ExpressionKind.Sequence:
                Expression within = Sequence(After(expression.First!, symbolClass), expression.Second!);
                return IsNullable(expression.First!) ? Choice(within, After(expression.Second!, symbolClass)) : within;
            case ExpressionKind.Choice:
                return Choice(Array.ConvertAll(expression.Choices, choice => After(choice, symbolClass)));
            case ExpressionKind.Repeat:
                return Sequence(After(expression.First!, symbolClass), Repeat(expression.First!, Math.Max(0, expression.Min - 1), expression.Max < 0 ? -1 : expression.Max - 1));
            case ExpressionKind.Rule:
                return After(expression.Rule!.Body!, symbolClass);
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
                ExpressionKind.Sequence => Sequence(Keep(each.First!), Keep(each.Second!)),
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

    private void RefuseLeftRecursion()
    {
        HashSet<GrammarRule> done = [];
        foreach (GrammarRule rule in rules) Visit(rule, [], done);

        void Visit(GrammarRule rule, HashSet<GrammarRule> path, HashSet<GrammarRule> done)
        {
            if (!path.Add(rule)) throw new GrammarException($"The rule '{rule.Name}' begins with itself, which never ends.");
            if (done.Add(rule))
            {
                foreach (GrammarRule first in FirstRules(rule.Body!).Distinct()) Visit(first, path, done);
            }
            path.Remove(rule);
        }
    }

    /// <summary>Rules an expression may begin with.</summary>
    private IEnumerable<GrammarRule> FirstRules(Expression expression) => expression.Kind switch
    {
        ExpressionKind.Rule => [expression.Rule!],
        ExpressionKind.Sequence => IsNullable(expression.First!) ? FirstRules(expression.First!).Concat(FirstRules(expression.Second!)) : FirstRules(expression.First!),
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
