using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Weights of four to six bits in 256-bit vectors: a panel's 32 outputs are two halves of two vectors, and up to four rows share each weight that is unpacked.
/// Sums of a block are integers; the float sums of rows and outputs stay in the cache nearest to the core.</summary>
internal static unsafe partial class PanelProduct
{
    private const int HalfOutputs = Width / 2;
    private const int RowsTogether = 4;

    /// <summary>Equals <see cref="QuantOutput{TFormat}"/>.</summary>
    public static void Quants_AvxVnni<TFormat>(PanelArgs* args) where TFormat : IQuantFormat => Quants<TFormat, VnniDot>(args);

    /// <summary>Equals <see cref="QuantOutput{TFormat}"/>.</summary>
    public static void Quants_Avx2<TFormat>(PanelArgs* args) where TFormat : IQuantFormat => Quants<TFormat, MaddDot>(args);

    private static void Quants<TFormat, TDot>(PanelArgs* args) where TFormat : IQuantFormat where TDot : IByteDot
    {
        nint row = 0;
        for (; args->Rows - row >= 4; row += 4)
            Quants<TFormat, TDot, FourRows>(args, row);
        if (args->Rows - row == 3)
            Quants<TFormat, TDot, ThreeRows>(args, row);
        else if (args->Rows - row == 2)
            Quants<TFormat, TDot, TwoRows>(args, row);
        else if (args->Rows - row == 1)
            Quants<TFormat, TDot, OneRow>(args, row);
    }

    private static void Quants<TFormat, TDot, TRows>(PanelArgs* args, nint firstRow) where TFormat : IQuantFormat where TDot : IByteDot where TRows : IRowCount
    {
        byte* a = args->Activations + firstRow * args->ActivationStride;
        nint stride = args->ActivationStride;
        byte* w = args->Weights;
        byte* end = w + args->Blocks * Quants<TFormat>.PackedBytes;
        float* sums = stackalloc float[RowsTogether * Width];
        int* integers = stackalloc int[RowsTogether * HalfOutputs];
        for (; w < end; w += Quants<TFormat>.PackedBytes, a += TFormat.Inputs == 32 ? ActivationRows.BlockBytes : ActivationRows.SuperBlockBytes)
        {
            for (int half = 0; half < 2; half++)
            {
                for (int part = 0; part < TFormat.Inputs / 32; part++)
                    Part<TFormat, TDot, TRows>(w, half, part, a, stride, integers);
                if (TFormat.Inputs == 32)
                    FinishBlock<TFormat, TRows>(w, half, a, stride, integers, sums);
                else
                    FinishSuperBlock<TFormat, TDot, TRows>(w, half, a, stride, integers, sums);
            }
        }
        Store<TRows>(args, firstRow, sums);
    }

    /// <summary>The integer sums of 32 inputs and 16 outputs; part 0 sets them, later ones add.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Part<TFormat, TDot, TRows>(byte* block, int half, int part, byte* a, nint stride, int* integers)
        where TFormat : IQuantFormat where TDot : IByteDot where TRows : IRowCount
    {
        // Sums of 16 bits hold eight groups of weights of 4 bits, four of others.
        int sectionPairs = TFormat.Bits == 4 ? 4 : 2;
        byte* high = block + Quants<TFormat>.QuantsOffset + part * TFormat.Bits * 128 + half * 64;
        byte* low = high + (TFormat.Bits - 4) * 128;
        byte* corrections = a + ActivationRows.SuperCorrectionsOffset + part * 8;
        a += part * 32;
        for (int first = 0; first < 4; first += sectionPairs)
        {
            byte* correction = corrections + first * 2;
            Vector256<short> a0 = Begin<TFormat, TDot>(correction), a1 = a0;
            Vector256<short> b0 = TRows.Count > 1 ? Begin<TFormat, TDot>(correction + stride) : default, b1 = b0;
            Vector256<short> c0 = TRows.Count > 2 ? Begin<TFormat, TDot>(correction + 2 * stride) : default, c1 = c0;
            Vector256<short> d0 = TRows.Count > 3 ? Begin<TFormat, TDot>(correction + 3 * stride) : default, d1 = d0;
            Vector256<byte> h0 = default, h1 = default;
            if (TFormat.Bits > 4)
            {
                h0 = High<TFormat>(high, first);
                h1 = High<TFormat>(high + 32, first);
            }
            for (int pair = first; pair < first + sectionPairs; pair++)
            {
                Vector256<byte> both0 = Vector256.Load(low + pair * 128), both1 = Vector256.Load(low + pair * 128 + 32);
                byte* x = a + pair * 8;
                Vector256<byte> w0 = First<TFormat>(both0, h0), w1 = First<TFormat>(both1, h1);
                Vector256<sbyte> y = Broadcast(x);
                a0 = TDot.Add(a0, w0, y);
                a1 = TDot.Add(a1, w1, y);
                if (TRows.Count > 1)
                {
                    y = Broadcast(x + stride);
                    b0 = TDot.Add(b0, w0, y);
                    b1 = TDot.Add(b1, w1, y);
                }
                if (TRows.Count > 2)
                {
                    y = Broadcast(x + 2 * stride);
                    c0 = TDot.Add(c0, w0, y);
                    c1 = TDot.Add(c1, w1, y);
                }
                if (TRows.Count > 3)
                {
                    y = Broadcast(x + 3 * stride);
                    d0 = TDot.Add(d0, w0, y);
                    d1 = TDot.Add(d1, w1, y);
                }
                w0 = Second<TFormat>(both0, h0);
                w1 = Second<TFormat>(both1, h1);
                y = Broadcast(x + 4);
                a0 = TDot.Add(a0, w0, y);
                a1 = TDot.Add(a1, w1, y);
                if (TRows.Count > 1)
                {
                    y = Broadcast(x + stride + 4);
                    b0 = TDot.Add(b0, w0, y);
                    b1 = TDot.Add(b1, w1, y);
                }
                if (TRows.Count > 2)
                {
                    y = Broadcast(x + 2 * stride + 4);
                    c0 = TDot.Add(c0, w0, y);
                    c1 = TDot.Add(c1, w1, y);
                }
                if (TRows.Count > 3)
                {
                    y = Broadcast(x + 3 * stride + 4);
                    d0 = TDot.Add(d0, w0, y);
                    d1 = TDot.Add(d1, w1, y);
                }
                if (TFormat.Bits == 5)
                    (h0, h1) = ((h0.AsUInt16() >> 2).AsByte(), (h1.AsUInt16() >> 2).AsByte());
                else if (TFormat.Bits == 6)
                    (h0, h1) = ((h0.AsUInt16() << 4).AsByte(), (h1.AsUInt16() << 4).AsByte());
            }
            Vector256<short> s0 = default, s1 = default;
            if (Quants<TFormat>.HasSubBlocks)
            {
                int sub = (part * 32 + first * 8) / TFormat.SubInputs;
                sbyte* scales = (sbyte*)block + Quants<TFormat>.ScalesOffset + sub / 2 * 64 + half * 32;
                s0 = TDot.Scales(Avx2.ConvertToVector256Int16(scales), sub % 2);
                s1 = TDot.Scales(Avx2.ConvertToVector256Int16(scales + 16), sub % 2);
            }
            bool set = part == 0 && first == 0;
            Flush<TFormat, TDot>(integers, set, a0, a1, s0, s1);
            if (TRows.Count > 1)
                Flush<TFormat, TDot>(integers + HalfOutputs, set, b0, b1, s0, s1);
            if (TRows.Count > 2)
                Flush<TFormat, TDot>(integers + 2 * HalfOutputs, set, c0, c1, s0, s1);
            if (TRows.Count > 3)
                Flush<TFormat, TDot>(integers + 3 * HalfOutputs, set, d0, d1, s0, s1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Broadcast(byte* fourActivations) => Vector256.Create(*(int*)fourActivations).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Begin<TFormat, TDot>(byte* correction) where TFormat : IQuantFormat where TDot : IByteDot =>
        TFormat.Bits == 6 && TDot.BeginsAtCorrections ? Vector256.Create(*(int*)correction).AsInt16() : default;

    /// <summary>The bits above the fourth of two pairs of groups, those of the first group at bit 4.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> High<TFormat>(byte* high, int firstPair) where TFormat : IQuantFormat
    {
        if (TFormat.Bits == 6)
            return Vector256.Load(high + firstPair * 64);
        return firstPair == 0 ? Vector256.Load(high) : (Vector256.Load(high).AsUInt16() << 4).AsByte();
    }

    /// <summary>The first group of a pair.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> First<TFormat>(Vector256<byte> nibbles, Vector256<byte> high) where TFormat : IQuantFormat =>
        WithHigh<TFormat>(nibbles & Vector256.Create((byte)0x0f), high);

    /// <summary>The second group of a pair.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Second<TFormat>(Vector256<byte> nibbles, Vector256<byte> high) where TFormat : IQuantFormat =>
        WithHigh<TFormat>((nibbles.AsUInt16() >> 4).AsByte() & Vector256.Create((byte)0x0f), (high.AsUInt16() >> (TFormat.Bits == 6 ? 2 : 1)).AsByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> WithHigh<TFormat>(Vector256<byte> weights, Vector256<byte> high) where TFormat : IQuantFormat => TFormat.Bits switch
    {
        5 => weights | high & Vector256.Create((byte)0x10),
        6 => weights | high & Vector256.Create((byte)0x30),
        _ => weights,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Flush<TFormat, TDot>(int* integers, bool set, Vector256<short> low, Vector256<short> high, Vector256<short> scaleLow, Vector256<short> scaleHigh)
        where TFormat : IQuantFormat where TDot : IByteDot
    {
        Vector256<int> sumLow = TFormat.SubInputs < TFormat.Inputs ? TDot.Widen(low, scaleLow) : TDot.Widen(low);
        Vector256<int> sumHigh = TFormat.SubInputs < TFormat.Inputs ? TDot.Widen(high, scaleHigh) : TDot.Widen(high);
        if (!set)
        {
            sumLow += Vector256.Load(integers);
            sumHigh += Vector256.Load(integers + 8);
        }
        sumLow.Store(integers);
        sumHigh.Store(integers + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FinishBlock<TFormat, TRows>(byte* block, int half, byte* a, nint stride, int* integers, float* sums) where TFormat : IQuantFormat where TRows : IRowCount
    {
        Vector512<float> delta = Float16.LoadHalf((ushort*)(block + QuantLayout.DeltaOffset) + half * HalfOutputs);
        Vector512<float> min = TFormat.HasMin ? Float16.LoadHalf((ushort*)(block + QuantLayout.MinOffset) + half * HalfOutputs) : default;
        sums += half * HalfOutputs;
        for (int row = 0; row < TRows.Count; row++, a += stride, integers += HalfOutputs, sums += Width)
        {
            Vector256<float> d = Vector256.Create(*(float*)(a + ActivationRows.DeltaOffset));
            // -128 times the activations' sum becomes -Zero times it.
            Vector256<int> correction = TFormat.Zero == 0 ? default : Vector256.Create(*(int*)(a + ActivationRows.CorrectionOffset) / (128 / Math.Max(1, TFormat.Zero)));
            Vector256<float> low = Fma.MultiplyAdd(Vector256.ConvertToSingle(Vector256.Load(integers) + correction), delta.GetLower() * d, Vector256.Load(sums));
            Vector256<float> high = Fma.MultiplyAdd(Vector256.ConvertToSingle(Vector256.Load(integers + 8) + correction), delta.GetUpper() * d, Vector256.Load(sums + 8));
            if (TFormat.HasMin)
            {
                Vector256<float> s = Vector256.Create(*(float*)(a + ActivationRows.SumOffset));
                low = Fma.MultiplyAdd(min.GetLower(), s, low);
                high = Fma.MultiplyAdd(min.GetUpper(), s, high);
            }
            low.Store(sums);
            high.Store(sums + 8);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FinishSuperBlock<TFormat, TDot, TRows>(byte* block, int half, byte* a, nint stride, int* integers, float* sums)
        where TFormat : IQuantFormat where TDot : IByteDot where TRows : IRowCount
    {
        Vector512<float> delta = Float16.LoadHalf((ushort*)(block + QuantLayout.DeltaOffset) + half * HalfOutputs);
        Vector512<float> min = TFormat.HasMin ? Float16.LoadHalf((ushort*)(block + QuantLayout.MinOffset) + half * HalfOutputs) : default;
        // What meets the activations' sums: minima of 32 inputs, or the scales of 16 for weights that are stored with a zero other than 0.
        sbyte* values = (sbyte*)block + (TFormat.HasMin ? Quants<TFormat>.MinsOffset : Quants<TFormat>.ScalesOffset) + half * 32;
        int sumsOffset = TFormat.HasMin ? ActivationRows.SuperSums32Offset : ActivationRows.SuperSums16Offset;
        sums += half * HalfOutputs;
        for (int row = 0; row < TRows.Count; row++, a += stride, integers += HalfOutputs, sums += Width)
        {
            Vector256<int> low = Vector256<int>.Zero, high = low;
            for (int pair = 0; pair < (TFormat.HasMin || !TDot.BeginsAtCorrections ? Quants<TFormat>.SubBlocks / 2 : 0); pair++)
            {
                Vector256<short> two = Vector256.Create(*(int*)(a + sumsOffset + 4 * pair)).AsInt16();
                low += Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(values + 64 * pair), two);
                high += Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(values + 64 * pair + 16), two);
            }
            Vector256<int> productsLow = Vector256.Load(integers), productsHigh = Vector256.Load(integers + 8);
            Vector256<float> d = Vector256.Create(*(float*)(a + ActivationRows.SuperDeltaOffset));
            if (!TFormat.HasMin && !TDot.BeginsAtCorrections)
            {
                productsLow -= low * TFormat.Zero;
                productsHigh -= high * TFormat.Zero;
            }
            Vector256<float> sumLow = Fma.MultiplyAdd(Vector256.ConvertToSingle(productsLow), delta.GetLower() * d, Vector256.Load(sums));
            Vector256<float> sumHigh = Fma.MultiplyAdd(Vector256.ConvertToSingle(productsHigh), delta.GetUpper() * d, Vector256.Load(sums + 8));
            if (TFormat.HasMin)
            {
                sumLow = Fma.MultiplyAddNegated(Vector256.ConvertToSingle(low), min.GetLower() * d, sumLow);
                sumHigh = Fma.MultiplyAddNegated(Vector256.ConvertToSingle(high), min.GetUpper() * d, sumHigh);
            }
            sumLow.Store(sums);
            sumHigh.Store(sums + 8);
        }
    }
}
