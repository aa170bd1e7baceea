using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Sums of rows with one weight each.</summary>
public static unsafe class WeightedSum
{
    /// <summary>target *= weight.</summary>
    public static void Scale(float* target, float weight, int count)
    {
        int i = 0;
        for (; i + Lanes.Count <= count; i += Lanes.Count)
            (Vector512.Load(target + i) * weight).Store(target + i);
        for (; i < count; i++)
            target[i] *= weight;
    }

    /// <summary>target += weight * source.</summary>
    public static void Add(float* target, float* source, float weight, int count)
    {
        int i = 0;
        for (; i + Lanes.Count <= count; i += Lanes.Count)
            Vector512.FusedMultiplyAdd(Vector512.Load(source + i), Vector512.Create(weight), Vector512.Load(target + i)).Store(target + i);
        for (; i < count; i++)
            target[i] = MathF.FusedMultiplyAdd(source[i], weight, target[i]);
    }

    /// <summary>The sum of a[i] * b[i]: 16 running sums joined as a tree, then the rest in order.</summary>
    public static float Dot(float* a, float* b, int count)
    {
        Vector512<float> sums = Vector512<float>.Zero;
        int i = 0;
        for (; i + Lanes.Count <= count; i += Lanes.Count)
            sums = Vector512.FusedMultiplyAdd(Vector512.Load(a + i), Vector512.Load(b + i), sums);
        float sum = Lanes.Sum(sums);
        for (; i < count; i++)
            sum = MathF.FusedMultiplyAdd(a[i], b[i], sum);
        return sum;
    }
}
