namespace Qanat.Engine;

/// <summary>The slow twin of <see cref="Sampler"/>'s drawing: sorts the whole vocabulary and walks it. Obviously right, kept as the oracle.</summary>
internal static class SamplerScalar
{
    /// <summary>Draws a token from adjusted logits (bias and penalties applied, no NaN).</summary>
    public static int Draw(ReadOnlySpan<float> logits, SamplingOptions options, ulong random)
    {
        float[] row = logits.ToArray();
        int[] order = [.. Enumerable.Range(0, row.Length).OrderByDescending(token => row[token]).ThenBy(token => token)];
        if (options.Temperature == 0) return order[0];

        float max = row[order[0]];
        int WeightOf(int token) => Distribution.WeightOf(row[token], max, options.Temperature);
        IEnumerable<int> kept = order;
        if (options.TopK > 0) kept = kept.Take(options.TopK);
        if (options.TopP < 1) kept = Nucleus([.. kept], WeightOf, options.TopP);
        int least = Distribution.LeastWeight(options.MinP);
        int[] drawable = [.. kept.Where(token => WeightOf(token) >= least).Order()];

        ulong drawn = Distribution.Scale(random, Total(drawable, WeightOf));
        foreach (int token in drawable)
        {
            if (drawn < (ulong)WeightOf(token)) return token;
            drawn -= (ulong)WeightOf(token);
        }
        throw new System.Diagnostics.UnreachableException("The drawn number is not below the sum of the weights.");
    }

    /// <summary>log-softmax in double precision.</summary>
    public static double Logprob(ReadOnlySpan<float> logits, int token)
    {
        double max = double.NegativeInfinity, sum = 0;
        foreach (float logit in logits) max = Math.Max(max, logit);
        foreach (float logit in logits) sum += Math.Exp(logit - max);
        return logits[token] - max - Math.Log(sum);
    }

    private static int[] Nucleus(int[] order, Func<int, int> weightOf, float topP)
    {
        ulong target = Distribution.NucleusWeight(topP, Total(order, weightOf));
        ulong sum = 0;
        int count = 0;
        while (sum < target) sum += (ulong)weightOf(order[count++]);
        return order[..count];
    }

    private static ulong Total(int[] tokens, Func<int, int> weightOf)
    {
        ulong total = 0;
        foreach (int token in tokens) total += (ulong)weightOf(token);
        return total;
    }
}
