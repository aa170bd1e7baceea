namespace Qanat.Kernels.Tests;

/// <summary>A matrix of random bits in a file's layout, with scales that keep its weights finite and moderate.</summary>
internal sealed unsafe class RandomMatrix : IDisposable
{
    private readonly byte[] _file;
    private readonly WeightFormat _format;
    private readonly int _outputs;

    public RandomMatrix(WeightFormat format, int outputs, int inputs, int seed) : this(format, outputs, inputs, Contents(format, outputs, inputs, seed))
    {
    }

    public RandomMatrix(WeightFormat format, int outputs, int inputs, byte[] file)
    {
        _format = format;
        _outputs = outputs;
        _file = file;
        Inputs = inputs;
        using var team = new WorkerTeam(1);
        fixed (byte* source = file)
            Packed = PackedMatrix.Pack(format, outputs, inputs, source, team);
    }

    public int Inputs { get; }
    public PackedMatrix Packed { get; }

    public float[] Row(int output)
    {
        var row = new float[Inputs];
        fixed (byte* source = _file)
            Dequantize.Row(_format, source + output * WeightFormats.RowBytes(_format, Inputs), row);
        return row;
    }

    /// <summary>[rows x outputs].</summary>
    public float[] Multiply(NativeBuffer source, int rows, CpuTier tier, WorkerTeam team) => Multiply(Packed, source, rows, tier, team);

    /// <summary>The same of the matrix as the file has it.</summary>
    public float[] MultiplyUnpacked(NativeBuffer source, int rows, CpuTier tier, WorkerTeam team)
    {
        fixed (byte* file = _file)
            return Multiply(PackedMatrix.Over(_format, _outputs, Inputs, file), source, rows, tier, team);
    }

    /// <summary>What is done with the matrix as the file has it, after each of its panels is packed and its rows are gone, and so at last as packed.</summary>
    public void BeforeAndAfterPacking(WorkerTeam team, Action<PackedMatrix> use)
    {
        byte[] copy = [.. _file];
        fixed (byte* file = copy)
        {
            using var matrix = PackedMatrix.Over(_format, _outputs, Inputs, file);
            use(matrix);
            while (matrix.PackNext(1, team, read: bytes => copy.AsSpan(0, checked((int)bytes)).Fill(0xff)) > 0)
                use(matrix);
            Assert.True(matrix.IsPacked);
        }
    }

    private float[] Multiply(PackedMatrix matrix, NativeBuffer source, int rows, CpuTier tier, WorkerTeam team)
    {
        ActivationFormat activations = WeightFormats.Activations(_format);
        using var matMul = new MatMul(KernelSet.For(tier), team);
        using var prepared = new NativeBuffer(rows * ActivationRows.Stride(activations, Inputs));
        using NativeBuffer output = Native.Floats(rows * _outputs, _ => float.NaN);
        PreparedRows input = matMul.Prepare(activations, source.AsFloats(), Inputs, Inputs, rows, prepared.Pointer);
        matMul.Multiply([new Product(matrix, input, output.AsFloats(), _outputs, ProductTarget.Write)]);
        return output.Span().ToArray();
    }

    public void Dispose() => Packed.Dispose();

    private static byte[] Contents(WeightFormat format, int outputs, int inputs, int seed)
    {
        var random = new Random(seed);
        var file = new byte[outputs * WeightFormats.RowBytes(format, inputs)];
        random.NextBytes(file);
        int blockBytes = WeightFormats.BlockBytes(format);
        for (int block = 0; block < file.Length; block += blockBytes)
            foreach (int at in FloatOffsets(format))
                WriteFloat(format, file.AsSpan(block + at), random.NextSingle() - 0.5f);
        return file;
    }

    /// <summary>Where a block holds numbers that random bits could make infinite.</summary>
    private static int[] FloatOffsets(WeightFormat format) => format switch
    {
        WeightFormat.Q4_1 or WeightFormat.Q5_1 or WeightFormat.Q4_K or WeightFormat.Q5_K => [0, 2],
        WeightFormat.Q6_K => [208],
        _ => [0],
    };

    private static void WriteFloat(WeightFormat format, Span<byte> target, float value)
    {
        if (format == WeightFormat.F32)
            BitConverter.TryWriteBytes(target, value);
        else if (format == WeightFormat.BF16)
            BitConverter.TryWriteBytes(target, (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        else
            BitConverter.TryWriteBytes(target, (Half)value);
    }
}
