using System.Collections.Immutable;
using System.Numerics;

namespace Qanat.Books;

/// <summary>The only place where the books divide: a whole into parts that sum to it exactly (largest remainder, also called Hamilton's method).</summary>
public static class Allocation
{
    /// <summary>Splits an amount by weights. Each part is the exact share rounded down or up by one pico; of equal remainders the earlier part is rounded up first.</summary>
    /// <exception cref="ArgumentException">A weight is negative, or all are zero while the total is not.</exception>
    public static ImmutableArray<Money> Split(Money total, ReadOnlySpan<long> weights) =>
        [.. Split(total.Picos, Widen(weights)).Select(picos => new Money(picos, total.Currency))];

    /// <inheritdoc cref="Split(Money, ReadOnlySpan{long})"/>
    public static ImmutableArray<Money> Split(Money total, ReadOnlySpan<Int128> weights) =>
        [.. Split(total.Picos, weights).Select(picos => new Money(picos, total.Currency))];

    /// <inheritdoc cref="Split(Money, ReadOnlySpan{long})"/>
    public static ImmutableArray<long> Split(long total, ReadOnlySpan<long> weights) =>
        [.. Split((Int128)total, Widen(weights)).Select(part => (long)part)];

    /// <summary>The first of two parts: what <see cref="Split(Money, ReadOnlySpan{long})"/> gives the first of two weights.</summary>
    /// <exception cref="ArgumentException">As there.</exception>
    public static Money Part(Money total, long weight, long otherWeight) => new(Part(total.Picos, weight, otherWeight), total.Currency);

    /// <inheritdoc cref="Part(Money, long, long)"/>
    public static Int128 Part(Int128 total, long weight, long otherWeight)
    {
        UInt128 magnitude = (UInt128)Int128.Abs(Int128.Max(total, -Int128.MaxValue));
        UInt128 sum = unchecked((ulong)weight) + (UInt128)unchecked((ulong)otherWeight);
        // Costs and discounts of every request come here: below 2^63 the product fits, and nothing is allocated.
        if (weight < 0 || otherWeight < 0 || sum == 0 || magnitude > long.MaxValue) return Split(total, (ReadOnlySpan<Int128>)[weight, otherWeight])[0];
        (UInt128 part, UInt128 remainder) = UInt128.DivRem(magnitude * (ulong)weight, sum);
        if (remainder >= sum - remainder) part++;
        return Int128.IsNegative(total) ? -(Int128)part : (Int128)part;
    }

    /// <inheritdoc cref="Split(Money, ReadOnlySpan{long})"/>
    public static ImmutableArray<Int128> Split(Int128 total, ReadOnlySpan<Int128> weights)
    {
        BigInteger sum = BigInteger.Zero;
        foreach (Int128 weight in weights)
        {
            if (Int128.IsNegative(weight)) throw new ArgumentException("A weight is negative: weights are counts of something.", nameof(weights));
            sum += weight;
        }
        if (sum.IsZero)
            return total == 0 ? [.. new Int128[weights.Length]] : throw new ArgumentException("An amount cannot be split when all weights are zero.", nameof(weights));

        BigInteger magnitude = BigInteger.Abs(total);
        var parts = new BigInteger[weights.Length];
        var remainders = new (BigInteger Remainder, int Index)[weights.Length];
        BigInteger left = magnitude;
        for (int i = 0; i < weights.Length; i++)
        {
            parts[i] = BigInteger.DivRem(magnitude * weights[i], sum, out BigInteger remainder);
            remainders[i] = (remainder, i);
            left -= parts[i];
        }
        Array.Sort(remainders, static (a, b) => a.Remainder == b.Remainder ? a.Index.CompareTo(b.Index) : b.Remainder.CompareTo(a.Remainder));
        for (int i = 0; i < (int)left; i++)
            parts[remainders[i].Index] += 1;
        return [.. parts.Select(part => (Int128)(Int128.IsNegative(total) ? -part : part))];
    }

    /// <summary>value x numerator / denominator rounded towards minus infinity, exact whatever the size of the product: the running total of something that accrues evenly.</summary>
    internal static Int128 FloorOfProduct(Int128 value, Int128 numerator, Int128 denominator)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(denominator, Int128.Zero);
        BigInteger quotient = BigInteger.DivRem((BigInteger)value * numerator, denominator, out BigInteger remainder);
        return (Int128)(remainder.Sign < 0 ? quotient - 1 : quotient);
    }

    private static Int128[] Widen(ReadOnlySpan<long> weights)
    {
        var wide = new Int128[weights.Length];
        for (int i = 0; i < weights.Length; i++)
            wide[i] = weights[i];
        return wide;
    }
}
