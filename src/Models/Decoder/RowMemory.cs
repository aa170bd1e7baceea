using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The memory of a step's rows: it grows to the largest step and stays. First lie the columns that last through all layers, behind them those of a layer's parts (mixers, feed-forwards), which take turns: what one computed is lost when
/// another begins. When the layers are done and the head's input is prepared elsewhere, no row is needed any more, and logits lie over all of them.</summary>
internal sealed unsafe class StepMemory : IDisposable
{
    private const int RowsMax = 1 << 20;

    private readonly List<RowMemory> _lasting = [];
    private readonly List<RowMemory> _parts = [];
    private NativeBuffer _buffer = new(0);
    private int _capacity;

    public byte* Pointer => _buffer.Pointer;

    public void Add(RowMemory columns, bool isLasting) => (isLasting ? _lasting : _parts).Add(columns);

    /// <summary>To be called before the rows of a step are written; what was computed before, logits too, is lost.</summary>
    /// <returns>Rows there is room for.</returns>
    public int Reserve(int rows)
    {
        if (rows <= _capacity)
            return _capacity;
        _capacity = Math.Max(rows, Math.Min(2 * _capacity, RowsMax));
        long lasting = 0, end = 0;
        foreach (RowMemory columns in _lasting)
            lasting = columns.Place(lasting, _capacity);
        foreach (RowMemory columns in _parts)
            end = Math.Max(end, columns.Place(lasting, _capacity));
        Grow(Math.Max(end, lasting) * sizeof(float));
        return _capacity;
    }

    /// <summary>So many singles over all rows, which are lost.</summary>
    public float* TakeAll(long singles)
    {
        Grow(singles * sizeof(float));
        return (float*)Pointer;
    }

    public void Dispose() => _buffer.Dispose();

    private void Grow(long bytes)
    {
        if (bytes <= _buffer.Bytes)
            return;
        _buffer.Dispose();
        _buffer = new NativeBuffer(bytes);
    }
}

/// <summary>Several numbers per row of a step, by column.</summary>
internal sealed unsafe class RowMemory
{
    private const int CacheLineSingles = 16;

    private readonly StepMemory _memory;
    private readonly long[] _singlesPerRow;
    private readonly long[] _offsets;

    private RowMemory(StepMemory memory, long[] singlesPerRow)
    {
        _memory = memory;
        _singlesPerRow = singlesPerRow;
        _offsets = new long[singlesPerRow.Length];
    }

    /// <summary>Columns that last until the head's input is prepared.</summary>
    public static RowMemory OfAllLayers(StepMemory memory, params long[] singlesPerRow) => Of(memory, singlesPerRow, isLasting: true);

    /// <summary>Columns of a part of a layer: what they hold is lost when another part is computed.</summary>
    public static RowMemory OfPart(StepMemory memory, params long[] singlesPerRow) => Of(memory, singlesPerRow, isLasting: false);

    /// <summary>The first row's numbers of a column; those of the next follow without gap.</summary>
    public float* this[int column] => (float*)_memory.Pointer + _offsets[column];

    /// <summary>Lays the columns out behind so many singles.</summary>
    /// <returns>Singles up to their end.</returns>
    public long Place(long start, int rows)
    {
        for (int i = 0; i < _offsets.Length; i++)
        {
            _offsets[i] = start;
            start += (rows * _singlesPerRow[i] + CacheLineSingles - 1) / CacheLineSingles * CacheLineSingles;
        }
        return start;
    }

    private static RowMemory Of(StepMemory memory, long[] singlesPerRow, bool isLasting)
    {
        var columns = new RowMemory(memory, singlesPerRow);
        memory.Add(columns, isLasting);
        return columns;
    }
}
