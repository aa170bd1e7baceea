using System.Buffers.Binary;
using System.Text.Json;

namespace Qanat.Models;

/// <summary>A tensor of a safetensors file. Shape in the file's order, the slowest first.</summary>
internal sealed record SafeTensor(string Name, string Type, long[] Shape, long Offset, long Bytes, SafetensorsFile File)
{
    public override string ToString() => $"{Name} {Type} [{string.Join(", ", Shape)}]";
}

/// <summary>A safetensors file, memory-mapped: eight bytes with the length of a JSON head, the head, the data. The input is not trusted.
/// Layout: https://github.com/huggingface/safetensors.</summary>
internal sealed unsafe class SafetensorsFile : IDisposable
{
    private const int HeadBytesMax = 100_000_000;
    private const int DimensionsMax = 8;

    private readonly MappedFile _file;

    private SafetensorsFile(MappedFile file)
    {
        _file = file;
        try
        {
            Tensors = ReadHead();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw Bad($"the head is not what a safetensors file has: {e.Message}");
        }
    }

    public long Bytes => _file.Bytes;
    public IReadOnlyList<SafeTensor> Tensors { get; }

    /// <exception cref="ModelFileException">There is no such file, it cannot be read, or it is not a whole safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        var file = MappedFile.Open(path, bytesMin: sizeof(ulong));
        try
        {
            return new SafetensorsFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The first byte of a tensor of this file, not aligned to anything.</summary>
    public byte* Pointer(SafeTensor tensor) => _file.Start + tensor.Offset;

    public ModelFileException Bad(FormattableString problem) => new(_file.Path, FormattableString.Invariant(problem));

    public void Dispose() => _file.Dispose();

    private List<SafeTensor> ReadHead()
    {
        ulong headBytes = BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(_file.Start, sizeof(ulong)));
        if (headBytes > (ulong)(Bytes - sizeof(ulong)) || headBytes > HeadBytesMax)
            throw Bad($"the head has {headBytes} bytes, the file {Bytes}; allowed are up to {HeadBytesMax}");
        long data = sizeof(ulong) + (long)headBytes;
        var reader = new Utf8JsonReader(new ReadOnlySpan<byte>(_file.Start + sizeof(ulong), (int)headBytes), new JsonReaderOptions { MaxDepth = 8 });
        using JsonDocument head = JsonDocument.ParseValue(ref reader);
        var tensors = new List<SafeTensor>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonProperty entry in head.RootElement.EnumerateObject())
        {
            if (entry.Name == "__metadata__")
                continue;
            if (!names.Add(entry.Name))
                throw Bad($"tensor \"{entry.Name}\" appears twice");
            tensors.Add(ReadTensor(entry.Name, entry.Value, data));
        }
        long end = 0;
        foreach (SafeTensor tensor in tensors.OrderBy(tensor => tensor.Offset))
        {
            if (tensor.Offset < end && tensor.Bytes > 0)
                throw Bad($"tensor {tensor} lies on another one's bytes");
            end = Math.Max(end, tensor.Offset + tensor.Bytes);
        }
        return tensors;
    }

    private SafeTensor ReadTensor(string name, JsonElement entry, long data)
    {
        string type = entry.GetProperty("dtype").GetString() ?? "";
        JsonElement sizes = entry.GetProperty("shape");
        if (sizes.GetArrayLength() > DimensionsMax)
            throw Bad($"tensor \"{name}\" has {sizes.GetArrayLength()} dimensions, allowed are up to {DimensionsMax}");
        long[] shape = [.. sizes.EnumerateArray().Select(size => size.GetInt64())];
        UInt128 elements = 1;
        foreach (long size in shape)
        {
            if (size < 0 || (elements *= (ulong)size) > long.MaxValue)
                throw Bad($"tensor \"{name}\" has an absurd shape [{string.Join(", ", shape)}]");
        }
        JsonElement offsets = entry.GetProperty("data_offsets");
        if (offsets.GetArrayLength() != 2)
            throw Bad($"tensor \"{name}\" has {offsets.GetArrayLength()} offsets; it must have a first and a last one");
        long first = offsets[0].GetInt64(), last = offsets[1].GetInt64();
        if (first < 0 || last < first || last > Bytes - data)
            throw Bad($"tensor \"{name}\" lies at {first} to {last} of {Bytes - data} bytes of data");
        int size1 = HfType.Bytes(type);
        if (size1 > 0 && elements * (uint)size1 != (ulong)(last - first))
            throw Bad($"tensor \"{name}\" {type} [{string.Join(", ", shape)}] does not take {last - first} bytes");
        return new SafeTensor(name, type, shape, data + first, last - first, this);
    }
}

/// <summary>The types of numbers that can be computed with.</summary>
internal static class HfType
{
    /// <summary>Bytes of a number; 0 for types without kernels.</summary>
    public static int Bytes(string type) => type switch
    {
        "F32" => 4,
        "F16" or "BF16" => 2,
        _ => 0,
    };

    public static bool TryGgml(string type, out GgmlType ggml)
    {
        ggml = type switch
        {
            "F16" => GgmlType.F16,
            "BF16" => GgmlType.BF16,
            _ => GgmlType.F32,
        };
        return Bytes(type) > 0;
    }
}
