using System.Globalization;
using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>What a model will take, from its file's directory alone, before a byte of its weights is read.</summary>
/// <param name="WeightBytes">As the kernels lay them out.</param>
/// <param name="WeightBytesSmall">The same model in the smallest mix that is written (Q4_K_M), about.</param>
/// <param name="KvBytes">Of keys and values.</param>
public sealed record MemoryNeed(long WeightBytes, long WeightBytesSmall, long KvBytes)
{
    /// <summary>Tokenizer, rows of a step, the runtime and its code.</summary>
    private const long OtherBytes = 256L << 20;

    // Q4_K_M takes 4.85 bits a weight on average.
    private const double SmallBytesPerWeight = 4.85 / 8;

    public long Bytes => WeightBytes + KvBytes + OtherBytes;

    /// <param name="tensors">Those of unknown types count as they are in the file.</param>
    /// <param name="kvBytes">Of keys and values.</param>
    public static MemoryNeed Of(IEnumerable<GgufTensor> tensors, long kvBytes)
    {
        long weights = 0, small = 0;
        foreach (GgufTensor tensor in tensors)
        {
            long bytes = PackedBytes(tensor);
            weights += bytes;
            small += tensor.Shape.Length < 2 ? bytes : Math.Min(bytes, (long)(tensor.Elements * SmallBytesPerWeight));
        }
        return new MemoryNeed(weights, small, kvBytes);
    }

    /// <summary>Memory this process could still take: what the system has free or can free, and what the container allows. All there is, where neither is told.</summary>
    public static long AvailableBytes()
    {
        long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (FirstNumber("/proc/meminfo", "MemAvailable:") is { } kibibytes)
            available = kibibytes * 1024;
        if (FirstNumber("/sys/fs/cgroup/memory.max", "") is { } limit && limit < long.MaxValue / 2)
            available = Math.Min(available, limit - (FirstNumber("/sys/fs/cgroup/memory.stat", "anon ") ?? 0));
        return available;
    }

    /// <exception cref="ModelFileException">The model does not fit; the message has the figures and what can be done.</exception>
    public void ThrowIfMoreThan(long availableBytes, string path)
    {
        if (Bytes <= availableBytes)
            return;
        string smaller = WeightBytesSmall < WeightBytes * 9 / 10 ? $"a file with fewer bits (Q4_K_M takes about {Text(WeightBytesSmall + KvBytes + OtherBytes)}), " : "";
        string keys = KvBytes > 0 ? "less memory for keys and values, " : "";
        throw new ModelFileException(path, $"the model does not fit into memory: it needs {Text(Bytes)} ({this}), {Text(availableBytes)} are available. Use {smaller}{keys}a smaller model or a machine with more memory");
    }

    public override string ToString() => $"{Text(WeightBytes)} of weights" + (KvBytes > 0 ? $", {Text(KvBytes)} of keys and values" : "");

    private static long PackedBytes(GgufTensor tensor)
    {
        if (tensor.Shape.Length < 2 || WeightReader.FormatOf(tensor.Type) is not { } format)
            return tensor.Bytes;
        // A third dimension counts experts, each a matrix of its own.
        long outputs = tensor.Shape[1], matrices = tensor.Elements / Math.Max(1, tensor.Shape[0] * outputs);
        return matrices * WeightFormats.PackedMatrixBytes(format, outputs, tensor.Shape[0]);
    }

    internal static string Text(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB");

    /// <summary>The number that follows a word at the beginning of a line; null when there is no such file, line or number.</summary>
    private static long? FirstNumber(string file, string word)
    {
        try
        {
            foreach (string line in File.ReadLines(file))
                if (line.StartsWith(word, StringComparison.Ordinal))
                    return long.TryParse(line[word.Length..].Trim().Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        return null;
    }
}
