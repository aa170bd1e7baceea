namespace Qanat.Kernels;

/// <summary>Matrices of one shape and format, one per expert, found by a table of their panels.</summary>
public sealed unsafe class ExpertMatrices : IDisposable
{
    private readonly NativeBuffer _panels;

    /// <param name="matrices">At least one; they stay their owner's and must outlive this.</param>
    public ExpertMatrices(IReadOnlyList<PackedMatrix> matrices)
    {
        First = matrices[0];
        Count = matrices.Count;
        _panels = new NativeBuffer((long)matrices.Count * sizeof(nint));
        for (int i = 0; i < matrices.Count; i++)
        {
            if (matrices[i].Format != First.Format || matrices[i].Outputs != First.Outputs || matrices[i].Inputs != First.Inputs)
                throw new ArgumentException("the experts' matrices differ in shape or format", nameof(matrices));
            ((nint*)_panels.Pointer)[i] = (nint)matrices[i].Panel(0);
        }
    }

    /// <summary>The shape and format of all.</summary>
    public PackedMatrix First { get; }
    public int Count { get; }

    internal byte** Panels => (byte**)_panels.Pointer;

    public void Dispose() => _panels.Dispose();
}
