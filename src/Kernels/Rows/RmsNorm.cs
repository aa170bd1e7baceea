using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Root-mean-square normalisation (Zhang and Sennrich 2019): y = x / sqrt(mean(x^2) + epsilon) * w.</summary>
public static unsafe class RmsNorm
{
    /// <param name="source">[count].</param>
    /// <param name="weights">[count].</param>
    /// <param name="target">[count]; may be the source.</param>
    /// <param name="count">At least 1.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public static void Row(float* source, float* weights, float* target, int count, float epsilon)
    {
        float scale = Scale(source, count, epsilon);
        int i = 0;
        for (; i + 8 <= count && !Vector512.IsHardwareAccelerated; i += 8)
            (Vector256.Load(source + i) * scale * Vector256.Load(weights + i)).Store(target + i);
        for (; i + Lanes.Count <= count; i += Lanes.Count)
            (Vector512.Load(source + i) * scale * Vector512.Load(weights + i)).Store(target + i);
        for (; i < count; i++)
            target[i] = source[i] * scale * weights[i];
    }

    /// <summary>Scalar twin of <see cref="Row"/>, bit for bit: 16 running sums, joined as a tree.</summary>
    public static void Row_Scalar(ReadOnlySpan<float> source, ReadOnlySpan<float> weights, Span<float> target, float epsilon)
    {
        Span<double> sums = stackalloc double[Lanes.Count];
        sums.Clear();
        int whole = source.Length / Lanes.Count * Lanes.Count;
        for (int i = 0; i < whole; i++)
            sums[i % Lanes.Count] += (double)source[i] * source[i];
        Span<double> eight = stackalloc double[8];
        for (int i = 0; i < 8; i++)
            eight[i] = sums[i] + sums[i + 8];
        double total = eight[0] + eight[4] + (eight[2] + eight[6]) + (eight[1] + eight[5] + (eight[3] + eight[7]));
        for (int i = whole; i < source.Length; i++)
            total += (double)source[i] * source[i];
        float scale = 1 / MathF.Sqrt((float)(total / source.Length) + epsilon);
        for (int i = 0; i < source.Length; i++)
            target[i] = source[i] * scale * weights[i];
    }

    private static float Scale(float* source, int count, float epsilon)
    {
        int whole = count / Lanes.Count * Lanes.Count;
        double total = Lanes.SquareSum(source, whole);
        for (int i = whole; i < count; i++)
            total += (double)source[i] * source[i];
        return 1 / MathF.Sqrt((float)(total / count) + epsilon);
    }
}
