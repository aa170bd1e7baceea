namespace Qanat.Gateway;

/// <summary>Seeds for requests that bring none: SplitMix64 (Steele, Lea, Flood 2014) over a counter, so that one start value fixes them all.</summary>
public sealed class SeedSource(ulong start)
{
    private const ulong GoldenGamma = 0x9E3779B97F4A7C15;
    private ulong state = start;

    /// <summary>Thread-safe.</summary>
    public ulong Next()
    {
        unchecked
        {
            ulong mixed = Interlocked.Add(ref state, GoldenGamma);
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
            return mixed ^ (mixed >> 31);
        }
    }
}
