namespace Qanat.Models.Tests;

public sealed class DecoderFileTests
{
    [Fact]
    public void A_missing_tensor_is_named()
    {
        ModelFileException e = Refusal((_, tensors) => tensors.RemoveAll(tensor => tensor.Name == "blk.1.ffn_up.weight"));
        Assert.Contains("\"blk.1.ffn_up.weight\" is missing", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_shape_tells_what_was_expected()
    {
        ModelFileException e = Refusal((_, tensors) => Replace(tensors, "blk.0.attn_k.weight", GgmlType.F32, [64, 33]));
        Assert.Contains("blk.0.attn_k.weight F32 [64, 33] must have shape [64, 32]", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_type_without_kernels_is_named()
    {
        ModelFileException e = Refusal((_, tensors) => tensors[0] = new GgufTensorSource(tensors[0].Name, GgmlType.I32, tensors[0].Shape, stream => stream.Write(new byte[64 * RandomDecoder.Vocabulary * 4])));
        Assert.Contains("token_embd.weight I32 [64, 203] has a type without kernels", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("general.architecture", "qwen9", "\"qwen9\"; known: qwen2, qwen3, ")]
    [InlineData("qwen3.attention.key_length", 24u, "multiple of 16")]
    [InlineData("qwen3.attention.value_length", 64u, "must agree")]
    [InlineData("qwen3.attention.head_count_kv", 2u, "3 query heads cannot share 2")]
    [InlineData("qwen3.rope.scaling.type", "linear", "\"linear\" is not supported")]
    [InlineData("qwen3.rope.scaling.type", "yarn", "qwen3.rope.scaling.factor")]
    [InlineData("qwen3.rope.scaling.attn_factor", 1.2f, "\"qwen3.rope.scaling.attn_factor\" is 1.2 without YaRN")]
    [InlineData("qwen3.rope.dimension_count", 16u, "16 of 32 dimensions")]
    [InlineData("qwen3.block_count", 3u, "\"blk.2.attn_norm.weight\" is missing")]
    [InlineData("qwen3.block_count", 0u, "qwen3.block_count")]
    [InlineData("qwen3.embedding_length", 65u, "must have shape [65, vocabulary]")]
    public void Metadata_that_cannot_be_computed_is_named(string key, object value, string expected)
    {
        ModelFileException e = Refusal((metadata, _) =>
        {
            metadata.RemoveAll(pair => pair.Key == key);
            metadata.Add(new(key, value switch { string text => GgufValue.Of(text), float number => GgufValue.Of(number), _ => GgufValue.Of((uint)value) }));
        });
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    /// <summary>What else a file says of YaRN is kept, or refused: never passed over.</summary>
    [Theory]
    [InlineData("attn_factor", 0f, "must be above 0")]
    [InlineData("yarn_ext_factor", 0.5f, "\"qwen3.rope.scaling.yarn_ext_factor\" is 0.5; supported is 1")]
    [InlineData("yarn_attn_factor", 1.2f, "\"qwen3.rope.scaling.yarn_attn_factor\" is 1.2; supported are 1 and YaRN's own 1.1386")]
    public void Yarn_in_another_form_is_refused(string key, float value, string expected) =>
        Assert.Contains(expected, Refusal((metadata, _) => metadata.AddRange(Yarn(key, value))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("attn_factor", 1.5f, 1.5 * 1.1386294361119891)]
    [InlineData("yarn_ext_factor", 1f, 1.1386294361119891)]
    [InlineData("yarn_attn_factor", 1f, 1.1386294361119891)]
    [InlineData("yarn_attn_factor", 1.1386f, 1.1386294361119891)]
    public void Yarn_grows_by_what_the_file_says(string key, float value, double magnitude)
    {
        using var model = new RandomDecoder(RandomDecoder.Odd, GgmlType.F32, seed: 1, tied: true, (metadata, _) => metadata.AddRange(Yarn(key, value)));
        Assert.Equal(magnitude, DecoderShape.Read(model.File).Yarn!.Magnitude, 9);
    }

    private static KeyValuePair<string, GgufValue>[] Yarn(string key, float value) =>
    [
        new("qwen3.rope.scaling.type", GgufValue.Of("yarn")), new("qwen3.rope.scaling.factor", GgufValue.Of(4f)),
        new("qwen3.rope.scaling.original_context_length", GgufValue.Of(1024u)), new("qwen3.rope.scaling." + key, GgufValue.Of(value)),
    ];

    /// <summary>Files of Qwen3-Next of before December 2025 have one projection with a group of rows for each key head.</summary>
    [Theory]
    [InlineData(GgmlType.F32)]
    [InlineData(GgmlType.Q8_0)]
    public void A_joined_projection_computes_what_its_parts_compute(GgmlType type)
    {
        RandomDecoder.Size size = RandomDecoder.Of("qwen3next");
        using var split = new RandomDecoder(size, type, seed: 7);
        using var joined = new RandomDecoder(size, type, seed: 7, tied: true, (_, tensors) => Join(tensors, size, type));
        Assert.False(joined.File.HasTensor("blk.0.attn_qkv.weight"));
        int[] tokens = Sequences.RandomTokens(20, 5);
        float[][] Computed(RandomDecoder model)
        {
            using Network network = Network.Load(model.File, new NetworkOptions { Threads = 1 });
            using var sequences = new Sequences(network, blockCount: 4, blockTokens: 16, seed: 1);
            return sequences.Step((new Sequences.Sequence(tokens), tokens.Length));
        }
        Assert.Equal(Computed(split), Computed(joined));
        Assert.Equal(new DecoderReference(split.File).Logits(tokens), new DecoderReference(joined.File).Logits(tokens));
    }

    private static void Join(List<GgufTensorSource> tensors, RandomDecoder.Size size, GgmlType type)
    {
        int keys = size.KeyHeads * size.KeyDim, values = size.ValueHeads * size.ValueDim / size.KeyHeads;
        foreach (GgufTensorSource mixed in tensors.Where(tensor => tensor.Name.EndsWith(".attn_qkv.weight", StringComparison.Ordinal)).ToArray())
        {
            string block = mixed.Name[..^"attn_qkv.weight".Length];
            GgufTensorSource gate = tensors.Single(tensor => tensor.Name == block + "attn_gate.weight");
            byte[][] qkv = Rows(mixed), z = Rows(gate);
            byte[][] rows = [.. Enumerable.Range(0, size.KeyHeads).SelectMany(head => (byte[][])
            [
                .. qkv.Skip(head * size.KeyDim).Take(size.KeyDim), .. qkv.Skip(keys + head * size.KeyDim).Take(size.KeyDim),
                .. qkv.Skip(2 * keys + head * values).Take(values), .. z.Skip(head * values).Take(values),
            ])];
            tensors.Remove(mixed);
            tensors[tensors.IndexOf(gate)] = new GgufTensorSource(block + "ssm_in.weight", type, [size.Hidden, rows.Length], stream => stream.Write(rows.SelectMany(row => row).ToArray()));
        }

        static byte[][] Rows(GgufTensorSource tensor)
        {
            using var data = new MemoryStream();
            tensor.Write(data);
            return [.. data.ToArray().Chunk((int)tensor.Type.RowBytes(tensor.Shape[0]))];
        }
    }

    private static void Replace(List<GgufTensorSource> tensors, string name, GgmlType type, long[] shape) =>
        tensors[tensors.FindIndex(tensor => tensor.Name == name)] = RandomDecoder.RandomTensor(name, type, shape, seed: 1);

    private static ModelFileException Refusal(Action<List<KeyValuePair<string, GgufValue>>, List<GgufTensorSource>> change)
    {
        using var model = new RandomDecoder(RandomDecoder.Odd, GgmlType.F32, seed: 1, tied: true, change);
        ModelFileException e = Assert.Throws<ModelFileException>(() => Network.Load(model.File, new NetworkOptions { Threads = 1 }).Dispose());
        Assert.StartsWith(model.File.Path, e.Message, StringComparison.Ordinal);
        return e;
    }
}
