using System.Runtime.CompilerServices;

namespace Qanat.Kernels;

/// <summary>Products of prepared rows with one panel of 32 outputs.</summary>
internal static unsafe partial class PanelProduct
{
    private const int Width = PackedMatrix.PanelOutputs;

    public static void F32_Scalar(PanelArgs* args) => Scalar<F32Output>(args);
    public static void F16_Scalar(PanelArgs* args) => Scalar<F16Output>(args);
    public static void BF16_Scalar(PanelArgs* args) => Scalar<BF16Output>(args);
    public static void Q8_0_Scalar(PanelArgs* args) => Scalar<Q8_0Output>(args);
    public static void Quants_Scalar<TFormat>(PanelArgs* args) where TFormat : IQuantFormat => Scalar<QuantOutput<TFormat>>(args);

    /// <summary>One output of a panel in plain C#: the oracle of its format.</summary>
    private interface IScalarOutput
    {
        static abstract float Product(byte* weights, int output, byte* activations, nint blocks);
    }

    private static void Scalar<TOutput>(PanelArgs* args) where TOutput : IScalarOutput
    {
        for (int row = 0; row < args->Rows; row++)
            for (int o = 0; o < Width; o++)
                ((float*)((byte*)args->Output + row * args->OutputStride))[o] =
                    TOutput.Product(args->Weights, o, args->Activations + row * args->ActivationStride, args->Blocks);
    }

    private readonly struct F32Output : IScalarOutput
    {
        public static float Product(byte* weights, int output, byte* activations, nint blocks)
        {
            float sum = 0;
            for (nint k = 0; k < blocks; k++)
                sum = MathF.FusedMultiplyAdd(((float*)weights)[k * Width + output], ((float*)activations)[k], sum);
            return sum;
        }
    }

    private readonly struct F16Output : IScalarOutput
    {
        public static float Product(byte* weights, int output, byte* activations, nint blocks)
        {
            float sum = 0;
            for (nint k = 0; k < blocks; k++)
                sum = MathF.FusedMultiplyAdd(Float16.HalfToSingle(((ushort*)weights)[k * Width + output]), ((float*)activations)[k], sum);
            return sum;
        }
    }

    /// <summary>Of each pair of inputs the second comes first: the order of <c>vdpbf16ps</c>.</summary>
    private readonly struct BF16Output : IScalarOutput
    {
        public static float Product(byte* weights, int output, byte* activations, nint blocks)
        {
            float sum = 0;
            for (nint pair = 0; pair < blocks; pair++)
                for (nint k = 1; k >= 0; k--)
                    sum = MathF.FusedMultiplyAdd(Float16.BFloatToSingle(((ushort*)weights)[(pair * Width + output) * 2 + k]), ((float*)activations)[2 * pair + k], sum);
            return sum;
        }
    }

    private readonly struct Q8_0Output : IScalarOutput
    {
        public static float Product(byte* weights, int output, byte* activations, nint blocks)
        {
            float sum = 0;
            for (nint block = 0; block < blocks; block++)
            {
                byte* packed = weights + block * 1088;
                byte* a = activations + block * ActivationRows.BlockBytes;
                int dot = 0;
                for (int k = 0; k < 32; k++)
                    dot += (packed[64 + (k / 4 * Width + output) * 4 + k % 4] - 128) * (sbyte)a[k];
                float scale = Float16.HalfToSingle(Unsafe.ReadUnaligned<ushort>(packed + 2 * output)) * *(float*)(a + 32);
                sum = MathF.FusedMultiplyAdd(dot, scale, sum);
            }
            return sum;
        }
    }

    /// <summary>Formats of four to six bits. Without sub-blocks, per block: the exact integer sum, then sum = fma(integer, d_w * d_a, sum), then sum = fma(m, s_a, sum) if there are offsets.
    /// With sub-blocks: both integer sums (of scaled products, and of minima times the activations' sums) over the whole block, then sum = fma(products, d_w * d_a, sum), then
    /// sum = fma(minima, -(dmin * d_a), sum).</summary>
    private readonly struct QuantOutput<TFormat> : IScalarOutput where TFormat : IQuantFormat
    {
        public static float Product(byte* weights, int output, byte* activations, nint blocks)
        {
            QuantLayout layout = QuantLayout.Of<TFormat>();
            float sum = 0;
            for (nint block = 0; block < blocks; block++, weights += layout.PackedBytes)
            {
                float d = QuantPacking.Half(weights + QuantLayout.DeltaOffset, output);
                if (!layout.HasSubBlocks)
                {
                    byte* a = activations + block * ActivationRows.BlockBytes;
                    sum = MathF.FusedMultiplyAdd(Products(layout, weights, output, a, 0), d * *(float*)(a + ActivationRows.DeltaOffset), sum);
                    if (layout.HasMin)
                        sum = MathF.FusedMultiplyAdd(QuantPacking.Half(weights + QuantLayout.MinOffset, output), *(float*)(a + ActivationRows.SumOffset), sum);
                    continue;
                }
                byte* super = activations + block * ActivationRows.SuperBlockBytes;
                float da = *(float*)(super + ActivationRows.SuperDeltaOffset);
                int products = 0, minima = 0;
                for (int part = 0; part < 256; part += layout.SubInputs)
                {
                    products += QuantPacking.SubValue(layout, weights + layout.ScalesOffset, output, part) * Products(layout, weights, output, super, part);
                    if (layout.HasMin)
                        minima += QuantPacking.SubValue(layout, weights + layout.MinsOffset, output, part) * ((short*)(super + ActivationRows.SuperSums32Offset))[part / 32];
                }
                sum = MathF.FusedMultiplyAdd(products, d * da, sum);
                if (layout.HasMin)
                    sum = MathF.FusedMultiplyAdd(minima, -(QuantPacking.Half(weights + QuantLayout.MinOffset, output) * da), sum);
            }
            return sum;
        }

        private static int Products(QuantLayout layout, byte* weights, int output, byte* activations, int first)
        {
            int sum = 0;
            for (int k = first; k < first + layout.SubInputs; k++)
                sum += (QuantPacking.Quant(layout.Bits, weights + layout.QuantsOffset + k / 32 * layout.QuantBytes, output, k % 32) - layout.Zero) * (sbyte)activations[k];
            return sum;
        }
    }
}
