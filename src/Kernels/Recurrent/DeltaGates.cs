using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>What a gated delta rule asks of a row before its scan: unit keys and queries, forgetting and learning rates.</summary>
public static unsafe class DeltaGates
{
    // Added to the sum of squares, as the reference implementation does.
    private const float Epsilon = 1e-6f;

    /// <summary>Scales a vector to length <paramref name="length"/>, in place.</summary>
    /// <param name="count">A multiple of 16.</param>
    public static void Scale(float* vector, int count, float length)
    {
        Vector512<double> low = Vector512<double>.Zero, high = low;
        for (int i = 0; i < count; i += Lanes.Count)
        {
            (Vector512<double> a, Vector512<double> b) = Vector512.Widen(Vector512.Load(vector + i));
            low += a * a;
            high += b * b;
        }
        // Squares of singles are exact in doubles, so the order of the sum is nearly irrelevant; it is fixed all the same.
        Vector512<double> eight = low + high;
        double total = eight[0] + eight[4] + (eight[2] + eight[6]) + (eight[1] + eight[5] + (eight[3] + eight[7]));
        Vector512<float> scale = Vector512.Create(length / MathF.Sqrt((float)total + Epsilon));
        for (int i = 0; i < count; i += Lanes.Count)
            (Vector512.Load(vector + i) * scale).Store(vector + i);
    }

    /// <summary>Forgetting e^(rate * softplus(alpha + bias)), with rate negative.</summary>
    public static float Decay(float alpha, float bias, float rate)
    {
        double x = (double)alpha + bias;
        double softplus = x > 20 ? x : Math.Log(1 + Math.Exp(x));
        return (float)Math.Exp(rate * softplus);
    }

    /// <summary>Learning rate: the sigmoid of beta.</summary>
    public static float Rate(float beta) => 1 / (1 + Lanes.Exp(-beta));
}
