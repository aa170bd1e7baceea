namespace Qanat.Models.Tests;

public sealed unsafe class GgufWriterTests
{
    private static KeyValuePair<string, GgufValue> Pair(string key, GgufValue value) => new(key, value);

    private static GgufTensorSource Tensor(string name, GgmlType type, long[] shape, byte[] data) => new(name, type, [.. shape], stream => stream.Write(data));

    [Fact]
    public void What_is_written_is_read_again()
    {
        using var stream = new MemoryStream();
        GgufWriter.Write(stream,
            [
                Pair("text", GgufValue.Of("Wasser 水")), Pair("u32", GgufValue.Of(4_000_000_000u)), Pair("i32", GgufValue.Of(-5)), Pair("u64", GgufValue.Of(ulong.MaxValue)),
                Pair("f32", GgufValue.Of(-0.25f)), Pair("flag", GgufValue.Of(true)), Pair("texts", GgufValue.Of(["", "Ġa"])), Pair("i32s", GgufValue.Of([1, -1])),
                Pair("u32s", GgufValue.Of(Array.Empty<uint>())), Pair("f32s", GgufValue.Of([1f, 2f])), Pair("flags", GgufValue.Of([true, false])),
            ],
            [Tensor("odd", GgmlType.F16, [3], [1, 2, 3, 4, 5, 6]), Tensor("matrix", GgmlType.Q8_0, [64, 2], new byte[136])]);

        using var file = new TempFile(stream.ToArray());
        using GgufFile gguf = GgufFile.Open(file.Path);
        Assert.Equal("Wasser 水", gguf.Text("text"));
        Assert.Equal(4_000_000_000u, gguf.Metadata["u32"].Raw);
        Assert.Equal(-5, gguf.Integer("i32", -9, 0));
        Assert.False(gguf.Metadata["u64"].TryInteger(out _));
        Assert.Equal(-0.25f, gguf.Number("f32"));
        Assert.Equal(["", "Ġa"], gguf.Texts("texts"));
        Assert.Equal([1, -1], gguf.Integers("i32s"));
        Assert.Empty(gguf.Integers("u32s"));
        Assert.True(gguf.Metadata["f32s"].TrySingles(out float[] singles) && singles is [1f, 2f]);
        Assert.Equal(new[] { true, false }, gguf.Metadata["flags"].Raw);
        Assert.Equal(6, gguf.Pointer(gguf.Tensor("odd"))[5]);
        Assert.Equal(gguf.Tensor("odd").Offset + 32, gguf.Tensor("matrix").Offset);
    }

    [Fact]
    public void Strings_are_written_again_byte_for_byte_even_those_that_are_no_text()
    {
        byte[] Written(params KeyValuePair<string, GgufValue>[] metadata)
        {
            using var stream = new MemoryStream();
            GgufWriter.Write(stream, metadata, []);
            return stream.ToArray();
        }

        byte[] first = Written(Pair("texts", GgufValue.Of(new ByteStrings([0xff, (byte)'a', (byte)'b'], [1, 1, 3]))));
        using var file = new TempFile(first);
        using GgufFile gguf = GgufFile.Open(file.Path);
        Assert.Equal(["\uFFFD", "", "ab"], gguf.Texts("texts"));
        Assert.Equal("[3 x String]", gguf.Metadata["texts"].ToString());
        Assert.Equal(first, Written([.. gguf.Metadata]));
    }

    [Fact]
    public void A_tensor_that_writes_too_little_is_refused()
    {
        using var stream = new MemoryStream();
        var exception = Assert.Throws<InvalidOperationException>(() => GgufWriter.Write(stream, [], [Tensor("short", GgmlType.F32, [4], new byte[15])]));
        Assert.Equal("tensor \"short\" takes 16 bytes, 15 were written", exception.Message);
    }
}
