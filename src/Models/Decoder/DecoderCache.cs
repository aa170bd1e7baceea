using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Keys and values, [attention layer][block], what lies in a block is <see cref="KvLayout"/>'s matter; and states in singles, [state][recurrent layer].
/// Memory is taken as it is first written.</summary>
internal sealed unsafe class DecoderCache(int layers, KvLayout layout, int blockCount, long stateSingles, int stateCount) : KvCache(blockCount, layout.BlockTokens, stateCount)
{
    // A block has a part in each layer: on large pages the first sequence would take one page of each, though it fills a small part of them.
    private readonly NativeBuffer _blocks = new(layers * blockCount * layout.BlockBytes, NativePages.Small);
    private readonly NativeBuffer _states = new(stateCount * stateSingles * sizeof(float));

    public KvLayout Layout { get; } = layout;
    public override long Bytes => _blocks.Bytes + _states.Bytes;

    /// <summary>An attention layer's part of block 0; the parts of a layer follow one another.</summary>
    public byte* Layer(int layer) => _blocks.Pointer + (long)layer * BlockCount * Layout.BlockBytes;

    /// <summary>A state; null for none.</summary>
    public float* State(int state) => state < 0 ? null : (float*)_states.Pointer + state * stateSingles;

    public override void Copy(int from, int to)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)from, (uint)BlockCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)to, (uint)BlockCount);
        for (int layer = 0; layer < layers; layer++)
            Buffer.MemoryCopy(Layer(layer) + from * Layout.BlockBytes, Layer(layer) + to * Layout.BlockBytes, Layout.BlockBytes, Layout.BlockBytes);
    }

    public override void Dispose()
    {
        _blocks.Dispose();
        _states.Dispose();
    }
}
