using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>A tensor's numbers in memory: mapped from the file, or made from it and freed with this value.</summary>
public readonly unsafe struct TensorData : IDisposable
{
    private readonly NativeBuffer? _owned;

    /// <param name="mapped">Stays the source's.</param>
    public TensorData(byte* mapped) => Pointer = mapped;

    /// <param name="owned">Freed with this value.</param>
    public TensorData(NativeBuffer owned)
    {
        _owned = owned;
        Pointer = owned.Pointer;
    }

    public byte* Pointer { get; }

    public void Dispose() => _owned?.Dispose();
}
