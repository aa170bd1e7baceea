using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Memory of the rows of a step, in which the parts of a layer, one after the other, lay out what they compute: it grows to the largest of them and stays. What it held is lost when another part takes it.</summary>
internal sealed unsafe class LayerMemory : IDisposable
{
    private NativeBuffer _buffer = new(0);

    public byte* Pointer => _buffer.Pointer;

    public void Reserve(long bytes)
    {
        if (bytes <= _buffer.Bytes)
            return;
        _buffer.Dispose();
        _buffer = new NativeBuffer(bytes);
    }

    public void Dispose() => _buffer.Dispose();
}

/// <summary>Working memory of several numbers per row of a step, by column: it grows to the largest step and stays. What it held is lost when it grows.</summary>
/// <param name="memory">Where the columns lie; shared with others, what they hold is lost when one of those is used.</param>
internal sealed unsafe class RowMemory(LayerMemory memory, params long[] singlesPerRow)
{
    private const int CacheLineSingles = 16;

    private readonly long[] _offsets = new long[singlesPerRow.Length];
    private int _capacity;

    /// <summary>To be called before the columns are used in a step.</summary>
    public void Reserve(int rows)
    {
        if (rows <= _capacity)
            return;
        _capacity = Math.Max(rows, Math.Min(2 * _capacity, 1 << 20));
        long singles = 0;
        for (int i = 0; i < _offsets.Length; i++)
        {
            _offsets[i] = singles;
            singles += (_capacity * singlesPerRow[i] + CacheLineSingles - 1) / CacheLineSingles * CacheLineSingles;
        }
        memory.Reserve(singles * sizeof(float));
    }

    /// <summary>The first row's numbers of a column; those of the next follow without gap.</summary>
    public float* this[int column] => (float*)memory.Pointer + _offsets[column];
}
