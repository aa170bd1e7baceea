using System.Buffers.Binary;

namespace Qanat.Models.Tests;

/// <summary>Tiny Qwen3 files with random weights, written to a folder of their own and deleted with it.</summary>
internal sealed class RandomQwen3 : IDisposable
{
    public const int Vocabulary = 203;

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"qanat-{Path.GetRandomFileName()}.gguf");

    /// <summary>Sizes that are no multiple of a panel: 3 query heads on one key head, 203 tokens.</summary>
    public static readonly Size Odd = new(Layers: 2, Hidden: 64, FeedForward: 96, Heads: 3, KvHeads: 1, HeadDim: 32);

    public static readonly Size Grouped = new(Layers: 3, Hidden: 128, FeedForward: 160, Heads: 4, KvHeads: 2, HeadDim: 64);

    public RandomQwen3(Size size, GgmlType type, int seed, bool tied = true, Action<List<KeyValuePair<string, GgufValue>>, List<GgufTensorSource>>? change = null)
    {
        var random = new Random(seed);
        List<KeyValuePair<string, GgufValue>> metadata =
        [
            new("general.architecture", GgufValue.Of("qwen3")),
            new("qwen3.block_count", GgufValue.Of((uint)size.Layers)),
            new("qwen3.context_length", GgufValue.Of(4096u)),
            new("qwen3.embedding_length", GgufValue.Of((uint)size.Hidden)),
            new("qwen3.feed_forward_length", GgufValue.Of((uint)size.FeedForward)),
            new("qwen3.attention.head_count", GgufValue.Of((uint)size.Heads)),
            new("qwen3.attention.head_count_kv", GgufValue.Of((uint)size.KvHeads)),
            new("qwen3.attention.key_length", GgufValue.Of((uint)size.HeadDim)),
            new("qwen3.attention.value_length", GgufValue.Of((uint)size.HeadDim)),
            new("qwen3.attention.layer_norm_rms_epsilon", GgufValue.Of(1e-6f)),
            new("qwen3.rope.freq_base", GgufValue.Of(1e6f)),
        ];
        var tensors = new List<GgufTensorSource>();
        void Matrix(string name, int inputs, int outputs) => tensors.Add(RandomTensor(name, type, [inputs, outputs], random.Next()));
        void Vector(string name, int length) => tensors.Add(RandomTensor(name, GgmlType.F32, [length], random.Next()));
        Matrix("token_embd.weight", size.Hidden, Vocabulary);
        Vector("output_norm.weight", size.Hidden);
        if (!tied)
            Matrix("output.weight", size.Hidden, Vocabulary);
        for (int i = 0; i < size.Layers; i++)
        {
            string Name(string part) => FormattableString.Invariant($"blk.{i}.{part}.weight");
            Vector(Name("attn_norm"), size.Hidden);
            Matrix(Name("attn_q"), size.Hidden, size.Heads * size.HeadDim);
            Matrix(Name("attn_k"), size.Hidden, size.KvHeads * size.HeadDim);
            Matrix(Name("attn_v"), size.Hidden, size.KvHeads * size.HeadDim);
            Vector(Name("attn_q_norm"), size.HeadDim);
            Vector(Name("attn_k_norm"), size.HeadDim);
            Matrix(Name("attn_output"), size.Heads * size.HeadDim, size.Hidden);
            Vector(Name("ffn_norm"), size.Hidden);
            Matrix(Name("ffn_gate"), size.Hidden, size.FeedForward);
            Matrix(Name("ffn_up"), size.Hidden, size.FeedForward);
            Matrix(Name("ffn_down"), size.FeedForward, size.Hidden);
        }
        change?.Invoke(metadata, tensors);
        using var memory = new MemoryStream();
        GgufWriter.Write(memory, metadata, tensors);
        System.IO.File.WriteAllBytes(_path, memory.ToArray());
        File = GgufFile.Open(_path);
    }

    public GgufFile File { get; }

    public void Dispose()
    {
        File.Dispose();
        System.IO.File.Delete(_path);
    }

    /// <summary>Weights of standard deviation 1 / sqrt(inputs), vectors around 1.</summary>
    public static GgufTensorSource RandomTensor(string name, GgmlType type, long[] shape, int seed) => new(name, type, [.. shape], stream =>
    {
        var random = new Random(seed);
        for (long row = 0; row < shape.Skip(1).Aggregate(1L, (a, b) => a * b); row++)
        {
            var values = new float[shape[0]];
            for (int i = 0; i < values.Length; i++)
                values[i] = shape.Length == 1 ? 1 + 0.2f * (random.NextSingle() - 0.5f) : (random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f) * 2 / MathF.Sqrt(shape[0]);
            stream.Write(Encode(type, values));
        }
    });

    private static byte[] Encode(GgmlType type, float[] values)
    {
        var bytes = new byte[type.RowBytes(values.Length)];
        for (int i = 0; i < values.Length; i++)
        {
            if (type == GgmlType.F32)
                BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4 * i), values[i]);
            else if (type == GgmlType.F16)
                BinaryPrimitives.WriteHalfLittleEndian(bytes.AsSpan(2 * i), (Half)values[i]);
            else if (type == GgmlType.BF16)
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), (ushort)(BitConverter.SingleToUInt32Bits(values[i]) >> 16));
            else if (type == GgmlType.Q8_0 && i % 32 == 0)
                EncodeQ8_0(values.AsSpan(i, 32), bytes.AsSpan(i / 32 * 34));
        }
        return bytes;
    }

    private static void EncodeQ8_0(ReadOnlySpan<float> values, Span<byte> block)
    {
        float max = 0;
        foreach (float value in values)
            max = MathF.Max(max, MathF.Abs(value));
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)(max / 127));
        for (int i = 0; i < values.Length; i++)
            block[2 + i] = unchecked((byte)(sbyte)MathF.Round(values[i] * 127 / max));
    }

    public sealed record Size(int Layers, int Hidden, int FeedForward, int Heads, int KvHeads, int HeadDim);
}
