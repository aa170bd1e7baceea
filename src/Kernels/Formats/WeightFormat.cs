namespace Qanat.Kernels;

/// <summary>How weights are stored in model files; the names and layouts are ggml's.</summary>
public enum WeightFormat
{
    F32,
    F16,
    BF16,

    /// <summary>32 weights: a half d, 32 signed bytes; w = d * q.</summary>
    Q8_0,

    /// <summary>32 weights: a half d, 32 nibbles; w = d * (q - 8).</summary>
    Q4_0,

    /// <summary>32 weights: halves d and m, 32 nibbles; w = d * q + m.</summary>
    Q4_1,

    /// <summary>32 weights: a half d, the fifth bits, 32 nibbles; w = d * (q - 16).</summary>
    Q5_0,

    /// <summary>32 weights: halves d and m, the fifth bits, 32 nibbles; w = d * q + m.</summary>
    Q5_1,

    /// <summary>256 weights: halves d and dmin, per 32 weights a scale s and a minimum m of 6 bits, 256 nibbles; w = d * s * q - dmin * m.</summary>
    Q4_K,

    /// <summary>As Q4_K, with fifth bits.</summary>
    Q5_K,

    /// <summary>256 weights of 6 bits, per 16 weights a signed byte s, a half d; w = d * s * (q - 32).</summary>
    Q6_K,
}

/// <summary>What activations are rounded to before they meet weights of some format. The same roundings as ggml's on a CPU, so that results can be compared.</summary>
public enum ActivationFormat
{
    /// <summary>Singles as they are.</summary>
    F32,

    /// <summary>Singles that hold halves.</summary>
    F16,

    /// <summary>Singles that hold bfloat16, and the same in pairs; what is tiny is zero.</summary>
    BF16,

    /// <summary>Blocks of 32 signed bytes with a scale; see <see cref="ActivationRows"/>.</summary>
    Q8,

    /// <summary>Blocks of 256 signed bytes with a scale.</summary>
    Q8K,
}

/// <summary>Sizes of weight formats.</summary>
public static class WeightFormats
{
    /// <summary>Weights of a row that are stored together in a file.</summary>
    public static int BlockElements(WeightFormat format) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16 => 1,
        WeightFormat.Q4_K or WeightFormat.Q5_K or WeightFormat.Q6_K => 256,
        _ => 32,
    };

    /// <summary>Bytes such a block takes in a file.</summary>
    public static int BlockBytes(WeightFormat format) => format switch
    {
        WeightFormat.F32 => 4,
        WeightFormat.F16 or WeightFormat.BF16 => 2,
        WeightFormat.Q8_0 => 34,
        WeightFormat.Q4_0 => 18,
        WeightFormat.Q4_1 => 20,
        WeightFormat.Q5_0 => 22,
        WeightFormat.Q5_1 => 24,
        WeightFormat.Q4_K => 144,
        WeightFormat.Q5_K => 176,
        WeightFormat.Q6_K => 210,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown weight format"),
    };

    /// <summary>Bytes of a row of <paramref name="inputs"/> weights in a file.</summary>
    public static long RowBytes(WeightFormat format, int inputs) => (long)inputs / BlockElements(format) * BlockBytes(format);

    /// <summary>Inputs of a row that a packed block covers.</summary>
    public static int PackedElements(WeightFormat format) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 => 1,
        WeightFormat.BF16 => 2,
        _ => BlockElements(format),
    };

    /// <summary>Bytes of a packed block: <see cref="PackedElements"/> inputs of all <see cref="PackedMatrix.PanelOutputs"/> outputs of a panel.</summary>
    public static int PackedBytes(WeightFormat format) => format switch
    {
        WeightFormat.F32 => 128,
        WeightFormat.F16 => 64,
        WeightFormat.BF16 => 128,
        WeightFormat.Q8_0 => 64 + 1024,
        _ => QuantLayout.Of(format).PackedBytes,
    };

    /// <summary>Bytes that a matrix takes once packed: what it takes in a file, a few percent more for the K formats, and zeros that fill up its last panel.</summary>
    public static long PackedMatrixBytes(WeightFormat format, long outputs, long inputs)
    {
        long panels = (outputs + PackedMatrix.PanelOutputs - 1) / PackedMatrix.PanelOutputs;
        return panels * ((inputs + PackedElements(format) - 1) / PackedElements(format)) * PackedBytes(format);
    }

    /// <summary>What activations are rounded to before they meet these weights.</summary>
    public static ActivationFormat Activations(WeightFormat format) => format switch
    {
        WeightFormat.F32 => ActivationFormat.F32,
        WeightFormat.F16 => ActivationFormat.F16,
        WeightFormat.BF16 => ActivationFormat.BF16,
        WeightFormat.Q4_K or WeightFormat.Q5_K or WeightFormat.Q6_K => ActivationFormat.Q8K,
        _ => ActivationFormat.Q8,
    };
}
