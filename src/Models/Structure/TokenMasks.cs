namespace Qanat.Models;

/// <summary>
/// Which tokens may come in a state of a grammar. The state's first part alone decides nearly all of them (inside a string nearly every token), so what it allows is found once and shared by
/// every state that begins with it; only tokens that reach beyond it are followed into the rest.
/// </summary>
internal sealed class TokenMasks(Grammar grammar, TokenTrie trie)
{
    private const int MasksKeptMax = 256;
    private const int SparseTokensMax = 2048, WaysMax = 8;

    private const int LookAheadSteps = 16, WideState = 64;

    /// <summary>For one mask: some tenths of a second, for which everybody's next step would wait.</summary>
    private const long EffortMax = 1_000_000;

    /// <summary>For the first, which only whoever asks waits for: a list may have tens of thousands of values.</summary>
    public const long FirstEffortMax = 10 * EffortMax;

    /// <summary>Nodes of the tree that are gone through in the time of one choice.</summary>
    private const int NodesPerEffort = 8;

    /// <param name="Tokens">Tokens that lie within the first part; null: too many to list.</param>
    /// <param name="Bits">The same as a mask, when they are many.</param>
    /// <param name="Exits">Nodes of the tree at which the first part may be over.</param>
    private sealed record Head(int[]? Tokens, ulong[]? Bits, int[] Exits);

    private readonly Dictionary<Expression, Head> heads = [];
    private readonly Dictionary<Expression, ulong[]> masks = [];
    private readonly int[] classOfByte = [.. Enumerable.Range(0, 256).Select(grammar.ClassOf)];
    private readonly Expression[] path = new Expression[trie.LongestToken + 1];

    /// <summary>64-bit words of a mask.</summary>
    public int Words { get; } = (trie.Vocabulary + 63) / 64;

    /// <summary>The state after a token; <see cref="Grammar.Nothing"/>: it may not come.</summary>
    public Expression After(Expression state, ReadOnlySpan<byte> token)
    {
        // The mask has been there: little is left to find out.
        grammar.EffortMax = long.MaxValue;
        foreach (byte next in token) state = grammar.After(state, classOfByte[next]);
        return state;
    }

    /// <summary>Finds masks a few steps on, where the most parts may come, which is where they are many if they are anywhere.</summary>
    /// <exception cref="GrammarException">It takes too long.</exception>
    public void LookAhead(Expression state)
    {
        for (int step = 0; step < LookAheadSteps; step++)
        {
            grammar.EffortMax = grammar.Effort + EffortMax;
            Expression widest = grammar.Nothing;
            for (int each = 0; each < grammar.Classes; each++)
            {
                Expression next = grammar.After(state, each);
                if (next != grammar.Nothing && (widest == grammar.Nothing || next.Choices.Length > widest.Choices.Length)) widest = next;
            }
            if (widest == grammar.Nothing) return;
            state = widest;
            if (state.Choices.Length > WideState) Of(state);
        }
    }

    /// <summary>One bit per token; tokens that end an answer are allowed where nothing more need come.</summary>
    /// <param name="effortMax">What may be spent on finding them.</param>
    /// <exception cref="GrammarException">It takes too long to find them.</exception>
    public ulong[] Of(Expression state, long effortMax = EffortMax)
    {
        if (masks.TryGetValue(state, out ulong[]? mask)) return mask;
        grammar.EffortMax = grammar.Effort + effortMax;
        if (masks.Count >= MasksKeptMax) masks.Clear();
        mask = new ulong[Words];
        Add(state, mask);
        if (grammar.IsNullable(state)) foreach (int stop in trie.StopTokens) Allow(mask, stop);
        return masks[state] = mask;
    }

    private void Add(Expression state, ulong[] mask)
    {
        if (MayBeginInManyWays(state))
        {
            Walk(state, 0, trie.Count, mask);
            return;
        }
        while (state.Kind != ExpressionKind.Choice)
        {
            bool isSequence = state.Kind == ExpressionKind.Sequence;
            Head head = HeadOf(isSequence ? state.First! : state);
            foreach (int token in head.Tokens ?? []) Allow(mask, token);
            for (int word = 0; word < (head.Bits?.Length ?? 0); word++) mask[word] |= head.Bits![word];
            if (!isSequence) return;
            foreach (int exit in head.Exits) Walk(state.Second!, exit + 1, trie.Ends[exit], mask);
            if (!grammar.IsNullable(state.First!)) return;
            state = state.Second!;
        }
        foreach (Expression choice in state.Choices) Add(choice, mask);
    }

    /// <summary>Following each of its parts by itself would go through the tree again and again: once for all of them is less.</summary>
    private bool MayBeginInManyWays(Expression state)
    {
        if (state.Kind == ExpressionKind.Choice) return state.Choices.Length > WaysMax;
        int optional = 0;
        for (; state.Kind == ExpressionKind.Sequence && optional <= WaysMax && grammar.IsNullable(state.First!); state = state.Second!) optional++;
        return optional > WaysMax;
    }

    /// <summary>Repetitions that go on longer than any token allow the same tokens, however long they go on.</summary>
    private Expression Canonical(Expression head) => head.Kind != ExpressionKind.Repeat || (head.Min <= trie.LongestToken && head.Max <= trie.LongestToken)
        ? head
        : grammar.Repeat(head.First!, Math.Min(head.Min, trie.LongestToken), head.Max > trie.LongestToken ? -1 : head.Max);

    private Head HeadOf(Expression head)
    {
        head = Canonical(head);
        return heads.TryGetValue(head, out Head? known) ? known : heads[head] = FindHead(head);
    }

    private Head FindHead(Expression head)
    {
        List<int> tokens = [], exits = [];
        path[0] = head;
        for (int node = 0; node < trie.Count;)
        {
            int depth = trie.Depths[node];
            Expression next = grammar.After(path[depth], classOfByte[trie.Bytes[node]]);
            if (next == grammar.Nothing)
            {
                node = trie.Ends[node];
                continue;
            }
            foreach (int token in trie.TokensAt(node)) tokens.Add(token);
            if (trie.Ends[node] > node + 1 && grammar.IsNullable(next)) exits.Add(node);
            path[depth + 1] = next;
            node++;
        }
        if (tokens.Count <= SparseTokensMax) return new Head([.. tokens], null, [.. exits]);
        ulong[] bits = new ulong[Words];
        foreach (int token in tokens) Allow(bits, token);
        return new Head(null, bits, [.. exits]);
    }

    /// <summary>Adds the tokens between two nodes that begin in this state.</summary>
    private void Walk(Expression state, int from, int to, ulong[] mask)
    {
        if (from >= to) return;
        int top = trie.Depths[from];
        path[top] = state;
        grammar.Spend((to - from) / NodesPerEffort);
        for (int node = from; node < to;)
        {
            int depth = trie.Depths[node];
            Expression next = grammar.After(path[depth], classOfByte[trie.Bytes[node]]);
            if (next == grammar.Nothing)
            {
                node = trie.Ends[node];
                continue;
            }
            foreach (int token in trie.TokensAt(node)) Allow(mask, token);
            path[depth + 1] = next;
            node++;
        }
    }

    private static void Allow(ulong[] mask, int token) => mask[token >> 6] |= 1UL << token;
}
