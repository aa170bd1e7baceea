using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The working memory of one step and what is done to its rows between the matrix products. It grows to the largest step and stays.</summary>
internal sealed unsafe class Qwen3Step : IDisposable
{
    private const int RowsAtFirst = 16;

    private readonly ModelShape _shape;
    private readonly PreparedInputs _inputs;
    private readonly WorkerTeam _team;
    private readonly Attention _attention;
    private readonly double[] _frequencies;
    private NativeBuffer _buffer = new(0);
    private int _capacity;
    private int[] _allRows = [];
    private int* _blockTables;
    private int* _positions;
    private int* _firstBlocks;
    private float* _angles;
    private float* _normed;
    private AttentionTile* _tiles;
    private int _tileCount;

    public Qwen3Step(ModelShape shape, MatMul matMul, WorkerTeam team)
    {
        _shape = shape;
        _team = team;
        _attention = new Attention(team);
        _inputs = new PreparedInputs(matMul, Math.Max(Math.Max(shape.Hidden, shape.FeedForward), shape.Heads * shape.HeadDim));
        _frequencies = Rope.Frequencies(shape.HeadDim, shape.RopeTheta);
        Reserve(RowsAtFirst);
    }

    /// <summary>Rows that are still computed.</summary>
    public int Rows { get; private set; }

    /// <summary>0, 1 ... Rows - 1.</summary>
    public ReadOnlySpan<int> AllRows => _allRows.AsSpan(0, Rows);

    /// <summary>[Rows x Hidden]: the stream that every layer adds to.</summary>
    public float* Residual { get; private set; }

    /// <summary>[Rows x Heads x HeadDim].</summary>
    public float* Queries { get; private set; }

    /// <summary>[Rows x KvHeads x HeadDim].</summary>
    public float* Keys { get; private set; }

    /// <summary>[Rows x KvHeads x HeadDim].</summary>
    public float* Values { get; private set; }

    /// <summary>[Rows x Heads x HeadDim].</summary>
    public float* Attended { get; private set; }

    /// <summary>[Rows x FeedForward].</summary>
    public float* FeedForward { get; private set; }

    /// <summary>Takes the rows of a step: positions, angles, tiles.</summary>
    /// <param name="step">Checked.</param>
    /// <param name="blockTables">The step's block tables, pinned until the step ends.</param>
    public void Begin(in StepBatch step, int* blockTables)
    {
        Reserve(step.Tokens.Length);
        Rows = step.Tokens.Length;
        _blockTables = blockTables;
        step.Positions.CopyTo(new Span<int>(_positions, Rows));
        foreach (StepSlice slice in step.Slices)
            new Span<int>(_firstBlocks + slice.FirstRow, slice.RowCount).Fill(slice.FirstBlock);
        for (int row = 0; row < Rows; row++)
            Rope.Angles(_positions[row], _frequencies, _angles + (long)row * _shape.HeadDim);
        CutTiles();
    }

    /// <summary>Drops all rows but these, ascending.</summary>
    public void Keep(ReadOnlySpan<int> rows)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            int from = rows[i];
            _positions[i] = _positions[from];
            _firstBlocks[i] = _firstBlocks[from];
            Move(_angles, from, i, _shape.HeadDim);
            Move(Residual, from, i, _shape.Hidden);
            Move(_normed, from, i, _shape.Hidden);
        }
        Rows = rows.Length;
        CutTiles();
        Use(_normed, _shape.Hidden);
    }

    /// <summary>Normalises the residual stream into the input of the next products.</summary>
    public void Norm(NativeBuffer weights)
    {
        var job = new NormJob { Source = Residual, Weights = (float*)weights.Pointer, Target = _normed, Count = _shape.Hidden, Epsilon = _shape.RmsEpsilon, Rows = Rows, RowsPerChunk = RowsPerChunk() };
        _team.Run(&NormChunk, &job, Chunks(job.RowsPerChunk));
        Use(_normed, _shape.Hidden);
    }

    /// <summary>Makes these rows the input of the next products.</summary>
    public void Use(float* source, int inputs) => _inputs.Use(source, inputs, Rows);

    /// <summary>The product of the current input with a matrix, written to <paramref name="output"/>.</summary>
    public Product Product(PackedMatrix matrix, float* output) => new(matrix, _inputs.For(matrix), output, matrix.Outputs, ProductTarget.Write);

    /// <summary>The product of the current input with a matrix, added to <paramref name="output"/>.</summary>
    public Product AddTo(PackedMatrix matrix, float* output) => new(matrix, _inputs.For(matrix), output, matrix.Outputs, ProductTarget.Add);

    /// <summary>Normalises and turns query heads, normalises, turns and stores key heads with their values. A null norm leaves its heads alone.</summary>
    public void Heads(NativeBuffer? queryNorm, NativeBuffer? keyNorm, KvLayout layout, byte* cache)
    {
        var job = new HeadsJob
        {
            QueryNorm = queryNorm is null ? null : (float*)queryNorm.Pointer,
            KeyNorm = keyNorm is null ? null : (float*)keyNorm.Pointer,
            Queries = Queries,
            Keys = Keys,
            Values = Values,
            Angles = _angles,
            Positions = _positions,
            FirstBlocks = _firstBlocks,
            BlockTables = _blockTables,
            Cache = cache,
            Layout = layout,
            Heads = _shape.Heads,
            Epsilon = _shape.RmsEpsilon,
            Rows = Rows,
            RowsPerChunk = RowsPerChunk(),
        };
        _team.Run(&HeadsJob.Chunk, &job, Chunks(job.RowsPerChunk));
    }

    /// <summary>Attention of all rows, from the queries and one layer's cache.</summary>
    public void Attend(KvLayout layout, byte* cache) => _attention.Run(new Attention.Layer
    {
        Queries = Queries,
        Output = Attended,
        Heads = _shape.Heads,
        Scale = 1 / MathF.Sqrt(_shape.HeadDim),
        Layout = layout,
        Cache = cache,
        BlockTables = _blockTables,
        Tiles = _tiles,
        TileCount = _tileCount,
    });

    public void Dispose()
    {
        _buffer.Dispose();
        _inputs.Dispose();
        _attention.Dispose();
    }

    // Up to four rows are done sooner than the team is told of them.
    private int RowsPerChunk() => Rows <= 4 ? Rows : Math.Max(1, Rows / (4 * _team.Threads));

    private int Chunks(int rowsPerChunk) => (Rows + rowsPerChunk - 1) / rowsPerChunk;

    private void CutTiles()
    {
        int rowsMax = Attention.RowsPerTile(_shape.Heads, _shape.KvHeads);
        _tileCount = 0;
        int first = 0;
        for (int row = 1; row <= Rows; row++)
        {
            if (row < Rows && row - first < rowsMax && _firstBlocks[row] == _firstBlocks[first] && _positions[row] == _positions[row - 1] + 1)
                continue;
            _tiles[_tileCount++] = new AttentionTile(first, row - first, _positions[first], _firstBlocks[first]);
            first = row;
        }
    }

    private static void Move(float* rows, int from, int to, int count)
    {
        if (from != to)
            new Span<float>(rows + (long)from * count, count).CopyTo(new Span<float>(rows + (long)to * count, count));
    }

    private void Reserve(int rows)
    {
        if (rows <= _capacity)
            return;
        _capacity = Math.Max(rows, Math.Min(2 * _capacity, 1 << 20));
        _allRows = [.. Enumerable.Range(0, _capacity)];
        _inputs.Reserve(_capacity);
        _buffer.Dispose();
        int queries = _shape.Heads * _shape.HeadDim;
        int keys = _shape.KvHeads * _shape.HeadDim;
        ReadOnlySpan<long> widths = [_shape.Hidden, _shape.Hidden, queries, keys, keys, queries, _shape.FeedForward, _shape.HeadDim, sizeof(AttentionTile) / sizeof(float), 1, 1];
        long bytes = 0;
        foreach (long width in widths)
            bytes += Bytes(width);
        _buffer = new NativeBuffer(bytes);
        byte* next = _buffer.Pointer;
        Residual = Take<float>(ref next, widths[0]);
        _normed = Take<float>(ref next, widths[1]);
        Queries = Take<float>(ref next, widths[2]);
        Keys = Take<float>(ref next, widths[3]);
        Values = Take<float>(ref next, widths[4]);
        Attended = Take<float>(ref next, widths[5]);
        FeedForward = Take<float>(ref next, widths[6]);
        _angles = Take<float>(ref next, widths[7]);
        _tiles = Take<AttentionTile>(ref next, widths[8]);
        _positions = Take<int>(ref next, widths[9]);
        _firstBlocks = Take<int>(ref next, widths[10]);
    }

    private long Bytes(long width) => (_capacity * width * sizeof(float) + 63) & ~63L;

    private T* Take<T>(ref byte* next, long width) where T : unmanaged
    {
        byte* taken = next;
        next += Bytes(width);
        return (T*)taken;
    }

    private static void NormChunk(void* state, int chunk, int thread)
    {
        var job = (NormJob*)state;
        int end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk);
        for (int row = chunk * job->RowsPerChunk; row < end; row++)
            RmsNorm.Row(job->Source + (long)row * job->Count, job->Weights, job->Target + (long)row * job->Count, job->Count, job->Epsilon);
    }

    private struct NormJob
    {
        public float* Source;
        public float* Weights;
        public float* Target;
        public float Epsilon;
        public int Count;
        public int Rows;
        public int RowsPerChunk;
    }
}
