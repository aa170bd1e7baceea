namespace Qanat.Kernels;

/// <summary>How weights are stored in model files; the names and layouts are ggml's.</summary>
public enum WeightFormat
{
    F32,
    F16,
    BF16,

    /// <summary>32 weights: a half d, 32 signed bytes; w = d * q.</summary>
    Q8_0,
}

/// <summary>What activations are rounded to before they meet weights of some format. The same roundings as ggml's on a CPU, so that results can be compared.</summary>
public enum ActivationFormat
{
    /// <summary>Singles as they are.</summary>
    F32,

    /// <summary>Singles that hold halves.</summary>
    F16,

    /// <summary>Singles that hold bfloat16.</summary>
    BF16,

    /// <summary>Blocks of 32 signed bytes with a scale; see <see cref="ActivationRows"/>.</summary>
    Q8,
}

/// <summary>Sizes of weight formats.</summary>
public static class WeightFormats
{
    /// <summary>Weights of a row that are stored together in a file.</summary>
    public static int BlockElements(WeightFormat format) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16 => 1,
        _ => 32,
    };

    /// <summary>Bytes such a block takes in a file.</summary>
    public static int BlockBytes(WeightFormat format) => format switch
    {
        WeightFormat.F32 => 4,
        WeightFormat.F16 or WeightFormat.BF16 => 2,
        WeightFormat.Q8_0 => 34,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown weight format"),
    };

    /// <summary>Bytes of a row of <paramref name="inputs"/> weights in a file.</summary>
    public static long RowBytes(WeightFormat format, int inputs) => (long)inputs / BlockElements(format) * BlockBytes(format);

    /// <summary>Inputs of a row that a packed block covers.</summary>
    public static int PackedElements(WeightFormat format) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 => 1,
        WeightFormat.BF16 => 2,
        _ => 32,
    };

    /// <summary>Bytes of a packed block: <see cref="PackedElements"/> inputs of all <see cref="PackedMatrix.PanelOutputs"/> outputs of a panel.</summary>
    public static int PackedBytes(WeightFormat format) => format switch
    {
        WeightFormat.F32 => 128,
        WeightFormat.F16 => 64,
        WeightFormat.BF16 => 128,
        WeightFormat.Q8_0 => 64 + 1024,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown weight format"),
    };

    /// <summary>What activations are rounded to before they meet these weights.</summary>
    public static ActivationFormat Activations(WeightFormat format) => format switch
    {
        WeightFormat.F32 => ActivationFormat.F32,
        WeightFormat.F16 => ActivationFormat.F16,
        WeightFormat.BF16 => ActivationFormat.BF16,
        _ => ActivationFormat.Q8,
    };
}
