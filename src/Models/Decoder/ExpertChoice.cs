namespace Qanat.Models;

/// <summary>Which experts a row goes through and with what weights.</summary>
internal static class ExpertChoice
{
    /// <summary>Softmax over all experts, then the likeliest, ties to the lower number.</summary>
    /// <param name="scores">[experts]; changed.</param>
    /// <param name="normalises">Whether the weights are scaled to sum to 1.</param>
    /// <param name="chosen">[used]: receives the experts, likeliest first.</param>
    /// <param name="weights">[used]: receives their weights.</param>
    public static void Choose(Span<float> scores, bool normalises, Span<int> chosen, Span<float> weights)
    {
        float max = float.NegativeInfinity;
        foreach (float score in scores)
            max = MathF.Max(max, score);
        double sum = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            scores[i] = (float)Math.Exp((double)scores[i] - max);
            sum += scores[i];
        }
        double used = 0;
        for (int i = 0; i < chosen.Length; i++)
        {
            int best = 0;
            for (int expert = 1; expert < scores.Length; expert++)
                if (scores[expert] > scores[best])
                    best = expert;
            chosen[i] = best;
            weights[i] = (float)(scores[best] / sum);
            used += weights[i];
            scores[best] = -1;
        }
        for (int i = 0; i < weights.Length && normalises; i++)
            weights[i] = (float)(weights[i] / used);
    }
}
