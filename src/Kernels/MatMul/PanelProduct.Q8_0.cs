using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Q8_0 weights in 256-bit vectors. A lane of 32 bits is an output; four vectors hold a panel's 32 outputs.</summary>
internal static unsafe partial class PanelProduct
{
    /// <summary>Equals <see cref="Q8_0Output"/>.</summary>
    public static void Q8_0_AvxVnni(PanelArgs* args) => Q8_0_Vector256<VnniDot>(args);

    /// <summary>Equals <see cref="Q8_0Output"/>.</summary>
    public static void Q8_0_Avx2(PanelArgs* args) => Q8_0_Vector256<MaddDot>(args);

    private interface IByteDot
    {
        /// <summary>Adds to each lane the products of its four unsigned bytes with the four signed bytes of <paramref name="activations"/>.</summary>
        static abstract Vector256<int> Add(Vector256<int> sum, Vector256<byte> weights, int activations);
    }

    private readonly struct VnniDot : IByteDot
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add(Vector256<int> sum, Vector256<byte> weights, int activations) =>
            AvxVnni.MultiplyWideningAndAdd(sum, weights, Vector256.Create(activations).AsSByte());
    }

    /// <summary>Bytes widened to 16 bits before they are multiplied: <c>vpmaddubsw</c> would saturate at 2 * 255 * 127.</summary>
    private readonly struct MaddDot : IByteDot
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<int> Add(Vector256<int> sum, Vector256<byte> weights, int activations)
        {
            Vector256<short> even = (weights.AsUInt16() & Vector256.Create((ushort)0xff)).AsInt16();
            Vector256<short> odd = (weights.AsUInt16() >> 8).AsInt16();
            Vector256<short> a = Vector256.Create(activations).AsInt16();
            sum += Avx2.MultiplyAddAdjacent(even, (a << 8) >> 8);
            return sum + Avx2.MultiplyAddAdjacent(odd, a >> 8);
        }
    }

    private static void Q8_0_Vector256<TDot>(PanelArgs* args) where TDot : IByteDot
    {
        nint row = 0;
        for (; row + 2 <= args->Rows; row += 2)
            Q8_0_TwoRows<TDot>(args, row);
        if (row < args->Rows)
            Q8_0_OneRow<TDot>(args, row);
    }

    private static void Q8_0_OneRow<TDot>(PanelArgs* args, nint row) where TDot : IByteDot
    {
        byte* a = args->Activations + row * args->ActivationStride;
        byte* w = args->Weights;
        Vector256<float> f0 = Vector256<float>.Zero, f1 = f0, f2 = f0, f3 = f0;
        for (nint block = 0; block < args->Blocks; block++, w += 1088, a += ActivationRows.BlockBytes)
        {
            Vector256<int> i0 = Vector256.Create(*(int*)(a + 36)), i1 = i0, i2 = i0, i3 = i0;
            for (int g = 0; g < 8; g++)
            {
                int x = ((int*)a)[g];
                byte* group = w + 64 + g * 128;
                i0 = TDot.Add(i0, Vector256.Load(group), x);
                i1 = TDot.Add(i1, Vector256.Load(group + 32), x);
                i2 = TDot.Add(i2, Vector256.Load(group + 64), x);
                i3 = TDot.Add(i3, Vector256.Load(group + 96), x);
            }
            Vector512<float> scale = Vector512.Create(*(float*)(a + 32));
            Vector512<float> low = Float16.LoadHalf((ushort*)w) * scale;
            Vector512<float> high = Float16.LoadHalf((ushort*)w + 16) * scale;
            f0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i0), low.GetLower(), f0);
            f1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i1), low.GetUpper(), f1);
            f2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i2), high.GetLower(), f2);
            f3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i3), high.GetUpper(), f3);
        }
        Store(args, row, f0, f1, f2, f3);
    }

    private static void Q8_0_TwoRows<TDot>(PanelArgs* args, nint row) where TDot : IByteDot
    {
        byte* a = args->Activations + row * args->ActivationStride;
        nint next = args->ActivationStride;
        byte* w = args->Weights;
        Vector256<float> f0 = Vector256<float>.Zero, f1 = f0, f2 = f0, f3 = f0, e0 = f0, e1 = f0, e2 = f0, e3 = f0;
        for (nint block = 0; block < args->Blocks; block++, w += 1088, a += ActivationRows.BlockBytes)
        {
            Vector256<int> i0 = Vector256.Create(*(int*)(a + 36)), i1 = i0, i2 = i0, i3 = i0;
            Vector256<int> j0 = Vector256.Create(*(int*)(a + next + 36)), j1 = j0, j2 = j0, j3 = j0;
            for (int g = 0; g < 8; g++)
            {
                int x = ((int*)a)[g];
                int y = ((int*)(a + next))[g];
                byte* group = w + 64 + g * 128;
                Vector256<byte> weights = Vector256.Load(group);
                i0 = TDot.Add(i0, weights, x);
                j0 = TDot.Add(j0, weights, y);
                weights = Vector256.Load(group + 32);
                i1 = TDot.Add(i1, weights, x);
                j1 = TDot.Add(j1, weights, y);
                weights = Vector256.Load(group + 64);
                i2 = TDot.Add(i2, weights, x);
                j2 = TDot.Add(j2, weights, y);
                weights = Vector256.Load(group + 96);
                i3 = TDot.Add(i3, weights, x);
                j3 = TDot.Add(j3, weights, y);
            }
            Vector512<float> low = Float16.LoadHalf((ushort*)w);
            Vector512<float> high = Float16.LoadHalf((ushort*)w + 16);
            Vector512<float> scale = Vector512.Create(*(float*)(a + 32));
            f0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i0), (low * scale).GetLower(), f0);
            f1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i1), (low * scale).GetUpper(), f1);
            f2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i2), (high * scale).GetLower(), f2);
            f3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(i3), (high * scale).GetUpper(), f3);
            scale = Vector512.Create(*(float*)(a + next + 32));
            e0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j0), (low * scale).GetLower(), e0);
            e1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j1), (low * scale).GetUpper(), e1);
            e2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j2), (high * scale).GetLower(), e2);
            e3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(j3), (high * scale).GetUpper(), e3);
        }
        Store(args, row, f0, f1, f2, f3);
        Store(args, row + 1, e0, e1, e2, e3);
    }

    private static void Store(PanelArgs* args, nint row, Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
    {
        var output = (float*)((byte*)args->Output + row * args->OutputStride);
        a.Store(output);
        b.Store(output + 8);
        c.Store(output + 16);
        d.Store(output + 24);
    }
}
