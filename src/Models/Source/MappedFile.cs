using System.IO.MemoryMappedFiles;

namespace Qanat.Models;

/// <summary>A file mapped into memory for reading. It must not change while it is open.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile _mapping;
    private readonly MemoryMappedViewAccessor _view;
    private byte* _start;

    private MappedFile(string path, long bytes, MemoryMappedFile mapping)
    {
        Path = path;
        Bytes = bytes;
        _mapping = mapping;
        _view = mapping.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
    }

    public string Path { get; }

    /// <summary>Length of the file.</summary>
    public long Bytes { get; }

    /// <summary>The first byte; valid until Dispose.</summary>
    public byte* Start
    {
        get
        {
            ObjectDisposedException.ThrowIf(_start is null, this);
            return _start;
        }
    }

    /// <param name="bytesMin">A shorter file cannot be what it should be.</param>
    /// <exception cref="ModelFileException">There is no such file, it is too short, or it cannot be read.</exception>
    public static MappedFile Open(string path, long bytesMin)
    {
        FileStream? stream = null;
        MemoryMappedFile? mapping = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            long bytes = stream.Length;
            if (bytes < bytesMin)
                throw new ModelFileException(path, bytes == 0 ? "the file is empty" : FormattableString.Invariant($"the file is too short: it has {bytes} bytes"));
            mapping = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            return new MappedFile(path, bytes, mapping);
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

    public void Dispose()
    {
        if (_start is null)
            return;
        _start = null;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _mapping.Dispose();
    }
}
