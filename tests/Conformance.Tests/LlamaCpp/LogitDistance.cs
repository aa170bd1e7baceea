namespace Qanat.Conformance.Tests;

/// <summary>How far logits are from llama.cpp's, along llama.cpp's own tokens.</summary>
/// <param name="Different">Positions whose greedy token is another.</param>
/// <param name="Positions">All positions.</param>
/// <param name="WidestGap">At those, the largest difference of llama.cpp's own logits between its choice and the other.</param>
/// <param name="Largest">Of all differences of one logit.</param>
/// <param name="Deviation">Root mean square of those differences.</param>
/// <param name="Relative">The same over the root mean square of llama.cpp's logits.</param>
/// <param name="Divergence">Kullback-Leibler divergence of the other next-token distribution from llama.cpp's, in nats, mean over positions.</param>
internal sealed record LogitDistance(int Different, int Positions, double WidestGap, double Largest, double Deviation, double Relative, double Divergence)
{
    public delegate ReadOnlySpan<float> LogitsOf(int prompt, int step);

    public static LogitDistance Between(LlamaCppPeer peer, LogitsOf others)
    {
        int different = 0, positions = 0;
        double largest = 0, widestGap = 0, differences = 0, squares = 0, divergence = 0;
        for (int prompt = 0; prompt < peer.Tokens.Length; prompt++)
        {
            for (int step = 0; step < peer.Tokens[prompt].Length; step++, positions++)
            {
                ReadOnlySpan<float> other = others(prompt, step), theirs = peer.Logits(prompt, step);
                divergence += DivergenceOf(theirs, other);
                int best = 0;
                for (int i = 0; i < theirs.Length; i++)
                {
                    best = other[i] > other[best] ? i : best;
                    double difference = (double)other[i] - theirs[i];
                    largest = Math.Max(largest, Math.Abs(difference));
                    differences += difference * difference;
                    squares += (double)theirs[i] * theirs[i];
                }
                if (best == peer.Tokens[prompt][step])
                    continue;
                different++;
                widestGap = Math.Max(widestGap, theirs[peer.Tokens[prompt][step]] - theirs[best]);
            }
        }
        return new LogitDistance(different, positions, widestGap, largest, Math.Sqrt(differences / positions / peer.Vocabulary), Math.Sqrt(differences / squares), divergence / positions);
    }

    private static double DivergenceOf(ReadOnlySpan<float> theirs, ReadOnlySpan<float> other)
    {
        double theirLog = LogSum(theirs), otherLog = LogSum(other), sum = 0;
        for (int i = 0; i < theirs.Length; i++)
            sum += Math.Exp(theirs[i] - theirLog) * (theirs[i] - theirLog - (other[i] - otherLog));
        return sum;
    }

    private static double LogSum(ReadOnlySpan<float> logits)
    {
        double top = double.NegativeInfinity, sum = 0;
        foreach (float logit in logits)
            top = Math.Max(top, logit);
        foreach (float logit in logits)
            sum += Math.Exp(logit - top);
        return top + Math.Log(sum);
    }

    public override string ToString() => FormattableString.Invariant(
        $"{Different} of {Positions} tokens (widest gap {WidestGap:G3}); logits by at most {Largest:G4}, root mean square {Deviation:G4}, relative {Relative:G4}; divergence {Divergence:G3}");
}
