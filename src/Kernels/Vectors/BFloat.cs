using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>bfloat16 as products of BF16 weights use it: nearest, ties to even, and nothing tiny.</summary>
/// <remarks><c>vdpbf16ps</c> takes numbers below the normal ones as zero and makes zero of such sums, which no other instruction does unless the whole thread is told to.
/// Both sides of a product have eight significant bits: what is at least 2^-56 is a multiple of 2^-63, products of two such numbers are multiples of 2^-126, and so is every sum of them, however
/// it is rounded. 2^-126 is the smallest normal single: no sum is ever below it but zero, and all instructions agree.</remarks>
internal static class BFloat
{
    /// <summary>2^-56: what is smaller counts as zero in a product, on both sides.</summary>
    public const float Least = 1.3877787807814457e-17f;

    private const short LeastBits = (127 - 56) << 7;
    private const int UpperHalf = unchecked((int)0xffff0000);
    private const int QuietBit = 0x00400000;

    /// <summary>16 lanes rounded, still singles. NaN stays NaN, in the upper half alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> value)
    {
        Vector512<int> bits = value.AsInt32();
        Vector512<int> odd = Vector512.ShiftRightLogical(bits, 16) & Vector512.Create(1);
        Vector512<int> rounded = bits + Vector512.Create(0x7fff) + odd;
        rounded = Vector512.ConditionalSelect(Vector512.Equals(value, value).AsInt32(), rounded, bits | Vector512.Create(QuietBit)) & Vector512.Create(UpperHalf);
        return (rounded & Vector512.GreaterThanOrEqual(rounded & Vector512.Create(int.MaxValue), Vector512.Create(LeastBits << 16))).AsSingle();
    }

    /// <summary>Eight lanes of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Round(Vector256<float> value)
    {
        Vector256<int> bits = value.AsInt32();
        Vector256<int> odd = Vector256.ShiftRightLogical(bits, 16) & Vector256.Create(1);
        Vector256<int> rounded = bits + Vector256.Create(0x7fff) + odd;
        rounded = Vector256.ConditionalSelect(Vector256.Equals(value, value).AsInt32(), rounded, bits | Vector256.Create(QuietBit)) & Vector256.Create(UpperHalf);
        return (rounded & Vector256.GreaterThanOrEqual(rounded & Vector256.Create(int.MaxValue), Vector256.Create(LeastBits << 16))).AsSingle();
    }

    /// <summary>Scalar twin of <see cref="Round(Vector512{float})"/>.</summary>
    public static float Round_Scalar(float value)
    {
        if (float.IsNaN(value))
            return BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(value) | QuietBit) & UpperHalf);
        return WithoutTiny(Float16.RoundToBFloat(value));
    }

    /// <summary>Two singles that hold bfloat16 beside each other, the first in the low half: an operand of <c>vdpbf16ps</c>.</summary>
    public static uint Pair(float first, float second) => BitConverter.SingleToUInt32Bits(first) >> 16 | BitConverter.SingleToUInt32Bits(second) & 0xffff0000;

    /// <summary>Eight pairs of sixteen singles that hold bfloat16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector256<uint> EightPairs(float* singles) => Vector256.Narrow(FourPairs(singles), FourPairs(singles + 8));

    /// <summary>A weight, or zero in its place.</summary>
    public static float WithoutTiny(float weight) => MathF.Abs(weight) < Least ? 0 : weight;

    /// <summary>The same of stored weights.</summary>
    public static ushort WithoutTiny(ushort weight) => (weight & 0x7fff) < LeastBits ? (ushort)0 : weight;

    /// <summary>The same of sixteen, two in each lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> WithoutTiny(Vector256<uint> weights) =>
        weights & Vector256.GreaterThan(weights.AsInt16() & Vector256.Create(short.MaxValue), Vector256.Create((short)(LeastBits - 1))).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe Vector256<ulong> FourPairs(float* singles)
    {
        Vector256<ulong> two = Vector256.Load((ulong*)singles);
        return two >>> 16 & Vector256.Create(0xfffful) | two >>> 32 & Vector256.Create(0xffff0000ul);
    }
}
