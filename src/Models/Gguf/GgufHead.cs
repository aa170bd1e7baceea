using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Models;

/// <summary>Everything of a GGUF file before the tensors' data: versions 2 and 3, little-endian.
/// Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The input is not trusted.</summary>
internal sealed class GgufHead
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const int DimensionsMax = 4;
    private const uint AlignmentDefault = 32;
    private const uint AlignmentMax = 1 << 20;

    // The least a key-value pair and a tensor's entry can take: length + kind + one byte; length + dimension count + one size + type + offset.
    private const int PairBytesMin = 8 + 4 + 1;
    private const int TensorBytesMin = 8 + 4 + 8 + 4 + 8;

    private GgufHead(Dictionary<string, GgufValue> metadata, GgufTensor[] tensors)
    {
        Metadata = metadata;
        Tensors = tensors;
    }

    public Dictionary<string, GgufValue> Metadata { get; }
    public GgufTensor[] Tensors { get; }

    /// <exception cref="ModelFileException">The head is not that of a whole GGUF file of <paramref name="fileBytes"/> bytes.</exception>
    public static GgufHead Read(GgufCursor cursor, long fileBytes)
    {
        CheckVersion(cursor);
        int tensorCount = cursor.Count(TensorBytesMin, "the tensor count");
        int pairCount = cursor.Count(PairBytesMin, "the metadata count");

        var metadata = new Dictionary<string, GgufValue>(StringComparer.Ordinal);
        for (int i = 0; i < pairCount; i++)
        {
            string key = cursor.Name(Ordinal("metadata key", i));
            if (!metadata.TryAdd(key, ReadValue(cursor, key)))
                throw cursor.Bad($"metadata key \"{key}\" appears twice");
        }

        var tensors = new GgufTensor[tensorCount];
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < tensorCount; i++)
        {
            tensors[i] = ReadTensor(cursor, i);
            if (!names.Add(tensors[i].Name))
                throw cursor.Bad($"tensor \"{tensors[i].Name}\" appears twice");
        }

        Place(cursor, tensors, Alignment(cursor, metadata), fileBytes);
        return new GgufHead(metadata, tensors);
    }

    private static void CheckVersion(GgufCursor cursor)
    {
        if (cursor.Read<uint>("the magic number") != Magic)
            throw cursor.Bad($"this is not a GGUF file (it does not begin with \"GGUF\")");
        uint version = cursor.Read<uint>("the version");
        if (version is 0x02000000 or 0x03000000)
            throw cursor.Bad($"a big-endian GGUF file; only little-endian ones can be read");
        if (version is not (2 or 3))
            throw cursor.Bad($"GGUF version {version}; versions 2 and 3 can be read");
    }

    private static GgufValue ReadValue(GgufCursor cursor, string key)
    {
        string what = $"metadata \"{key}\"";
        GgufKind kind = ReadKind(cursor, what);
        return kind == GgufKind.Array ? ReadArray(cursor, what) : new GgufValue(kind, kind, ReadScalar(cursor, kind, what));
    }

    private static GgufKind ReadKind(GgufCursor cursor, string what)
    {
        uint id = cursor.Read<uint>(what);
        return id <= (uint)GgufKind.Float64 ? (GgufKind)id : throw cursor.Bad($"{what} has the unknown kind {id}");
    }

    private static object ReadScalar(GgufCursor cursor, GgufKind kind, string what) => kind switch
    {
        GgufKind.UInt8 => cursor.Read<byte>(what),
        GgufKind.Int8 => cursor.Read<sbyte>(what),
        GgufKind.UInt16 => cursor.Read<ushort>(what),
        GgufKind.Int16 => cursor.Read<short>(what),
        GgufKind.UInt32 => cursor.Read<uint>(what),
        GgufKind.Int32 => cursor.Read<int>(what),
        GgufKind.UInt64 => cursor.Read<ulong>(what),
        GgufKind.Int64 => cursor.Read<long>(what),
        GgufKind.Float32 => cursor.Read<float>(what),
        GgufKind.Float64 => cursor.Read<double>(what),
        GgufKind.Bool => cursor.Flag(what),
        _ => cursor.Text(what),
    };

    private static GgufValue ReadArray(GgufCursor cursor, string what)
    {
        GgufKind kind = ReadKind(cursor, what);
        if (kind == GgufKind.Array)
            throw cursor.Bad($"{what} is an array of arrays, which no known model file has");
        int count = cursor.Count(BytesMin(kind), what);
        object elements = kind switch
        {
            GgufKind.UInt8 => cursor.Numbers<byte>(count, what),
            GgufKind.Int8 => cursor.Numbers<sbyte>(count, what),
            GgufKind.UInt16 => cursor.Numbers<ushort>(count, what),
            GgufKind.Int16 => cursor.Numbers<short>(count, what),
            GgufKind.UInt32 => cursor.Numbers<uint>(count, what),
            GgufKind.Int32 => cursor.Numbers<int>(count, what),
            GgufKind.UInt64 => cursor.Numbers<ulong>(count, what),
            GgufKind.Int64 => cursor.Numbers<long>(count, what),
            GgufKind.Float32 => cursor.Numbers<float>(count, what),
            GgufKind.Float64 => cursor.Numbers<double>(count, what),
            GgufKind.Bool => ReadFlags(cursor, count, what),
            _ => cursor.Texts(count, what),
        };
        return new GgufValue(GgufKind.Array, kind, elements);
    }

    private static int BytesMin(GgufKind kind) => kind switch
    {
        GgufKind.UInt8 or GgufKind.Int8 or GgufKind.Bool => 1,
        GgufKind.UInt16 or GgufKind.Int16 => 2,
        GgufKind.UInt32 or GgufKind.Int32 or GgufKind.Float32 => 4,
        _ => 8,
    };

    private static bool[] ReadFlags(GgufCursor cursor, int count, string what)
    {
        var flags = new bool[count];
        for (int i = 0; i < count; i++)
            flags[i] = cursor.Flag(what);
        return flags;
    }

    /// <summary>A tensor's entry; its Offset is still relative to the data section.</summary>
    private static GgufTensor ReadTensor(GgufCursor cursor, int index)
    {
        string name = cursor.Name(Ordinal("tensor name", index));
        string what = $"tensor \"{name}\"";
        uint dimensions = cursor.Read<uint>(what);
        if (dimensions is 0 or > DimensionsMax)
            throw cursor.Bad($"{what} has {dimensions} dimensions, allowed are 1 to {DimensionsMax}");

        var shape = new long[dimensions];
        UInt128 elements = 1;
        for (int i = 0; i < shape.Length; i++)
        {
            ulong size = cursor.Read<ulong>(what);
            elements *= size;
            if (size is 0 or > long.MaxValue || elements > long.MaxValue)
                throw cursor.Bad($"{what} has an absurd size ({size} in dimension {i})");
            shape[i] = (long)size;
        }

        uint typeId = cursor.Read<uint>(what);
        var type = (GgmlType)Math.Min(typeId, int.MaxValue);
        if (!GgmlTypes.TryBlock(type, out GgmlBlock block))
            throw cursor.Bad($"{what} has the unknown type {typeId}");
        if (shape[0] % block.Elements != 0)
            throw cursor.Bad($"{what} has rows of {shape[0]} numbers, which are not whole {type} blocks of {block.Elements}");

        UInt128 bytes = elements / (uint)block.Elements * (uint)block.Bytes;
        ulong offset = cursor.Read<ulong>(what);
        if (bytes > long.MaxValue || offset > long.MaxValue)
            throw cursor.Bad($"{what} lies beyond the end of the file");
        return new GgufTensor(name, type, [.. shape], (long)offset, (long)bytes);
    }

    private static uint Alignment(GgufCursor cursor, Dictionary<string, GgufValue> metadata)
    {
        if (!metadata.TryGetValue("general.alignment", out GgufValue? value))
            return AlignmentDefault;
        if (!value.TryInteger(out long alignment) || alignment is < 1 or > AlignmentMax || !long.IsPow2(alignment))
            throw cursor.Bad($"metadata \"general.alignment\" is {value}; it must be a power of two up to {AlignmentMax}");
        return (uint)alignment;
    }

    /// <summary>Turns relative offsets into offsets in the file and checks that each tensor lies inside it, aligned, on bytes of its own.</summary>
    private static void Place(GgufCursor cursor, GgufTensor[] tensors, uint alignment, long fileBytes)
    {
        long dataStart = (cursor.Position + alignment - 1) / alignment * alignment;
        for (int i = 0; i < tensors.Length; i++)
        {
            GgufTensor tensor = tensors[i];
            if (tensor.Offset % alignment != 0)
                throw cursor.Bad($"tensor \"{tensor.Name}\" is not aligned: its offset {tensor.Offset} is no multiple of {alignment}");
            if (tensor.Bytes > fileBytes - dataStart || tensor.Offset > fileBytes - dataStart - tensor.Bytes)
                throw cursor.Bad($"tensor \"{tensor.Name}\" needs {tensor.Bytes} bytes at offset {tensor.Offset} of the data, which ends beyond the end of the file ({fileBytes} bytes): the file is truncated or damaged");
            tensors[i] = tensor with { Offset = dataStart + tensor.Offset };
        }

        GgufTensor[] byOffset = [.. tensors.OrderBy(tensor => tensor.Offset)];
        for (int i = 1; i < byOffset.Length; i++)
        {
            if (byOffset[i - 1].Offset + byOffset[i - 1].Bytes > byOffset[i].Offset)
                throw cursor.Bad($"tensors \"{byOffset[i - 1].Name}\" and \"{byOffset[i].Name}\" overlap");
        }
    }

    private static string Ordinal(string what, int index) => string.Create(CultureInfo.InvariantCulture, $"{what} {index + 1}");
}
