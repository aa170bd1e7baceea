namespace Qanat.Kernels;

/// <summary>The gated delta rule in its chunked form (Yang et al. 2024), as prefill on accelerators uses it: within a chunk of C rows, with G the running sums of ln g,
/// <code>M = tril(b_i (k_i . k_j) e^(G_i - G_j), -1);  (I + M) D = b v - (b e^G k) S;  O = (e^G q) S + tril((q_i . k_j) e^(G_i - G_j)) D;  S = e^(G_C) S + sum of e^(G_C - G_i) k_i d_i^T</code>
/// It trades the pass over the state per row for products within the chunk. On a CPU both do about the same arithmetic and <see cref="GatedDelta"/> is the faster and does not depend on where
/// a chunk begins, so networks use that one; this is the independent second computation that tests compare it with (src/Models/Decoder/README.md).</summary>
public static unsafe class GatedDeltaChunked
{
    /// <param name="chunkRows">Rows of a chunk, 64 as a rule.</param>
    public static void Run(in DeltaScan scan, int chunkRows)
    {
        var state = new float[scan.KeyDim * scan.ValueDim];
        if (scan.StateIn is not null)
            new ReadOnlySpan<float>(scan.StateIn, state.Length).CopyTo(state);
        for (int first = 0; first < scan.Rows; first += chunkRows)
            Chunk(scan, first, Math.Min(chunkRows, scan.Rows - first), state);
        state.CopyTo(new Span<float>(scan.StateOut, state.Length));
    }

    private static void Chunk(in DeltaScan scan, int first, int count, float[] state)
    {
        (int keys, int values) = (scan.KeyDim, scan.ValueDim);
        var sums = new float[count];
        for (int i = 0; i < count; i++)
            sums[i] = MathF.Log(scan.Decay[(long)(first + i) * scan.GateStride]) + (i > 0 ? sums[i - 1] : 0);

        // Row by row, the deltas of earlier rows are known: forward substitution of (I + M).
        var deltas = new float[count * values];
        for (int i = 0; i < count; i++)
        {
            float* key = scan.Key + (long)(first + i) * scan.InputStride, query = scan.Query + (long)(first + i) * scan.InputStride, value = scan.Value + (long)(first + i) * scan.InputStride;
            float* output = scan.Output + (long)(first + i) * scan.OutputStride;
            float beta = scan.Beta[(long)(first + i) * scan.GateStride];
            Span<float> delta = deltas.AsSpan(i * values, values), read = new(output, values);
            read.Clear();
            for (int k = 0; k < keys; k++)
            {
                Add(delta, state.AsSpan(k * values, values), -beta * MathF.Exp(sums[i]) * key[k]);
                Add(read, state.AsSpan(k * values, values), MathF.Exp(sums[i]) * query[k]);
            }
            Add(delta, new Span<float>(value, values), beta);
            for (int j = 0; j < i; j++)
                Add(delta, deltas.AsSpan(j * values, values), -beta * MathF.Exp(sums[i] - sums[j]) * Dot(key, KeyOf(scan, first + j), keys));
            for (int j = 0; j <= i; j++)
                Add(read, deltas.AsSpan(j * values, values), MathF.Exp(sums[i] - sums[j]) * Dot(query, KeyOf(scan, first + j), keys));
        }
        foreach (ref float s in state.AsSpan())
            s *= MathF.Exp(sums[^1]);
        for (int i = 0; i < count; i++)
            for (int k = 0; k < keys; k++)
                Add(state.AsSpan(k * values, values), deltas.AsSpan(i * values, values), MathF.Exp(sums[^1] - sums[i]) * KeyOf(scan, first + i)[k]);
    }

    private static float* KeyOf(in DeltaScan scan, int row) => scan.Key + (long)row * scan.InputStride;

    private static float Dot(float* a, float* b, int count)
    {
        float sum = 0;
        for (int i = 0; i < count; i++)
            sum += a[i] * b[i];
        return sum;
    }

    private static void Add(Span<float> target, ReadOnlySpan<float> source, float weight)
    {
        for (int i = 0; i < target.Length; i++)
            target[i] += weight * source[i];
    }
}
