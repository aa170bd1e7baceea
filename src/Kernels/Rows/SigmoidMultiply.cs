using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>A gate between 0 and 1: target = x / (1 + e^-gate).</summary>
public static unsafe class SigmoidMultiply
{
    /// <param name="gate">[count].</param>
    /// <param name="x">[count].</param>
    /// <param name="target">[count]; may be either source.</param>
    /// <param name="count">Any.</param>
    public static void Row(float* gate, float* x, float* target, int count)
    {
        int i = 0;
        for (; i + 8 <= count && !Vector512.IsHardwareAccelerated; i += 8)
            (Vector256.Load(x + i) / (Vector256<float>.One + Lanes.Exp(-Vector256.Load(gate + i)))).Store(target + i);
        for (; i + Lanes.Count <= count; i += Lanes.Count)
            (Vector512.Load(x + i) / (Vector512<float>.One + Lanes.Exp(-Vector512.Load(gate + i)))).Store(target + i);
        for (; i < count; i++)
            target[i] = x[i] / (1 + Lanes.Exp(-gate[i]));
    }

    /// <summary>Scalar twin of <see cref="Row"/>, bit for bit.</summary>
    public static void Row_Scalar(ReadOnlySpan<float> gate, ReadOnlySpan<float> x, Span<float> target)
    {
        for (int i = 0; i < gate.Length; i++)
            target[i] = x[i] / (1 + Lanes.Exp(-gate[i]));
    }
}
