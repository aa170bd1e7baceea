using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Takes tensors out of a model's files in the form kernels want, checking type and shape. Owns what it has read.</summary>
/// <param name="packing">When matrices are packed; the file must stay open until they are.</param>
internal sealed unsafe class WeightReader(ModelSource file, WorkerTeam team, WeightPacking packing) : IDisposable
{
    private ModelSource? _file = file;
    private bool _isPacking;
    private readonly NativeArena _matrices = new();
    private readonly List<IDisposable> _owned = [];
    private readonly Queue<Unpacked> _unpacked = new();
    private long _unpackedBytes;

    /// <exception cref="InvalidOperationException">It was closed.</exception>
    public ModelSource File => _file ?? throw new InvalidOperationException("nothing more was to be read of the file");

    /// <summary>Bytes of everything read.</summary>
    public long Bytes { get; private set; }

    /// <summary>Of matrices that still lie as the file has them. Any thread may ask.</summary>
    public long UnpackedBytes => Volatile.Read(ref _unpackedBytes);

    /// <summary>The matrix [outputs x inputs] of that name, packed.</summary>
    /// <exception cref="ModelFileException">The tensor is missing, of another shape, or of a type without kernels.</exception>
    public PackedMatrix Matrix(string name, int inputs, int outputs)
    {
        GgufTensor tensor = Tensor(File, name, inputs, outputs);
        WeightFormat format = Format(File, tensor);
        TensorData data = File.Read(tensor);
        if (packing == WeightPacking.Later && data.IsMapped)
        {
            PackedMatrix matrix = Own(PackedMatrix.Over(format, outputs, inputs, data.Pointer));
            _unpacked.Enqueue(new Unpacked(matrix, data));
            _unpackedBytes += matrix.Bytes;
            return matrix;
        }
        using (data)
            return Own(PackedMatrix.Pack(format, outputs, inputs, data.Pointer, team, _matrices, data.ReleaseTo));
    }

    /// <summary>Packs so many bytes of the matrices that still lie as the file has them, or what is left: a large matrix in several calls.</summary>
    /// <returns>Some are left.</returns>
    public bool PackNext(long bytes)
    {
        if (_unpacked.Count > 0 && !_isPacking)
        {
            _isPacking = true;
            _matrices.Expect(_unpacked.Sum(each => each.Matrix.Bytes));
        }
        while (bytes > 0 && _unpacked.TryPeek(out Unpacked next))
        {
            long packed = next.Matrix.PackNext(bytes, team, _matrices, next.Data.ReleaseTo);
            bytes -= packed;
            Volatile.Write(ref _unpackedBytes, _unpackedBytes - packed);
            if (!next.Matrix.IsPacked)
                continue;
            next.Data.Dispose();
            _unpacked.Dequeue();
        }
        if (_unpacked.Count == 0)
            Close();
        return _unpacked.Count > 0;
    }

    /// <summary>Nothing more will be read. Forgets the file, whose head (a vocabulary and its merges) is worth megabytes.</summary>
    public void Close() => _file = null;

    /// <summary>Some rows of a tensor of that shape, in the given order, packed.</summary>
    public PackedMatrix Rows(string name, int inputs, int outputs, ReadOnlySpan<int> rows)
    {
        GgufTensor tensor = Tensor(File, name, inputs, outputs);
        WeightFormat format = Format(File, tensor);
        using TensorData data = File.Read(tensor);
        int rowBytes = checked((int)WeightFormats.RowBytes(format, inputs));
        using var gathered = new NativeBuffer((long)rows.Length * rowBytes);
        for (int i = 0; i < rows.Length; i++)
            new ReadOnlySpan<byte>(data.Pointer + (long)rows[i] * rowBytes, rowBytes).CopyTo(new Span<byte>(gathered.Pointer + (long)i * rowBytes, rowBytes));
        return Own(PackedMatrix.Pack(format, rows.Length, inputs, gathered.Pointer, team, _matrices));
    }

    /// <summary>The matrix of that name in singles, whatever its type: for products that must not be rounded.</summary>
    public PackedMatrix Singles(string name, int inputs, int outputs)
    {
        GgufTensor tensor = Tensor(File, name, inputs, outputs);
        using NativeBuffer singles = ToSingles(tensor);
        return Own(PackedMatrix.Pack(WeightFormat.F32, outputs, inputs, singles.Pointer, team, _matrices));
    }

    /// <summary>The matrices [experts x outputs x inputs] of a tensor, each packed.</summary>
    /// <param name="firstOutput">Where in each expert's rows the wanted ones begin.</param>
    /// <param name="rowsOfExpert">Rows the tensor has of each expert.</param>
    public ExpertMatrices Experts(string name, int inputs, int outputs, int experts, int firstOutput, int rowsOfExpert)
    {
        GgufTensor tensor = Tensor(File, name, inputs, rowsOfExpert, experts);
        WeightFormat format = Format(File, tensor);
        using TensorData data = File.Read(tensor);
        long rowBytes = WeightFormats.RowBytes(format, inputs);
        var matrices = new PackedMatrix[experts];
        for (int i = 0; i < experts; i++)
        {
            matrices[i] = Own(PackedMatrix.Pack(format, outputs, inputs, data.Pointer + ((long)i * rowsOfExpert + firstOutput) * rowBytes, team, _matrices));
            data.ReleaseTo((long)i * rowsOfExpert * rowBytes);
        }
        return Own(new ExpertMatrices(matrices), bytes: 0);
    }

    /// <summary>The vector of that name as singles.</summary>
    public NativeBuffer Vector(string name, int length) => Own(ToSingles(Tensor(File, name, length)));

    /// <summary>The matrix [rows x columns] of that name as singles, transposed.</summary>
    public NativeBuffer Transposed(string name, int columns, int rows)
    {
        using NativeBuffer source = ToSingles(Tensor(File, name, columns, rows));
        var target = Own(new NativeBuffer((long)rows * columns * sizeof(float)));
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++)
                ((float*)target.Pointer)[(long)column * rows + row] = ((float*)source.Pointer)[(long)row * columns + column];
        return target;
    }

    public void Dispose()
    {
        foreach (IDisposable part in _owned)
            part.Dispose();
        _owned.Clear();
        _matrices.Dispose();
    }

    /// <summary>The tensor of that name, with exactly that shape (ggml order).</summary>
    public static GgufTensor Tensor(ModelSource file, string name, params ReadOnlySpan<long> shape)
    {
        GgufTensor tensor = file.Tensor(name);
        return tensor.Shape.AsSpan().SequenceEqual(shape) ? tensor : throw file.Bad($"tensor {tensor} must have shape [{string.Join(", ", shape.ToArray())}]");
    }

    /// <summary>The kernels' name for the tensor's type.</summary>
    public static WeightFormat Format(ModelSource file, GgufTensor tensor)
    {
        if (FormatOf(tensor.Type) is not { } known)
            throw file.Bad($"tensor {tensor} has a type without kernels; there are kernels for {string.Join(", ", Enum.GetNames<WeightFormat>())}");
        int block = WeightFormats.BlockElements(known);
        return tensor.Shape[0] % block == 0 ? known : throw file.Bad($"tensor {tensor} has rows of {tensor.Shape[0]} numbers, which are not whole blocks of {block}");
    }

    /// <summary>The kernels' name for a type; null for a type without kernels.</summary>
    public static WeightFormat? FormatOf(GgmlType type) => type switch
    {
        GgmlType.F32 => WeightFormat.F32,
        GgmlType.F16 => WeightFormat.F16,
        GgmlType.BF16 => WeightFormat.BF16,
        GgmlType.Q8_0 => WeightFormat.Q8_0,
        GgmlType.Q4_0 => WeightFormat.Q4_0,
        GgmlType.Q4_1 => WeightFormat.Q4_1,
        GgmlType.Q5_0 => WeightFormat.Q5_0,
        GgmlType.Q5_1 => WeightFormat.Q5_1,
        GgmlType.Q4_K => WeightFormat.Q4_K,
        GgmlType.Q5_K => WeightFormat.Q5_K,
        GgmlType.Q6_K => WeightFormat.Q6_K,
        _ => null,
    };

    private NativeBuffer ToSingles(GgufTensor tensor)
    {
        WeightFormat format = Format(File, tensor);
        using TensorData data = File.Read(tensor);
        int inputs = checked((int)tensor.Shape[0]);
        long rows = tensor.Elements / inputs, rowBytes = WeightFormats.RowBytes(format, inputs);
        var singles = new NativeBuffer(tensor.Elements * sizeof(float));
        for (long row = 0; row < rows; row++)
            Dequantize.Row(format, data.Pointer + row * rowBytes, new Span<float>((float*)singles.Pointer + row * inputs, inputs));
        return singles;
    }

    private PackedMatrix Own(PackedMatrix matrix) => Own(matrix, matrix.Bytes);

    private NativeBuffer Own(NativeBuffer buffer) => Own(buffer, buffer.Bytes);

    private T Own<T>(T part, long bytes) where T : IDisposable
    {
        _owned.Add(part);
        Bytes += bytes;
        return part;
    }

    private readonly record struct Unpacked(PackedMatrix Matrix, TensorData Data);
}
