using System.Diagnostics.CodeAnalysis;
using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>A folder as Hugging Face and ModelScope lay it out (config.json, *.safetensors), in GGUF's terms: names, tiled value heads, norms with their one, decay rates instead of their logarithms.
/// Weights stay mapped; only what must be rearranged is copied, tensor by tensor.</summary>
public sealed class HfCheckpoint : ModelSource
{
    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, GgufValue> _metadata;
    private readonly Dictionary<string, SafeTensor> _stored = new(StringComparer.Ordinal);
    private readonly List<GgufTensor> _tensors = [];
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    private HfCheckpoint(string folder) : base(folder)
    {
        try
        {
            HfConfig config = HfConfig.Read(System.IO.Path.Combine(folder, "config.json"));
            _metadata = new Dictionary<string, GgufValue>(config.Metadata, StringComparer.Ordinal) { ["general.name"] = GgufValue.Of(System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(folder))) };
            if (HfFolder.Licence(folder) is { } licence)
                _metadata["general.license"] = GgufValue.Of(licence);
            AddTokenizer(folder);
            foreach (string path in HfFolder.WeightFiles(folder))
            {
                var file = SafetensorsFile.Open(path);
                _files.Add(file);
                foreach (SafeTensor tensor in file.Tensors)
                    if (!_stored.TryAdd(tensor.Name, tensor))
                        throw Bad($"tensor \"{tensor.Name}\" is in more than one file");
            }
            new HfTensors(this, config.TiesEmbeddings).AddAll();
            int Count(string part) => _stored.Keys.Count(name => name.Contains(part, StringComparison.Ordinal));
            foreach ((string what, int count) in new[] { ("vision", Count("visual.")), ("further prediction", Count("mtp.")) })
                if (count > 0)
                    Notes.Add(LeftOutTensors.Note(what, count));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override long Bytes => _files.Sum(file => file.Bytes);
    private static readonly string[] StopKeys = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];

    public override IReadOnlyDictionary<string, GgufValue> Metadata => _metadata;
    public override IReadOnlyList<GgufTensor> Tensors => _tensors;

    /// <summary>What of the folder is not used, in sentences.</summary>
    public IList<string> Notes { get; } = [];

    /// <exception cref="ModelFileException">A file is missing, cannot be read, is damaged, or describes no known decoder.</exception>
    public static HfCheckpoint Open(string folder) => new(folder);

    public override bool TryTensor(string name, [MaybeNullWhen(false)] out GgufTensor tensor)
    {
        bool found = _entries.TryGetValue(name, out Entry? entry);
        tensor = entry?.Tensor;
        return found;
    }

    public override unsafe TensorData Read(GgufTensor tensor)
    {
        Entry entry = _entries[tensor.Name];
        if (entry.Fill is null)
            return new TensorData(entry.Mapped!.File.Pointer(entry.Mapped), entry.Mapped.Bytes);
        var buffer = new NativeBuffer(tensor.Bytes);
        entry.Fill((nint)buffer.Pointer);
        return new TensorData(buffer);
    }

    public override void Dispose()
    {
        foreach (SafetensorsFile file in _files)
            file.Dispose();
        _files.Clear();
    }

    internal bool Stores(string name) => _stored.ContainsKey(name);

    /// <summary>A tensor as stored, with exactly that shape (slowest first).</summary>
    /// <exception cref="ModelFileException">It is missing, of another shape, or of a type without kernels.</exception>
    internal SafeTensor Stored(string name, params ReadOnlySpan<long> shape)
    {
        if (!_stored.TryGetValue(name, out SafeTensor? tensor))
            throw Bad($"tensor \"{name}\" is missing");
        if (HfType.Bytes(tensor.Type) == 0)
            throw Bad($"tensor {tensor} has a type without kernels; supported are F32, F16 and BF16");
        return shape.IsEmpty || tensor.Shape.AsSpan().SequenceEqual(shape) ? tensor : throw Bad($"tensor {tensor} must have shape [{string.Join(", ", shape.ToArray())}]");
    }

    /// <summary>A tensor whose numbers are those of a stored one.</summary>
    internal void AddMapped(string name, SafeTensor stored, params long[] shape) => Add(new GgufTensor(name, TypeOf(stored), [.. shape], 0, stored.Bytes), stored, null);

    /// <summary>A tensor that is made when it is read.</summary>
    internal void AddMade(string name, GgmlType type, Action<nint> fill, params long[] shape) =>
        Add(new GgufTensor(name, type, [.. shape], 0, checked(shape.Aggregate(1L, (product, size) => checked(product * size)) * type.Block().Bytes)), null, fill);

    internal static GgmlType TypeOf(SafeTensor stored) => HfType.TryGgml(stored.Type, out GgmlType type) ? type : throw new InvalidOperationException($"{stored.Type} has no kernels");

    /// <summary>tokenizer.json, the chat template and the ends of generation under GGUF's keys, if they are there.</summary>
    private void AddTokenizer(string folder)
    {
        string path = System.IO.Path.Combine(folder, "tokenizer.json");
        if (!File.Exists(path))
            return;
        TokenizerParts parts = TokenizerJson.Read(path);
        _metadata["tokenizer.ggml.model"] = GgufValue.Of("gpt2");
        _metadata["tokenizer.ggml.pre"] = GgufValue.Of(parts.PreTokenizer == PreTokenizer.Qwen35 ? "qwen35" : "qwen2");
        _metadata["tokenizer.ggml.tokens"] = GgufValue.Of(parts.Kinds.Contains(TokenKind.Unused)
            ? ByteStrings.Of(parts.Kinds.Select((kind, id) => kind == TokenKind.Unused ? FormattableString.Invariant($"[PAD{id}]") : parts.Entries.Text(id)))
            : parts.Entries);
        _metadata["tokenizer.ggml.token_type"] = GgufValue.Of(parts.Kinds.Select(kind => (int)kind).ToArray());
        _metadata["tokenizer.ggml.merges"] = GgufValue.Of(parts.Merges);
        int[] stops = HfFolder.StopTokens(folder);
        foreach ((string key, int stop) in StopKeys.Zip(stops))
            _metadata[key] = GgufValue.Of((uint)stop);
        foreach ((string key, GgufValue value) in HfFolder.Sampling(folder))
            _metadata[key] = value;
        if (HfFolder.ChatTemplate(folder) is { } template)
            _metadata["tokenizer.chat_template"] = GgufValue.Of(template);
    }

    private void Add(GgufTensor tensor, SafeTensor? mapped, Action<nint>? fill)
    {
        _entries.Add(tensor.Name, new Entry(tensor, mapped, fill));
        _tensors.Add(tensor);
    }

    private sealed record Entry(GgufTensor Tensor, SafeTensor? Mapped, Action<nint>? Fill);
}
