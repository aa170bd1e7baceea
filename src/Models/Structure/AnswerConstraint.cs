namespace Qanat.Models;

/// <summary>What the tokens of an answer must add up to, ready to be followed. Shared by all answers that must be alike; safe for threads.</summary>
public sealed class AnswerConstraint
{
    private readonly Lock gate = new();
    private readonly Grammar grammar;
    private readonly TokenTrie trie;
    private readonly TokenMasks masks;
    private readonly Expression start;

    internal AnswerConstraint(Grammar grammar, TokenTrie trie, Expression start)
    {
        this.grammar = grammar;
        this.trie = trie;
        this.start = start;
        masks = new TokenMasks(grammar, trie);
        // Whoever asks pays for the first mask, not everybody in the engine's next step, and is told if masks take too long.
        masks.Of(start, TokenMasks.FirstEffortMax);
        masks.LookAhead(start);
    }

    public ConstraintCursor Begin() => new(this);

    internal Expression Start => start;
    internal bool IsDeadEnd(Expression state) => state == grammar.Nothing;

    internal ulong[] MaskOf(Expression state)
    {
        lock (gate) return masks.Of(state);
    }

    internal Expression After(Expression state, int token)
    {
        lock (gate) return trie.Texts[token] is { } text ? masks.After(state, text) : grammar.Nothing;
    }

    internal bool IsStop(int token) => Array.IndexOf(trie.StopTokens, token) >= 0;
}

/// <summary>Follows one answer through its constraint.</summary>
public sealed class ConstraintCursor
{
    private readonly AnswerConstraint constraint;
    private Expression state;

    internal ConstraintCursor(AnswerConstraint constraint)
    {
        this.constraint = constraint;
        state = constraint.Start;
    }

    /// <summary>The answer has ended.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>One bit per token: those that may come next. At least one may, while the answer has not ended. Do not change it: it is shared.</summary>
    public ReadOnlySpan<ulong> Allowed => constraint.MaskOf(state);

    public bool Allows(int token) => (Allowed[token >> 6] >> token & 1) != 0;

    /// <summary>Takes the token that came.</summary>
    /// <exception cref="InvalidOperationException">It may not come.</exception>
    public void Accept(int token)
    {
        if (HasEnded || constraint.IsStop(token))
        {
            HasEnded = true;
            return;
        }
        state = constraint.After(state, token);
        if (constraint.IsDeadEnd(state)) throw new InvalidOperationException(FormattableString.Invariant($"Token {token} is not allowed here."));
    }
}
