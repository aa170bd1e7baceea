using System.Runtime.CompilerServices;

namespace Qanat.Kernels;

/// <summary>Weights as files store them, to singles: plain C#, one obvious loop per format. The oracle of packing and of every kernel.</summary>
public static unsafe class Dequantize
{
    /// <param name="format">The layout of <paramref name="source"/>.</param>
    /// <param name="source">WeightFormats.RowBytes(format, target.Length) bytes.</param>
    /// <param name="target">The row; its length is a multiple of the format's block.</param>
    public static void Row(WeightFormat format, byte* source, Span<float> target)
    {
        switch (format)
        {
            case WeightFormat.F32:
                new ReadOnlySpan<float>(source, target.Length).CopyTo(target);
                break;
            case WeightFormat.F16:
                for (int i = 0; i < target.Length; i++)
                    target[i] = Half(source + 2 * i);
                break;
            case WeightFormat.BF16:
                for (int i = 0; i < target.Length; i++)
                    target[i] = Float16.BFloatToSingle(Unsafe.ReadUnaligned<ushort>(source + 2 * i));
                break;
            case WeightFormat.Q8_0:
                for (int i = 0; i < target.Length; i++)
                {
                    byte* block = source + i / 32 * 34;
                    target[i] = Half(block) * (sbyte)block[2 + i % 32];
                }
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(format), format, "unknown weight format");
        }
    }

    private static float Half(byte* source) => Float16.HalfToSingle(Unsafe.ReadUnaligned<ushort>(source));
}
