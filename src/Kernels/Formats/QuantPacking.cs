using System.Runtime.CompilerServices;

namespace Qanat.Kernels;

/// <summary>Between file blocks of four to six bits and panels in <see cref="QuantLayout"/>.</summary>
internal static unsafe class QuantPacking
{
    private const int Width = PackedMatrix.PanelOutputs;
    private const uint Nibbles = 0x0f0f0f0f;
    private const uint Ones = 0x01010101;

    /// <param name="format">Of four to six bits.</param>
    /// <param name="source">First row.</param>
    /// <param name="rows">1 to 32; the other outputs keep scale 0, which makes them weight 0 whatever their bits.</param>
    /// <param name="inputs">Columns.</param>
    /// <param name="target">The panel, zeroed.</param>
    public static void Panel(WeightFormat format, byte* source, int rows, int inputs, byte* target)
    {
        var layout = QuantLayout.Of(format);
        int blocks = inputs / layout.Inputs;
        int blockBytes = WeightFormats.BlockBytes(format);
        uint* groups = stackalloc uint[8];
        for (int block = 0; block < blocks; block++, target += layout.PackedBytes)
        {
            for (int row = 0; row < rows; row++)
            {
                byte* from = source + ((long)row * blocks + block) * blockBytes;
                Head(format, layout, from, row, target);
                for (int part = 0; part < layout.Inputs / 32; part++)
                {
                    Groups(format, from, part, groups);
                    Place(layout.Bits, groups, row, target + layout.QuantsOffset + part * layout.QuantBytes);
                }
            }
        }
    }

    /// <summary>One output's weights, by the same operations as <see cref="Dequantize"/>.</summary>
    public static void UnpackRow(WeightFormat format, byte* panel, int output, int inputs, float* target)
    {
        var layout = QuantLayout.Of(format);
        for (int i = 0; i < inputs; i++)
        {
            byte* block = panel + (long)(i / layout.Inputs) * layout.PackedBytes;
            int k = i % layout.Inputs;
            int quant = Quant(layout.Bits, block + layout.QuantsOffset + k / 32 * layout.QuantBytes, output, k % 32) - layout.Zero;
            float d = Half(block + QuantLayout.DeltaOffset, output);
            if (layout.HasSubBlocks)
                d *= SubValue(layout, block + layout.ScalesOffset, output, k);
            target[i] = d * quant;
            if (layout.HasMin && layout.HasSubBlocks)
                target[i] -= Half(block + QuantLayout.MinOffset, output) * SubValue(layout, block + layout.MinsOffset, output, k);
            else if (layout.HasMin)
                target[i] += Half(block + QuantLayout.MinOffset, output);
        }
    }

    /// <summary>The stored value of input k (0..31) of an output.</summary>
    public static int Quant(int bits, byte* quants, int output, int k)
    {
        int group = k / 4;
        int nibble = quants[(bits - 4) * 128 + (group / 2 * Width + output) * 4 + k % 4] >> group % 2 * 4 & 15;
        return bits switch
        {
            4 => nibble,
            5 => nibble | (quants[output * 4 + k % 4] >> (group + 4) % 8 & 1) << 4,
            _ => nibble | (quants[(group / 4 * Width + output) * 4 + k % 4] >> (group % 4 * 2 + 4) % 8 & 3) << 4,
        };
    }

    /// <summary>The scale or minimum of the sub-block that holds input k of a block.</summary>
    public static int SubValue(QuantLayout layout, byte* values, int output, int k)
    {
        int sub = k / layout.SubInputs;
        return (sbyte)values[(sub / 2 * Width + output) * 2 + sub % 2];
    }

    public static float Half(byte* halves, int output) => Float16.HalfToSingle(((ushort*)halves)[output]);

    private static void Head(WeightFormat format, QuantLayout layout, byte* from, int row, byte* target)
    {
        ((ushort*)(target + QuantLayout.DeltaOffset))[row] = Unsafe.ReadUnaligned<ushort>(format == WeightFormat.Q6_K ? from + 208 : from);
        if (layout.HasMin)
            ((ushort*)(target + QuantLayout.MinOffset))[row] = Unsafe.ReadUnaligned<ushort>(from + 2);
        for (int sub = 0; sub < layout.SubBlocks; sub++)
        {
            int place = (sub / 2 * Width + row) * 2 + sub % 2;
            target[layout.ScalesOffset + place] = format == WeightFormat.Q6_K ? from[192 + sub] : (byte)Dequantize.SubScale(from + 4, sub);
            if (layout.HasMin)
                target[layout.MinsOffset + place] = (byte)Dequantize.SubMin(from + 4, sub);
        }
    }

    /// <summary>The stored values of 32 inputs of one row, as eight groups of four bytes.</summary>
    private static void Groups(WeightFormat format, byte* block, int part, uint* groups)
    {
        switch (format)
        {
            case WeightFormat.Q4_0:
                TwoRuns(block + 2, groups);
                break;
            case WeightFormat.Q4_1:
                TwoRuns(block + 4, groups);
                break;
            case WeightFormat.Q5_0:
                TwoRuns(block + 6, groups);
                AddFifthBits(Read(block + 2), groups);
                break;
            case WeightFormat.Q5_1:
                TwoRuns(block + 8, groups);
                AddFifthBits(Read(block + 4), groups);
                break;
            case WeightFormat.Q4_K:
                for (int g = 0; g < 8; g++)
                    groups[g] = Read(block + 16 + part / 2 * 32 + 4 * g) >> part % 2 * 4 & Nibbles;
                break;
            case WeightFormat.Q5_K:
                for (int g = 0; g < 8; g++)
                    groups[g] = Read(block + 48 + part / 2 * 32 + 4 * g) >> part % 2 * 4 & Nibbles | (Read(block + 16 + 4 * g) >> part & Ones) << 4;
                break;
            default:
                // Of each 128 weights, parts 0 and 1 are in the low nibbles of 32 bytes each, parts 2 and 3 in the high ones.
                for (int g = 0; g < 8; g++)
                    groups[g] = Read(block + part / 4 * 64 + part % 2 * 32 + 4 * g) >> part % 4 / 2 * 4 & Nibbles | (Read(block + 128 + part / 4 * 32 + 4 * g) >> part % 4 * 2 & 3 * Ones) << 4;
                break;
        }
    }

    private static void TwoRuns(byte* nibbles, uint* groups)
    {
        for (int g = 0; g < 4; g++)
        {
            uint both = Read(nibbles + 4 * g);
            groups[g] = both & Nibbles;
            groups[g + 4] = both >> 4 & Nibbles;
        }
    }

    private static void AddFifthBits(uint bits, uint* groups)
    {
        // The product copies a group's four bits to where each is the lowest of a byte.
        for (int g = 0; g < 8; g++)
            groups[g] |= ((bits >> 4 * g & 15) * 0x00204081 & Ones) << 4;
    }

    private static void Place(int bits, uint* groups, int row, byte* quants)
    {
        var nibbles = (uint*)(quants + (bits - 4) * 128) + row;
        for (int pair = 0; pair < 4; pair++)
            nibbles[pair * Width] = groups[2 * pair] & Nibbles | (groups[2 * pair + 1] & Nibbles) << 4;
        var high = (uint*)quants + row;
        if (bits == 5)
        {
            uint fifth = 0;
            for (int g = 0; g < 8; g++)
                fifth |= (groups[g] >> 4 & Ones) << (g + 4) % 8;
            high[0] = fifth;
        }
        else if (bits == 6)
        {
            for (int half = 0; half < 2; half++)
            {
                uint two = 0;
                for (int g = 0; g < 4; g++)
                    two |= (groups[4 * half + g] >> 4 & 3 * Ones) << (g * 2 + 4) % 8;
                high[half * Width] = two;
            }
        }
    }

    private static uint Read(byte* source) => Unsafe.ReadUnaligned<uint>(source);
}
