namespace Qanat.Books;

/// <summary>Whether cached prompt tokens were found because the request asked for a cache, or by chance.</summary>
public enum CacheMode { Implicit, Explicit }

/// <summary>What a price is applied to: everything about a finished request that its price can depend on.</summary>
public sealed record RatedUsage(TokenCounts Tokens, Operation Operation = Operation.Chat, Outcome Outcome = Outcome.Completed, CacheMode Cache = CacheMode.Implicit)
{
    /// <summary>A request that was completed has read at least one token: without any, its usage was never reported.</summary>
    internal static bool IsMissing(Operation operation, Outcome outcome, TokenCounts tokens) => outcome == Outcome.Completed && operation != Operation.Train && tokens == default;
}

/// <summary>Turns usage into money. Products are exact; only a batch's part of its price is rounded, to the nearest pico. Nothing else is rounded before an invoice.</summary>
public static class Rating
{
    /// <summary>What a request owes at a price version: nothing when it failed on our side; otherwise its tokens at the rates of its tier, the price of a request, a batch's part of both, and at least the minimum.</summary>
    /// <exception cref="ArgumentException">A count is negative, or a part exceeds its whole.</exception>
    public static Money Charge(PriceVersion price, RatedUsage usage)
    {
        TokenRates rates = RatesFor(price, usage.Tokens.Input);
        PriceTerms terms = price.Terms ?? PriceTerms.None;
        Money tokens = Charge(rates, usage.Tokens, usage.Cache);
        if (usage.Outcome == Outcome.Failed) return Money.Zero(rates.Currency);
        return AtLeast(terms.Minimum, Batch(terms, usage.Operation, tokens + (terms.PerRequest ?? Money.Zero(rates.Currency))));
    }

    /// <summary>The rates for a request with so many input tokens: those of the highest tier it is above, for all its tokens.</summary>
    public static TokenRates RatesFor(PriceVersion price, long inputTokens)
    {
        TokenRates rates = price.Rates;
        foreach (PriceTier tier in (price.Terms ?? PriceTerms.None).Tiers)
            if (inputTokens > tier.AboveInputTokens) rates = tier.Rates;
        return rates;
    }

    /// <summary>An upper bound of every charge a request with this prompt and at most so many output tokens can become.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A count is negative.</exception>
    public static Money WorstCase(PriceVersion price, long inputTokens, long maxOutputTokens, Operation operation = Operation.Chat)
    {
        PriceTerms terms = price.Terms ?? PriceTerms.None;
        TokenRates rates = RatesFor(price, inputTokens);
        return AtLeast(terms.Minimum, Batch(terms, operation, WorstCase(rates, inputTokens, maxOutputTokens) + (terms.PerRequest ?? Money.Zero(rates.Currency))));
    }

    /// <summary>The largest number of output tokens whose worst case fits the money available; 0 when not even the prompt fits, long.MaxValue when output is free.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    public static long AffordableOutput(PriceVersion price, long inputTokens, Money available, Operation operation = Operation.Chat)
    {
        if (WorstCase(price, inputTokens, 0, operation) > available) return 0;
        PriceTerms terms = price.Terms ?? PriceTerms.None;
        TokenRates rates = RatesFor(price, inputTokens);
        if (operation != Operation.Batch || terms.BatchPermille == 1000) return AffordableOutput(rates, inputTokens, available - (terms.PerRequest ?? Money.Zero(rates.Currency)));
        if (terms.BatchPermille == 0) return long.MaxValue;
        // A batch's part is rounded to the nearest pico, so that the largest count is found by halving and not by dividing.
        long low = 0, high = 1;
        while (high < int.MaxValue && WorstCase(price, inputTokens, high, operation) <= available) (low, high) = (high, high * 2);
        if (high > int.MaxValue) return long.MaxValue;
        while (high - low > 1)
        {
            long middle = low + (high - low) / 2;
            if (WorstCase(price, inputTokens, middle, operation) <= available) low = middle;
            else high = middle;
        }
        return low;
    }

    /// <summary>What the tokens cost at these rates: plain input, cache read, cache write, plain output and reasoning, each at its own rate.</summary>
    /// <exception cref="ArgumentException">A count is negative, or a part exceeds its whole.</exception>
    public static Money Charge(TokenRates rates, TokenCounts tokens, CacheMode cache = CacheMode.Implicit)
    {
        ChargeByClass parts = Breakdown(rates, tokens, cache);
        return parts.Input + parts.CacheRead + parts.CacheWrite + parts.Output + parts.Reasoning;
    }

    /// <summary>What a request owes for these tokens given how it ended: nothing when it failed on our side, all it used otherwise.</summary>
    /// <exception cref="ArgumentException">As <see cref="Charge(TokenRates, TokenCounts, CacheMode)"/>.</exception>
    public static Money Charge(TokenRates rates, TokenCounts tokens, Outcome outcome) =>
        outcome == Outcome.Failed ? Money.Zero(rates.Currency) : Charge(rates, tokens);

    /// <summary>The charge by token class; the parts sum to <see cref="Charge(TokenRates, TokenCounts, CacheMode)"/>.</summary>
    /// <exception cref="ArgumentException">As <see cref="Charge(TokenRates, TokenCounts, CacheMode)"/>.</exception>
    public static ChargeByClass Breakdown(TokenRates rates, TokenCounts tokens, CacheMode cache = CacheMode.Implicit)
    {
        EnsureConsistent(tokens);
        Money? thinking = tokens.Reasoning > 0 ? rates.ThinkingOutputPerToken : null;
        return new ChargeByClass(
            rates.InputPerToken * (tokens.Input - tokens.CacheRead - tokens.CacheWrite),
            (cache == CacheMode.Explicit ? rates.ExplicitCacheRead : rates.CacheRead) * tokens.CacheRead,
            rates.CacheWrite * tokens.CacheWrite,
            (thinking ?? rates.OutputPerToken) * (tokens.Output - tokens.Reasoning),
            (thinking ?? rates.Reasoning) * tokens.Reasoning);
    }

    /// <summary>A charge by token class: each class's part of it is that of the class in the price of the tokens. The parts sum to the charge.</summary>
    /// <exception cref="ArgumentException">As <see cref="Charge(TokenRates, TokenCounts, CacheMode)"/>.</exception>
    public static ChargeByClass Breakdown(PriceVersion price, RatedUsage usage, Money charge)
    {
        ChargeByClass list = Breakdown(RatesFor(price, usage.Tokens.Input), usage.Tokens, usage.Cache);
        Int128[] weights = [list.Input.Picos, list.CacheRead.Picos, list.CacheWrite.Picos, list.Output.Picos, list.Reasoning.Picos];
        if (weights.All(w => w == 0)) weights[0] = 1;
        var parts = Allocation.Split(charge, weights);
        return new ChargeByClass(parts[0], parts[1], parts[2], parts[3], parts[4]);
    }

    /// <summary>An upper bound of every charge a request with this prompt and at most so many output tokens can become: each token in its dearest class.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A count is negative.</exception>
    public static Money WorstCase(TokenRates rates, long inputTokens, long maxOutputTokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(inputTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(maxOutputTokens);
        return DearestInput(rates) * inputTokens + DearestOutput(rates) * maxOutputTokens;
    }

    /// <summary>The largest number of output tokens whose worst case fits the money available; 0 when not even the prompt fits, long.MaxValue when output is free.
    /// WorstCase(rates, inputTokens, AffordableOutput(rates, inputTokens, available)) is at most what is available whenever the prompt fits.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    public static long AffordableOutput(TokenRates rates, long inputTokens, Money available)
    {
        Money left = available - WorstCase(rates, inputTokens, 0);
        if (left.IsNegative) return 0;
        Int128 perToken = DearestOutput(rates).Picos;
        if (perToken == 0) return long.MaxValue;
        Int128 tokens = left.Picos / perToken;
        return tokens > long.MaxValue ? long.MaxValue : (long)tokens;
    }

    /// <summary>What a fine-tuning run owes: (tokens of its data + tokens mixed in) x epochs, at least one token.</summary>
    /// <exception cref="InvalidOperationException">The version has no price for training.</exception>
    public static Money Training(PriceVersion price, long dataTokens, long mixedInTokens, int epochs)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(dataTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(mixedInTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(epochs);
        Money perToken = price.Terms?.TrainingPerToken ?? throw new InvalidOperationException($"Price version {price.Id} has no price for training: add 'training' to it.");
        return perToken * Int128.Max(1, (Int128)(dataTokens + mixedInTokens) * epochs);
    }

    private static Money Batch(PriceTerms terms, Operation operation, Money charge) => operation == Operation.Batch && terms.BatchPermille < 1000
        ? Allocation.Part(charge, terms.BatchPermille, 1000L - terms.BatchPermille)
        : charge;

    private static Money AtLeast(Money? minimum, Money charge) => minimum is { } least && charge < least ? least : charge;
    private static Money DearestInput(TokenRates rates) => Max(Max(rates.InputPerToken, rates.ExplicitCacheRead), Max(rates.CacheRead, rates.CacheWrite));
    private static Money DearestOutput(TokenRates rates) => Max(rates.OutputPerToken, Max(rates.Reasoning, rates.ThinkingOutputPerToken ?? rates.OutputPerToken));
    private static Money Max(Money a, Money b) => a >= b ? a : b;

    private static void EnsureConsistent(TokenCounts tokens)
    {
        bool negative = tokens.CacheRead < 0 || tokens.CacheWrite < 0 || tokens.Reasoning < 0;
        if (negative || tokens.CacheRead + tokens.CacheWrite > tokens.Input || tokens.Reasoning > tokens.Output)
            throw new ArgumentException($"{tokens} cannot be rated: counts are zero or more, cache tokens are a part of the input and reasoning a part of the output.", nameof(tokens));
    }
}

/// <summary>A charge by token class. Input and Output are without their cache and reasoning parts.</summary>
public readonly record struct ChargeByClass(Money Input, Money CacheRead, Money CacheWrite, Money Output, Money Reasoning);
