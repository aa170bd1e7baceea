using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>How to make a GGUF file of the Qwen3 architecture with random weights: the same recipe gives the same bytes on every machine.
/// The small one ("qanat-tiny") has a real tokenizer and lets everything be tried without a download; the large shapes are for measuring speed.</summary>
public sealed record TinyModelRecipe
{
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

    /// <summary>The file name that tells one recipe's output from another's.</summary>
    public string FileName => FormattableString.Invariant($"{Name}-{Type}-{Seed}-v{FormatVersion}.gguf");

    /// <summary>Raised whenever the same recipe would give other bytes than before.</summary>
    private const int FormatVersion = 2;

    private const string Notice = "The weights of this model are random: its text means nothing.";

    /// <summary>Writes the file into a folder unless it is there already, and gives its path. Safe when several processes do it at once.</summary>
    public string WriteTo(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (File.Exists(path))
            return path;
        Directory.CreateDirectory(folder);
        string unfinished = FormattableString.Invariant($"{path}.{Environment.ProcessId}.tmp");
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
        yield return new("general.architecture", GgufValue.Of("qwen3"));
        yield return new("general.name", GgufValue.Of(Name));
        yield return new("general.license", GgufValue.Of("apache-2.0"));
        yield return new("general.file_type", GgufValue.Of(FileType));
        yield return new("qanat.notice", GgufValue.Of(Notice));
        yield return new("qwen3.block_count", GgufValue.Of((uint)Layers));
        yield return new("qwen3.context_length", GgufValue.Of((uint)ContextLength));
        yield return new("qwen3.embedding_length", GgufValue.Of((uint)Hidden));
        yield return new("qwen3.feed_forward_length", GgufValue.Of((uint)FeedForward));
        yield return new("qwen3.attention.head_count", GgufValue.Of((uint)Heads));
        yield return new("qwen3.attention.head_count_kv", GgufValue.Of((uint)KvHeads));
        yield return new("qwen3.attention.key_length", GgufValue.Of((uint)HeadDim));
        yield return new("qwen3.attention.value_length", GgufValue.Of((uint)HeadDim));
        yield return new("qwen3.attention.layer_norm_rms_epsilon", GgufValue.Of(1e-6f));
        yield return new("qwen3.rope.freq_base", GgufValue.Of(1e6f));
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
