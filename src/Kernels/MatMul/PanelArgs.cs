namespace Qanat.Kernels;

/// <summary>What a panel kernel is asked: the products of a few prepared rows with one panel. Emitted code reads the fields by offset.</summary>
internal unsafe struct PanelArgs
{
    /// <summary>Most rows of one call.</summary>
    public const int RowsMax = 16;

    /// <summary>First byte of the panel.</summary>
    public byte* Weights;

    /// <summary>First prepared row.</summary>
    public byte* Activations;

    /// <summary>Bytes between prepared rows.</summary>
    public nint ActivationStride;

    /// <summary>[rows x 32], overwritten.</summary>
    public float* Output;

    /// <summary>Bytes between output rows.</summary>
    public nint OutputStride;

    /// <summary>Packed blocks of the panel.</summary>
    public nint Blocks;

    /// <summary>1 to RowsMax.</summary>
    public nint Rows;

    /// <summary>Memory to ask for meanwhile, because it will be read next; only where the kernel's caller says so.</summary>
    public byte* Ahead;

    /// <summary>Bytes of it for every two inputs.</summary>
    public nint AheadStep;

    /// <summary>Bytes of it that one part of the rows asks for, where they are cut.</summary>
    public nint AheadPart;
}
