using System.Globalization;
using System.Runtime.InteropServices;
using CsCheck;

namespace Qanat.Models.Tests;

public sealed unsafe class GgufFileTests
{
    private static string Refusal(byte[] content)
    {
        using var file = new TempFile(content);
        var exception = Assert.Throws<ModelFileException>(() => GgufFile.Open(file.Path).Dispose());
        Assert.StartsWith(file.Path + ": ", exception.Message, StringComparison.Ordinal);
        return exception.Problem;
    }

    private static GgufSample Head(ulong tensors = 0, ulong pairs = 0) => new GgufSample().Magic().Counts(tensors, pairs);

    [Fact]
    public void A_valid_file_gives_its_metadata_and_tensors()
    {
        using var file = new TempFile(GgufSample.Valid());
        using GgufFile gguf = GgufFile.Open(file.Path);

        Assert.Equal("qwen3", gguf.Text("general.architecture"));
        Assert.True(gguf.FlagOr("a.flag", absent: false));
        Assert.Equal(7, gguf.Integer("a.count", 0, 100));
        Assert.Equal(1.5f, gguf.Number("a.scale"));
        Assert.Equal(["x", "éλ"], gguf.Texts("a.names"));
        Assert.Equal([1, 2, -3], gguf.Integers("a.numbers"));

        GgufTensor first = gguf.Tensor("first"), second = gguf.Tensor("second");
        Assert.Equal([4, 2], first.Shape.ToArray());
        Assert.Equal((32L, 34L), (first.Bytes, second.Bytes));
        Assert.Equal(first.Offset + 32, second.Offset);
        Assert.Equal(32, *gguf.Pointer(second));
    }

    [Fact]
    public void Getters_name_the_key_and_what_is_wrong_with_it()
    {
        using var file = new TempFile(GgufSample.Valid());
        using GgufFile gguf = GgufFile.Open(file.Path);

        Assert.Equal("metadata \"no.such\" is missing", Assert.Throws<ModelFileException>(() => gguf.Text("no.such")).Problem);
        Assert.Equal("metadata \"a.count\" is 7; it must be a string", Assert.Throws<ModelFileException>(() => gguf.Text("a.count")).Problem);
        Assert.Equal("metadata \"a.count\" is 7; it must be between 8 and 9", Assert.Throws<ModelFileException>(() => gguf.Integer("a.count", 8, 9)).Problem);
        Assert.Equal("metadata \"a.names\" is [2 x String]; it must be an array of whole numbers", Assert.Throws<ModelFileException>(() => gguf.Integers("a.names")).Problem);
        Assert.Equal("tensor \"third\" is missing", Assert.Throws<ModelFileException>(() => gguf.Tensor("third")).Problem);
        Assert.Equal(5, gguf.IntegerOr("no.such", 5, 0, 9));
        Assert.Null(gguf.TextOrNull("no.such"));
    }

    [Fact]
    public void A_missing_an_empty_and_a_foreign_file_are_told_apart()
    {
        Assert.Equal("there is no such file", Assert.Throws<ModelFileException>(() => GgufFile.Open("/no/such/file.gguf")).Problem);
        Assert.Equal("the file is empty", Refusal([]));
        Assert.Contains("not a GGUF file", Refusal("PK not a model, but long enough to be one"u8.ToArray()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1u, "version 1")]
    [InlineData(4u, "version 4")]
    [InlineData(0x03000000u, "big-endian")]
    public void Other_versions_are_refused(uint version, string word) =>
        Assert.Contains(word, Refusal(new GgufSample().Magic(version: version).Counts(0, 0).Bytes), StringComparison.Ordinal);

    [Fact]
    public void A_file_cut_anywhere_is_refused_as_truncated()
    {
        byte[] whole = GgufSample.Valid();
        for (int length = 1; length < whole.Length; length++)
        {
            string problem = Refusal(whole[..length]);
            Assert.True(problem.Contains("truncated", StringComparison.Ordinal) || problem.Contains("beyond the end", StringComparison.Ordinal)
                || problem.Contains("bytes follow", StringComparison.Ordinal), FormattableString.Invariant($"cut at {length}: {problem}"));
        }
    }

    [Fact]
    public void Absurd_counts_are_refused_before_anything_is_allocated()
    {
        foreach (ulong count in new[] { 1ul, 1ul << 31, 1ul << 40, 1ul << 63, ulong.MaxValue })
        {
            Assert.Contains("tensor count", Refusal(Head(tensors: count).Bytes), StringComparison.Ordinal);
            Assert.Contains("metadata count", Refusal(Head(pairs: count).Bytes), StringComparison.Ordinal);
            Assert.Contains("\"k\"", Refusal(Head(pairs: 1).Text("k").U32(9).U32(4).U64(count).Bytes), StringComparison.Ordinal);
            Assert.Contains("\"k\"", Refusal(Head(pairs: 1).Text("k").U32(9).U32(8).U64(count).Bytes), StringComparison.Ordinal);
            Assert.Contains("\"k\"", Refusal(Head(pairs: 1).Text("k").U32(8).U64(count).Bytes), StringComparison.Ordinal);
            Assert.Contains("metadata key 1", Refusal(Head(pairs: 1).U64(count).U64(0).Bytes[..^3]), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Doubtful_metadata_is_refused_by_name()
    {
        Assert.Contains("\"k\" appears twice", Refusal(Head(pairs: 2).Text("k").U32(7).Byte(1).Text("k").U32(7).Byte(0).Bytes), StringComparison.Ordinal);
        Assert.Contains("\"k\" has the unknown kind 13", Refusal(Head(pairs: 1).Text("k").U32(13).Byte(1).Bytes), StringComparison.Ordinal);
        Assert.Contains("array of arrays", Refusal(Head(pairs: 1).Text("k").U32(9).U32(9).U64(0).Bytes), StringComparison.Ordinal);
        Assert.Contains("truth value", Refusal(Head(pairs: 1).Text("k").U32(7).Byte(2).Bytes), StringComparison.Ordinal);
        Assert.Contains("has 0 bytes", Refusal(Head(pairs: 1).Text("").U32(7).Byte(1).Bytes), StringComparison.Ordinal);
        Assert.Contains("control characters", Refusal(Head(pairs: 1).Text("a\u001b[2J").U32(7).Byte(1).Bytes), StringComparison.Ordinal);
        foreach (uint alignment in new[] { 0u, 3u, 1u << 31 })
            Assert.Contains("general.alignment", Refusal(Head(pairs: 1).Text("general.alignment").U32(4).U32(alignment).Bytes), StringComparison.Ordinal);
    }

    [Fact]
    public void Doubtful_tensors_are_refused_by_name()
    {
        static string One(GgmlType type, ulong offset, params ulong[] shape) => Refusal(Head(tensors: 1).Tensor("t", type, offset, shape).Data(256).Bytes);

        Assert.Contains("\"t\" has the unknown type 4", One((GgmlType)4, 0, 4), StringComparison.Ordinal);
        Assert.Contains("\"t\" has the unknown type", One((GgmlType)unchecked((int)0xFFFFFFFF), 0, 4), StringComparison.Ordinal);
        Assert.Contains("\"t\" has 5 dimensions", One(GgmlType.F32, 0, 1, 1, 1, 1, 1), StringComparison.Ordinal);
        Assert.Contains("\"t\" has 0 dimensions", One(GgmlType.F32, 0), StringComparison.Ordinal);
        Assert.Contains("\"t\" has an absurd size", One(GgmlType.F32, 0, 4, 0), StringComparison.Ordinal);
        Assert.Contains("\"t\" has an absurd size", One(GgmlType.F32, 0, 1ul << 63), StringComparison.Ordinal);
        Assert.Contains("\"t\" has an absurd size", One(GgmlType.F32, 0, 1ul << 32, 1ul << 32), StringComparison.Ordinal);
        Assert.Contains("\"t\" lies beyond", One(GgmlType.F64, 0, 1ul << 31, 1ul << 31), StringComparison.Ordinal);
        Assert.Contains("\"t\" has rows of 33", One(GgmlType.Q8_0, 0, 33), StringComparison.Ordinal);
        Assert.Contains("\"t\" is not aligned", One(GgmlType.F32, 8, 4), StringComparison.Ordinal);
        Assert.Contains("beyond the end", One(GgmlType.F32, 256, 4), StringComparison.Ordinal);
        Assert.Contains("beyond the end", One(GgmlType.F32, 0, 65), StringComparison.Ordinal);
        Assert.Contains("beyond the end", One(GgmlType.F32, long.MaxValue - 31, 4), StringComparison.Ordinal);
        Assert.Contains("beyond the end", One(GgmlType.F32, 1ul << 63, 4), StringComparison.Ordinal);
        Assert.Contains("\"t\" appears twice", Refusal(Head(tensors: 2).Tensor("t", GgmlType.F32, 0, 4).Tensor("t", GgmlType.F32, 32, 4).Data(64).Bytes), StringComparison.Ordinal);
        Assert.Contains("\"t\" and \"u\" overlap", Refusal(Head(tensors: 2).Tensor("t", GgmlType.F32, 0, 9).Tensor("u", GgmlType.F32, 32, 4).Data(64).Bytes), StringComparison.Ordinal);
    }

    [Fact]
    public void The_last_tensor_may_end_with_the_file()
    {
        using var file = new TempFile(Head(tensors: 1).Tensor("t", GgmlType.F32, 0, 64).Data(256).Bytes);
        using GgufFile gguf = GgufFile.Open(file.Path);
        Assert.Equal(gguf.Bytes, gguf.Tensors[0].Offset + gguf.Tensors[0].Bytes);
    }

    [Fact]
    public void Pointers_end_with_the_file()
    {
        using var file = new TempFile(GgufSample.Valid());
        GgufFile gguf = GgufFile.Open(file.Path);
        GgufTensor tensor = gguf.Tensors[0];
        Assert.Throws<ArgumentException>(() => _ = (nint)gguf.Pointer(tensor with { Name = "other" }));
        gguf.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _ = (nint)gguf.Pointer(tensor));
    }

    /// <summary>Whatever bytes change, opening either succeeds with tensors inside the file or says what is wrong. QANAT_FUZZ=N tries N files.</summary>
    [Fact]
    public void Mutated_files_never_crash()
    {
        byte[] seed = GgufSample.Valid();
        long iterations = long.TryParse(Environment.GetEnvironmentVariable("QANAT_FUZZ"), CultureInfo.InvariantCulture, out long wanted) ? wanted : 3000;
        ulong[] interesting = [0, 1, 31, 32, 255, 1ul << 31, 1ul << 32, 1ul << 62, 1ul << 63, ulong.MaxValue];
        Gen<byte[]> mutation = Gen.Select(Gen.Int[0, seed.Length - 8], Gen.Int[0, interesting.Length - 1], Gen.Byte, Gen.Int[0, 3]).List[1, 4].Select(edits =>
        {
            byte[] bytes = [.. seed];
            foreach ((int at, int pick, byte value, int kind) in edits)
            {
                if (at + 8 > bytes.Length)
                    continue;
                switch (kind)
                {
                    case 0: bytes[at] = value; break;
                    case 1: MemoryMarshal.Write(bytes.AsSpan(at), interesting[pick]); break;
                    case 2: MemoryMarshal.Write(bytes.AsSpan(at), unchecked((uint)interesting[pick])); break;
                    default: bytes = [.. bytes[..at], .. bytes[(at + 1 + (value & 7))..]]; break;
                }
            }
            return bytes;
        });
        mutation.Sample(bytes =>
        {
            using var file = new TempFile(bytes);
            try
            {
                using GgufFile gguf = GgufFile.Open(file.Path);
                return gguf.Tensors.All(tensor => tensor.Offset >= 0 && tensor.Bytes > 0 && tensor.Offset + tensor.Bytes <= gguf.Bytes);
            }
            catch (ModelFileException)
            {
                return true;
            }
        }, iter: iterations, threads: 1);
    }
}
