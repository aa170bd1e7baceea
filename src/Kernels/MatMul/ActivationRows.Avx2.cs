using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>The same roundings in instructions of AVX2. <c>Vector512</c>, split by the runtime, takes ten times as long here, and a step of few rows waits for it between all products.</summary>
public static unsafe partial class ActivationRows
{
    private static bool UsesAvx2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Avx2.IsSupported && !Vector512.IsHardwareAccelerated;
    }

    /// <summary>Equals <see cref="QuantizeBlock_Scalar"/>; false, with nothing written, when a number or the factor is not finite.</summary>
    private static bool TryQuantizeBlock_Avx2(float* source, byte* target)
    {
        float max = Largest(Vector256<float>.Zero, source);
        float inverse = max == 0 ? 0 : 127 / max;
        if (!float.IsFinite(max) || !float.IsFinite(inverse))
            return false;
        Vector256<sbyte> q = Quantize(source, Vector256.Create(inverse));
        q.Store((sbyte*)target);
        // Sums of four neighbours, then of all.
        Vector256<int> fours = Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(Vector256<byte>.One, q), Vector256<short>.One);
        Finish(target, max / 127, Vector256.Sum(fours));
        return true;
    }

    /// <summary>Equals <see cref="QuantizeSuperBlock_Scalar"/>; false, with nothing written, when a number or the factor is not finite.</summary>
    private static bool TryQuantizeSuperBlock_Avx2(float* source, byte* target)
    {
        Vector256<float> most = Vector256<float>.Zero;
        for (int i = 0; i < SuperBlockInputs - 32; i += 32)
            most = Four(most, source + i);
        float magnitude = Largest(most, source + SuperBlockInputs - 32);
        if (magnitude == 0)
        {
            new Span<byte>(target, SuperBlockBytes).Clear();
            return true;
        }
        float inverse = -127 / First_Avx2(source, magnitude);
        if (!float.IsFinite(magnitude) || !float.IsFinite(inverse))
            return false;
        Vector256<float> factor = Vector256.Create(inverse);
        for (int part = 0; part < SuperBlockInputs / 32; part++)
        {
            Vector256<sbyte> q = Quantize(source + part * 32, factor);
            q.Store((sbyte*)target + part * 32);
            StoreSums_Avx2(target, part, q);
        }
        *(float*)(target + SuperDeltaOffset) = 1 / inverse;
        return true;
    }

    /// <summary>The largest magnitudes so far and of the next 32 numbers, lane by lane; NaN stays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Four(Vector256<float> most, float* source)
    {
        Vector256<float> low = Vector256.Max(Vector256.Abs(Vector256.Load(source)), Vector256.Abs(Vector256.Load(source + 8)));
        Vector256<float> high = Vector256.Max(Vector256.Abs(Vector256.Load(source + 16)), Vector256.Abs(Vector256.Load(source + 24)));
        return Vector256.Max(most, Vector256.Max(low, high));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest(Vector256<float> most, float* source)
    {
        most = Four(most, source);
        Vector128<float> four = Vector128.Max(most.GetLower(), most.GetUpper());
        four = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(1, 0, 3, 2))).ToScalar();
    }

    /// <summary>32 numbers times a factor, to the nearest byte, ties to even; none is beyond 127.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Quantize(float* source, Vector256<float> factor)
    {
        Vector256<int> a = Avx.ConvertToVector256Int32(Vector256.Load(source) * factor);
        Vector256<int> b = Avx.ConvertToVector256Int32(Vector256.Load(source + 8) * factor);
        Vector256<int> c = Avx.ConvertToVector256Int32(Vector256.Load(source + 16) * factor);
        Vector256<int> d = Avx.ConvertToVector256Int32(Vector256.Load(source + 24) * factor);
        // Packing goes by halves of a vector: a's first four, b's, c's, d's, then their last four.
        Vector256<sbyte> packed = Avx2.PackSignedSaturate(Avx2.PackSignedSaturate(a, b), Avx2.PackSignedSaturate(c, d));
        return Avx2.PermuteVar8x32(packed.AsInt32(), Vector256.Create(0, 4, 1, 5, 2, 6, 3, 7)).AsSByte();
    }

    /// <summary>Equals <see cref="First"/>.</summary>
    private static float First_Avx2(float* source, float magnitude)
    {
        Vector256<float> wanted = Vector256.Create(magnitude);
        for (int i = 0; i < SuperBlockInputs; i += 8)
        {
            uint equal = Vector256.Equals(Vector256.Abs(Vector256.Load(source + i)), wanted).ExtractMostSignificantBits();
            if (equal != 0)
                return source[i + BitOperations.TrailingZeroCount(equal)];
        }
        return magnitude;
    }

    /// <summary>Equals <see cref="StoreSums"/>.</summary>
    private static void StoreSums_Avx2(byte* target, int part, Vector256<sbyte> q)
    {
        // A lane of 32 bits: the sum of those that stand first or second among four, and of the others; then summed within each half, a run of 16.
        Vector256<short> pairs = Avx2.MultiplyAddAdjacent(Vector256<byte>.One, q);
        pairs += Avx2.Shuffle(pairs.AsInt32(), 0x4e).AsInt16();
        pairs += Avx2.Shuffle(pairs.AsInt32(), 0xb1).AsInt16();
        Vector256<int> corrections = (Vector256<short>.Zero - (pairs << 5)).AsInt32(), sums = Avx2.MultiplyAddAdjacent(pairs, Vector256<short>.One);
        int first = sums.GetElement(0), second = sums.GetElement(4);
        ((int*)(target + SuperCorrectionsOffset))[2 * part] = corrections.GetElement(0);
        ((int*)(target + SuperCorrectionsOffset))[2 * part + 1] = corrections.GetElement(4);
        ((short*)(target + SuperSums16Offset))[2 * part] = (short)first;
        ((short*)(target + SuperSums16Offset))[2 * part + 1] = (short)second;
        ((short*)(target + SuperSums32Offset))[part] = (short)(first + second);
    }
}
