using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Rotary position embedding (Su et al. 2021), "NEOX" pairing: dimension i turns with dimension i + d/2 by the angle position * theta^(-2i/d).</summary>
public static unsafe class Rope
{
    /// <summary>Angular frequencies theta^(-2i/d) for i in [0, d/2), in doubles: at position 100,000 a single would be off by a hundredth of a turn.</summary>
    public static double[] Frequencies(int dimensions, double theta)
    {
        var frequencies = new double[dimensions / 2];
        for (int i = 0; i < frequencies.Length; i++)
            frequencies[i] = Math.Pow(theta, -2.0 * i / dimensions);
        return frequencies;
    }

    /// <summary>Cosines and sines of one position.</summary>
    /// <param name="target">[2 x frequencies.Length]: all cosines, then all sines.</param>
    public static void Angles(int position, ReadOnlySpan<double> frequencies, float* target)
    {
        for (int i = 0; i < frequencies.Length; i++)
        {
            (double sine, double cosine) = Math.SinCos(position * frequencies[i]);
            target[i] = (float)cosine;
            target[frequencies.Length + i] = (float)sine;
        }
    }

    /// <summary>Turns one head in place.</summary>
    /// <param name="head">[2 x half].</param>
    /// <param name="angles">As <see cref="Angles"/> wrote them.</param>
    /// <param name="half">Half the rotary dimensions.</param>
    public static void Head(float* head, float* angles, int half)
    {
        int i = 0;
        for (; i + 8 <= half && !Vector512.IsHardwareAccelerated; i += 8)
        {
            Vector256<float> cosine = Vector256.Load(angles + i), sine = Vector256.Load(angles + half + i);
            Vector256<float> a = Vector256.Load(head + i), b = Vector256.Load(head + half + i);
            (a * cosine - b * sine).Store(head + i);
            (a * sine + b * cosine).Store(head + half + i);
        }
        for (; i + Lanes.Count <= half; i += Lanes.Count)
        {
            Vector512<float> cosine = Vector512.Load(angles + i);
            Vector512<float> sine = Vector512.Load(angles + half + i);
            Vector512<float> a = Vector512.Load(head + i);
            Vector512<float> b = Vector512.Load(head + half + i);
            (a * cosine - b * sine).Store(head + i);
            (a * sine + b * cosine).Store(head + half + i);
        }
        Tail(head, angles, half, i);
    }

    /// <summary>Scalar twin of <see cref="Head"/>, bit for bit.</summary>
    public static void Head_Scalar(float* head, float* angles, int half) => Tail(head, angles, half, 0);

    private static void Tail(float* head, float* angles, int half, int from)
    {
        for (int i = from; i < half; i++)
        {
            float cosine = angles[i];
            float sine = angles[half + i];
            float a = head[i];
            float b = head[half + i];
            head[i] = a * cosine - b * sine;
            head[half + i] = a * sine + b * cosine;
        }
    }
}
