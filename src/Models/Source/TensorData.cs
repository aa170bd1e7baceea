using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>A tensor's numbers in memory: mapped from the file, whose pages go back to the system with this value, or made from it and freed.</summary>
public readonly unsafe struct TensorData : IDisposable
{
    private readonly NativeBuffer? _owned;

    private readonly long _mappedBytes;

    /// <param name="mapped">Stays the source's.</param>
    /// <param name="bytes">Of the tensor.</param>
    public TensorData(byte* mapped, long bytes)
    {
        Pointer = mapped;
        _mappedBytes = bytes;
    }

    /// <param name="owned">Freed with this value.</param>
    public TensorData(NativeBuffer owned)
    {
        _owned = owned;
        Pointer = owned.Pointer;
    }

    public byte* Pointer { get; }

    /// <summary>The numbers are the file's own bytes, there for as long as the source is.</summary>
    public bool IsMapped => _mappedBytes > 0;

    /// <summary>Gives back the pages of the first bytes, which have been read; those given back before are only asked for again.</summary>
    /// <param name="bytes">From the tensor's first one.</param>
    public void ReleaseTo(long bytes)
    {
        if (_mappedBytes > 0)
            MappedPages.Release(Pointer, Math.Min(bytes, _mappedBytes));
    }

    public void Dispose()
    {
        _owned?.Dispose();
        ReleaseTo(_mappedBytes);
    }
}
