using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Float weights. A lane is an output; two vectors hold a panel's 32 outputs. Rows go four at a time so that a weight, once loaded and widened, serves four rows.</summary>
internal static unsafe partial class PanelProduct
{
    /// <summary>Equals <see cref="F32Output"/>.</summary>
    public static void F32_Vector512(PanelArgs* args) => Floats<F32Weights>(args);

    /// <summary>Equals <see cref="F16Output"/>.</summary>
    public static void F16_Vector512(PanelArgs* args) => Floats<F16Weights>(args);

    /// <summary>Equals <see cref="BF16Output"/>.</summary>
    public static void BF16_Vector512(PanelArgs* args) => Floats<BF16Weights>(args);

    private interface IFloatWeights
    {
        /// <summary>Inputs of a packed block, the last of which is added first.</summary>
        static abstract int Inputs { get; }

        /// <summary>Bytes of a packed block.</summary>
        static abstract int Bytes { get; }

        /// <summary>16 outputs' weights for one input of a block.</summary>
        static abstract Vector512<float> Load(byte* block, int input, int firstOutput);
    }

    private readonly struct F32Weights : IFloatWeights
    {
        public static int Inputs => 1;
        public static int Bytes => 128;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Load(byte* block, int input, int firstOutput) => Vector512.Load((float*)block + firstOutput);
    }

    private readonly struct F16Weights : IFloatWeights
    {
        public static int Inputs => 1;
        public static int Bytes => 64;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Load(byte* block, int input, int firstOutput) => Float16.LoadHalf((ushort*)block + firstOutput);
    }

    private readonly struct BF16Weights : IFloatWeights
    {
        public static int Inputs => 2;
        public static int Bytes => 128;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Load(byte* block, int input, int firstOutput)
        {
            Vector512<uint> pair = Vector512.Load((uint*)block + firstOutput);
            return (input == 0 ? pair << 16 : pair & Vector512.Create(0xffff0000u)).AsSingle();
        }
    }

    private static void Floats<TWeights>(PanelArgs* args) where TWeights : IFloatWeights
    {
        nint row = 0;
        for (; row + 4 <= args->Rows; row += 4)
            FourRows<TWeights>(args, row);
        for (; row < args->Rows; row++)
            OneRow<TWeights>(args, row);
    }

    private static void OneRow<TWeights>(PanelArgs* args, nint row) where TWeights : IFloatWeights
    {
        byte* block = args->Weights;
        byte* end = block + args->Blocks * TWeights.Bytes;
        var a = (float*)(args->Activations + row * args->ActivationStride);
        Vector512<float> low = Vector512<float>.Zero;
        Vector512<float> high = Vector512<float>.Zero;
        for (; block < end; block += TWeights.Bytes, a += TWeights.Inputs)
        {
            for (int input = TWeights.Inputs - 1; input >= 0; input--)
            {
                Vector512<float> x = Vector512.Create(a[input]);
                low = Vector512.FusedMultiplyAdd(TWeights.Load(block, input, 0), x, low);
                high = Vector512.FusedMultiplyAdd(TWeights.Load(block, input, 16), x, high);
            }
        }
        var output = (float*)((byte*)args->Output + row * args->OutputStride);
        low.Store(output);
        high.Store(output + 16);
    }

    private static void FourRows<TWeights>(PanelArgs* args, nint row) where TWeights : IFloatWeights
    {
        byte* block = args->Weights;
        byte* end = block + args->Blocks * TWeights.Bytes;
        nint stride = args->ActivationStride / sizeof(float);
        var a = (float*)(args->Activations + row * args->ActivationStride);
        Vector512<float> low0 = Vector512<float>.Zero, low1 = low0, low2 = low0, low3 = low0;
        Vector512<float> high0 = low0, high1 = low0, high2 = low0, high3 = low0;
        for (; block < end; block += TWeights.Bytes, a += TWeights.Inputs)
        {
            for (int input = TWeights.Inputs - 1; input >= 0; input--)
            {
                Vector512<float> low = TWeights.Load(block, input, 0);
                Vector512<float> high = TWeights.Load(block, input, 16);
                Vector512<float> x = Vector512.Create(a[input]);
                low0 = Vector512.FusedMultiplyAdd(low, x, low0);
                high0 = Vector512.FusedMultiplyAdd(high, x, high0);
                x = Vector512.Create(a[input + stride]);
                low1 = Vector512.FusedMultiplyAdd(low, x, low1);
                high1 = Vector512.FusedMultiplyAdd(high, x, high1);
                x = Vector512.Create(a[input + 2 * stride]);
                low2 = Vector512.FusedMultiplyAdd(low, x, low2);
                high2 = Vector512.FusedMultiplyAdd(high, x, high2);
                x = Vector512.Create(a[input + 3 * stride]);
                low3 = Vector512.FusedMultiplyAdd(low, x, low3);
                high3 = Vector512.FusedMultiplyAdd(high, x, high3);
            }
        }
        var output = (byte*)args->Output + row * args->OutputStride;
        Store(output, low0, high0);
        Store(output + args->OutputStride, low1, high1);
        Store(output + 2 * args->OutputStride, low2, high2);
        Store(output + 3 * args->OutputStride, low3, high3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(byte* output, Vector512<float> low, Vector512<float> high)
    {
        low.Store((float*)output);
        high.Store((float*)output + 16);
    }
}
