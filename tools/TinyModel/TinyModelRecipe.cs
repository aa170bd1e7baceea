using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>How to make a GGUF file of one of the Qwen architectures with random weights: the same recipe gives the same bytes on every machine.
/// The small one ("qanat-tiny") has a real tokenizer and lets everything be tried without a download; the large shapes are for measuring speed.</summary>
public sealed record TinyModelRecipe
{
    /// <summary>As in general.architecture.</summary>
    public string Architecture { get; init; } = "qwen3";

    /// <summary>Recurrent layers, three of four; null: all attend.</summary>
    public DeltaNetShape? DeltaNet { get; init; }

    /// <summary>Experts in every layer; null: the feed-forward is dense.</summary>
    public ExpertShape? Experts { get; init; }

    /// <summary>Base of the rotary frequencies.</summary>
    public float RopeTheta { get; init; } = 1e6f;

    /// <summary>Positions beyond the trained context by YaRN; null: the context is what was trained.</summary>
    public YarnScaling? Yarn { get; init; }

    /// <summary>What general.name and the served name say.</summary>
    public required string Name { get; init; }
    public required int Layers { get; init; }
    public required int Hidden { get; init; }
    public required int FeedForward { get; init; }
    public required int Heads { get; init; }
    public required int KvHeads { get; init; }
    public required int HeadDim { get; init; }

    /// <summary>Rows of the embedding; entries beyond the tokenizer's are unused ones.</summary>
    public required int Vocabulary { get; init; }
    public required int ContextLength { get; init; }

    /// <summary>Whether the output head is the embedding itself, as in the models up to 4B.</summary>
    public bool TiedEmbeddings { get; init; } = true;

    /// <summary>F32, F16, BF16 or Q8_0; norms are always F32.</summary>
    public GgmlType Type { get; init; } = GgmlType.Q8_0;
    public ulong Seed { get; init; } = 1;

    /// <summary>4 layers, 5 million weights, 4096 tokens.</summary>
    public static TinyModelRecipe Tiny { get; } = new()
    {
        Name = "qanat-tiny",
        Layers = 4,
        Hidden = 256,
        FeedForward = 768,
        Heads = 4,
        KvHeads = 2,
        HeadDim = 128,
        Vocabulary = TinyTokenizer.TokenCount,
        ContextLength = 32768,
        TiedEmbeddings = false,
    };

    private static DeltaNetShape TinyNet { get; } = new(KeyHeads: 2, ValueHeads: 4, KeyDim: 64, ValueDim: 64, ConvKernel: 4, GroupsValueHeads: false);

    /// <summary>One small model of each architecture, under its name.</summary>
    public static IReadOnlyList<TinyModelRecipe> TinyOfEach { get; } =
    [
        Tiny with { Name = "qanat-tiny-qwen2", Architecture = "qwen2", HeadDim = 64 },
        Tiny,
        Tiny with { Name = "qanat-tiny-qwen3moe", Architecture = "qwen3moe", Experts = new ExpertShape(16, 4, 128, 0, NormalisesWeights: true) },
        Tiny with { Name = "qanat-tiny-qwen35", Architecture = "qwen35", DeltaNet = TinyNet, HeadDim = 64, RopeTheta = 1e7f },
        Tiny with { Name = "qanat-tiny-qwen35moe", Architecture = "qwen35moe", DeltaNet = TinyNet, HeadDim = 64, RopeTheta = 1e7f, Experts = new ExpertShape(16, 4, 128, 128, NormalisesWeights: true) },
        Tiny with { Name = "qanat-tiny-qwen3next", Architecture = "qwen3next", DeltaNet = TinyNet with { GroupsValueHeads = true }, HeadDim = 64, RopeTheta = 1e7f, Experts = new ExpertShape(16, 4, 128, 128, NormalisesWeights: true) },
    ];

    /// <summary>The shape of Qwen3.5-0.8B.</summary>
    public static TinyModelRecipe Qwen35Of800M { get; } = new()
    {
        Name = "random-qwen3.5-0.8b",
        Architecture = "qwen35",
        Layers = 24,
        Hidden = 1024,
        FeedForward = 3584,
        Heads = 8,
        KvHeads = 2,
        HeadDim = 256,
        DeltaNet = new DeltaNetShape(KeyHeads: 16, ValueHeads: 16, KeyDim: 128, ValueDim: 128, ConvKernel: 4, GroupsValueHeads: false),
        RopeTheta = 1e7f,
        Vocabulary = 248320,
        ContextLength = 262144,
    };

    public static TinyModelRecipe Qwen3Of600M { get; } = new()
    {
        Name = "random-qwen3-0.6b",
        Layers = 28,
        Hidden = 1024,
        FeedForward = 3072,
        Heads = 16,
        KvHeads = 8,
        HeadDim = 128,
        Vocabulary = 151936,
        ContextLength = 40960,
    };

    public static TinyModelRecipe Qwen3Of1700M { get; } = new()
    {
        Name = "random-qwen3-1.7b",
        Layers = 28,
        Hidden = 2048,
        FeedForward = 6144,
        Heads = 16,
        KvHeads = 8,
        HeadDim = 128,
        Vocabulary = 151936,
        ContextLength = 40960,
    };

    /// <summary>Every fourth layer attends.</summary>
    internal bool IsRecurrent(int layer) => DeltaNet is not null && (layer + 1) % AttentionInterval != 0;

    private const int AttentionInterval = 4;

    /// <summary>The file name that tells one recipe's output from another's.</summary>
    public string FileName => FormattableString.Invariant($"{Name}-{Type}-{Seed}-v{FormatVersion}.gguf");

    /// <summary>Raised whenever the same recipe would give other bytes than before.</summary>
    private const int FormatVersion = 3;

    private const string Notice = "The weights of this model are random: its text means nothing.";

    /// <summary>Writes the file into a folder unless it is there already, and gives its path. Safe when several processes do it at once.</summary>
    public string WriteTo(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (File.Exists(path))
            return path;
        Directory.CreateDirectory(folder);
        // Whoever else needs it at this moment, of whatever process, writes one too: the last is there in the end, and each was whole.
        string unfinished = FormattableString.Invariant($"{path}.{Environment.ProcessId}.{Environment.CurrentManagedThreadId}.tmp");
        using (FileStream stream = new(unfinished, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 20))
            Write(stream);
        File.Move(unfinished, path, overwrite: true);
        return path;
    }

    /// <summary>Writes the file, a few rows at a time.</summary>
    public void Write(Stream target)
    {
        TinyTokenizer tokenizer = TinyTokenizer.Train();
        ArgumentOutOfRangeException.ThrowIfLessThan(Vocabulary, TinyTokenizer.TokenCount);
        GgufWriter.Write(target, [.. Metadata(), .. tokenizer.Metadata(Vocabulary)], [.. new RandomWeights(this, tokenizer).Tensors()]);
    }

    private IEnumerable<KeyValuePair<string, GgufValue>> Metadata()
    {
        KeyValuePair<string, GgufValue> Number(string key, int value) => new($"{Architecture}.{key}", GgufValue.Of((uint)value));
        yield return new("general.architecture", GgufValue.Of(Architecture));
        yield return new("general.name", GgufValue.Of(Name));
        yield return new("general.license", GgufValue.Of("apache-2.0"));
        yield return new("general.file_type", GgufValue.Of(FileType));
        yield return new("qanat.notice", GgufValue.Of(Notice));
        yield return Number("block_count", Layers);
        yield return Number("context_length", ContextLength);
        yield return Number("embedding_length", Hidden);
        yield return Number("feed_forward_length", FeedForward);
        yield return Number("attention.head_count", Heads);
        yield return Number("attention.head_count_kv", KvHeads);
        yield return Number("attention.key_length", HeadDim);
        yield return Number("attention.value_length", HeadDim);
        yield return new($"{Architecture}.attention.layer_norm_rms_epsilon", GgufValue.Of(1e-6f));
        yield return new($"{Architecture}.rope.freq_base", GgufValue.Of(RopeTheta));
        if (Yarn is { } yarn)
        {
            yield return new($"{Architecture}.rope.scaling.type", GgufValue.Of("yarn"));
            yield return new($"{Architecture}.rope.scaling.factor", GgufValue.Of(yarn.Factor));
            yield return Number("rope.scaling.original_context_length", yarn.OriginalContext);
            yield return new($"{Architecture}.rope.scaling.yarn_beta_fast", GgufValue.Of(yarn.BetaFast));
            yield return new($"{Architecture}.rope.scaling.yarn_beta_slow", GgufValue.Of(yarn.BetaSlow));
            if (yarn.AttentionFactor != 1) yield return new($"{Architecture}.rope.scaling.attn_factor", GgufValue.Of(yarn.AttentionFactor));
        }
        if (Experts is { } experts)
        {
            yield return Number("expert_count", experts.Count);
            yield return Number("expert_used_count", experts.Used);
            yield return Number("expert_feed_forward_length", experts.FeedForward);
            if (experts.SharedFeedForward > 0) yield return Number("expert_shared_feed_forward_length", experts.SharedFeedForward);
        }
        if (DeltaNet is not { } net) yield break;
        int pairs = HeadDim / 4 / 2, third = pairs / 3;
        yield return Number("rope.dimension_count", HeadDim / 4);
        // Positions of text are the same on all three axes, so how the pairs are shared out makes no difference; llama.cpp asks for it.
        yield return new($"{Architecture}.rope.dimension_sections", GgufValue.Of(new[] { pairs - 2 * third, third, third, 0 }));
        yield return Number("ssm.conv_kernel", net.ConvKernel);
        yield return Number("ssm.state_size", net.KeyDim);
        yield return Number("ssm.group_count", net.KeyHeads);
        yield return Number("ssm.time_step_rank", net.ValueHeads);
        yield return Number("ssm.inner_size", net.Values);
        yield return Number("full_attention_interval", AttentionInterval);
    }

    /// <summary>llama.cpp's number for "mostly this type" (llama_ftype).</summary>
    private uint FileType => Type switch
    {
        GgmlType.F32 => 0,
        GgmlType.F16 => 1,
        GgmlType.Q8_0 => 7,
        GgmlType.BF16 => 32,
        _ => throw new InvalidOperationException($"Weights can be written as F32, F16, BF16 or Q8_0, not as {Type}"),
    };
}
