using System.Buffers.Binary;

namespace Qanat.Models.Tests;

/// <summary>Tiny decoder files with random weights, written to a folder of their own and deleted with it.</summary>
internal sealed class RandomDecoder : IDisposable
{
    public const int Vocabulary = 203;

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"qanat-{Path.GetRandomFileName()}.gguf");

    /// <summary>Sizes that are no multiple of a panel: 3 query heads on one key head, 203 tokens.</summary>
    public static readonly Size Odd = new(Layers: 2, Hidden: 64, FeedForward: 96, Heads: 3, KvHeads: 1, HeadDim: 32);

    public static readonly Size Grouped = new(Layers: 3, Hidden: 128, FeedForward: 160, Heads: 4, KvHeads: 2, HeadDim: 64);

    /// <summary>A row's logits are more numbers than all else that is kept of it.</summary>
    public static readonly Size Narrow = new(Layers: 2, Hidden: 32, FeedForward: 32, Heads: 1, KvHeads: 1, HeadDim: 16);

    /// <summary>One of each known architecture, small. The hybrids end with a recurrent layer, which real ones do not.</summary>
    public static readonly Size[] Architectures =
    [
        Odd with { Architecture = "qwen2" },
        Odd,
        Odd with { Architecture = "qwen3moe", Experts = 6, ExpertsUsed = 3, ExpertFeedForward = 32 },
        Odd with { Architecture = "qwen35", Layers = 5, KeyHeads = 2, ValueHeads = 4, KeyDim = 16, ValueDim = 80 },
        Odd with { Architecture = "qwen35moe", Layers = 4, KeyHeads = 2, ValueHeads = 6, KeyDim = 32, ValueDim = 32, Experts = 5, ExpertsUsed = 2, ExpertFeedForward = 64, SharedFeedForward = 32 },
        Odd with { Architecture = "qwen3next", Layers = 5, KeyHeads = 2, ValueHeads = 4, KeyDim = 16, ValueDim = 16, Experts = 5, ExpertsUsed = 2, ExpertFeedForward = 32, SharedFeedForward = 64 },
    ];

    public static Size Of(string architecture) => Architectures.Single(size => size.Architecture == architecture);

    public RandomDecoder(Size size, GgmlType type, int seed, bool tied = true, Action<List<KeyValuePair<string, GgufValue>>, List<GgufTensorSource>>? change = null)
    {
        List<KeyValuePair<string, GgufValue>> metadata = [.. Metadata(size)];
        List<GgufTensorSource> tensors = [.. new Tensors(size, type, new Random(seed)).All(tied)];
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

    private static IEnumerable<KeyValuePair<string, GgufValue>> Metadata(Size size)
    {
        KeyValuePair<string, GgufValue> Number(string key, int value) => new($"{size.Architecture}.{key}", GgufValue.Of((uint)value));
        yield return new("general.architecture", GgufValue.Of(size.Architecture));
        yield return Number("block_count", size.Layers);
        yield return Number("context_length", 4096);
        yield return Number("embedding_length", size.Hidden);
        yield return Number("feed_forward_length", size.FeedForward);
        yield return Number("attention.head_count", size.Heads);
        yield return Number("attention.head_count_kv", size.KvHeads);
        yield return Number("attention.key_length", size.HeadDim);
        yield return Number("attention.value_length", size.HeadDim);
        yield return new($"{size.Architecture}.attention.layer_norm_rms_epsilon", GgufValue.Of(1e-6f));
        yield return new($"{size.Architecture}.rope.freq_base", GgufValue.Of(1e6f));
        if (size.Experts > 0)
        {
            yield return Number("expert_count", size.Experts);
            yield return Number("expert_used_count", size.ExpertsUsed);
            yield return Number("expert_feed_forward_length", size.ExpertFeedForward);
            yield return Number("expert_shared_feed_forward_length", size.SharedFeedForward);
        }
        if (size.KeyHeads > 0)
        {
            yield return Number("ssm.conv_kernel", 4);
            yield return Number("ssm.group_count", size.KeyHeads);
            yield return Number("ssm.time_step_rank", size.ValueHeads);
            yield return Number("ssm.state_size", size.KeyDim);
            yield return Number("ssm.inner_size", size.ValueHeads * size.ValueDim);
            yield return Number("rope.dimension_count", size.HeadDim / 4);
        }
    }

    private sealed class Tensors(Size size, GgmlType type, Random random)
    {
        private GgufTensorSource Matrix(string name, params long[] shape) => RandomTensor(name, type, shape, random.Next());

        private GgufTensorSource Vector(string name, int length) => RandomTensor(name, GgmlType.F32, [length], random.Next());

        public IEnumerable<GgufTensorSource> All(bool tied)
        {
            yield return Matrix("token_embd.weight", size.Hidden, Vocabulary);
            yield return Vector("output_norm.weight", size.Hidden);
            if (!tied)
                yield return Matrix("output.weight", size.Hidden, Vocabulary);
            for (int layer = 0; layer < size.Layers; layer++)
            {
                string block = FormattableString.Invariant($"blk.{layer}.");
                yield return Vector(block + "attn_norm.weight", size.Hidden);
                foreach (GgufTensorSource tensor in size.KeyHeads > 0 && (layer + 1) % 4 != 0 ? DeltaNet(block) : Attention(block))
                    yield return tensor;
                yield return Vector(block + (size.KeyHeads > 0 ? "post_attention_norm.weight" : "ffn_norm.weight"), size.Hidden);
                foreach (GgufTensorSource tensor in size.Experts > 0 ? Experts(block) : Dense(block, "", size.FeedForward))
                    yield return tensor;
            }
        }

        private IEnumerable<GgufTensorSource> Attention(string block)
        {
            int queries = size.Heads * size.HeadDim, keys = size.KvHeads * size.HeadDim;
            yield return Matrix(block + "attn_q.weight", size.Hidden, size.KeyHeads > 0 ? 2 * queries : queries);
            yield return Matrix(block + "attn_k.weight", size.Hidden, keys);
            yield return Matrix(block + "attn_v.weight", size.Hidden, keys);
            if (size.Architecture == "qwen2")
            {
                yield return Vector(block + "attn_q.bias", queries);
                yield return Vector(block + "attn_k.bias", keys);
                yield return Vector(block + "attn_v.bias", keys);
            }
            else
            {
                yield return Vector(block + "attn_q_norm.weight", size.HeadDim);
                yield return Vector(block + "attn_k_norm.weight", size.HeadDim);
            }
            yield return Matrix(block + "attn_output.weight", queries, size.Hidden);
        }

        private IEnumerable<GgufTensorSource> DeltaNet(string block)
        {
            int values = size.ValueHeads * size.ValueDim, channels = 2 * size.KeyHeads * size.KeyDim + values;
            yield return Matrix(block + "attn_qkv.weight", size.Hidden, channels);
            yield return Matrix(block + "attn_gate.weight", size.Hidden, values);
            if (size.Architecture == "qwen3next")
            {
                yield return Matrix(block + "ssm_ba.weight", size.Hidden, 2 * size.ValueHeads);
            }
            else
            {
                yield return Matrix(block + "ssm_alpha.weight", size.Hidden, size.ValueHeads);
                yield return Matrix(block + "ssm_beta.weight", size.Hidden, size.ValueHeads);
            }
            yield return RandomTensor(block + "ssm_conv1d.weight", GgmlType.F32, [4, channels], random.Next());
            yield return Vector(block + "ssm_dt.bias", size.ValueHeads);
            yield return Negative(block + "ssm_a", size.ValueHeads, random.Next());
            yield return Vector(block + "ssm_norm.weight", size.ValueDim);
            yield return Matrix(block + "ssm_out.weight", values, size.Hidden);
        }

        private IEnumerable<GgufTensorSource> Dense(string block, string suffix, int width)
        {
            yield return Matrix($"{block}ffn_gate{suffix}.weight", size.Hidden, width);
            yield return Matrix($"{block}ffn_up{suffix}.weight", size.Hidden, width);
            yield return Matrix($"{block}ffn_down{suffix}.weight", width, size.Hidden);
        }

        private IEnumerable<GgufTensorSource> Experts(string block)
        {
            yield return RandomTensor(block + "ffn_gate_inp.weight", GgmlType.F32, [size.Hidden, size.Experts], random.Next());
            yield return Matrix(block + "ffn_gate_exps.weight", size.Hidden, size.ExpertFeedForward, size.Experts);
            yield return Matrix(block + "ffn_up_exps.weight", size.Hidden, size.ExpertFeedForward, size.Experts);
            yield return Matrix(block + "ffn_down_exps.weight", size.ExpertFeedForward, size.Hidden, size.Experts);
            if (size.SharedFeedForward == 0)
                yield break;
            foreach (GgufTensorSource tensor in Dense(block, "_shexp", size.SharedFeedForward))
                yield return tensor;
            yield return Vector(block + "ffn_gate_inp_shexp.weight", size.Hidden);
        }

        /// <summary>Rates of forgetting between -1 and 0.</summary>
        private static GgufTensorSource Negative(string name, int length, int seed) => new(name, GgmlType.F32, [length], stream =>
        {
            var random = new Random(seed);
            stream.Write(Encode(GgmlType.F32, [.. Enumerable.Range(0, length).Select(_ => -random.NextSingle())]));
        });
    }

    public sealed record Size(int Layers, int Hidden, int FeedForward, int Heads, int KvHeads, int HeadDim)
    {
        public string Architecture { get; init; } = "qwen3";
        public int KeyHeads { get; init; }
        public int ValueHeads { get; init; }
        public int KeyDim { get; init; }
        public int ValueDim { get; init; }
        public int Experts { get; init; }
        public int ExpertsUsed { get; init; }
        public int ExpertFeedForward { get; init; }
        public int SharedFeedForward { get; init; }
        public bool HasStates => KeyHeads > 0;
    }
}
