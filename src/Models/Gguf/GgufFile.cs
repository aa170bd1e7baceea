using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;

namespace Qanat.Models;

/// <summary>A GGUF file (version 2 or 3), memory-mapped for reading. The file must not change while it is open.
/// Opening checks everything that can be checked without reading the tensors, and copies the metadata; pointers are valid until Dispose.</summary>
public sealed unsafe class GgufFile : ModelSource
{
    private readonly MemoryMappedFile _mapping;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Dictionary<string, GgufTensor> _tensorByName;
    private byte* _start;

    private GgufFile(string path, long bytes, MemoryMappedFile mapping) : base(path)
    {
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

    /// <summary>Length of the file.</summary>
    public override long Bytes { get; }

    public override IReadOnlyDictionary<string, GgufValue> Metadata { get; }

    /// <summary>In the order of the file's directory.</summary>
    public override IReadOnlyList<GgufTensor> Tensors { get; }

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

    public override bool TryTensor(string name, [MaybeNullWhen(false)] out GgufTensor tensor) => _tensorByName.TryGetValue(name, out tensor);

    public override TensorData Read(GgufTensor tensor) => new(Pointer(tensor), tensor.Bytes);

    /// <summary>The first byte of a tensor's data: tensor.Bytes bytes are readable from there until Dispose.</summary>
    /// <param name="tensor">One of <see cref="Tensors"/> of this file.</param>
    public byte* Pointer(GgufTensor tensor)
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        if (!_tensorByName.TryGetValue(tensor.Name, out GgufTensor? own) || own.Offset != tensor.Offset || own.Bytes != tensor.Bytes)
            throw new ArgumentException($"tensor \"{tensor.Name}\" is not of {Path}", nameof(tensor));
        return _start + tensor.Offset;
    }

    public override void Dispose()
    {
        if (_start is null)
            return;
        _start = null;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _mapping.Dispose();
    }
}
