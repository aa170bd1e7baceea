namespace Qanat.Kernels;

/// <summary>Attention as the formula reads, in doubles: the slow twin of <see cref="Attention"/>.</summary>
public static class AttentionOracle
{
    /// <summary>One query of one head: softmax(q k_t * scale), rounded to halves, times v_t over the given keys.</summary>
    /// <param name="query">[headDim].</param>
    /// <param name="keys">[tokens x headDim].</param>
    /// <param name="values">[tokens x headDim].</param>
    /// <param name="scale">Of the scores.</param>
    /// <param name="output">[headDim].</param>
    public static void Row(ReadOnlySpan<float> query, ReadOnlySpan<float> keys, ReadOnlySpan<float> values, double scale, Span<float> output)
    {
        int headDim = query.Length;
        int tokens = keys.Length / headDim;
        var weights = new double[tokens];
        double max = double.NegativeInfinity;
        for (int t = 0; t < tokens; t++)
        {
            for (int d = 0; d < headDim; d++)
                weights[t] += (double)query[d] * keys[t * headDim + d];
            weights[t] *= scale;
            max = Math.Max(max, weights[t]);
        }
        double total = 0;
        for (int t = 0; t < tokens; t++)
        {
            weights[t] = Math.Exp(weights[t] - max);
            total += weights[t];
        }
        for (int d = 0; d < headDim; d++)
        {
            double sum = 0;
            for (int t = 0; t < tokens; t++)
                sum += (double)(Half)(weights[t] / total) * values[t * headDim + d];
            output[d] = (float)sum;
        }
    }
}
