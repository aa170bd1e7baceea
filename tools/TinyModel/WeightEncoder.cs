using System.Buffers.Binary;
using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>Writes a row of numbers in one of ggml's types, little-endian, rounded to nearest.</summary>
internal static class WeightEncoder
{
    private const int BlockSize = 32;

    public static void Encode(GgmlType type, ReadOnlySpan<float> values, Span<byte> bytes)
    {
        switch (type)
        {
            case GgmlType.F32:
                for (int i = 0; i < values.Length; i++)
                    BinaryPrimitives.WriteSingleLittleEndian(bytes[(4 * i)..], values[i]);
                break;
            case GgmlType.F16:
                for (int i = 0; i < values.Length; i++)
                    BinaryPrimitives.WriteHalfLittleEndian(bytes[(2 * i)..], (Half)values[i]);
                break;
            case GgmlType.BF16:
                for (int i = 0; i < values.Length; i++)
                    BinaryPrimitives.WriteUInt16LittleEndian(bytes[(2 * i)..], ToBrainFloat(values[i]));
                break;
            case GgmlType.Q8_0:
                for (int block = 0; block < values.Length / BlockSize; block++)
                    EncodeQ8(values.Slice(block * BlockSize, BlockSize), bytes.Slice(block * (BlockSize + 2), BlockSize + 2));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "Weights can be written as F32, F16, BF16 or Q8_0");
        }
    }

    /// <summary>The upper half of a finite float, rounded to nearest even.</summary>
    private static ushort ToBrainFloat(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>ggml's Q8_0: a half-precision scale, then 32 signed bytes; the largest magnitude becomes 127.</summary>
    private static void EncodeQ8(ReadOnlySpan<float> values, Span<byte> bytes)
    {
        float largest = 0;
        foreach (float value in values)
            largest = Math.Max(largest, Math.Abs(value));
        float scale = largest / 127;
        float inverse = scale == 0 ? 0 : 1 / scale;
        BinaryPrimitives.WriteHalfLittleEndian(bytes, (Half)scale);
        for (int i = 0; i < values.Length; i++)
            bytes[2 + i] = unchecked((byte)(sbyte)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero));
    }
}
