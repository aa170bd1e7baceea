using System.Buffers;

namespace Qanat.Gateway;

/// <summary>What has come of an upstream's answer and is not taken yet, in one piece. A stream that says nothing keeps no buffer: only when something has come is one borrowed.</summary>
/// <param name="waitsEmpty">It is a stream, of which the next piece may be far away.</param>
internal sealed class AnswerBytes(Stream stream, bool waitsEmpty) : IDisposable
{
    private const int BufferBytesMin = 4 << 10;
    private byte[] buffer = [];
    private int begin, end;

    /// <summary>Good until more is read.</summary>
    public ReadOnlySequence<byte> Unread => new(buffer, begin, end - begin);

    public int Count => end - begin;

    /// <summary>Waits for more; false: there is none.</summary>
    public async ValueTask<bool> ReadAsync(CancellationToken cancel)
    {
        if (waitsEmpty && Count == 0)
        {
            GiveBack();
            // Reads nothing, once there is something.
            end = await stream.ReadAsync(Memory<byte>.Empty, cancel);
        }
        MakeRoom();
        int read = await stream.ReadAsync(buffer.AsMemory(end), cancel);
        end += read;
        return read > 0;
    }

    /// <summary>All but so many bytes, the last ones, are taken.</summary>
    public void KeepLast(long count) => begin = end - (int)count;

    public void Dispose() => GiveBack();

    private void MakeRoom()
    {
        if (Count == 0) begin = end = 0;
        if (end < buffer.Length) return;
        // What was taken makes room before a larger buffer does.
        byte[] larger = Count > buffer.Length / 2 || buffer.Length == 0 ? ArrayPool<byte>.Shared.Rent(Math.Max(BufferBytesMin, buffer.Length * 2)) : buffer;
        Buffer.BlockCopy(buffer, begin, larger, 0, Count);
        (begin, end) = (0, Count);
        if (larger == buffer) return;
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }

    private void GiveBack()
    {
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
        begin = end = 0;
    }
}
