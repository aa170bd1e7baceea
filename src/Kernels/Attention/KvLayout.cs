using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>How one layer's keys and values lie in a block of the cache. All numbers are halves.
/// Keys, per head: groups of 16 tokens, [group][dimension][16 tokens], so that a vector holds one dimension of 16 keys and a score needs no sum across lanes.
/// Values, per head: [token][dimension], so that a vector holds 16 dimensions of one value.</summary>
public readonly unsafe record struct KvLayout
{
    /// <summary>Tokens of a key group.</summary>
    public const int GroupTokens = 16;

    private const float HalfMax = 65504;

    /// <param name="kvHeads">At least 1.</param>
    /// <param name="headDim">A multiple of 16.</param>
    /// <param name="blockTokens">Any; multiples of 16 waste nothing.</param>
    public KvLayout(int kvHeads, int headDim, int blockTokens)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(kvHeads, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockTokens, 1);
        if (headDim < 16 || headDim > Attention.HeadDimMax || headDim % 16 != 0)
            throw new ArgumentOutOfRangeException(nameof(headDim), headDim, FormattableString.Invariant($"a head's size must be a multiple of 16 up to {Attention.HeadDimMax}"));
        KvHeads = kvHeads;
        HeadDim = headDim;
        BlockTokens = blockTokens;
        Groups = (blockTokens + GroupTokens - 1) / GroupTokens;
    }

    public int KvHeads { get; }
    public int HeadDim { get; }
    public int BlockTokens { get; }

    /// <summary>Key groups of a block.</summary>
    public int Groups { get; }

    /// <summary>Bytes of one layer's part of a block.</summary>
    public long BlockBytes => (long)KvHeads * (KeyBytes + ValueBytes);

    private int KeyBytes => Groups * GroupTokens * HeadDim * sizeof(ushort);
    private int ValueBytes => BlockTokens * HeadDim * sizeof(ushort);

    /// <summary>[HeadDim x 16 tokens] of a head's key group.</summary>
    internal ushort* Keys(byte* block, int head, int group) => (ushort*)(block + (long)head * KeyBytes) + group * GroupTokens * HeadDim;

    /// <summary>[BlockTokens x HeadDim] of a head.</summary>
    internal ushort* Values(byte* block, int head) => (ushort*)(block + (long)KvHeads * KeyBytes + (long)head * ValueBytes);

    /// <summary>Stores one token's key and value of one head. Numbers beyond a half's range become its largest, so that the cache never holds infinity.</summary>
    public void Write(byte* block, int head, int token, float* key, float* value)
    {
        ushort* keys = Keys(block, head, token / GroupTokens) + token % GroupTokens;
        ushort* halves = stackalloc ushort[16];
        ushort* values = Values(block, head) + token * HeadDim;
        for (int d = 0; d < HeadDim; d += 16)
        {
            Float16.StoreHalf(Clamp(Vector512.Load(key + d)), halves);
            for (int i = 0; i < 16; i++)
                keys[(d + i) * GroupTokens] = halves[i];
            Float16.StoreHalf(Clamp(Vector512.Load(value + d)), values + d);
        }
    }

    /// <summary>Reads back what <see cref="Write"/> stored.</summary>
    public void Read(byte* block, int head, int token, Span<float> key, Span<float> value)
    {
        ushort* keys = Keys(block, head, token / GroupTokens) + token % GroupTokens;
        ushort* values = Values(block, head) + token * HeadDim;
        for (int d = 0; d < HeadDim; d++)
        {
            key[d] = Float16.HalfToSingle(keys[d * GroupTokens]);
            value[d] = Float16.HalfToSingle(values[d]);
        }
    }

    private static Vector512<float> Clamp(Vector512<float> value) => Vector512.Min(Vector512.Max(value, Vector512.Create(-HalfMax)), Vector512.Create(HalfMax));
}
