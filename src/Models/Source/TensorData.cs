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

    public void Dispose()
    {
        _owned?.Dispose();
        if (_mappedBytes > 0)
            MappedPages.Release(Pointer, _mappedBytes);
    }
}
