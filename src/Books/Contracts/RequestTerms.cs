namespace Qanat.Books;

/// <summary>What one request is charged by: the price version and the contract that held when it was placed.</summary>
/// <param name="Price">Null: unpriced.</param> <param name="Contract">Null: none holds.</param>
public sealed record RequestTerms(PriceVersion? Price, Contract? Contract)
{
    public static readonly RequestTerms None = new(null, null);

    /// <summary>The contract whose free quota the request draws on. Null: none; what is unpriced or at a transfer price takes no free tokens.</summary>
    public Contract? Quota => Price is not null && Contract is { Free: not null, Transfer: null } ? Contract : null;

    public static RequestTerms Find(PriceBook prices, Declarations declared, TenantId tenant, ModelName model, Instant placedAt)
    {
        ArgumentNullException.ThrowIfNull(prices);
        ArgumentNullException.ThrowIfNull(declared);
        return new RequestTerms(prices.Find(model, tenant, placedAt), declared.FindContract(tenant, model, placedAt));
    }

    /// <summary>An upper bound of every charge a request with this prompt and at most so many output tokens can become when so many of its tokens are free.
    /// A transfer price at cost is not known before the device time is: the list price stands in for it.</summary>
    /// <exception cref="InvalidOperationException">There is no price.</exception>
    public Money WorstCase(long inputTokens, long maxOutputTokens, long freeTokens, Operation operation)
    {
        Money list = Rating.WorstCase(Priced(), inputTokens, maxOutputTokens, operation);
        if (Contract is null or { Transfer: not null }) return list;
        // More output makes both the list price and the part of it that is not free larger, so that the largest output bounds all.
        long tokens = inputTokens + maxOutputTokens, free = Math.Min(Covered(operation, freeTokens), tokens);
        Money charged = free == 0 ? list : Up(list, tokens - free, tokens);
        return Up(charged, 1000 - Contract.DiscountPermille, 1000);
    }

    /// <summary>The largest number of output tokens whose worst case fits the money available; 0 when not even the prompt fits, long.MaxValue when output is free.</summary>
    /// <exception cref="InvalidOperationException">There is no price.</exception>
    public long AffordableOutput(long inputTokens, Money available, long freeTokens, Operation operation)
    {
        if (Contract is null or { Transfer: not null }) return Rating.AffordableOutput(Priced(), inputTokens, available, operation);
        bool Fits(long output) => WorstCase(inputTokens, output, freeTokens, operation) <= available;
        if (!Fits(0)) return 0;
        long low = 0, high = 1;
        while (high < int.MaxValue && Fits(high)) (low, high) = (high, high * 2);
        if (high > int.MaxValue) return long.MaxValue;
        while (high - low > 1)
        {
            long middle = low + (high - low) / 2;
            if (Fits(middle)) low = middle;
            else high = middle;
        }
        return low;
    }

    /// <summary>The charge of a finished request. Null: unpriced, because there is no price, its usage was never reported, or its transfer price needs a cost that is not known.</summary>
    /// <param name="freeTokens">Tokens taken from the contract's free quota.</param> <param name="cost">Null: uncosted.</param>
    public RatedCharge? Rate(RatedUsage usage, long freeTokens, Money? cost)
    {
        ArgumentNullException.ThrowIfNull(usage);
        if (Price is null || RatedUsage.IsMissing(usage.Operation, usage.Outcome, usage.Tokens)) return null;
        if (Contract is { Transfer: not null }) return ContractRating.Transfer(Price, Contract, usage, cost) is { } transfer ? new RatedCharge(transfer.Charge, transfer) : null;
        // Without a contract and an explicit cache, the price version and the tokens alone make the charge again.
        if (Contract is null && usage.Cache == CacheMode.Implicit) return new RatedCharge(Rating.Charge(Price, usage), null);
        ChargeBasis basis = ContractRating.Rate(Price, Contract, usage, freeTokens);
        return new RatedCharge(basis.Charge, basis);
    }

    private PriceVersion Priced() => Price ?? throw new InvalidOperationException("An unpriced request has no worst case.");
    private static long Covered(Operation operation, long freeTokens) => operation == Operation.Batch ? 0 : freeTokens;
    private static Money Up(Money amount, long part, long whole) => new(-Allocation.FloorOfProduct(-amount.Picos, part, whole), amount.Currency);
}

/// <summary>A charge and what it was made from besides tokens and price version.</summary>
public sealed record RatedCharge(Money Charge, ChargeBasis? Basis);
