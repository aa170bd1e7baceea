namespace Qanat.Kernels;

/// <summary>What becomes of the numbers of a product.</summary>
public enum ProductTarget
{
    /// <summary>They replace the output.</summary>
    Write,

    /// <summary>They are added to the output.</summary>
    Add,
}

/// <summary>Prepared rows: <see cref="ActivationRows"/> in memory.</summary>
/// <param name="Pointer">First row.</param>
/// <param name="Stride">Bytes between rows.</param>
/// <param name="Count">Rows.</param>
public readonly unsafe record struct PreparedRows(nint Pointer, int Stride, int Count)
{
    internal byte* Row(int row) => (byte*)Pointer + (long)row * Stride;
}

/// <summary>One matrix product of a job: output[row, o] = sum over k of rows[row, k] * matrix[o, k].</summary>
public readonly unsafe struct Product
{
    /// <param name="matrix">Must outlive the job.</param>
    /// <param name="rows">Prepared in the form of the matrix' format.</param>
    /// <param name="output">[rows.Count x outputStride]; columns [0, matrix.Outputs) are written.</param>
    /// <param name="outputStride">Singles between output rows, at least matrix.Outputs.</param>
    /// <param name="target">Write or add.</param>
    public Product(PackedMatrix matrix, PreparedRows rows, float* output, int outputStride, ProductTarget target)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outputStride, matrix.Outputs);
        if (rows.Stride != ActivationRows.Stride(WeightFormats.Activations(matrix.Format), matrix.Inputs))
            throw new ArgumentException("the rows are not prepared for this matrix", nameof(rows));
        Format = matrix.Format;
        Weights = matrix.Start;
        PackedPanels = matrix.PackedPanels;
        MatrixRows = matrix.Rows;
        Inputs = matrix.Inputs;
        PanelBytes = matrix.PanelBytes;
        Blocks = matrix.Blocks;
        Outputs = matrix.Outputs;
        Panels = matrix.Panels;
        Rows = rows;
        Output = output;
        OutputStride = outputStride;
        Target = target;
    }

    internal WeightFormat Format { get; }

    /// <summary>The first panel; null where none is packed yet.</summary>
    internal byte* Weights { get; }

    /// <summary>The first panels, which are packed.</summary>
    internal int PackedPanels { get; }

    /// <summary>The matrix as its file stores it; null where all of it is packed.</summary>
    internal byte* MatrixRows { get; }
    internal int Inputs { get; }
    internal long PanelBytes { get; }
    internal int Blocks { get; }
    internal int Outputs { get; }
    internal int Panels { get; }
    internal PreparedRows Rows { get; }
    internal float* Output { get; }
    internal int OutputStride { get; }
    internal ProductTarget Target { get; }
}
