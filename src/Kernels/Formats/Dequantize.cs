using System.Runtime.CompilerServices;

namespace Qanat.Kernels;

/// <summary>Weights as files store them, to singles: plain C#, one obvious loop per format. The oracle of packing and of every kernel.
/// Layouts and the order of roundings are those of ggml's dequantize_row functions.</summary>
public static unsafe class Dequantize
{
    /// <param name="format">The layout of <paramref name="source"/>.</param>
    /// <param name="source">WeightFormats.RowBytes(format, target.Length) bytes.</param>
    /// <param name="target">The row; its length is a multiple of the format's block.</param>
    public static void Row(WeightFormat format, byte* source, Span<float> target)
    {
        int elements = WeightFormats.BlockElements(format);
        int bytes = WeightFormats.BlockBytes(format);
        for (int i = 0; i < target.Length; i++)
            target[i] = Weight(format, source + (long)(i / elements) * bytes, i % elements);
    }

    private static float Weight(WeightFormat format, byte* block, int i) => format switch
    {
        WeightFormat.F32 => Unsafe.ReadUnaligned<float>(block),
        WeightFormat.F16 => Half(block),
        WeightFormat.BF16 => Float16.BFloatToSingle(Unsafe.ReadUnaligned<ushort>(block)),
        WeightFormat.Q8_0 => Half(block) * (sbyte)block[2 + i],
        WeightFormat.Q4_0 => Half(block) * (Nibble(block + 2, i) - 8),
        WeightFormat.Q4_1 => Half(block) * Nibble(block + 4, i) + Half(block + 2),
        WeightFormat.Q5_0 => Half(block) * (Nibble(block + 6, i) + 16 * Bit(block + 2, i) - 16),
        WeightFormat.Q5_1 => Half(block) * (Nibble(block + 8, i) + 16 * Bit(block + 4, i)) + Half(block + 2),
        WeightFormat.Q4_K => Half(block) * SubScale(block + 4, i / 32) * SubNibble(block + 16, i) - Half(block + 2) * SubMin(block + 4, i / 32),
        WeightFormat.Q5_K => Half(block) * SubScale(block + 4, i / 32) * (SubNibble(block + 48, i) + 16 * (block[16 + i % 32] >> i / 32 & 1)) - Half(block + 2) * SubMin(block + 4, i / 32),
        WeightFormat.Q6_K => Half(block + 208) * (sbyte)block[192 + i / 16] * (Low6(block, i) + 16 * High6(block + 128, i) - 32),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown weight format"),
    };

    private static float Half(byte* source) => Float16.HalfToSingle(Unsafe.ReadUnaligned<ushort>(source));

    /// <summary>Of 32 weights in 16 bytes: the first 16 in the low nibbles.</summary>
    private static int Nibble(byte* quants, int i) => i < 16 ? quants[i] & 15 : quants[i - 16] >> 4;

    private static int Bit(byte* bits, int i) => bits[i / 8] >> i % 8 & 1;

    /// <summary>Of 256 weights in 128 bytes: each 64 in 32 bytes, the first 32 in the low nibbles.</summary>
    private static int SubNibble(byte* quants, int i) => i % 64 < 32 ? quants[i / 64 * 32 + i % 32] & 15 : quants[i / 64 * 32 + i % 32] >> 4;

    /// <summary>Eight scales and eight minima of 6 bits in 12 bytes: four of each in the low 6 bits of bytes 0-7; of the others the low nibbles in bytes 8-11 and the high bits above the first.</summary>
    internal static int SubScale(byte* packed, int sub) => sub < 4 ? packed[sub] & 63 : packed[sub + 4] & 15 | packed[sub - 4] >> 6 << 4;

    internal static int SubMin(byte* packed, int sub) => sub < 4 ? packed[sub + 4] & 63 : packed[sub + 4] >> 4 | packed[sub] >> 6 << 4;

    /// <summary>Each 128 weights in 64 bytes: two runs of 32 in the low nibbles, two in the high ones.</summary>
    private static int Low6(byte* low, int i) => low[i / 128 * 64 + i % 64] >> (i % 128 < 64 ? 0 : 4) & 15;

    /// <summary>Each 128 weights in 32 bytes: four runs of 32 in bits 0-1, 2-3, 4-5, 6-7.</summary>
    private static int High6(byte* high, int i) => high[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}
