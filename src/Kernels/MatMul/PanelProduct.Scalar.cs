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

    private readonly struct BF16Output : IScalarOutput
    {
        public static float Product(byte* weights, int output, byte* activations, nint blocks)
        {
            float sum = 0;
            for (nint k = 0; k < 2 * blocks; k++)
                sum = MathF.FusedMultiplyAdd(Float16.BFloatToSingle(((ushort*)weights)[(k / 2 * Width + output) * 2 + k % 2]), ((float*)activations)[k], sum);
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
}
