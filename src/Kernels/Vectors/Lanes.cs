using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Arithmetic on 16 lanes of singles whose bits do not depend on the processor: fused multiply-adds are single instructions or exact emulations,
/// and sums of lanes go by one fixed tree.</summary>
internal static class Lanes
{
    public const int Count = 16;

    /// <summary>e^x within 2 ulp; 0 below -87.3 and for -infinity, finite (about 1.7e38) above 88.3.</summary>
    /// <remarks>x = n ln 2 + r, |r| at most ln 2 / 2; a polynomial of degree 7 gives e^r (coefficients of Cephes' expf), adding n to the exponent multiplies by 2^n.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        Vector512<float> clamped = Vector512.Min(Vector512.Max(x, Vector512.Create(ExpMin)), Vector512.Create(ExpMax));
        Vector512<float> n = Vector512.Round(clamped * Vector512.Create(Log2E));
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-Ln2High), clamped);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-Ln2Low), r);

        Vector512<float> p = Vector512.Create(C7);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C6));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C5));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C4));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C3));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(C2));
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);

        Vector512<float> power = ((Vector512.ConvertToInt32(n) + Vector512.Create(127)) << 23).AsSingle();
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512.Create(ExpMin)), Vector512<float>.Zero, p * power);
    }

    /// <summary>Eight lanes of <see cref="Exp(Vector512{float})"/>, for loops where vectors have 256 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x) => ExpOfNegative(Vector256.MinNative(Vector256.Create(ExpMax), x));

    /// <summary>The same for lanes that are not above 88.3. What is computed for lanes below the least one is not used. Native: the second operand where one is no number, and no rule for numbers that no integer holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ExpOfNegative(Vector256<float> x)
    {
        Vector256<float> n = Vector256.Round(x * Vector256.Create(Log2E));
        Vector256<float> r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-Ln2High), x);
        r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-Ln2Low), r);

        Vector256<float> p = Vector256.Create(C7);
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C6));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C5));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C4));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C3));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(C2));
        p = Vector256.FusedMultiplyAdd(p, r * r, r + Vector256<float>.One);

        Vector256<float> power = ((Vector256.ConvertToInt32Native(n) + Vector256.Create(127)) << 23).AsSingle();
        return Vector256.ConditionalSelect(Vector256.LessThan(x, Vector256.Create(ExpMin)), Vector256<float>.Zero, p * power);
    }

    /// <summary>Scalar twin of <see cref="Exp(Vector512{float})"/>, bit for bit.</summary>
    public static float Exp(float x)
    {
        if (x < ExpMin)
            return 0;
        float clamped = MathF.Min(MathF.Max(x, ExpMin), ExpMax);
        float n = MathF.Round(clamped * Log2E, MidpointRounding.ToEven);
        float r = MathF.FusedMultiplyAdd(n, -Ln2High, clamped);
        r = MathF.FusedMultiplyAdd(n, -Ln2Low, r);
        float p = C7;
        p = MathF.FusedMultiplyAdd(p, r, C6);
        p = MathF.FusedMultiplyAdd(p, r, C5);
        p = MathF.FusedMultiplyAdd(p, r, C4);
        p = MathF.FusedMultiplyAdd(p, r, C3);
        p = MathF.FusedMultiplyAdd(p, r, C2);
        p = MathF.FusedMultiplyAdd(p, r * r, r + 1);
        return p * BitConverter.Int32BitsToSingle(((int)n + 127) << 23);
    }

    /// <summary>Lanes summed as a tree: i with i+8, then +4, +2, +1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> value) => Sum(value.GetLower(), value.GetUpper());

    /// <summary>The same of sixteen lanes in two vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> low, Vector256<float> high)
    {
        Vector256<float> eight = low + high;
        Vector128<float> four = eight.GetLower() + eight.GetUpper();
        float a = four.GetElement(0) + four.GetElement(2);
        float b = four.GetElement(1) + four.GetElement(3);
        return a + b;
    }

    /// <summary>Sum of squares in doubles, where those of singles are exact, so that the fused and the separate form agree and the order is nearly irrelevant; it is fixed all the same: sixteen running sums, joined as a tree.</summary>
    /// <param name="count">A multiple of 16.</param>
    public static unsafe double SquareSum(float* source, int count)
    {
        Vector256<double> eight0, eight1;
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<double> low = Vector512<double>.Zero, high = low;
            for (int i = 0; i < count; i += Count)
            {
                (Vector512<double> a, Vector512<double> b) = Vector512.Widen(Vector512.Load(source + i));
                low += a * a;
                high += b * b;
            }
            (eight0, eight1) = ((low + high).GetLower(), (low + high).GetUpper());
        }
        else
        {
            Vector256<double> low0 = Vector256<double>.Zero, low1 = low0, high0 = low0, high1 = low0;
            for (int i = 0; i < count; i += Count)
            {
                (Vector256<double> a, Vector256<double> b) = Vector256.Widen(Vector256.Load(source + i));
                (Vector256<double> c, Vector256<double> d) = Vector256.Widen(Vector256.Load(source + i + 8));
                low0 += a * a;
                low1 += b * b;
                high0 += c * c;
                high1 += d * d;
            }
            (eight0, eight1) = (low0 + high0, low1 + high1);
        }
        Vector256<double> four = eight0 + eight1;
        return four.GetElement(0) + four.GetElement(2) + (four.GetElement(1) + four.GetElement(3));
    }

    /// <summary>target = source * factor, number by number.</summary>
    /// <param name="count">A multiple of 16.</param>
    public static unsafe void Scale(float* source, float factor, float* target, int count)
    {
        int i = 0;
        for (; i < count && !Vector512.IsHardwareAccelerated; i += 8)
            (Vector256.Load(source + i) * factor).Store(target + i);
        for (; i < count; i += Count)
            (Vector512.Load(source + i) * factor).Store(target + i);
    }

    /// <summary>The largest lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector512<float> value)
    {
        Vector256<float> eight = Vector256.Max(value.GetLower(), value.GetUpper());
        Vector128<float> four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        return MathF.Max(MathF.Max(four.GetElement(0), four.GetElement(2)), MathF.Max(four.GetElement(1), four.GetElement(3)));
    }

    private const float ExpMin = -87.3f;
    private const float ExpMax = 88.3f;
    private const float Log2E = 1.44269504088896341f;
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;
    private const float C2 = 5.0000001201e-1f;
    private const float C3 = 1.6666665459e-1f;
    private const float C4 = 4.1665795894e-2f;
    private const float C5 = 8.3334519073e-3f;
    private const float C6 = 1.3981999507e-3f;
    private const float C7 = 1.9875691500e-4f;
}
