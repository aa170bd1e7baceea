using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>The gate of a SwiGLU feed-forward (Shazeer 2020): silu(gate) * up with silu(x) = x / (1 + e^-x).</summary>
public static unsafe class SiluMultiply
{
    /// <param name="gate">[count].</param>
    /// <param name="up">[count].</param>
    /// <param name="target">[count]; may be either source.</param>
    /// <param name="count">Any.</param>
    public static void Row(float* gate, float* up, float* target, int count)
    {
        int i = 0;
        for (; i + 8 <= count && !Vector512.IsHardwareAccelerated; i += 8)
        {
            Vector256<float> x = Vector256.Load(gate + i);
            (x / (Vector256<float>.One + Lanes.Exp(-x)) * Vector256.Load(up + i)).Store(target + i);
        }
        for (; i + Lanes.Count <= count; i += Lanes.Count)
        {
            Vector512<float> x = Vector512.Load(gate + i);
            (x / (Vector512<float>.One + Lanes.Exp(-x)) * Vector512.Load(up + i)).Store(target + i);
        }
        for (; i < count; i++)
            target[i] = One(gate[i], up[i]);
    }

    /// <summary>Scalar twin of <see cref="Row"/>, bit for bit.</summary>
    public static void Row_Scalar(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> target)
    {
        for (int i = 0; i < gate.Length; i++)
            target[i] = One(gate[i], up[i]);
    }

    private static float One(float gate, float up) => gate / (1 + Lanes.Exp(-gate)) * up;
}
