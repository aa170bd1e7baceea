namespace Qanat.TinyModel;

/// <summary>Random numbers by position: number n of stream s is a pure function of (seed, s, n), in integers and correctly rounded operations only,
/// so every machine makes the same ones in any order.</summary>
internal readonly struct RandomNumbers
{
    private readonly ulong _key;

    /// <param name="stream">What the numbers are for, e.g. a tensor's name.</param>
    public RandomNumbers(ulong seed, string stream)
    {
        ulong key = seed;
        foreach (char unit in stream)
            key = Mix(unchecked(key + unit + 0x9E3779B97F4A7C15));
        _key = key;
    }

    /// <summary>About normally distributed with mean 0 and variance 1: the sum of four uniform 16-bit numbers (within ±3.46).</summary>
    public float Normal(long index)
    {
        ulong bits = Mix(unchecked(_key + ((ulong)index * 0x9E3779B97F4A7C15)));
        int sum = (int)(bits & 0xFFFF) + (int)((bits >> 16) & 0xFFFF) + (int)((bits >> 32) & 0xFFFF) + (int)(bits >> 48) - (2 * 0xFFFF);
        // Four uniform numbers on [0, 65536) have a standard deviation of 65536 / sqrt(3).
        return sum * (1.7320508f / 65536f);
    }

    /// <summary>The finaliser of SplitMix64 (Steele, Lea, Flood 2014).</summary>
    private static ulong Mix(ulong value)
    {
        unchecked
        {
            value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
            value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
            return value ^ (value >> 31);
        }
    }
}
