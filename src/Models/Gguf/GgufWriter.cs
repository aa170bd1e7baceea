using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;

namespace Qanat.Models;

/// <summary>A tensor to be written, and how to write its data.</summary>
/// <param name="Shape">In ggml order, the fastest first.</param>
/// <param name="Write">Writes exactly the bytes that type and shape call for.</param>
public sealed record GgufTensorSource(string Name, GgmlType Type, ImmutableArray<long> Shape, Action<Stream> Write)
{
    /// <summary>Bytes of the data, without padding.</summary>
    public long Bytes => Shape.Skip(1).Aggregate(Type.RowBytes(Shape[0]), (product, size) => product * size);
}

/// <summary>Writes GGUF version 3, tensors one after the other: memory never holds more than one.</summary>
public static class GgufWriter
{
    private const int Alignment = 32;

    /// <param name="metadata">In the order to write; must not contain general.alignment.</param>
    /// <param name="tensors">In the order to write.</param>
    /// <exception cref="InvalidOperationException">A tensor's Write wrote another number of bytes than its type and shape call for.</exception>
    public static void Write(Stream target, IReadOnlyList<KeyValuePair<string, GgufValue>> metadata, IReadOnlyList<GgufTensorSource> tensors)
    {
        using var head = new MemoryStream();
        WriteNumber(head, 0x46554747u); // "GGUF"
        WriteNumber(head, 3u);
        WriteNumber(head, (ulong)tensors.Count);
        WriteNumber(head, (ulong)metadata.Count);
        foreach ((string key, GgufValue value) in metadata)
        {
            WriteText(head, key);
            WriteValue(head, value);
        }

        long offset = 0;
        foreach (GgufTensorSource tensor in tensors)
        {
            WriteText(head, tensor.Name);
            WriteNumber(head, (uint)tensor.Shape.Length);
            foreach (long size in tensor.Shape)
                WriteNumber(head, size);
            WriteNumber(head, (uint)tensor.Type);
            WriteNumber(head, offset);
            offset += Padded(tensor.Bytes);
        }
        Pad(head, head.Length);
        head.WriteTo(target);

        foreach (GgufTensorSource tensor in tensors)
            WriteData(target, tensor);
    }

    private static void WriteData(Stream target, GgufTensorSource tensor)
    {
        using var counted = new CountingStream(target);
        tensor.Write(counted);
        if (counted.Written != tensor.Bytes)
            throw new InvalidOperationException(FormattableString.Invariant($"tensor \"{tensor.Name}\" takes {tensor.Bytes} bytes, {counted.Written} were written"));
        Pad(target, tensor.Bytes);
    }

    private static void WriteValue(Stream head, GgufValue value)
    {
        WriteNumber(head, (uint)value.Kind);
        if (value.Kind != GgufKind.Array)
        {
            WriteScalar(head, value.Raw);
            return;
        }
        WriteNumber(head, (uint)value.ElementKind);
        if (value.TryTexts(out ByteStrings texts))
        {
            WriteTexts(head, texts);
            return;
        }
        var array = (Array)value.Raw;
        WriteNumber(head, (ulong)array.LongLength);
        foreach (object element in array)
            WriteScalar(head, element);
    }

    private static void WriteScalar(Stream head, object value)
    {
        switch (value)
        {
            case string text: WriteText(head, text); break;
            case bool flag: head.WriteByte(flag ? (byte)1 : (byte)0); break;
            case byte number: WriteNumber(head, number); break;
            case sbyte number: WriteNumber(head, number); break;
            case ushort number: WriteNumber(head, number); break;
            case short number: WriteNumber(head, number); break;
            case uint number: WriteNumber(head, number); break;
            case int number: WriteNumber(head, number); break;
            case ulong number: WriteNumber(head, number); break;
            case long number: WriteNumber(head, number); break;
            case float number: WriteNumber(head, number); break;
            case double number: WriteNumber(head, number); break;
            default: throw new ArgumentException($"GGUF has no kind for {value.GetType().Name}", nameof(value));
        }
    }

    private static void WriteTexts(Stream head, ByteStrings texts)
    {
        WriteNumber(head, (ulong)texts.Count);
        for (int i = 0; i < texts.Count; i++)
            WriteText(head, texts[i]);
    }

    private static void WriteText(Stream head, string text) => WriteText(head, Encoding.UTF8.GetBytes(text));

    private static void WriteText(Stream head, ReadOnlySpan<byte> bytes)
    {
        WriteNumber(head, (ulong)bytes.Length);
        head.Write(bytes);
    }

    private static void WriteNumber<T>(Stream head, T number) where T : unmanaged
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<T>(ref number));
        if (!BitConverter.IsLittleEndian)
            bytes.Reverse();
        head.Write(bytes);
    }

    private static long Padded(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream target, long bytes)
    {
        ReadOnlySpan<byte> zeros = stackalloc byte[Alignment];
        target.Write(zeros[..(int)(Padded(bytes) - bytes)]);
    }

    /// <summary>Counts what is written through it.</summary>
    private sealed class CountingStream(Stream target) : Stream
    {
        public long Written { get; private set; }
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => Written;
        public override long Position { get => Written; set => throw new NotSupportedException(); }
        public override void Flush() => target.Flush();
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            target.Write(buffer);
            Written += buffer.Length;
        }
    }
}
