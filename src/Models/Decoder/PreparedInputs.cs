using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The rows that enter the next products, prepared once for each form that the products' matrices want.</summary>
internal sealed unsafe class PreparedInputs(MatMul matMul, int inputsMax) : IDisposable
{
    private static readonly int _formats = Enum.GetValues<ActivationFormat>().Length;

    private readonly NativeBuffer?[] _buffers = new NativeBuffer?[_formats];
    private readonly bool[] _ready = new bool[_formats];
    private int _capacity;
    private float* _source;
    private int _inputs;
    private int _rows;

    public void Reserve(int rows)
    {
        Dispose();
        _capacity = rows;
    }

    /// <summary>Makes [rows x inputs] singles the input; they must stay until the products are done.</summary>
    public void Use(float* source, int inputs, int rows)
    {
        _source = source;
        _inputs = inputs;
        _rows = rows;
        _ready.AsSpan().Clear();
    }

    /// <summary>The input in the form this matrix wants.</summary>
    public PreparedRows For(PackedMatrix matrix)
    {
        ActivationFormat format = WeightFormats.Activations(matrix.Format);
        NativeBuffer buffer = _buffers[(int)format] ??= new NativeBuffer((long)_capacity * ActivationRows.Stride(format, inputsMax));
        if (_ready[(int)format])
            return new PreparedRows((nint)buffer.Pointer, ActivationRows.Stride(format, _inputs), _rows);
        _ready[(int)format] = true;
        return matMul.Prepare(format, _source, _inputs, _inputs, _rows, buffer.Pointer);
    }

    public void Dispose()
    {
        foreach (NativeBuffer? buffer in _buffers)
            buffer?.Dispose();
        Array.Clear(_buffers);
    }
}
