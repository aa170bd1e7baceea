namespace Qanat.Engine;

/// <summary>Splits the wall time of a step over what was done in it, so that the parts sum to the whole exactly.</summary>
internal static class StepTime
{
    /// <summary>Largest remainder: every part gets the whole nanoseconds of its quota, the rest go one each to the largest remainders.</summary>
    /// <param name="nanoseconds">To split; at least 0.</param>
    /// <param name="work">Weights, none negative; at least one positive when there is anything to split.</param>
    /// <param name="shares">As long as <paramref name="work"/>; receives the parts.</param>
    public static void Split(long nanoseconds, ReadOnlySpan<long> work, Span<long> shares)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(nanoseconds);
        Int128 total = 0;
        foreach (long w in work) total += w;
        if (nanoseconds == 0)
        {
            shares[..work.Length].Clear();
            return;
        }
        if (total <= 0) throw new ArgumentException("Time without work cannot be split.", nameof(work));

        Span<Int128> remainders = work.Length <= 256 ? stackalloc Int128[work.Length] : new Int128[work.Length];
        Span<int> order = work.Length <= 256 ? stackalloc int[work.Length] : new int[work.Length];
        long left = nanoseconds;
        for (int i = 0; i < work.Length; i++)
        {
            (Int128 quota, Int128 remainder) = Int128.DivRem((Int128)nanoseconds * work[i], total);
            shares[i] = (long)quota;
            left -= shares[i];
            remainders[i] = -remainder;
            order[i] = i;
        }
        remainders.Sort(order);
        for (int i = 0; left > 0; i++, left--) shares[order[i]]++;
    }
}
