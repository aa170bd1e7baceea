namespace Qanat.Kernels;

/// <summary>Native memory for what lives and dies together, as a model's weights do. It is cut from large pieces, so that small matrices too lie on 2 MiB pages:
/// taking and zeroing pages of 4 KiB is a good part of the time that loading takes.</summary>
public sealed unsafe class NativeArena : IDisposable
{
    // What is not used of a piece was never written and takes no memory.
    private const long PieceBytes = 64L << 20;
    private const long CacheLineBytes = 64;

    private readonly List<NativeBuffer> _pieces = [];
    private long _used;
    private long _expected;

    /// <summary>So many bytes more will be taken: one piece for all of them leaves no remainders, of which the part on the last large page touched is memory that nobody uses.</summary>
    public void Expect(long bytes) => _expected = bytes;

    /// <summary>Zeroed memory, aligned to cache lines, until the arena is disposed.</summary>
    public byte* Take(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        long whole = (bytes + CacheLineBytes - 1) / CacheLineBytes * CacheLineBytes;
        if (_pieces.Count == 0 || whole > _pieces[^1].Bytes - _used)
        {
            _pieces.Add(new NativeBuffer(Math.Max(Math.Max(PieceBytes, whole), _expected)));
            _expected = 0;
            _used = 0;
        }
        byte* start = _pieces[^1].Pointer + _used;
        _used += whole;
        return start;
    }

    public void Dispose()
    {
        foreach (NativeBuffer piece in _pieces)
            piece.Dispose();
        _pieces.Clear();
    }
}
