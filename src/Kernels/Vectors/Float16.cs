using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>IEEE half, 16 lanes at a time, and bfloat16, by integer arithmetic: .NET 10 offers no F16C. Equal to the casts of <see cref="Half"/> for every
/// value but the payload of NaN. Rounding is to nearest, ties to even.</summary>
public static class Float16
{
    /// <summary>The largest finite half.</summary>
    public const float HalfMax = 65504;

    private const int SignBit = unchecked((int)0x80000000);

    /// <summary>16 halves as singles, exactly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector512<float> LoadHalf(ushort* source) => ToSingle(Vector512.WidenLower(Vector512.Create(Vector256.Load(source), default)));

    /// <summary>Lanes hold the bits of a half, zero-extended.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ToSingle(Vector512<uint> half)
    {
        Vector512<int> bits = half.AsInt32();
        Vector512<int> magnitude = (bits & Vector512.Create(0x7fff)) << 13;
        // Exponent bias 15 becomes 127 by multiplying with 2^112, which also normalises subnormal halves; only infinity and NaN need their exponent filled in.
        Vector512<int> scaled = (magnitude.AsSingle() * Vector512.Create(5.192296858534828e33f)).AsInt32();
        Vector512<int> special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x7c00 << 13)) & Vector512.Create(0x7f800000);
        return (scaled | special | ((bits << 16) & Vector512.Create(SignBit))).AsSingle();
    }

    /// <summary>Eight halves as singles, exactly, for loops where vectors have 256 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Vector256<float> LoadEightHalves(ushort* source) => ToSingle(Vector256.WidenLower(Vector256.Create(Vector128.Load(source), default)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> ToSingle(Vector256<uint> half)
    {
        Vector256<int> bits = half.AsInt32();
        Vector256<int> magnitude = (bits & Vector256.Create(0x7fff)) << 13;
        Vector256<int> scaled = (magnitude.AsSingle() * Vector256.Create(5.192296858534828e33f)).AsInt32();
        Vector256<int> special = Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(0x7c00 << 13)) & Vector256.Create(0x7f800000);
        return (scaled | special | ((bits << 16) & Vector256.Create(SignBit))).AsSingle();
    }

    /// <summary>The half nearest to each lane, as 16 zero-extended lanes; beyond 65,519 it is infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> ToHalf(Vector512<float> value)
    {
        Vector512<int> bits = value.AsInt32();
        Vector512<int> magnitude = bits & Vector512.Create(0x7fffffff);
        Vector512<int> sign = Vector512.ShiftRightLogical(bits, 16) & Vector512.Create(0x8000);

        // Normal: re-bias the exponent and round away 13 bits, ties to even.
        Vector512<int> odd = Vector512.ShiftRightLogical(magnitude, 13) & Vector512.Create(1);
        Vector512<int> normal = Vector512.ShiftRightLogical(magnitude + Vector512.Create(unchecked((int)0xc8000fff)) + odd, 13);
        // Subnormal: 0.5 has the ulp of a subnormal half, 2^-24, so the addition rounds.
        Vector512<int> subnormal = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsInt32() - Vector512.Create(0x3f000000);
        Vector512<int> result = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0x38800000)), subnormal, normal);

        Vector512<int> special = Vector512.ConditionalSelect(Vector512.GreaterThan(magnitude, Vector512.Create(0x7f800000)), Vector512.Create(0x7e00), Vector512.Create(0x7c00));
        result = Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x47800000)), special, result);
        return (result | sign).AsUInt32();
    }

    /// <summary>Eight lanes of <see cref="ToHalf(Vector512{float})"/>, for loops where vectors have 256 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> ToHalf(Vector256<float> value)
    {
        Vector256<int> bits = value.AsInt32();
        Vector256<int> magnitude = bits & Vector256.Create(0x7fffffff);
        Vector256<int> sign = Vector256.ShiftRightLogical(bits, 16) & Vector256.Create(0x8000);
        Vector256<int> odd = Vector256.ShiftRightLogical(magnitude, 13) & Vector256.Create(1);
        Vector256<int> normal = Vector256.ShiftRightLogical(magnitude + Vector256.Create(unchecked((int)0xc8000fff)) + odd, 13);
        Vector256<int> subnormal = (magnitude.AsSingle() + Vector256.Create(0.5f)).AsInt32() - Vector256.Create(0x3f000000);
        Vector256<int> result = Vector256.ConditionalSelect(Vector256.LessThan(magnitude, Vector256.Create(0x38800000)), subnormal, normal);
        Vector256<int> special = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude, Vector256.Create(0x7f800000)), Vector256.Create(0x7e00), Vector256.Create(0x7c00));
        result = Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(0x47800000)), special, result);
        return (result | sign).AsUInt32();
    }

    /// <summary>Writes the halves nearest to 16 singles; numbers beyond a half's range become its largest, NaN stays.</summary>
    public static unsafe void StoreFiniteHalves(float* source, ushort* target)
    {
        Vector256<float> most = Vector256.Create(HalfMax);
        Vector256<float> low = Vector256.Min(Vector256.Max(Vector256.Load(source), -most), most), high = Vector256.Min(Vector256.Max(Vector256.Load(source + 8), -most), most);
        Vector256.Narrow(ToHalf(low), ToHalf(high)).Store(target);
    }

    /// <summary>Each lane rounded to the nearest half, still a single.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> RoundToHalf(Vector512<float> value) => ToSingle(ToHalf(value));

    /// <summary>Eight lanes of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> RoundToHalf(Vector256<float> value) => ToSingle(ToHalf(value));

    /// <summary>Each lane, from 0 to 1, rounded to the nearest half, still a single; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> RoundShareToHalf(Vector256<float> share)
    {
        Vector256<int> bits = share.AsInt32();
        Vector256<int> odd = Vector256.ShiftRightLogical(bits, 13) & Vector256.Create(1);
        Vector256<float> normal = ((bits + Vector256.Create(0xfff) + odd) & Vector256.Create(~0x1fff)).AsSingle();
        // 0.5 has the ulp of a subnormal half, 2^-24, so the addition rounds.
        Vector256<float> subnormal = share + Vector256.Create(0.5f) - Vector256.Create(0.5f);
        return Vector256.ConditionalSelect(Vector256.LessThan(share, Vector256.Create(6.103515625e-5f)), subnormal, normal);
    }

    /// <summary>The nearest bfloat16, still a single; NaN stays as it is.</summary>
    public static float RoundToBFloat(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? value : BitConverter.UInt32BitsToSingle((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
    }

    /// <summary>Scalar twin of <see cref="ToSingle"/>.</summary>
    public static float HalfToSingle(ushort half) => (float)BitConverter.UInt16BitsToHalf(half);

    /// <summary>Scalar twin of <see cref="ToHalf"/>.</summary>
    public static ushort SingleToHalf(float value) => BitConverter.HalfToUInt16Bits((Half)value);

    public static float BFloatToSingle(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);
}
