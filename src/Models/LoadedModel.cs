using System.Text;
using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>How a model is loaded.</summary>
public sealed record LoadOptions
{
    /// <summary>Threads that compute; null: one per physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>How keys and values are kept.</summary>
    public KvFormat Kv { get; init; }

    /// <summary>Memory that keys and values will take: with the weights, it must fit.</summary>
    public long KvBytesMax { get; init; }

    /// <summary>The same of recurrent states, which only hybrid models have.</summary>
    public long StateBytesMax { get; init; }
}

/// <summary>A model ready to serve: network, tokenizer, chat format and what the file says of itself.</summary>
public sealed class LoadedModel(string name, string? notice, Network network, BpeTokenizer tokenizer, ChatFormat chat, SamplingDefaults? sampling = null) : IDisposable
{
    /// <summary>Smaller models are packed before they are served: it takes no time that anybody would notice, and their files are free.</summary>
    private const long PackedAtLoadBytes = 64L << 20;

    /// <summary>Why a model does not generate, behind its name.</summary>
    public const string ReadsOnly = "ranks and makes embeddings; it cannot generate: its file has a head for \"yes\" and \"no\" in place of the output matrix.";

    /// <summary>Loads a GGUF file, or a folder with config.json, tokenizer.json and *.safetensors. The file stays open, and must not change, until <see cref="Network.PackNext"/> has packed all weights:
    /// an engine does that between its steps and while it has nothing to compute.</summary>
    /// <param name="progress">Told in a few words what is being done.</param>
    /// <exception cref="ModelFileException">The file is damaged, of an unsupported architecture, or lacks something; the message says what.</exception>
    /// <exception cref="OperationCanceledException">Noticed between the stages of loading.</exception>
    public static LoadedModel Load(string path, LoadOptions options, IProgress<string>? progress, CancellationToken cancel)
    {
        progress?.Report("Reading the model file");
        ModelSource file = ModelSource.OpenAny(path);
        try
        {
            return Load(file, path, options, progress, cancel);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <param name="file">Closed when all weights are packed, unless loading fails.</param>
    private static LoadedModel Load(ModelSource file, string path, LoadOptions options, IProgress<string>? progress, CancellationToken cancel)
    {
        LeftOutTensors leftOut = new(file);
        foreach (string note in leftOut.Notes())
            progress?.Report(note);
        string name = ServedName(file.TextOrNull("general.name") ?? Path.GetFileNameWithoutExtension(path));

        cancel.ThrowIfCancellationRequested();
        string? architecture = file.TextOrNull("general.architecture");
        var need = MemoryNeed.Of(leftOut.Kept, options.KvBytesMax, DecoderShape.IsHybrid(architecture) ? options.StateBytesMax : 0);
        need.ThrowIfMoreThan(AvailableMemory.Bytes(), file.Path);
        progress?.Report("Reading the tokenizer");
        // Code that mostly runs for the first time, and on one thread: beside the weights it takes no time of its own.
        Task<Words> words = Task.Run(() => Words.Read(file), CancellationToken.None);
        progress?.Report($"Reading the weights: {need}");
        WeightPacking packing = need.WeightBytes <= PackedAtLoadBytes ? WeightPacking.AtLoad : WeightPacking.Later;
        Network network;
        try
        {
            network = Network.Load(file, new NetworkOptions { Threads = options.Threads, Kv = options.Kv, Packing = packing, LayerRead = Following(DecoderShape.HasExperts(architecture) ? progress : null, cancel) });
        }
        catch (ModelFileException)
        {
            words.GetAwaiter().GetResult(); // A tokenizer of another family says more than what its network lacks.
            throw;
        }
        catch (OperationCanceledException)
        {
            Task.WaitAny([words], CancellationToken.None); // It still reads the file, which is closed next.
            throw;
        }
        try
        {
            network.WarmUp();
            (BpeTokenizer tokenizer, ChatFormat chat, List<string> notes) = words.GetAwaiter().GetResult();
            foreach (string note in notes)
                progress?.Report(note);
            if (network.Shape.Vocabulary < tokenizer.Count)
                throw file.Bad($"the tokenizer has {tokenizer.Count} tokens but the embedding only {network.Shape.Vocabulary} rows");
            cancel.ThrowIfCancellationRequested();
            RankingHead? ranking = RankingHead.Read(file, network.Shape.Hidden);
            bool generates = ranking is null || file.HasTensor("output.weight") || ranking.IsOfEmbedding(file, tokenizer);
            if (!generates)
                progress?.Report($"{name} {ReadsOnly}");
            progress?.Report($"Loaded: the process takes {MemoryNeed.Text(Environment.WorkingSet)} of memory; {network.KernelTier}");
            var model = new LoadedModel(name, file.TextOrNull("qanat.notice"), network, tokenizer, chat, SamplingDefaults.Read(file)) { Ranking = ranking, Generates = generates };
            if (packing == WeightPacking.AtLoad)
                file.Dispose();
            return model;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>Ends the reading when it is to be stopped.</summary>
    /// <param name="progress">Told how far it is: of experts, which are packed as they are read, and that takes long.</param>
    private static Action<int, int> Following(IProgress<string>? progress, CancellationToken cancel) => (read, of) =>
    {
        cancel.ThrowIfCancellationRequested();
        if (10 * read / of > 10 * (read - 1) / of) progress?.Report(FormattableString.Invariant($"Reading the weights: {read} of {of} layers"));
    };

    /// <summary>The name the API serves it under: general.name of the file, made lower-case and URL-safe, unless another was given.</summary>
    public string Name { get; } = name;

    /// <summary>A sentence every answer must carry, e.g. that the weights are random; null when there is none. From the file's metadata key "qanat.notice".</summary>
    public string? Notice { get; } = notice;

    public Network Network { get; } = network;
    public BpeTokenizer Tokenizer { get; } = tokenizer;
    public ChatFormat Chat { get; } = chat;

    /// <summary>How its tokens are drawn where nobody says otherwise.</summary>
    public SamplingDefaults Sampling { get; } = sampling ?? SamplingDefaults.None;

    /// <summary>What the file has to rank with; null: a row for every token, of which those of "yes" and "no" rank.</summary>
    public RankingHead? Ranking { get; init; }

    /// <summary>False: the file has no output matrix, see <see cref="ReadsOnly"/>.</summary>
    public bool Generates { get; init; } = true;

    public void Dispose() => Network.Dispose();

    /// <summary>"Qwen3 0.6B Instruct" becomes "qwen3-0.6b-instruct": letters and digits of ASCII, dots, underscores, single hyphens.</summary>
    internal static string ServedName(string name)
    {
        var served = new StringBuilder();
        foreach (char unit in name)
        {
            if (char.IsAsciiLetterOrDigit(unit) || unit is '.' or '_')
                served.Append(char.ToLowerInvariant(unit));
            else if (served.Length > 0 && served[^1] != '-')
                served.Append('-');
        }
        string trimmed = served.ToString().Trim('-', '.');
        return trimmed.Length > 0 ? trimmed : "model";
    }

    /// <summary>What turns text into tokens and chats into prompts.</summary>
    private sealed record Words(BpeTokenizer Tokenizer, ChatFormat Chat, List<string> Notes)
    {
        /// <exception cref="ModelFileException">There is no tokenizer, not one of Qwen's kind, or it has no marks of a chat.</exception>
        public static Words Read(ModelSource file)
        {
            var notes = new List<string>();
            var tokenizer = BpeTokenizer.FromGguf(file);
            try
            {
                return new Words(tokenizer, ChatFormat.Of(tokenizer, file.TextOrNull("tokenizer.chat_template"), notes.Add), notes);
            }
            catch (ArgumentException e)
            {
                throw file.Bad($"{e.Message}");
            }
        }
    }
}
