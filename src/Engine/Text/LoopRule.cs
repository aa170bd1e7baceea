namespace Qanat.Engine;

/// <summary>Whether an answer has begun to repeat itself for good: the same run of tokens again and again. Small models do that, thinking ones most of all, until their limit.</summary>
internal static class LoopRule
{
    /// <summary>Longest run that is looked for.</summary>
    public const int PeriodMax = 128;

    /// <summary>A run must have come this often: three times the same line is a table, not a loop.</summary>
    public const int RepeatsMin = 4;

    private const int CheckEvery = 8;

    /// <param name="answer">Generated tokens.</param>
    /// <param name="tokensMax">Tokens that repetition may go on for.</param>
    public static bool IsLoop(ReadOnlySpan<int> answer, int tokensMax)
    {
        if (answer.Length < tokensMax || answer.Length % CheckEvery != 0) return false;
        for (int period = 1; period <= PeriodMax && period < answer.Length; period++)
        {
            int least = Math.Max(tokensMax, period * RepeatsMin);
            if (least > answer.Length) return false;
            ReadOnlySpan<int> tail = answer[^least..];
            if (tail[period..].SequenceEqual(tail[..^period])) return true;
        }
        return false;
    }
}
