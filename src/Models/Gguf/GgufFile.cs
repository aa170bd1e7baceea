using System.Diagnostics.CodeAnalysis;

namespace Qanat.Models;

/// <summary>A GGUF file (version 2 or 3), memory-mapped for reading. The file must not change while it is open.
/// Opening checks everything that can be checked without reading the tensors, and copies the metadata; pointers are valid until Dispose.</summary>
public sealed unsafe class GgufFile : ModelSource
{
    private readonly MappedFile _file;
    private readonly Dictionary<string, GgufTensor> _tensorByName;

    private GgufFile(MappedFile file) : base(file.Path)
    {
        _file = file;
        GgufHead head = GgufHead.Read(new GgufCursor(file.Path, file.Start, file.Bytes), file.Bytes);
        Metadata = head.Metadata;
        Tensors = head.Tensors;
        _tensorByName = head.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <summary>Length of the file.</summary>
    public override long Bytes => _file.Bytes;

    public override IReadOnlyDictionary<string, GgufValue> Metadata { get; }

    /// <summary>In the order of the file's directory.</summary>
    public override IReadOnlyList<GgufTensor> Tensors { get; }

    /// <exception cref="ModelFileException">There is no such file, it cannot be read, or it is not a whole GGUF file.</exception>
    public static GgufFile Open(string path)
    {
        var file = MappedFile.Open(path, bytesMin: 1);
        try
        {
            return new GgufFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override bool TryTensor(string name, [MaybeNullWhen(false)] out GgufTensor tensor) => _tensorByName.TryGetValue(name, out tensor);

    public override TensorData Read(GgufTensor tensor) => new(Pointer(tensor), tensor.Bytes);

    /// <summary>The first byte of a tensor's data: tensor.Bytes bytes are readable from there until Dispose.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/> of this file.</param>
    public byte* Pointer(GgufTensor tensor)
    {
        byte* start = _file.Start;
        if (!_tensorByName.TryGetValue(tensor.Name, out GgufTensor? own) || own.Offset != tensor.Offset || own.Bytes != tensor.Bytes)
            throw new ArgumentException($"tensor \"{tensor.Name}\" is not of {Path}", nameof(tensor));
        return start + tensor.Offset;
    }

    public override void Dispose() => _file.Dispose();
}
