namespace Qanat.Books;

/// <summary>Rates usage under a contract. The charge is a function of the request alone and of how many of its tokens were taken from the free quota: no other order plays a part.</summary>
public static class ContractRating
{
    /// <summary>The charge of a finished request and what it is made of. Free tokens carry their part of the list charge, by tokens; the discount is on the rest. Both are rounded to the nearest pico.</summary>
    /// <param name="contract">Null: none holds.</param>
    /// <param name="freeTokens">Tokens taken from the quota (<see cref="FreeTokens"/>).</param>
    /// <exception cref="ArgumentException">More free tokens than the request has, or free tokens without a quota.</exception>
    public static ChargeBasis Rate(PriceVersion price, Contract? contract, RatedUsage usage, long freeTokens)
    {
        long tokens = usage.Tokens.Input + usage.Tokens.Output;
        if (freeTokens < 0 || freeTokens > tokens || freeTokens > 0 && contract?.Free is null)
            throw new ArgumentException($"{freeTokens} of {tokens} tokens cannot be free under {contract?.Name ?? "no contract"}.", nameof(freeTokens));
        Money list = Rating.Charge(price, usage);
        Money free = freeTokens == 0 ? Money.Zero(list.Currency) : Allocation.Part(list, freeTokens, tokens - freeTokens);
        int permille = contract?.DiscountPermille ?? 0;
        Money discount = Allocation.Part(list - free, permille, 1000L - permille);
        return new ChargeBasis(usage.Cache, list, discount, freeTokens, free, contract?.Name);
    }

    /// <summary>The charge of an internal tenant's request by its contract's transfer policy; null: the cost it needs is not known, so that the request is unpriced.</summary>
    /// <exception cref="InvalidOperationException">The contract has no transfer policy.</exception>
    public static ChargeBasis? Transfer(PriceVersion price, Contract contract, RatedUsage usage, Money? cost)
    {
        TransferPolicy policy = contract.Transfer ?? throw new InvalidOperationException($"Contract '{contract.Name}' has no transfer policy.");
        Money list = Rating.Charge(price, usage);
        // What failed on our side costs the team nothing, whatever its policy.
        return (usage.Outcome == Outcome.Failed ? Money.Zero(list.Currency) : policy.Charge(list, cost)) is { } charge
            ? new ChargeBasis(usage.Cache, charge, Money.Zero(charge.Currency), 0, Money.Zero(charge.Currency), contract.Name)
            : null;
    }

    /// <summary>How many tokens of a request are free: as many as are left, while the quota's time lasts. Batches and failed requests take none.</summary>
    public static long FreeTokens(Contract? contract, RatedUsage usage, Instant placedAt, long left) =>
        contract?.Free is not { } quota || placedAt >= quota.Until || usage.Operation == Operation.Batch || usage.Outcome == Outcome.Failed
            ? 0
            : Math.Clamp(left, 0, usage.Tokens.Input + usage.Tokens.Output);

    /// <summary>How many output tokens a contract allows a request that is about to start; null: as many as it likes. Zero: refuse it, the free quota is used up (or does not cover batches) and nothing may be charged.</summary>
    public static long? AllowedOutput(Contract? contract, long inputTokens, Instant placedAt, long left, Operation operation = Operation.Chat)
    {
        if (contract?.Free is not { Then: WhenExhausted.Stop } quota) return null;
        return placedAt >= quota.Until || operation == Operation.Batch ? 0 : Math.Max(0, left - inputTokens);
    }

    /// <summary>What is left of a quota after these requests of its contract.</summary>
    public static long Left(Contract contract, IEnumerable<UsageRecord> used) =>
        (contract.Free?.Tokens ?? 0) - used.Where(r => r.Basis?.Contract == contract.Name).Sum(r => r.Basis!.FreeTokens);
}
