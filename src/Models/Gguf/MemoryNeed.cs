using System.Globalization;
using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>What a model will take, from its file's directory alone, before a byte of its weights is read.</summary>
/// <param name="WeightBytes">As the kernels lay them out.</param>
/// <param name="WeightBytesSmall">The same model in the smallest mix that is written (Q4_K_M), about.</param>
/// <param name="KvBytes">Of keys and values.</param>
/// <param name="StateBytes">Of recurrent states; 0: the model has none.</param>
public sealed record MemoryNeed(long WeightBytes, long WeightBytesSmall, long KvBytes, long StateBytes = 0)
{
    /// <summary>Tokenizer, rows of a step, the runtime and its code.</summary>
    private const long OtherBytes = 256L << 20;

    // Q4_K_M takes 4.85 bits a weight on average.
    private const double SmallBytesPerWeight = 4.85 / 8;

    public long Bytes => WeightBytes + KvBytes + StateBytes + OtherBytes;

    /// <param name="tensors">Those of unknown types count as they are in the file.</param>
    /// <param name="kvBytes">Of keys and values.</param>
    /// <param name="stateBytes">Of recurrent states.</param>
    public static MemoryNeed Of(IEnumerable<GgufTensor> tensors, long kvBytes, long stateBytes = 0)
    {
        long weights = 0, small = 0;
        foreach (GgufTensor tensor in tensors)
        {
            long bytes = PackedBytes(tensor);
            weights += bytes;
            small += tensor.Shape.Length < 2 ? bytes : Math.Min(bytes, (long)(tensor.Elements * SmallBytesPerWeight));
        }
        return new MemoryNeed(weights, small, kvBytes, stateBytes);
    }

    /// <exception cref="ModelFileException">The model does not fit; the message has the figures and what can be done.</exception>
    public void ThrowIfMoreThan(long availableBytes, string path)
    {
        if (Bytes <= availableBytes)
            return;
        string smaller = WeightBytesSmall < WeightBytes * 9 / 10 ? $"a file with fewer bits (Q4_K_M takes about {Text(Bytes - WeightBytes + WeightBytesSmall)}), " : "";
        string keys = (KvBytes > 0 ? "less memory for keys and values, " : "") + (StateBytes > 0 ? "less memory for states, " : "");
        throw new ModelFileException(path, $"the model does not fit into memory: it needs {Text(Bytes)} ({this}), {Text(availableBytes)} are available. Use {smaller}{keys}a smaller model or a machine with more memory");
    }

    public override string ToString() => $"{Text(WeightBytes)} of weights" + (KvBytes > 0 ? $", {Text(KvBytes)} of keys and values" : "") + (StateBytes > 0 ? $", {Text(StateBytes)} of recurrent states" : "");

    private static long PackedBytes(GgufTensor tensor)
    {
        if (tensor.Shape.Length < 2 || WeightReader.FormatOf(tensor.Type) is not { } format)
            return tensor.Bytes;
        // A third dimension counts experts, each a matrix of its own.
        long outputs = tensor.Shape[1], matrices = tensor.Elements / Math.Max(1, tensor.Shape[0] * outputs);
        return matrices * WeightFormats.PackedMatrixBytes(format, outputs, tensor.Shape[0]);
    }

    internal static string Text(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB");
}
