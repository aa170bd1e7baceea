using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Reads a decoder's hyper-parameters. The architectures differ in few points, and those are here:
/// <list type="bullet">
/// <item>qwen2: biased queries, keys and values, no head norms;</item>
/// <item>qwen3: head norms; qwen3moe: the same with experts;</item>
/// <item>qwen35, qwen35moe, qwen3next: most layers are gated DeltaNets, the others attend with an output gate and turn a part of each head.</item>
/// </list></summary>
internal static class DecoderShape
{
    private const int LayersMax = 1024;
    private const int SizeMax = 1 << 20;
    private const int VocabularyMax = 1 << 24;
    private const int ExpertsMax = 4096;

    public static string[] Architectures { get; } = ["qwen2", "qwen3", "qwen3moe", "qwen35", "qwen35moe", "qwen3next"];

    /// <summary>Most of its layers keep a recurrent state.</summary>
    public static bool IsHybrid(string? architecture) => architecture is "qwen35" or "qwen35moe" or "qwen3next";

    public static bool HasExperts(string? architecture) => architecture is "qwen3moe" or "qwen35moe" or "qwen3next";

    /// <exception cref="ModelFileException">A key is missing or out of range, or the numbers contradict each other.</exception>
    public static ModelShape Read(ModelSource file)
    {
        string architecture = file.Text("general.architecture");
        if (!Architectures.Contains(architecture, StringComparer.Ordinal))
            throw file.Bad($"the architecture is \"{architecture}\"; known: {string.Join(", ", Architectures)}");
        bool isHybrid = IsHybrid(architecture), hasExperts = HasExperts(architecture);
        string Key(string name) => $"{architecture}.{name}";
        int hidden = file.Integer(Key("embedding_length"), 1, SizeMax);
        (int heads, int kvHeads, int headDim) = Heads(file, Key, hidden);
        int rotary = file.IntegerOr(Key("rope.dimension_count"), isHybrid ? headDim / 4 : headDim, 2, SizeMax);
        if (rotary > headDim || rotary % 2 != 0 || (!isHybrid && rotary != headDim))
            throw file.Bad($"{rotary} of {headDim} dimensions are rotated; \"{architecture}\" rotates {(isHybrid ? "an even part" : "all")}");
        GgufTensor embedding = file.Tensor("token_embd.weight");
        if (embedding.Shape.Length != 2 || embedding.Shape[0] != hidden || embedding.Shape[1] > VocabularyMax)
            throw file.Bad($"tensor {embedding} must have shape [{hidden}, vocabulary], the vocabulary at most {VocabularyMax}");
        int blocks = file.Integer(Key("block_count"), 1, LayersMax);
        // Blocks that predict tokens further ahead come last; generation does not need them.
        int layers = blocks - file.IntegerOr(Key("nextn_predict_layers"), 0, 0, blocks - 1);
        YarnScaling? yarn = Yarn(file, Key);
        int context = file.Integer(Key("context_length"), 1, int.MaxValue);
        float epsilon = file.Number(Key("attention.layer_norm_rms_epsilon")), theta = file.NumberOr(Key("rope.freq_base"), 10_000);
        if (!(epsilon >= 0 && float.IsFinite(epsilon) && theta > 0 && float.IsFinite(theta)))
            throw file.Bad($"a normalization with epsilon {epsilon} or positions with base {theta} make no sense: the first must be at least 0, the second above 0");
        DeltaNetShape? deltaNet = isHybrid ? DeltaNet(file, Key, groups: architecture == "qwen3next") : null;

        return new ModelShape(
            architecture,
            Layers: layers,
            Hidden: hidden,
            FeedForward: hasExperts ? 0 : file.Integer(Key("feed_forward_length"), 1, SizeMax),
            Heads: heads,
            KvHeads: kvHeads,
            HeadDim: headDim,
            Vocabulary: (int)embedding.Shape[1],
            ContextLength: yarn is null ? context : (int)Math.Clamp((double)yarn.Factor * yarn.OriginalContext, context, int.MaxValue),
            RmsEpsilon: epsilon,
            RopeTheta: theta,
            TiedEmbeddings: !file.HasTensor("output.weight"))
        {
            RotaryDim = rotary,
            Yarn = yarn,
            HasAttentionBias = architecture == "qwen2",
            HasHeadNorms = architecture != "qwen2",
            HasOutputGate = isHybrid,
            DeltaNet = deltaNet,
            RecurrentLayers = isHybrid ? [.. Recurrent(file, Key, layers)] : [],
            Experts = hasExperts ? Experts(file, Key) : null,
        };
    }

    private static (int Heads, int KvHeads, int HeadDim) Heads(ModelSource file, Func<string, string> key, int hidden)
    {
        int heads = file.Integer(key("attention.head_count"), 1, SizeMax);
        int kvHeads = file.IntegerOr(key("attention.head_count_kv"), heads, 1, SizeMax);
        if (heads % kvHeads != 0 || heads / kvHeads > Attention.GroupMax)
            throw file.Bad($"{heads} query heads cannot share {kvHeads} key heads: the quotient must be a whole number up to {Attention.GroupMax}");
        if (!file.Has(key("attention.key_length")) && hidden % heads != 0)
            throw file.Bad($"metadata \"{key("attention.key_length")}\" is missing and {hidden} is no multiple of {heads} heads");
        int headDim = file.IntegerOr(key("attention.key_length"), hidden / heads, 1, SizeMax);
        if (headDim % 16 != 0 || headDim > Attention.HeadDimMax)
            throw file.Bad($"the size of a head is {headDim}; it must be a multiple of 16 up to {Attention.HeadDimMax}");
        if (file.IntegerOr(key("attention.value_length"), headDim, 1, SizeMax) is int valueDim && valueDim != headDim)
            throw file.Bad($"keys have {headDim} dimensions and values {valueDim}; they must agree");
        return (heads, kvHeads, headDim);
    }

    private static YarnScaling? Yarn(ModelSource file, Func<string, string> key)
    {
        string scaling = file.TextOrNull(key("rope.scaling.type")) ?? "none";
        float attention = file.NumberOr(key("rope.scaling.attn_factor"), 1);
        if (scaling == "none")
            return attention == 1 ? null : throw file.Bad($"metadata \"{key("rope.scaling.attn_factor")}\" is {attention} without YaRN; supported is 1");
        if (scaling != "yarn")
            throw file.Bad($"rope scaling \"{scaling}\" is not supported; supported is \"yarn\"");
        float factor = file.Number(key("rope.scaling.factor"));
        int original = file.Integer(key("rope.scaling.original_context_length"), 1, int.MaxValue);
        float fast = file.NumberOr(key("rope.scaling.yarn_beta_fast"), 32), slow = file.NumberOr(key("rope.scaling.yarn_beta_slow"), 1);
        if (factor < 1 || fast <= 0 || slow <= 0)
            throw file.Bad($"YaRN with factor {factor}, beta fast {fast} and beta slow {slow} makes no sense: the factor must be at least 1, the others above 0");
        if (attention <= 0)
            throw file.Bad($"metadata \"{key("rope.scaling.attn_factor")}\" is {attention}; it must be above 0");
        if (file.NumberOr(key("rope.scaling.yarn_ext_factor"), 1) is var extrapolation && extrapolation != 1)
            throw file.Bad($"metadata \"{key("rope.scaling.yarn_ext_factor")}\" is {extrapolation}; supported is 1");
        // Converters write here what the model calls its factor, be it all that cosines and sines grow by or what they grow by beside YaRN's own; llama.cpp reads neither.
        if (file.NumberOr(key("rope.scaling.yarn_attn_factor"), 1) is var told && told != 1 && Math.Abs(told - Kernels.Yarn.Magnitude(factor)) > 1e-3)
            throw file.Bad($"metadata \"{key("rope.scaling.yarn_attn_factor")}\" is {told}; supported are 1 and YaRN's own {Kernels.Yarn.Magnitude(factor):0.####}");
        return new YarnScaling(factor, original, fast, slow) { AttentionFactor = attention };
    }

    private static DeltaNetShape DeltaNet(ModelSource file, Func<string, string> key, bool groups)
    {
        int keyHeads = file.Integer(key("ssm.group_count"), 1, SizeMax);
        int valueHeads = file.Integer(key("ssm.time_step_rank"), 1, SizeMax);
        int keyDim = file.Integer(key("ssm.state_size"), 1, SizeMax);
        int inner = file.Integer(key("ssm.inner_size"), 1, SizeMax);
        int kernel = file.Integer(key("ssm.conv_kernel"), 2, CausalConv.KernelMax);
        if ((long)keyHeads * keyDim > SizeMax)
            throw file.Bad($"{keyHeads} key heads of {keyDim} are more than {SizeMax} numbers");
        if (valueHeads % keyHeads != 0 || inner % valueHeads != 0)
            throw file.Bad($"{inner} values cannot be shared by {valueHeads} value heads, or these by {keyHeads} key heads");
        int valueDim = inner / valueHeads;
        if (keyDim % 16 != 0 || keyDim > GatedDelta.DimensionMax || valueDim % 16 != 0 || valueDim > GatedDelta.DimensionMax)
            throw file.Bad($"the state of a head is {keyDim} x {valueDim}; both must be multiples of 16 up to {GatedDelta.DimensionMax}");
        return new DeltaNetShape(keyHeads, valueHeads, keyDim, valueDim, kernel, groups);
    }

    private static bool[] Recurrent(ModelSource file, Func<string, string> key, int layers)
    {
        if (file.Has(key("attention.recurrent_layers")))
        {
            bool[] flags = file.Flags(key("attention.recurrent_layers"));
            return flags.Length >= layers ? flags[..layers] : throw file.Bad($"metadata \"{key("attention.recurrent_layers")}\" tells of {flags.Length} layers, there are {layers}");
        }
        int interval = file.IntegerOr(key("full_attention_interval"), 4, 1, LayersMax);
        return [.. Enumerable.Range(1, layers).Select(number => number % interval != 0)];
    }

    private static ExpertShape Experts(ModelSource file, Func<string, string> key)
    {
        int count = file.Integer(key("expert_count"), 1, ExpertsMax);
        return new ExpertShape(
            count,
            Used: file.Integer(key("expert_used_count"), 1, Math.Min(count, ExpertMatMul.UsedMax)),
            FeedForward: file.Integer(key("expert_feed_forward_length"), 1, SizeMax),
            SharedFeedForward: file.IntegerOr(key("expert_shared_feed_forward_length"), 0, 0, SizeMax),
            NormalisesWeights: file.FlagOr(key("expert_weights_norm"), true));
    }
}
