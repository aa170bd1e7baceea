using System.Buffers.Binary;

namespace Qanat.Kernels;

/// <summary>Singles to weights as files store them. Formats of 32 weights take their scale from the block's extremes; the K formats search for the scales (and minima) of the least squared error.</summary>
public static class Quantize
{
    /// <param name="format">The layout to write.</param>
    /// <param name="weights">Finite numbers; their count is a multiple of the format's block.</param>
    /// <param name="target">WeightFormats.RowBytes(format, weights.Length) bytes.</param>
    public static void Row(WeightFormat format, ReadOnlySpan<float> weights, Span<byte> target)
    {
        int elements = WeightFormats.BlockElements(format), bytes = WeightFormats.BlockBytes(format);
        if (weights.Length % elements != 0)
            throw new ArgumentException(FormattableString.Invariant($"{weights.Length} numbers are not whole blocks of {elements} ({format})"), nameof(weights));
        for (int block = 0; block < weights.Length / elements; block++)
            Block(format, weights.Slice(block * elements, elements), target.Slice(block * bytes, bytes));
    }

    private static void Block(WeightFormat format, ReadOnlySpan<float> x, Span<byte> target)
    {
        switch (format)
        {
            case WeightFormat.F32:
                BinaryPrimitives.WriteSingleLittleEndian(target, x[0]);
                break;
            case WeightFormat.F16:
                BinaryPrimitives.WriteHalfLittleEndian(target, (Half)x[0]);
                break;
            case WeightFormat.BF16:
                BinaryPrimitives.WriteUInt16LittleEndian(target, (ushort)(BitConverter.SingleToUInt32Bits(Float16.RoundToBFloat(x[0])) >> 16));
                break;
            case WeightFormat.Q8_0:
                Bytes(x, target);
                break;
            case WeightFormat.Q4_0:
                FromExtreme(x, target, 4, 2);
                break;
            case WeightFormat.Q5_0:
                FromExtreme(x, target, 5, 6);
                break;
            case WeightFormat.Q4_1:
                FromRange(x, target, 4, 4);
                break;
            case WeightFormat.Q5_1:
                FromRange(x, target, 5, 8);
                break;
            case WeightFormat.Q4_K:
            case WeightFormat.Q5_K:
                QuantizeK.WithMinima(x, target, format == WeightFormat.Q4_K ? 4 : 5);
                break;
            case WeightFormat.Q6_K:
                QuantizeK.SixBits(x, target);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(format), format, "unknown weight format");
        }
    }

    /// <summary>The largest magnitude becomes 127.</summary>
    private static void Bytes(ReadOnlySpan<float> x, Span<byte> target)
    {
        float d = Math.Abs(Extreme(x)) / 127;
        float inverse = d == 0 ? 0 : 1 / d;
        WriteHalf(target, d);
        for (int i = 0; i < x.Length; i++)
            target[2 + i] = (byte)(sbyte)Math.Clamp(MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero), -127, 127);
    }

    /// <summary>The number of largest magnitude becomes the lowest value, -2^(bits-1): there is one more below zero than above.</summary>
    private static void FromExtreme(ReadOnlySpan<float> x, Span<byte> target, int bits, int nibblesAt)
    {
        int zero = 1 << (bits - 1);
        float d = Extreme(x) / -zero;
        float inverse = d == 0 ? 0 : 1 / d;
        Span<byte> values = stackalloc byte[32];
        for (int i = 0; i < 32; i++)
            values[i] = (byte)Math.Clamp((int)MathF.Round(x[i] * inverse) + zero, 0, 2 * zero - 1);
        WriteHalf(target, d);
        Store(values, target, bits, nibblesAt);
    }

    /// <summary>The smallest number becomes 0, the largest 2^bits - 1.</summary>
    private static void FromRange(ReadOnlySpan<float> x, Span<byte> target, int bits, int nibblesAt)
    {
        int most = (1 << bits) - 1;
        float min = x[0], max = x[0];
        foreach (float value in x)
            (min, max) = (Math.Min(min, value), Math.Max(max, value));
        float d = (max - min) / most;
        float inverse = d == 0 ? 0 : 1 / d;
        Span<byte> values = stackalloc byte[32];
        for (int i = 0; i < 32; i++)
            values[i] = (byte)Math.Clamp((int)MathF.Round((x[i] - min) * inverse), 0, most);
        WriteHalf(target, d);
        WriteHalf(target[2..], min);
        Store(values, target, bits, nibblesAt);
    }

    /// <summary>32 values: fifth bits just before the nibbles, of which the first 16 values have the low ones.</summary>
    private static void Store(ReadOnlySpan<byte> values, Span<byte> target, int bits, int nibblesAt)
    {
        for (int i = 0; i < 16; i++)
            target[nibblesAt + i] = (byte)(values[i] & 15 | (values[i + 16] & 15) << 4);
        if (bits == 4)
            return;
        uint fifth = 0;
        for (int i = 0; i < 32; i++)
            fifth |= (uint)(values[i] >> 4) << i;
        BinaryPrimitives.WriteUInt32LittleEndian(target[(nibblesAt - 4)..], fifth);
    }

    /// <summary>The number of largest magnitude.</summary>
    internal static float Extreme(ReadOnlySpan<float> x)
    {
        float extreme = 0;
        foreach (float value in x)
            if (Math.Abs(value) > Math.Abs(extreme))
                extreme = value;
        return extreme;
    }

    internal static void WriteHalf(Span<byte> target, float value) => BinaryPrimitives.WriteHalfLittleEndian(target, (Half)value);

    internal static float ReadHalf(ReadOnlySpan<byte> source) => (float)BinaryPrimitives.ReadHalfLittleEndian(source);
}
