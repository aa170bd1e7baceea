using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Whole panels, eight rows at a time: a lane of a vector is a row of the file, as it will be an output of the panel. Gives the bytes of its scalar twin, <see cref="Packing.Panel_Scalar"/>.
/// Loading a model is bound by this code while it is used for the first time, so it is compiled with all effort at once.</summary>
internal static unsafe class PanelPacking
{
    private const int Width = PackedMatrix.PanelOutputs;
    private const int Lanes = 8;
    private const uint Nibbles = 0x0f0f0f0f;
    private const uint Ones = 0x01010101;

    // 32 rows are read side by side, more streams than a processor foresees: about a block's time ahead of what is read.
    private const int AheadBytes = 320;
    private const int LineBytes = 64;

    /// <summary>False when there is no such code for this processor, format or shape.</summary>
    /// <param name="source">32 rows.</param>
    /// <param name="target">The panel.</param>
    public static bool TryPanel(WeightFormat format, byte* source, int inputs, byte* target)
    {
        if (!Avx2.IsSupported || inputs % 8 != 0)
            return false;
        switch (format)
        {
            case WeightFormat.F32:
                PackWords<Singles>(source, inputs, target);
                break;
            case WeightFormat.F16:
                PackHalves(source, inputs, target);
                break;
            case WeightFormat.BF16:
                // A pair of inputs is a number of 32 bits.
                PackWords<BFloats>(source, inputs / 2, target);
                break;
            case WeightFormat.Q8_0:
                PackQ8_0(source, inputs / 32, target);
                break;
            case WeightFormat.Q4_0:
                PackQuants<Q4_0>(source, inputs, WeightFormats.BlockBytes(format), target);
                break;
            case WeightFormat.Q4_1:
                PackQuants<Q4_1>(source, inputs, WeightFormats.BlockBytes(format), target);
                break;
            case WeightFormat.Q5_0:
                PackQuants<Q5_0>(source, inputs, WeightFormats.BlockBytes(format), target);
                break;
            case WeightFormat.Q5_1:
                PackQuants<Q5_1>(source, inputs, WeightFormats.BlockBytes(format), target);
                break;
            case WeightFormat.Q4_K:
                PackQuants<Q4_K>(source, inputs, WeightFormats.BlockBytes(format), target);
                break;
            case WeightFormat.Q5_K:
                PackQuants<Q5_K>(source, inputs, WeightFormats.BlockBytes(format), target);
                break;
            case WeightFormat.Q6_K:
                PackQuants<Q6_K>(source, inputs, WeightFormats.BlockBytes(format), target);
                break;
            default:
                return false;
        }
        return true;
    }

    /// <param name="words">Numbers of 32 bits in a row, a multiple of four.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackWords<TWords>(byte* source, int words, byte* target) where TWords : struct, IStoredWords
    {
        const int line = Width * sizeof(uint);
        nint rowBytes = (nint)words * sizeof(uint);
        for (int first = 0; first < words; first += LineBytes / sizeof(uint))
        {
            AheadOfRows(source + first * sizeof(uint), rowBytes);
            int end = Math.Min(words, first + LineBytes / sizeof(uint));
            for (int row = 0; row < Width; row += Lanes)
                for (int word = first; word < end; word += 4)
                    TWords.Packed(Words.Load(source + row * rowBytes + word * sizeof(uint), rowBytes)).Store(target + (long)word * line + row * sizeof(uint), line);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackHalves(byte* source, int inputs, byte* target)
    {
        const int line = Width * sizeof(ushort);
        nint rowBytes = (nint)inputs * sizeof(ushort);
        for (int first = 0; first < inputs; first += LineBytes / sizeof(ushort))
        {
            AheadOfRows(source + first * sizeof(ushort), rowBytes);
            int end = Math.Min(inputs, first + LineBytes / sizeof(ushort));
            for (int row = 0; row < Width; row += Lanes)
            {
                for (int input = first; input < end; input += 8)
                {
                    var words = Words.Load(source + row * rowBytes + input * sizeof(ushort), rowBytes);
                    byte* to = target + (long)input * line + row * sizeof(ushort);
                    StoreHalves(words.A, to, to + line);
                    StoreHalves(words.B, to + 2 * line, to + 3 * line);
                    StoreHalves(words.C, to + 4 * line, to + 5 * line);
                    StoreHalves(words.D, to + 6 * line, to + 7 * line);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackQ8_0(byte* source, int blocks, byte* target)
    {
        const int blockBytes = 34, packedBytes = 64 + 32 * Width, line = Width * sizeof(uint);
        nint rowBytes = (nint)blocks * blockBytes;
        Vector256<uint> signs = Vector256.Create(Packing.SignBits);
        for (int block = 0; block < blocks; block++, source += blockBytes, target += packedBytes)
        {
            Ahead(source, rowBytes, blockBytes);
            CopyHalves(source, rowBytes, target);
            for (int row = 0; row < Width; row += Lanes)
            {
                byte* from = source + row * rowBytes + 2, to = target + 64 + row * sizeof(uint);
                (Words.Load(from, rowBytes) ^ signs).Store(to, line);
                (Words.Load(from + 16, rowBytes) ^ signs).Store(to + 4 * line, line);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackQuants<TFormat>(byte* source, int inputs, int blockBytes, byte* target) where TFormat : struct, IQuantFormat
    {
        int blocks = inputs / TFormat.Inputs;
        nint rowBytes = (nint)blocks * blockBytes;
        var groups = stackalloc Vector256<uint>[8];
        for (int block = 0; block < blocks; block++, source += blockBytes, target += Quants<TFormat>.PackedBytes)
        {
            Ahead(source, rowBytes, blockBytes);
            for (int row = 0; row < Width; row += Lanes)
            {
                byte* from = source + row * rowBytes;
                PackHead<TFormat>(from, rowBytes, row, target);
                for (int part = 0; part < TFormat.Inputs / 32; part++)
                {
                    Read<TFormat>(from, rowBytes, part, groups);
                    Place<TFormat>(groups, target + Quants<TFormat>.QuantsOffset + part * TFormat.Bits * 128 + row * sizeof(uint));
                }
            }
        }
    }

    /// <summary>Scales, minima and those of sub-blocks, of eight rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PackHead<TFormat>(byte* from, nint rowBytes, int row, byte* target) where TFormat : struct, IQuantFormat
    {
        byte* deltas = target + QuantLayout.DeltaOffset + row * sizeof(ushort);
        byte* scales = target + Quants<TFormat>.ScalesOffset + row * sizeof(ushort), minima = target + Quants<TFormat>.MinsOffset + row * sizeof(ushort);
        const int pair = Width * sizeof(ushort);
        if (typeof(TFormat) == typeof(Q4_K) || typeof(TFormat) == typeof(Q5_K))
        {
            // d and dmin, then three words: see Dequantize.SubScale, of which this is four bytes at once.
            var head = Words.Load(from, rowBytes);
            Vector256<uint> six = Vector256.Create(63 * Ones), four = Vector256.Create(Nibbles), two = Vector256.Create(3 * Ones);
            StoreHalves(head.A, deltas, target + QuantLayout.MinOffset + row * sizeof(ushort));
            StorePairs(head.B & six, head.D & four | (head.B >>> 6 & two) << 4, scales);
            StorePairs(head.C & six, head.D >>> 4 & four | (head.C >>> 6 & two) << 4, minima);
        }
        else if (typeof(TFormat) == typeof(Q6_K))
        {
            CopyHalves(from + 208, rowBytes, deltas, Lanes);
            var head = Words.Load(from + 192, rowBytes);
            StorePairs(head.A, head.B, scales);
            StorePairs(head.C, head.D, scales + 4 * pair);
        }
        else
        {
            CopyHalves(from, rowBytes, deltas, Lanes);
            if (TFormat.HasMin)
                CopyHalves(from + 2, rowBytes, target + QuantLayout.MinOffset + row * sizeof(ushort), Lanes);
        }
    }

    /// <summary>Stored values of 32 inputs of eight rows, as eight groups of four bytes a row: what <see cref="QuantPacking"/> does for one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Read<TFormat>(byte* block, nint rowBytes, int part, Vector256<uint>* groups) where TFormat : struct, IQuantFormat
    {
        Vector256<uint> nibbles = Vector256.Create(Nibbles), ones = Vector256.Create(Ones);
        if (TFormat.Inputs == 32)
        {
            int bits = 2 + (TFormat.HasMin ? 2 : 0);
            var both = Words.Load(block + bits + (TFormat.Bits == 5 ? 4 : 0), rowBytes);
            (both & nibbles).Store(groups);
            (both >>> 4 & nibbles).Store(groups + 4);
            if (TFormat.Bits != 5)
                return;
            // The product copies a group's four bits to where each is the lowest of a byte.
            Vector256<uint> fifth = Column(block + bits, rowBytes);
            for (int g = 0; g < 8; g++)
                groups[g] |= ((fifth >>> 4 * g & Vector256.Create(15u)) * Vector256.Create(0x00204081u) & ones) << 4;
            return;
        }
        if (TFormat.Bits < 6)
        {
            byte* quants = block + (TFormat.Bits == 5 ? 48 : 16) + part / 2 * 32;
            int shift = part % 2 * 4;
            for (int half = 0; half < 2; half++)
            {
                Words words = Words.Load(quants + 16 * half, rowBytes) >>> shift & nibbles;
                if (TFormat.Bits == 5)
                    words |= (Words.Load(block + 16 + 16 * half, rowBytes) >>> part & ones) << 4;
                words.Store(groups + 4 * half);
            }
            return;
        }
        for (int half = 0; half < 2; half++)
        {
            // Of each 128 weights, parts 0 and 1 are in the low nibbles of 32 bytes each, parts 2 and 3 in the high ones.
            Words low = Words.Load(block + part / 4 * 64 + part % 2 * 32 + 16 * half, rowBytes) >>> part % 4 / 2 * 4 & nibbles;
            Words high = Words.Load(block + 128 + part / 4 * 32 + 16 * half, rowBytes) >>> part % 4 * 2 & Vector256.Create(3 * Ones);
            (low | high << 4).Store(groups + 4 * half);
        }
    }

    /// <summary>Eight rows' values to where <see cref="QuantLayout"/> wants them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Place<TFormat>(Vector256<uint>* groups, byte* quants) where TFormat : struct, IQuantFormat
    {
        const int line = Width * sizeof(uint);
        Vector256<uint> nibbles = Vector256.Create(Nibbles);
        byte* low = quants + (TFormat.Bits - 4) * line;
        for (int p = 0; p < 4; p++)
            (groups[2 * p] & nibbles | (groups[2 * p + 1] & nibbles) << 4).Store((uint*)(low + p * line));
        if (TFormat.Bits == 5)
        {
            Vector256<uint> fifth = Vector256<uint>.Zero;
            for (int g = 0; g < 8; g++)
                fifth |= (groups[g] >>> 4 & Vector256.Create(Ones)) << (g + 4) % 8;
            fifth.Store((uint*)quants);
        }
        else if (TFormat.Bits == 6)
        {
            for (int half = 0; half < 2; half++)
            {
                Vector256<uint> two = Vector256<uint>.Zero;
                for (int g = 0; g < 4; g++)
                    two |= (groups[4 * half + g] >>> 4 & Vector256.Create(3 * Ones)) << (g * 2 + 4) % 8;
                two.Store((uint*)(quants + half * line));
            }
        }
    }

    /// <summary>Asks for what all 32 rows will be read from a little later.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ahead(byte* source, nint rowBytes, int bytes)
    {
        for (int row = 0; row < Width; row++, source += rowBytes)
            for (int at = 0; at < bytes; at += 64)
                Sse.Prefetch0(source + AheadBytes + at);
    }

    /// <summary>As <see cref="Ahead"/>, where rows are mostly a power of two apart: what 32 of them ask for would drive each other out of the nearest cache, and what is in a line is read at once for the same reason.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AheadOfRows(byte* source, nint rowBytes)
    {
        for (int row = 0; row < Width; row++, source += rowBytes)
            Sse.Prefetch1(source + AheadBytes);
    }

    /// <summary>One half of each row, side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyHalves(byte* source, nint rowBytes, byte* target, int rows = Width)
    {
        for (int row = 0; row < rows; row++)
            ((ushort*)target)[row] = Unsafe.ReadUnaligned<ushort>(source + row * rowBytes);
    }

    /// <summary>The low and the high halves of eight numbers, each side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreHalves(Vector256<uint> words, byte* low, byte* high)
    {
        Vector256<ushort> halves = Avx2.PackUnsignedSaturate((words & Vector256.Create(0xffffu)).AsInt32(), (words >>> 16).AsInt32());
        // Packed within 128 bits: low 0-3, high 0-3, low 4-7, high 4-7.
        Vector256<ulong> sorted = Avx2.Permute4x64(halves.AsUInt64(), 0b11_01_10_00);
        sorted.GetLower().Store((ulong*)low);
        sorted.GetUpper().Store((ulong*)high);
    }

    /// <summary>Eight bytes of each row (the scales of eight sub-blocks), as four pairs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StorePairs(Vector256<uint> first, Vector256<uint> second, byte* target)
    {
        const int pair = Width * sizeof(ushort);
        StoreHalves(first, target, target + pair);
        StoreHalves(second, target + 2 * pair, target + 3 * pair);
    }

    /// <summary>One number of 32 bits of each of eight rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Column(byte* source, nint rowBytes) => Vector256.Create(
        At(source), At(source + rowBytes), At(source + 2 * rowBytes), At(source + 3 * rowBytes),
        At(source + 4 * rowBytes), At(source + 5 * rowBytes), At(source + 6 * rowBytes), At(source + 7 * rowBytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint At(byte* source) => Unsafe.ReadUnaligned<uint>(source);

    /// <summary>What becomes of words on their way from rows to panels.</summary>
    private interface IStoredWords
    {
        static abstract Words Packed(Words stored);
    }

    private readonly struct Singles : IStoredWords
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words Packed(Words stored) => stored;
    }

    private readonly struct BFloats : IStoredWords
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words Packed(Words stored) => new(BFloat.WithoutTiny(stored.A), BFloat.WithoutTiny(stored.B), BFloat.WithoutTiny(stored.C), BFloat.WithoutTiny(stored.D));
    }

    /// <summary>Four numbers of 32 bits that follow one another in each of eight rows; a lane is a row.</summary>
    private readonly struct Words(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c, Vector256<uint> d)
    {
        public readonly Vector256<uint> A = a, B = b, C = c, D = d;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words Load(byte* source, nint rowBytes)
        {
            // Rows r and r + 4 in the halves of one vector: what follows works within halves.
            Vector256<uint> r0 = Two(source, rowBytes), r1 = Two(source + rowBytes, rowBytes), r2 = Two(source + 2 * rowBytes, rowBytes), r3 = Two(source + 3 * rowBytes, rowBytes);
            Vector256<ulong> low01 = Avx2.UnpackLow(r0, r1).AsUInt64(), high01 = Avx2.UnpackHigh(r0, r1).AsUInt64();
            Vector256<ulong> low23 = Avx2.UnpackLow(r2, r3).AsUInt64(), high23 = Avx2.UnpackHigh(r2, r3).AsUInt64();
            return new Words(Avx2.UnpackLow(low01, low23).AsUInt32(), Avx2.UnpackHigh(low01, low23).AsUInt32(), Avx2.UnpackLow(high01, high23).AsUInt32(), Avx2.UnpackHigh(high01, high23).AsUInt32());
        }

        /// <summary>The four numbers, each <paramref name="stride"/> bytes after the one before.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Store(byte* target, int stride)
        {
            A.Store((uint*)target);
            B.Store((uint*)(target + stride));
            C.Store((uint*)(target + 2 * stride));
            D.Store((uint*)(target + 3 * stride));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Store(Vector256<uint>* target) => Store((byte*)target, Vector256<byte>.Count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words operator &(Words words, Vector256<uint> mask) => new(words.A & mask, words.B & mask, words.C & mask, words.D & mask);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words operator ^(Words words, Vector256<uint> mask) => new(words.A ^ mask, words.B ^ mask, words.C ^ mask, words.D ^ mask);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words operator |(Words words, Words other) => new(words.A | other.A, words.B | other.B, words.C | other.C, words.D | other.D);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words operator >>>(Words words, int count) => new(words.A >>> count, words.B >>> count, words.C >>> count, words.D >>> count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words operator <<(Words words, int count) => new(words.A << count, words.B << count, words.C << count, words.D << count);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector256<uint> Two(byte* row, nint rowBytes) => Vector256.Create(Vector128.Load((uint*)row), Vector128.Load((uint*)(row + 4 * rowBytes)));
    }
}
