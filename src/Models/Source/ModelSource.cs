using System.Diagnostics.CodeAnalysis;

namespace Qanat.Models;

/// <summary>A model as it lies on disk, in GGUF's terms: metadata under GGUF's keys and tensors under GGUF's names, layouts and conventions. A GGUF file is one as it is; a folder of another format
/// is one after translation. What is read from it is not trusted: every getter checks kind and range and tells what is wrong.</summary>
public abstract class ModelSource(string path) : IDisposable
{
    /// <summary>The file or folder.</summary>
    public string Path { get; } = path;

    /// <summary>Opens a GGUF file (any of its parts, where there are several), or a folder with config.json and *.safetensors.</summary>
    /// <exception cref="ModelFileException">It is neither, or damaged.</exception>
    public static ModelSource OpenAny(string path) => Directory.Exists(path) ? HfCheckpoint.Open(path) : GgufParts.Open(path);

    /// <summary>Bytes on disk.</summary>
    public abstract long Bytes { get; }

    public abstract IReadOnlyDictionary<string, GgufValue> Metadata { get; }

    /// <summary>In the order of the files.</summary>
    public abstract IReadOnlyList<GgufTensor> Tensors { get; }

    public abstract bool TryTensor(string name, [MaybeNullWhen(false)] out GgufTensor tensor);

    /// <summary>A tensor's numbers, row-major in its type. Dispose it when they have been used.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/>.</param>
    public abstract TensorData Read(GgufTensor tensor);

    /// <exception cref="ModelFileException">There is no tensor of that name.</exception>
    public GgufTensor Tensor(string name) => TryTensor(name, out GgufTensor? tensor) ? tensor : throw Bad($"tensor \"{name}\" is missing");

    public bool HasTensor(string name) => TryTensor(name, out _);

    public bool Has(string key) => Metadata.ContainsKey(key);

    /// <exception cref="ModelFileException">The key is missing or no string.</exception>
    public string Text(string key) => Need(key).TryText(out string text) ? text : throw Wrong(key, $"a string");

    /// <summary>Null when the key is missing.</summary>
    /// <exception cref="ModelFileException">The key is there but no string.</exception>
    public string? TextOrNull(string key) => Has(key) ? Text(key) : null;

    /// <summary>A whole number of any width, from <paramref name="min"/> to <paramref name="max"/>.</summary>
    /// <exception cref="ModelFileException">The key is missing, no whole number, or out of range.</exception>
    public int Integer(string key, int min, int max)
    {
        if (!Need(key).TryInteger(out long number))
            throw Wrong(key, $"a whole number");
        return number >= min && number <= max ? (int)number : throw Wrong(key, $"between {min} and {max}");
    }

    /// <summary>As <see cref="Integer"/>, or <paramref name="absent"/> when the key is missing.</summary>
    public int IntegerOr(string key, int absent, int min, int max) => Has(key) ? Integer(key, min, max) : absent;

    /// <exception cref="ModelFileException">The key is missing or no finite number.</exception>
    public float Number(string key) =>
        Need(key).TryNumber(out double number) && float.IsFinite((float)number) ? (float)number : throw Wrong(key, $"a finite number");

    public float NumberOr(string key, float absent) => Has(key) ? Number(key) : absent;

    public bool FlagOr(string key, bool absent)
    {
        if (!Has(key))
            return absent;
        return Need(key).TryFlag(out bool flag) ? flag : throw Wrong(key, $"true or false");
    }

    /// <exception cref="ModelFileException">The key is missing or no array of strings.</exception>
    public string[] Texts(string key) => Need(key).TryTexts(out string[] texts) ? texts : throw Wrong(key, $"an array of strings");

    /// <summary>As <see cref="Texts"/>, in UTF-8.</summary>
    internal ByteStrings Utf8Texts(string key) => Need(key).TryTexts(out ByteStrings texts) ? texts : throw Wrong(key, $"an array of strings");

    /// <exception cref="ModelFileException">The key is missing or no array of whole numbers.</exception>
    public int[] Integers(string key) => Need(key).TryIntegers(out int[] numbers) ? numbers : throw Wrong(key, $"an array of whole numbers");

    /// <exception cref="ModelFileException">The key is missing or no array of true and false.</exception>
    public bool[] Flags(string key) => Need(key).Raw as bool[] ?? throw Wrong(key, $"an array of true and false");

    /// <summary>An error about this source, for those who interpret it; numbers in it are written invariantly.</summary>
    public ModelFileException Bad(FormattableString problem) => new(Path, FormattableString.Invariant(problem));

    public abstract void Dispose();

    private GgufValue Need(string key) => Metadata.TryGetValue(key, out GgufValue? value) ? value : throw Bad($"metadata \"{key}\" is missing");

    private ModelFileException Wrong(string key, FormattableString wanted) =>
        Bad($"metadata \"{key}\" is {Metadata[key]}; it must be {FormattableString.Invariant(wanted)}");
}
