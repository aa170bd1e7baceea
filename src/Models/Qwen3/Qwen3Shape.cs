using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Reads a Qwen3 decoder's hyper-parameters out of a GGUF file.</summary>
internal static class Qwen3Shape
{
    public const string Architecture = "qwen3";

    private const int LayersMax = 1024;
    private const int SizeMax = 1 << 20;
    private const int VocabularyMax = 1 << 24;

    /// <exception cref="ModelFileException">A key is missing or out of range, or the numbers contradict each other.</exception>
    public static ModelShape Read(GgufFile file)
    {
        string architecture = file.Text("general.architecture");
        if (architecture != Architecture)
            throw file.Bad($"the architecture is \"{architecture}\"; this network computes \"{Architecture}\"");
        string Key(string name) => $"{architecture}.{name}";
        int hidden = file.Integer(Key("embedding_length"), 1, SizeMax);
        int heads = file.Integer(Key("attention.head_count"), 1, SizeMax);
        int kvHeads = file.IntegerOr(Key("attention.head_count_kv"), heads, 1, SizeMax);
        if (heads % kvHeads != 0 || heads / kvHeads > Attention.GroupMax)
            throw file.Bad($"{heads} query heads cannot share {kvHeads} key heads: the quotient must be a whole number up to {Attention.GroupMax}");
        if (!file.Has(Key("attention.key_length")) && hidden % heads != 0)
            throw file.Bad($"metadata \"{Key("attention.key_length")}\" is missing and {hidden} is no multiple of {heads} heads");
        int headDim = file.IntegerOr(Key("attention.key_length"), hidden / heads, 1, SizeMax);
        if (headDim % 16 != 0 || headDim > Attention.HeadDimMax)
            throw file.Bad($"the size of a head is {headDim}; it must be a multiple of 16 up to {Attention.HeadDimMax}");
        if (file.IntegerOr(Key("attention.value_length"), headDim, 1, SizeMax) is int valueDim && valueDim != headDim)
            throw file.Bad($"keys have {headDim} dimensions and values {valueDim}; they must agree");
        if (file.IntegerOr(Key("rope.dimension_count"), headDim, 1, SizeMax) is int rotary && rotary != headDim)
            throw file.Bad($"{rotary} of {headDim} dimensions are rotated; \"{Architecture}\" rotates all");
        if (file.TextOrNull(Key("rope.scaling.type")) is { } scaling && scaling != "none")
            throw file.Bad($"rope scaling \"{scaling}\" is not supported");
        GgufTensor embedding = file.Tensor("token_embd.weight");
        if (embedding.Shape.Length != 2 || embedding.Shape[0] != hidden || embedding.Shape[1] > VocabularyMax)
            throw file.Bad($"tensor {embedding} must have shape [{hidden}, vocabulary], the vocabulary at most {VocabularyMax}");

        return new ModelShape(
            architecture,
            Layers: file.Integer(Key("block_count"), 1, LayersMax),
            Hidden: hidden,
            FeedForward: file.Integer(Key("feed_forward_length"), 1, SizeMax),
            Heads: heads,
            KvHeads: kvHeads,
            HeadDim: headDim,
            Vocabulary: (int)embedding.Shape[1],
            ContextLength: file.Integer(Key("context_length"), 1, int.MaxValue),
            RmsEpsilon: file.Number(Key("attention.layer_norm_rms_epsilon")),
            RopeTheta: file.NumberOr(Key("rope.freq_base"), 10_000),
            TiedEmbeddings: !file.TryTensor("output.weight", out _));
    }
}
