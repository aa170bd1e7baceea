using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;

namespace Qanat.Models;

/// <summary>A GGUF file (version 2 or 3), memory-mapped for reading. The file must not change while it is open.
/// Opening checks everything that can be checked without reading the tensors, and copies the metadata; pointers are valid until Dispose.</summary>
public sealed unsafe class GgufFile : IDisposable
{
    private readonly MemoryMappedFile _mapping;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Dictionary<string, GgufTensor> _tensorByName;
    private byte* _start;

    private GgufFile(string path, long bytes, MemoryMappedFile mapping)
    {
        Path = path;
        Bytes = bytes;
        _mapping = mapping;
        _view = mapping.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        try
        {
            GgufHead head = GgufHead.Read(new GgufCursor(path, _start, bytes), bytes);
            Metadata = head.Metadata;
            Tensors = head.Tensors;
            _tensorByName = head.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Path { get; }

    /// <summary>Length of the file.</summary>
    public long Bytes { get; }

    public IReadOnlyDictionary<string, GgufValue> Metadata { get; }

    /// <summary>In the order of the file's directory.</summary>
    public IReadOnlyList<GgufTensor> Tensors { get; }

    /// <exception cref="ModelFileException">There is no such file, it cannot be read, or it is not a whole GGUF file.</exception>
    public static GgufFile Open(string path)
    {
        FileStream? stream = null;
        MemoryMappedFile? mapping = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            long bytes = stream.Length;
            if (bytes == 0)
                throw new ModelFileException(path, "the file is empty");
            mapping = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            return new GgufFile(path, bytes, mapping);
        }
        catch (Exception e)
        {
            mapping?.Dispose();
            stream?.Dispose();
            if (e is FileNotFoundException or DirectoryNotFoundException)
                throw new ModelFileException(path, "there is no such file", e);
            if (e is IOException or UnauthorizedAccessException)
                throw new ModelFileException(path, $"the file cannot be read: {e.Message}", e);
            throw;
        }
    }

    public bool TryTensor(string name, [MaybeNullWhen(false)] out GgufTensor tensor) => _tensorByName.TryGetValue(name, out tensor);

    /// <exception cref="ModelFileException">The file has no tensor of that name.</exception>
    public GgufTensor Tensor(string name) => TryTensor(name, out GgufTensor? tensor) ? tensor : throw Bad($"tensor \"{name}\" is missing");

    /// <summary>The first byte of a tensor's data: tensor.Bytes bytes are readable from there until Dispose.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/> of this file.</param>
    public byte* Pointer(GgufTensor tensor)
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        if (!_tensorByName.TryGetValue(tensor.Name, out GgufTensor? own) || own.Offset != tensor.Offset || own.Bytes != tensor.Bytes)
            throw new ArgumentException($"tensor \"{tensor.Name}\" is not of {Path}", nameof(tensor));
        return _start + tensor.Offset;
    }

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

    /// <exception cref="ModelFileException">The key is missing or no array of whole numbers.</exception>
    public int[] Integers(string key) => Need(key).TryIntegers(out int[] numbers) ? numbers : throw Wrong(key, $"an array of whole numbers");

    /// <summary>An error about this file, for those who interpret it; numbers in it are written invariantly.</summary>
    public ModelFileException Bad(FormattableString problem) => new(Path, FormattableString.Invariant(problem));

    public void Dispose()
    {
        if (_start is null)
            return;
        _start = null;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _mapping.Dispose();
    }

    private GgufValue Need(string key) => Metadata.TryGetValue(key, out GgufValue? value) ? value : throw Bad($"metadata \"{key}\" is missing");

    private ModelFileException Wrong(string key, FormattableString wanted) =>
        Bad($"metadata \"{key}\" is {Metadata[key]}; it must be {FormattableString.Invariant(wanted)}");
}
