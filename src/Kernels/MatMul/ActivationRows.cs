using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Rows of activations in the form the weights of a product want.
/// F32, F16, BF16: singles (rounded), padded with zeros to whole pairs. BF16: behind them the same numbers as pairs of bfloat16, which <c>vdpbf16ps</c> wants.
/// Q8: per 32 inputs 48 bytes: 32 signed bytes q, a single d (rounded to a half), -128 times the sum of the q as an int, and a single s (d times that sum, rounded to a half);
/// x is about d * q. The integer sum corrects for weights stored as q + 128: the sum of (q + 128) * a less 128 times the sum of a is the sum of q * a; s meets the weights' offsets.
/// The roundings are those of ggml's quantize_row_q8_0 and _q8_1 on x86: d = max|x| / 127, q = round(x * 127 / max|x|), ties to even, s from d before it is rounded.
/// Q8K: per 256 inputs 384 bytes: 256 signed bytes q, the sums of each 16 of them as 16 shorts, the sums of each 32 as 8 shorts, a single d, and for each 16 a pair of shorts: -32 times the
/// sum of those that stand first or second among four, and of the others. The roundings are those of ggml's
/// quantize_row_q8_K: with m the first x of largest magnitude, q = round(-127 / m * x), ties to even, d = 1 / (-127 / m).</summary>
public static unsafe partial class ActivationRows
{
    /// <summary>Inputs of a Q8 block.</summary>
    public const int BlockInputs = 32;

    /// <summary>Bytes of a Q8 block.</summary>
    public const int BlockBytes = 48;

    /// <summary>Inputs of a Q8K block.</summary>
    public const int SuperBlockInputs = 256;

    /// <summary>Bytes of a Q8K block.</summary>
    public const int SuperBlockBytes = 384;

    internal const int DeltaOffset = 32;
    internal const int CorrectionOffset = 36;
    internal const int SumOffset = 40;
    internal const int SuperSums16Offset = 256;
    internal const int SuperSums32Offset = 288;
    internal const int SuperDeltaOffset = 304;
    internal const int SuperCorrectionsOffset = 320;

    /// <summary>Bytes from one row to the next.</summary>
    public static int Stride(ActivationFormat format, int inputs) => 63 + format switch
    {
        ActivationFormat.Q8 => inputs / BlockInputs * BlockBytes,
        ActivationFormat.Q8K => inputs / SuperBlockInputs * SuperBlockBytes,
        ActivationFormat.BF16 => (inputs + 1) / 2 * (2 * sizeof(float) + sizeof(uint)),
        _ => (inputs + 1) / 2 * 2 * sizeof(float),
    } & ~63;

    /// <summary>Prepares one row.</summary>
    /// <param name="format">For Q8 the inputs are whole blocks of 32, for Q8K of 256.</param>
    /// <param name="source">[inputs].</param>
    /// <param name="inputs">At least 1.</param>
    /// <param name="target">Stride(format, inputs) bytes.</param>
    public static void Prepare(ActivationFormat format, float* source, int inputs, byte* target)
    {
        if (format == ActivationFormat.Q8)
        {
            for (int block = 0; block < inputs / BlockInputs; block++)
                QuantizeBlock(source + block * BlockInputs, target + block * BlockBytes);
            return;
        }
        if (format == ActivationFormat.Q8K)
        {
            for (int block = 0; block < inputs / SuperBlockInputs; block++)
                QuantizeSuperBlock(source + block * SuperBlockInputs, target + block * SuperBlockBytes);
            return;
        }
        var rounded = (float*)target;
        int i = 0;
        for (; i + 8 <= inputs && !Vector512.IsHardwareAccelerated; i += 8)
            Round(format, Vector256.Load(source + i)).Store(rounded + i);
        for (; i + Lanes.Count <= inputs; i += Lanes.Count)
            Round(format, Vector512.Load(source + i)).Store(rounded + i);
        for (; i < inputs; i++)
            rounded[i] = Round(format, source[i]);
        if (inputs % 2 != 0)
            rounded[inputs] = 0;
        if (format == ActivationFormat.BF16)
            StorePairs(rounded, (inputs + 1) / 2);
    }

    /// <summary>Scalar twin of <see cref="Prepare"/>, bit for bit.</summary>
    public static void Prepare_Scalar(ActivationFormat format, float* source, int inputs, byte* target)
    {
        if (format == ActivationFormat.Q8)
        {
            for (int block = 0; block < inputs / BlockInputs; block++)
                QuantizeBlock_Scalar(source + block * BlockInputs, target + block * BlockBytes);
            return;
        }
        if (format == ActivationFormat.Q8K)
        {
            for (int block = 0; block < inputs / SuperBlockInputs; block++)
                QuantizeSuperBlock_Scalar(source + block * SuperBlockInputs, target + block * SuperBlockBytes);
            return;
        }
        for (int i = 0; i < inputs; i++)
            ((float*)target)[i] = Round(format, source[i]);
        if (inputs % 2 != 0)
            ((float*)target)[inputs] = 0;
        int count = (inputs + 1) / 2;
        for (int pair = 0; pair < count && format == ActivationFormat.BF16; pair++)
            ((uint*)target)[2 * count + pair] = BFloat.Pair(((float*)target)[2 * pair], ((float*)target)[2 * pair + 1]);
    }

    /// <summary>The singles a prepared row stands for: what the weights really meet.</summary>
    public static void Restore(ActivationFormat format, byte* prepared, Span<float> target)
    {
        for (int i = 0; i < target.Length; i++)
        {
            byte* block = prepared + i / BlockInputs * BlockBytes;
            byte* super = prepared + i / SuperBlockInputs * SuperBlockBytes;
            target[i] = format switch
            {
                ActivationFormat.Q8 => *(float*)(block + DeltaOffset) * (sbyte)block[i % BlockInputs],
                ActivationFormat.Q8K => *(float*)(super + SuperDeltaOffset) * (sbyte)super[i % SuperBlockInputs],
                _ => ((float*)prepared)[i],
            };
        }
    }

    private static void StorePairs(float* singles, int count)
    {
        var pairs = (uint*)(singles + 2 * count);
        int pair = 0;
        for (; pair + 8 <= count; pair += 8)
            BFloat.EightPairs(singles + 2 * pair).Store(pairs + pair);
        for (; pair < count; pair++)
            pairs[pair] = BFloat.Pair(singles[2 * pair], singles[2 * pair + 1]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void QuantizeBlock(float* source, byte* target)
    {
        if (UsesAvx2 && TryQuantizeBlock_Avx2(source, target))
            return;
        Vector512<float> a = Vector512.Load(source);
        Vector512<float> b = Vector512.Load(source + 16);
        float max = Lanes.Max(Vector512.Max(Vector512.Abs(a), Vector512.Abs(b)));
        Vector512<float> inverse = Vector512.Create(max == 0 ? 0 : 127 / max);
        Vector512<int> qa = Vector512.ConvertToInt32(Vector512.Round(a * inverse));
        Vector512<int> qb = Vector512.ConvertToInt32(Vector512.Round(b * inverse));
        Vector512.Narrow(Vector512.Narrow(qa, qb), default).GetLower().AsByte().Store(target);
        Finish(target, max / 127, Vector512.Sum(qa + qb));
    }

    internal static void QuantizeBlock_Scalar(float* source, byte* target)
    {
        float max = 0;
        for (int i = 0; i < BlockInputs; i++)
            max = MathF.Max(max, MathF.Abs(source[i]));
        float inverse = max == 0 ? 0 : 127 / max;
        int sum = 0;
        for (int i = 0; i < BlockInputs; i++)
        {
            int q = (int)MathF.Round(source[i] * inverse, MidpointRounding.ToEven);
            target[i] = (byte)(sbyte)q;
            sum += q;
        }
        Finish(target, max / 127, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(byte* target, float d, int sum)
    {
        *(float*)(target + DeltaOffset) = RoundToHalf(d);
        *(int*)(target + CorrectionOffset) = -128 * sum;
        *(float*)(target + SumOffset) = RoundToHalf(d * sum);
    }

    internal static void QuantizeSuperBlock(float* source, byte* target)
    {
        if (UsesAvx2 && TryQuantizeSuperBlock_Avx2(source, target))
            return;
        Vector512<float> most = Vector512<float>.Zero;
        for (int i = 0; i < SuperBlockInputs; i += Lanes.Count)
            most = Vector512.Max(most, Vector512.Abs(Vector512.Load(source + i)));
        float magnitude = Lanes.Max(most);
        if (magnitude == 0)
        {
            new Span<byte>(target, SuperBlockBytes).Clear();
            return;
        }
        float inverse = -127 / First(source, magnitude);
        Vector512<float> factor = Vector512.Create(inverse);
        for (int i = 0; i < SuperBlockInputs; i += 32)
        {
            Vector512<int> a = Vector512.ConvertToInt32(Vector512.Round(Vector512.Load(source + i) * factor));
            Vector512<int> b = Vector512.ConvertToInt32(Vector512.Round(Vector512.Load(source + i + 16) * factor));
            Vector512.Narrow(Vector512.Narrow(a, b), default).GetLower().AsByte().Store(target + i);
            StoreSums(target, i / 32);
        }
        *(float*)(target + SuperDeltaOffset) = 1 / inverse;
    }

    internal static void QuantizeSuperBlock_Scalar(float* source, byte* target)
    {
        new Span<byte>(target, SuperBlockBytes).Clear();
        float magnitude = 0;
        for (int i = 0; i < SuperBlockInputs; i++)
            magnitude = MathF.Max(magnitude, MathF.Abs(source[i]));
        if (magnitude == 0)
            return;
        float inverse = -127 / First(source, magnitude);
        for (int part = 0; part < SuperBlockInputs / 32; part++)
        {
            for (int i = part * 32; i < part * 32 + 32; i++)
                target[i] = (byte)(sbyte)(int)MathF.Round(source[i] * inverse, MidpointRounding.ToEven);
            StoreSums(target, part);
        }
        *(float*)(target + SuperDeltaOffset) = 1 / inverse;
    }

    /// <summary>The first number of this magnitude, with its sign.</summary>
    private static float First(float* source, float magnitude)
    {
        for (int i = 0; i < SuperBlockInputs; i++)
            if (MathF.Abs(source[i]) == magnitude)
                return source[i];
        return magnitude; // not reached unless a number is NaN
    }

    private static void StoreSums(byte* target, int part)
    {
        int both = 0;
        for (int run = 2 * part; run < 2 * part + 2; run++)
        {
            int first = 0, last = 0;
            for (var q = (sbyte*)target + run * 16; q < target + run * 16 + 16; q += 4)
            {
                first += q[0] + q[1];
                last += q[2] + q[3];
            }
            ((short*)(target + SuperSums16Offset))[run] = (short)(first + last);
            ((short*)(target + SuperCorrectionsOffset))[2 * run] = (short)(-32 * first);
            ((short*)(target + SuperCorrectionsOffset))[2 * run + 1] = (short)(-32 * last);
            both += first + last;
        }
        ((short*)(target + SuperSums32Offset))[part] = (short)both;
    }

    private static float RoundToHalf(float value) => Float16.HalfToSingle(Float16.SingleToHalf(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Round(ActivationFormat format, Vector512<float> value) => format switch
    {
        ActivationFormat.F16 => Float16.RoundToHalf(value),
        ActivationFormat.BF16 => BFloat.Round(value),
        _ => value,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Round(ActivationFormat format, Vector256<float> value) => format switch
    {
        ActivationFormat.F16 => Float16.RoundToHalf(value),
        ActivationFormat.BF16 => BFloat.Round(value),
        _ => value,
    };

    private static float Round(ActivationFormat format, float value) => format switch
    {
        ActivationFormat.F16 => Float16.HalfToSingle(Float16.SingleToHalf(value)),
        ActivationFormat.BF16 => BFloat.Round_Scalar(value),
        _ => value,
    };
}
