using System.Buffers;

namespace Qanat.Gateway;

/// <summary>Bytes being written into memory that is borrowed and given back, so that an answer leaves nothing behind for the collector.</summary>
internal sealed class BorrowedBytes(int bytes) : IBufferWriter<byte>, IDisposable
{
    private byte[] buffer = ArrayPool<byte>.Shared.Rent(bytes);

    public int Count { get; private set; }

    /// <summary>Good until it is given back.</summary>
    public ReadOnlyMemory<byte> Written => buffer.AsMemory(0, Count);

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(buffer.Length - Count), nameof(count));
        Count += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        MakeRoom(Math.Max(1, sizeHint));
        return buffer.AsMemory(Count);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        MakeRoom(Math.Max(1, sizeHint));
        return buffer.AsSpan(Count);
    }

    public void Dispose()
    {
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
        Count = 0;
    }

    private void MakeRoom(int wanted)
    {
        if (buffer.Length - Count >= wanted) return;
        byte[] larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, Math.Max((long)Count + wanted, buffer.Length * 2L)));
        Written.Span.CopyTo(larger);
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }
}
