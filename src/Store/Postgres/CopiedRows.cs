using System.Buffers.Binary;
using System.Text;

namespace Qanat.Store;

/// <summary>Rows in the binary form of PostgreSQL's COPY (its manual, "Binary Format"): a signature, then for each row the number of its fields and for each field its length, -1 for NULL, and its bytes, the highest first.
/// Written here in one piece, because asking the driver for each field took longer than all else that happens to a row.</summary>
internal sealed class CopiedRows
{
    private static ReadOnlySpan<byte> Header => [(byte)'P', (byte)'G', (byte)'C', (byte)'O', (byte)'P', (byte)'Y', (byte)'\n', 0xFF, (byte)'\r', (byte)'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0];

    private byte[] _bytes = new byte[1 << 16];
    private int _length;

    public void Begin()
    {
        _length = 0;
        // Its signature, no flags, no extension of the header.
        Header.CopyTo(Next(Header.Length));
    }

    public void BeginRow(int fields) => BinaryPrimitives.WriteInt16BigEndian(Next(2), checked((short)fields));

    public void Add(long value)
    {
        Span<byte> field = Next(12);
        BinaryPrimitives.WriteInt32BigEndian(field, 8);
        BinaryPrimitives.WriteInt64BigEndian(field[4..], value);
    }

    public void Add(Guid value)
    {
        Span<byte> field = Next(20);
        BinaryPrimitives.WriteInt32BigEndian(field, 16);
        value.TryWriteBytes(field[4..], bigEndian: true, out _);
    }

    public void Add(ReadOnlySpan<byte> value)
    {
        BinaryPrimitives.WriteInt32BigEndian(Next(4), value.Length);
        value.CopyTo(Next(value.Length));
    }

    public void Add(string value)
    {
        int length = Encoding.UTF8.GetByteCount(value);
        BinaryPrimitives.WriteInt32BigEndian(Next(4), length);
        Encoding.UTF8.GetBytes(value, Next(length));
    }

    public void AddNull() => BinaryPrimitives.WriteInt32BigEndian(Next(4), -1);

    /// <summary>All rows; valid until the next <see cref="Begin"/>.</summary>
    public ReadOnlySpan<byte> End()
    {
        BinaryPrimitives.WriteInt16BigEndian(Next(2), -1);
        return _bytes.AsSpan(0, _length);
    }

    private Span<byte> Next(int bytes)
    {
        if (_bytes.Length - _length < bytes) Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, checked(_length + bytes)));
        Span<byte> next = _bytes.AsSpan(_length, bytes);
        _length += bytes;
        return next;
    }
}
