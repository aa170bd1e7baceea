using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Rows of activations in the form the weights of a product want.
/// F32, F16, BF16: singles (rounded), padded with zeros to whole pairs.
/// Q8: per 32 inputs 40 bytes: 32 signed bytes q, a single d (rounded to a half), and -128 times the sum of the q as an int; x is about d * q.
/// That sum corrects for weights stored as q + 128: the sum of (q + 128) * a less 128 times the sum of a is the sum of q * a.
/// The roundings are those of ggml's quantize_row_q8_0 on x86: d = max|x| / 127, q = round(x * 127 / max|x|), ties to even.</summary>
public static unsafe class ActivationRows
{
    /// <summary>Inputs of a Q8 block.</summary>
    public const int BlockInputs = 32;

    /// <summary>Bytes of a Q8 block.</summary>
    public const int BlockBytes = 40;

    /// <summary>Bytes from one row to the next.</summary>
    public static int Stride(ActivationFormat format, int inputs) =>
        (format == ActivationFormat.Q8 ? inputs / BlockInputs * BlockBytes : (inputs + 1) / 2 * 8) + 63 & ~63;

    /// <summary>Prepares one row.</summary>
    /// <param name="format">For Q8 the inputs are whole blocks of 32.</param>
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
        var rounded = (float*)target;
        int i = 0;
        for (; i + Lanes.Count <= inputs; i += Lanes.Count)
            Round(format, Vector512.Load(source + i)).Store(rounded + i);
        for (; i < inputs; i++)
            rounded[i] = Round(format, source[i]);
        if (inputs % 2 != 0)
            rounded[inputs] = 0;
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
        for (int i = 0; i < inputs; i++)
            ((float*)target)[i] = Round(format, source[i]);
        if (inputs % 2 != 0)
            ((float*)target)[inputs] = 0;
    }

    /// <summary>The singles a prepared row stands for: what the weights really meet.</summary>
    public static void Restore(ActivationFormat format, byte* prepared, Span<float> target)
    {
        for (int i = 0; i < target.Length; i++)
        {
            byte* block = prepared + i / BlockInputs * BlockBytes;
            target[i] = format == ActivationFormat.Q8 ? ((float*)(block + 32))[0] * (sbyte)block[i % BlockInputs] : ((float*)prepared)[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void QuantizeBlock(float* source, byte* target)
    {
        Vector512<float> a = Vector512.Load(source);
        Vector512<float> b = Vector512.Load(source + 16);
        float max = Lanes.Max(Vector512.Max(Vector512.Abs(a), Vector512.Abs(b)));
        Vector512<float> inverse = Vector512.Create(max == 0 ? 0 : 127 / max);
        Vector512<int> qa = Vector512.ConvertToInt32(Vector512.Round(a * inverse));
        Vector512<int> qb = Vector512.ConvertToInt32(Vector512.Round(b * inverse));
        Vector512.Narrow(Vector512.Narrow(qa, qb), default).GetLower().AsByte().Store(target);
        ((float*)(target + 32))[0] = Float16.HalfToSingle(Float16.SingleToHalf(max / 127));
        ((int*)(target + 36))[0] = -128 * Vector512.Sum(qa + qb);
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
        ((float*)(target + 32))[0] = Float16.HalfToSingle(Float16.SingleToHalf(max / 127));
        ((int*)(target + 36))[0] = -128 * sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Round(ActivationFormat format, Vector512<float> value) => format switch
    {
        ActivationFormat.F16 => Float16.RoundToHalf(value),
        ActivationFormat.BF16 => Float16.RoundToBFloat(value),
        _ => value,
    };

    private static float Round(ActivationFormat format, float value) => format switch
    {
        ActivationFormat.F16 => Float16.HalfToSingle(Float16.SingleToHalf(value)),
        ActivationFormat.BF16 => Float16.RoundToBFloat(value),
        _ => value,
    };
}
