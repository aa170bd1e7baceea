using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>How numbers of keys and values are kept.</summary>
public enum KvFormat
{
    /// <summary>Halves.</summary>
    F16,

    /// <summary>Signed bytes; the dimensions of a token and head share a half as their scale, 32 by 32: about half the memory.</summary>
    Q8,
}

/// <summary>How one layer's keys and values lie in a block of the cache.
/// Keys, per head: groups of 16 tokens, [group][dimension][16 tokens], so that a vector holds one dimension of 16 keys and a score needs no sum across lanes.
/// Values, per head: [token][dimension], so that a vector holds 16 dimensions of one value.
/// With bytes, a key group is followed by its scales, [run of dimensions][16 tokens], and a value by its own, [run of dimensions].</summary>
public readonly unsafe record struct KvLayout
{
    /// <summary>Tokens of a key group.</summary>
    public const int GroupTokens = 16;

    /// <param name="kvHeads">At least 1.</param>
    /// <param name="headDim">A multiple of 16.</param>
    /// <param name="blockTokens">Any; multiples of 16 waste nothing.</param>
    /// <param name="format">Of the numbers.</param>
    public KvLayout(int kvHeads, int headDim, int blockTokens, KvFormat format = KvFormat.F16)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(kvHeads, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockTokens, 1);
        if (headDim < 16 || headDim > Attention.HeadDimMax || headDim % 16 != 0)
            throw new ArgumentOutOfRangeException(nameof(headDim), headDim, FormattableString.Invariant($"a head's size must be a multiple of 16 up to {Attention.HeadDimMax}"));
        KvHeads = kvHeads;
        HeadDim = headDim;
        BlockTokens = blockTokens;
        Format = format;
        Groups = (blockTokens + GroupTokens - 1) / GroupTokens;
    }

    public int KvHeads { get; }
    public int HeadDim { get; }
    public int BlockTokens { get; }
    public KvFormat Format { get; }

    /// <summary>Key groups of a block.</summary>
    public int Groups { get; }

    /// <summary>Bytes of one layer's part of a block.</summary>
    public long BlockBytes => (long)KvHeads * (Groups * GroupBytes + BlockTokens * ValueBytes);

    /// <summary>Dimensions that share a scale.</summary>
    private int RunDims => HeadDim % 32 == 0 ? 32 : 16;

    /// <summary>Of one head's keys of a group, and of the values of as many tokens.</summary>
    internal int GroupBytes => GroupTokens * ValueBytes;

    /// <summary>Of one token and head, be it a key or a value.</summary>
    private int ValueBytes => Format == KvFormat.F16 ? HeadDim * sizeof(ushort) : HeadDim + HeadDim / RunDims * sizeof(ushort);

    /// <summary>A head's key group as singles, [HeadDim][16 tokens].</summary>
    internal void LoadKeys(byte* block, int head, int group, float* target)
    {
        byte* keys = Keys(block, head, group);
        if (Format == KvFormat.F16)
        {
            Widen((ushort*)keys, target, GroupTokens * HeadDim);
            return;
        }
        var scales = (ushort*)(keys + GroupTokens * HeadDim);
        for (int d = 0; d < HeadDim; d += RunDims, scales += GroupTokens)
        {
            Vector512<float> scale = Float16.LoadHalf(scales);
            for (int i = d; i < d + RunDims; i++)
                (LoadBytes(keys + i * GroupTokens) * scale).Store(target + i * GroupTokens);
        }
    }

    /// <summary>Consecutive values of a head as singles, [tokens][HeadDim].</summary>
    internal void LoadValues(byte* block, int head, int firstToken, int tokens, float* target)
    {
        byte* values = Values(block, head, firstToken);
        if (Format == KvFormat.F16)
        {
            Widen((ushort*)values, target, tokens * HeadDim);
            return;
        }
        for (int token = 0; token < tokens; token++, values += ValueBytes, target += HeadDim)
        {
            for (int d = 0; d < HeadDim; d += Lanes.Count)
            {
                Vector512<float> scale = Vector512.Create(Float16.HalfToSingle(Unsafe.ReadUnaligned<ushort>(values + HeadDim + d / RunDims * sizeof(ushort))));
                (LoadBytes(values + d) * scale).Store(target + d);
            }
        }
    }

    /// <summary>A head's key group.</summary>
    internal byte* Keys(byte* block, int head, int group) => block + ((long)head * Groups + group) * GroupBytes;

    /// <summary>A token's value of a head; those of the block's later tokens follow it.</summary>
    internal byte* Values(byte* block, int head, int token) => block + (long)KvHeads * Groups * GroupBytes + ((long)head * BlockTokens + token) * ValueBytes;

    /// <summary>Stores one token's key and value of one head. Numbers beyond a half's range become its largest, so that the cache never holds infinity.</summary>
    public void Write(byte* block, int head, int token, float* key, float* value)
    {
        byte* group = Keys(block, head, token / GroupTokens);
        byte* values = Values(block, head, token);
        token %= GroupTokens;
        if (Format == KvFormat.Q8)
        {
            var scales = (ushort*)(group + GroupTokens * HeadDim) + token;
            for (int d = 0; d < HeadDim; d += RunDims, scales += GroupTokens)
            {
                *scales = Quantize(key + d, group + d * GroupTokens + token, GroupTokens);
                Unsafe.WriteUnaligned(values + HeadDim + d / RunDims * sizeof(ushort), Quantize(value + d, values + d, 1));
            }
            return;
        }
        var keys = (ushort*)group + token;
        ushort* halves = stackalloc ushort[16];
        for (int d = 0; d < HeadDim; d += 16)
        {
            Float16.StoreFiniteHalves(key + d, halves);
            for (int i = 0; i < 16; i++)
                keys[(d + i) * GroupTokens] = halves[i];
            Float16.StoreFiniteHalves(value + d, (ushort*)values + d);
        }
    }

    /// <summary>Reads back what <see cref="Write"/> stored: the scalar twin of what attention loads.</summary>
    public void Read(byte* block, int head, int token, Span<float> key, Span<float> value)
    {
        byte* group = Keys(block, head, token / GroupTokens);
        byte* values = Values(block, head, token);
        token %= GroupTokens;
        for (int d = 0; d < HeadDim; d++)
        {
            int run = d / RunDims;
            key[d] = Format == KvFormat.F16
                ? Half(group + (d * GroupTokens + token) * 2)
                : Half(group + GroupTokens * HeadDim + (run * GroupTokens + token) * 2) * (sbyte)group[d * GroupTokens + token];
            value[d] = Format == KvFormat.F16 ? Half(values + d * 2) : Half(values + HeadDim + run * 2) * (sbyte)values[d];
        }
    }

    /// <summary>Rounds a run of dimensions to bytes, the largest magnitude to 127, and gives the bits of its scale.</summary>
    private ushort Quantize(float* source, byte* target, int stride)
    {
        float max = 0;
        for (int i = 0; i < RunDims; i++)
            max = MathF.Max(max, MathF.Min(MathF.Abs(source[i]), Float16.HalfMax));
        float inverse = max == 0 ? 0 : 127 / max;
        for (int i = 0; i < RunDims; i++)
            target[i * stride] = (byte)(sbyte)MathF.Round(MathF.Min(MathF.Max(source[i], -Float16.HalfMax), Float16.HalfMax) * inverse);
        return Float16.SingleToHalf(max / 127);
    }

    private static float Half(byte* source) => Float16.HalfToSingle(Unsafe.ReadUnaligned<ushort>(source));

    private static Vector512<float> LoadBytes(byte* source)
    {
        Vector256<short> shorts = Vector256.WidenLower(Vector256.Create(Vector128.Load((sbyte*)source), default));
        return Vector512.ConvertToSingle(Vector512.WidenLower(Vector512.Create(shorts, default)));
    }

    private static void Widen(ushort* source, float* target, int count)
    {
        int i = HalfWidening.Widen(source, target, count);
        for (; i < count && !Vector512.IsHardwareAccelerated; i += 8)
            Float16.LoadEightHalves(source + i).Store(target + i);
        for (; i < count; i += Lanes.Count)
            Float16.LoadHalf(source + i).Store(target + i);
    }
}
