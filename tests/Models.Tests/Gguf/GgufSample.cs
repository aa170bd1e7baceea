using System.Buffers.Binary;
using System.Text;

namespace Qanat.Models.Tests;

/// <summary>Writes GGUF bytes by hand, independent of <see cref="GgufWriter"/>, so that tests can lie in any field.</summary>
internal sealed class GgufSample
{
    private readonly List<byte> _bytes = [];

    public GgufSample Magic(uint magic = 0x46554747, uint version = 3) => U32(magic).U32(version);

    public GgufSample Counts(ulong tensors, ulong pairs) => U64(tensors).U64(pairs);

    public GgufSample U32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        _bytes.AddRange(bytes);
        return this;
    }

    public GgufSample U64(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        _bytes.AddRange(bytes);
        return this;
    }

    public GgufSample Byte(byte value)
    {
        _bytes.Add(value);
        return this;
    }

    public GgufSample Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        U64((ulong)bytes.Length);
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>A tensor's entry.</summary>
    public GgufSample Tensor(string name, GgmlType type, ulong offset, params ulong[] shape)
    {
        Text(name).U32((uint)shape.Length);
        foreach (ulong size in shape)
            U64(size);
        return U32(unchecked((uint)type)).U64(offset);
    }

    /// <summary>Zeros up to the next multiple of 32, then <paramref name="count"/> bytes of data.</summary>
    public GgufSample Data(int count)
    {
        while (_bytes.Count % 32 != 0)
            _bytes.Add(0);
        for (int i = 0; i < count; i++)
            _bytes.Add((byte)i);
        return this;
    }

    public byte[] Bytes => [.. _bytes];

    /// <summary>A small valid file with a value of every kind.</summary>
    public static byte[] Valid() => new GgufSample().Magic().Counts(2, 6)
        .Text("general.architecture").U32(8).Text("qwen3")
        .Text("a.flag").U32(7).Byte(1)
        .Text("a.count").U32(4).U32(7)
        .Text("a.scale").U32(6).U32(BitConverter.SingleToUInt32Bits(1.5f))
        .Text("a.names").U32(9).U32(8).U64(2).Text("x").Text("éλ")
        .Text("a.numbers").U32(9).U32(5).U64(3).U32(1).U32(2).U32(unchecked((uint)-3))
        .Tensor("first", GgmlType.F32, 0, 4, 2)
        .Tensor("second", GgmlType.Q8_0, 32, 32)
        .Data(32 + 34).Bytes;
}

/// <summary>A file in the temporary folder that goes with the test.</summary>
internal sealed class TempFile : IDisposable
{
    public TempFile(byte[] content)
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), System.IO.Path.GetRandomFileName());
        File.WriteAllBytes(Path, content);
    }

    public string Path { get; }

    public void Dispose() => File.Delete(Path);
}
