using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Keys and values in halves, [layer][block]; what lies in a block is <see cref="KvLayout"/>'s matter. Memory is taken as blocks are first written.</summary>
internal sealed unsafe class PagedKvCache(int layers, KvLayout layout, int blockCount) : KvCache(blockCount, layout.BlockTokens)
{
    private readonly NativeBuffer _buffer = new(layers * blockCount * layout.BlockBytes);

    public KvLayout Layout { get; } = layout;
    public override long Bytes => _buffer.Bytes;

    /// <summary>A layer's part of block 0; the parts of a layer follow one another.</summary>
    public byte* Layer(int layer) => _buffer.Pointer + (long)layer * BlockCount * Layout.BlockBytes;

    public override void Dispose() => _buffer.Dispose();
}
