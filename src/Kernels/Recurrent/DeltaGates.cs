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
        float scale = length / MathF.Sqrt((float)Lanes.SquareSum(vector, count) + Epsilon);
        Lanes.Scale(vector, scale, vector, count);
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
