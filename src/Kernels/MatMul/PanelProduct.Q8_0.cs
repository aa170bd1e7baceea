using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Q8_0 weights in 256-bit vectors: a panel's 32 outputs are two halves of two vectors, and up to four rows share each weight that is loaded.</summary>
internal static unsafe partial class PanelProduct
{
    private const int Q8_0Bytes = 1088;

    /// <summary>Equals <see cref="Q8_0Output"/>.</summary>
    public static void Q8_0_AvxVnni(PanelArgs* args) => Q8_0<VnniWeights>(args);

    /// <summary>Equals <see cref="Q8_0Output"/>.</summary>
    public static void Q8_0_Avx2(PanelArgs* args) => Q8_0<SignedWeights>(args);

    private interface IByteWeights
    {
        /// <summary>What a sum begins with, from -128 times the sum of the activations.</summary>
        static abstract Vector256<int> Begin(byte* correction);

        /// <summary>Adds to each lane the products of its four weights, stored as q + 128, with four activations.</summary>
        static abstract Vector256<int> Add(Vector256<int> sum, Vector256<byte> weights, Vector256<sbyte> activations);
    }

    private readonly struct VnniWeights : IByteWeights
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Begin(byte* correction) => Vector256.Create(*(int*)correction);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add(Vector256<int> sum, Vector256<byte> weights, Vector256<sbyte> activations) => AvxVnni.MultiplyWideningAndAdd(sum, weights, activations);
    }

    /// <summary><c>vpmaddubsw</c> of |q| with the activations that carry q's sign: two products are at most 2 * 128 * 127, which 16 bits hold.</summary>
    private readonly struct SignedWeights : IByteWeights
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Begin(byte* correction) => Vector256<int>.Zero;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add(Vector256<int> sum, Vector256<byte> weights, Vector256<sbyte> activations)
        {
            Vector256<sbyte> q = (weights ^ Vector256.Create((byte)0x80)).AsSByte();
            return sum + Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(Avx2.Abs(q), Avx2.Sign(activations, q)), Vector256<short>.One);
        }
    }

    private static void Q8_0<TWeights>(PanelArgs* args) where TWeights : IByteWeights
    {
        nint row = 0;
        for (; args->Rows - row >= 4; row += 4)
            Q8_0<TWeights, FourRows>(args, row);
        if (args->Rows - row == 3)
            Q8_0<TWeights, ThreeRows>(args, row);
        else if (args->Rows - row == 2)
            Q8_0<TWeights, TwoRows>(args, row);
        else if (args->Rows - row == 1)
            Q8_0<TWeights, OneRow>(args, row);
    }

    private static void Q8_0<TWeights, TRows>(PanelArgs* args, nint firstRow) where TWeights : IByteWeights where TRows : IRowCount
    {
        nint stride = args->ActivationStride;
        byte* a = args->Activations + firstRow * stride;
        byte* w = args->Weights;
        byte* end = w + args->Blocks * Q8_0Bytes;
        float* sums = stackalloc float[RowsTogether * Width];
        for (; w < end; w += Q8_0Bytes, a += ActivationRows.BlockBytes)
        {
            for (int half = 0; half < 2; half++)
            {
                byte* groups = w + 64 + half * 64;
                byte* correction = a + ActivationRows.CorrectionOffset;
                Vector256<int> a0 = TWeights.Begin(correction), a1 = a0;
                Vector256<int> b0 = TRows.Count > 1 ? TWeights.Begin(correction + stride) : default, b1 = b0;
                Vector256<int> c0 = TRows.Count > 2 ? TWeights.Begin(correction + 2 * stride) : default, c1 = c0;
                Vector256<int> d0 = TRows.Count > 3 ? TWeights.Begin(correction + 3 * stride) : default, d1 = d0;
                for (int group = 0; group < 8; group++)
                {
                    Vector256<byte> w0 = Vector256.Load(groups + group * 128), w1 = Vector256.Load(groups + group * 128 + 32);
                    byte* x = a + group * 4;
                    Vector256<sbyte> y = Broadcast(x);
                    a0 = TWeights.Add(a0, w0, y);
                    a1 = TWeights.Add(a1, w1, y);
                    if (TRows.Count > 1)
                    {
                        y = Broadcast(x + stride);
                        b0 = TWeights.Add(b0, w0, y);
                        b1 = TWeights.Add(b1, w1, y);
                    }
                    if (TRows.Count > 2)
                    {
                        y = Broadcast(x + 2 * stride);
                        c0 = TWeights.Add(c0, w0, y);
                        c1 = TWeights.Add(c1, w1, y);
                    }
                    if (TRows.Count > 3)
                    {
                        y = Broadcast(x + 3 * stride);
                        d0 = TWeights.Add(d0, w0, y);
                        d1 = TWeights.Add(d1, w1, y);
                    }
                }
                Vector512<float> delta = Float16.LoadHalf((ushort*)w + half * HalfOutputs);
                byte* da = a + ActivationRows.DeltaOffset;
                float* target = sums + half * HalfOutputs;
                AddScaled(target, a0, a1, delta, da);
                if (TRows.Count > 1)
                    AddScaled(target + Width, b0, b1, delta, da + stride);
                if (TRows.Count > 2)
                    AddScaled(target + 2 * Width, c0, c1, delta, da + 2 * stride);
                if (TRows.Count > 3)
                    AddScaled(target + 3 * Width, d0, d1, delta, da + 3 * stride);
            }
        }
        Store<TRows>(args, firstRow, sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddScaled(float* sums, Vector256<int> low, Vector256<int> high, Vector512<float> delta, byte* activationDelta)
    {
        Vector256<float> d = Vector256.Create(*(float*)activationDelta);
        Fma.MultiplyAdd(Vector256.ConvertToSingle(low), delta.GetLower() * d, Vector256.Load(sums)).Store(sums);
        Fma.MultiplyAdd(Vector256.ConvertToSingle(high), delta.GetUpper() * d, Vector256.Load(sums + 8)).Store(sums + 8);
    }

    private static void Store<TRows>(PanelArgs* args, nint firstRow, float* sums) where TRows : IRowCount
    {
        for (int row = 0; row < TRows.Count; row++)
            for (int o = 0; o < Width; o += 8)
                Vector256.Load(sums + row * Width + o).Store((float*)((byte*)args->Output + (firstRow + row) * args->OutputStride) + o);
    }
}
