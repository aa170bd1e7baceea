using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Free tokens of contracts: used + held never exceeds what was agreed, whatever runs at the same time.</summary>
public sealed class FreeQuotas
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, State> states = new(StringComparer.Ordinal);

    /// <summary>Takes over what was used before, at start.</summary>
    public void Restore(string contract, long used)
    {
        lock (gate) StateOf(contract).Used = used;
    }

    /// <summary>What is neither used nor held.</summary>
    public long Left(Contract contract)
    {
        ArgumentNullException.ThrowIfNull(contract);
        lock (gate) return LeftOf(contract);
    }

    /// <summary>Tokens that other requests have used for good.</summary>
    public long Used(Contract contract)
    {
        ArgumentNullException.ThrowIfNull(contract);
        lock (gate) return StateOf(contract.Name).Used;
    }

    /// <summary>Holds as many tokens as are left, at most <paramref name="wanted"/>, for a request under terms; none when its contract gives none.</summary>
    public QuotaHold Hold(RequestTerms terms, long wanted, Operation operation, Instant placedAt)
    {
        ArgumentNullException.ThrowIfNull(terms);
        bool gives = terms.Quota?.Free is { } quota && placedAt < quota.Until && operation != Operation.Batch;
        QuotaHold hold = new(gives ? terms.Quota : null);
        Extend(hold, wanted);
        return hold;
    }

    /// <summary>Holds more; returns how many tokens were to be had.</summary>
    public long Extend(QuotaHold hold, long wanted)
    {
        ArgumentNullException.ThrowIfNull(hold);
        if (hold.Contract is not { } contract || wanted <= 0) return 0;
        lock (gate)
        {
            long granted = Math.Min(wanted, LeftOf(contract));
            StateOf(contract.Name).Held += granted;
            hold.Tokens += granted;
            return granted;
        }
    }

    /// <summary>Ends a hold: takes the free tokens of the finished request for good, gives the rest back. What others left free meanwhile counts too.</summary>
    /// <returns>How many of the request's tokens are free.</returns>
    public long Settle(QuotaHold hold, RatedUsage usage, Instant placedAt)
    {
        ArgumentNullException.ThrowIfNull(hold);
        if (hold.Contract is not { } contract) return 0;
        lock (gate)
        {
            State state = StateOf(contract.Name);
            state.Held -= hold.Tokens;
            hold.Tokens = 0;
            long free = ContractRating.FreeTokens(contract, usage, placedAt, LeftOf(contract));
            state.Used += free;
            return free;
        }
    }

    /// <summary>What was taken for a request that could not be stored is free again.</summary>
    public void GiveBack(RequestTerms terms, long free)
    {
        ArgumentNullException.ThrowIfNull(terms);
        if (terms.Quota is not { } contract || free == 0) return;
        lock (gate) StateOf(contract.Name).Used -= free;
    }

    /// <summary>Ends a hold under which nothing was used.</summary>
    public void Release(QuotaHold hold)
    {
        ArgumentNullException.ThrowIfNull(hold);
        if (hold.Contract is not { } contract) return;
        lock (gate) StateOf(contract.Name).Held -= hold.Tokens;
        hold.Tokens = 0;
    }

    private long LeftOf(Contract contract)
    {
        State state = StateOf(contract.Name);
        return Math.Max(0, (contract.Free?.Tokens ?? 0) - state.Used - state.Held);
    }

    private State StateOf(string contract)
    {
        if (!states.TryGetValue(contract, out State? state)) states[contract] = state = new State();
        return state;
    }

    private sealed class State
    {
        public long Used;
        public long Held;
    }
}

/// <summary>Free tokens kept for one request.</summary>
/// <param name="contract">Null: none gives any.</param>
public sealed class QuotaHold(Contract? contract)
{
    public static QuotaHold None => new(null);

    public Contract? Contract { get; } = contract;
    public long Tokens { get; internal set; }
}
