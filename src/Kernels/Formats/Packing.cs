using System.Runtime.CompilerServices;

namespace Qanat.Kernels;

/// <summary>From rows as files store them to panels, and one row back. Within a block of a panel (32 outputs, o):
/// <list type="bullet">
/// <item>F32, F16: one input; 32 numbers, one per output.</item>
/// <item>BF16: two inputs; per output the pair (even input first). What is tiny is zero (<see cref="BFloat"/>).</item>
/// <item>Q8_0: 32 inputs; 32 scales (halves), then for each group g of 4 inputs, for each output, its 4 bytes with the sign bit flipped: 0..255 for -128..127.</item>
/// <item>Four to six bits: see <see cref="QuantLayout"/>.</item>
/// </list></summary>
internal static unsafe class Packing
{
    private const int Width = PackedMatrix.PanelOutputs;
    internal const uint SignBits = 0x80808080;

    /// <summary>A panel of a matrix.</summary>
    /// <param name="matrix">The first of its rows.</param>
    /// <param name="outputs">Rows of the matrix.</param>
    /// <param name="target">The panel, zeroed where the matrix has no rows for all of it.</param>
    public static void Panel(WeightFormat format, byte* matrix, int outputs, int inputs, int panel, byte* target)
    {
        int first = panel * Width;
        Panel(format, matrix + first * WeightFormats.RowBytes(format, inputs), Math.Min(Width, outputs - first), inputs, target);
    }

    /// <param name="format">Layout of the source.</param>
    /// <param name="source">First row.</param>
    /// <param name="rows">1 to 32; the other outputs keep the zero weights the target begins with.</param>
    /// <param name="inputs">Columns.</param>
    /// <param name="target">The panel, zeroed.</param>
    public static void Panel(WeightFormat format, byte* source, int rows, int inputs, byte* target)
    {
        if (rows < Width || !PanelPacking.TryPanel(format, source, inputs, target))
            Panel_Scalar(format, source, rows, inputs, target);
    }

    /// <summary>Scalar twin of <see cref="Panel"/>.</summary>
    public static void Panel_Scalar(WeightFormat format, byte* source, int rows, int inputs, byte* target)
    {
        switch (format)
        {
            case WeightFormat.F32:
                PackF32((float*)source, rows, inputs, (float*)target);
                break;
            case WeightFormat.F16:
                PackF16((ushort*)source, rows, inputs, (ushort*)target);
                break;
            case WeightFormat.BF16:
                PackBF16((ushort*)source, rows, inputs, (ushort*)target);
                break;
            case WeightFormat.Q8_0:
                PackQ8_0(source, rows, inputs / 32, target);
                break;
            default:
                QuantPacking.Panel(format, source, rows, inputs, target);
                break;
        }
    }

    /// <summary>One output's weights out of a panel, as singles.</summary>
    public static void UnpackRow(WeightFormat format, byte* panel, int output, int inputs, float* target)
    {
        switch (format)
        {
            case WeightFormat.F32:
                for (int k = 0; k < inputs; k++)
                    target[k] = ((float*)panel)[(long)k * Width + output];
                break;
            case WeightFormat.F16:
                for (int k = 0; k < inputs; k++)
                    target[k] = Float16.HalfToSingle(((ushort*)panel)[(long)k * Width + output]);
                break;
            case WeightFormat.BF16:
                for (int k = 0; k < inputs; k++)
                    target[k] = Float16.BFloatToSingle(((ushort*)panel)[((long)(k / 2) * Width + output) * 2 + k % 2]);
                break;
            case WeightFormat.Q8_0:
                UnpackQ8_0(panel, output, inputs / 32, target);
                break;
            default:
                QuantPacking.UnpackRow(format, panel, output, inputs, target);
                break;
        }
    }

    private static void PackF32(float* source, int rows, int inputs, float* target)
    {
        for (int row = 0; row < rows; row++)
            for (int k = 0; k < inputs; k++)
                target[(long)k * Width + row] = Unsafe.ReadUnaligned<float>(source + (long)row * inputs + k);
    }

    private static void PackF16(ushort* source, int rows, int inputs, ushort* target)
    {
        for (int row = 0; row < rows; row++)
            for (int k = 0; k < inputs; k++)
                target[(long)k * Width + row] = Unsafe.ReadUnaligned<ushort>(source + (long)row * inputs + k);
    }

    private static void PackBF16(ushort* source, int rows, int inputs, ushort* target)
    {
        for (int row = 0; row < rows; row++)
            for (int k = 0; k < inputs; k++)
                target[((long)(k / 2) * Width + row) * 2 + k % 2] = BFloat.WithoutTiny(Unsafe.ReadUnaligned<ushort>(source + (long)row * inputs + k));
    }

    private static void PackQ8_0(byte* source, int rows, int blocks, byte* target)
    {
        const int packedBytes = 1088;
        for (int block = 0; block < blocks; block++)
        {
            byte* packed = target + (long)block * packedBytes;
            var groups = (uint*)(packed + 64);
            for (int row = 0; row < rows; row++)
            {
                byte* from = source + ((long)row * blocks + block) * 34;
                ((ushort*)packed)[row] = Unsafe.ReadUnaligned<ushort>(from);
                for (int g = 0; g < 8; g++)
                    groups[g * Width + row] = Unsafe.ReadUnaligned<uint>(from + 2 + 4 * g) ^ SignBits;
            }
            // A padded output has scale 0; its bytes are 128 so that they stand for weight 0.
            for (int row = rows; row < Width; row++)
                for (int g = 0; g < 8; g++)
                    groups[g * Width + row] = SignBits;
        }
    }

    private static void UnpackQ8_0(byte* panel, int output, int blocks, float* target)
    {
        for (int block = 0; block < blocks; block++)
        {
            byte* packed = panel + (long)block * 1088;
            float scale = Float16.HalfToSingle(((ushort*)packed)[output]);
            for (int k = 0; k < 32; k++)
                target[block * 32 + k] = scale * (packed[64 + (k / 4 * Width + output) * 4 + k % 4] - 128);
        }
    }
}
