using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Working memory of several numbers per row of a step, by column: it grows to the largest step and stays. What it held is lost when it grows.</summary>
internal sealed unsafe class RowMemory(params long[] singlesPerRow) : IDisposable
{
    private readonly NativeBuffer?[] _columns = new NativeBuffer?[singlesPerRow.Length];
    private int _capacity;

    public void Reserve(int rows)
    {
        if (rows <= _capacity)
            return;
        Dispose();
        _capacity = Math.Max(rows, Math.Min(2 * _capacity, 1 << 20));
        for (int i = 0; i < _columns.Length; i++)
            _columns[i] = new NativeBuffer(_capacity * singlesPerRow[i] * sizeof(float));
    }

    /// <summary>The first row's numbers of a column; those of the next follow without gap.</summary>
    public float* this[int column] => (float*)_columns[column]!.Pointer;

    public void Dispose()
    {
        foreach (NativeBuffer? column in _columns)
            column?.Dispose();
        Array.Clear(_columns);
        _capacity = 0;
    }
}
