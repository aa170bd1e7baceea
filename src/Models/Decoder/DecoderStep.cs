using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The rows of one step on their way through the layers: the residual stream, where each row stands, and what is done to it between the matrix products.</summary>
internal sealed unsafe class DecoderStep : IDisposable
{
    private const int RowsAtFirst = 16;

    private readonly ModelShape _shape;
    private readonly PreparedInputs _inputs;
    private readonly double[] _frequencies;
    private readonly float _magnitude;
    private readonly RowMemory _memory;
    private int[] _allRows = [];
    private StepSlice[] _slices = [];

    public DecoderStep(ModelShape shape, MatMul matMul, WorkerTeam team)
    {
        _shape = shape;
        MatMul = matMul;
        Team = team;
        int inputsMax = Math.Max(Math.Max(shape.Hidden, shape.FeedForward), Math.Max(shape.Heads * shape.HeadDim, Math.Max(shape.DeltaNet?.Values ?? 0, shape.Experts?.SharedFeedForward ?? 0)));
        _inputs = new PreparedInputs(matMul, inputsMax);
        _frequencies = shape.Yarn is { } yarn
            ? Yarn.Frequencies(shape.RotaryDim, shape.RopeTheta, yarn.Factor, yarn.OriginalContext, yarn.BetaFast, yarn.BetaSlow)
            : Rope.Frequencies(shape.RotaryDim, shape.RopeTheta);
        _magnitude = (float)(shape.Yarn?.Magnitude ?? 1);
        _memory = RowMemory.OfAllLayers(Memory, shape.Hidden, shape.Hidden, shape.RotaryDim, 1, 1);
    }

    public MatMul MatMul { get; }
    public WorkerTeam Team { get; }

    public StepMemory Memory { get; } = new();

    /// <summary>Rows that are still computed.</summary>
    public int Rows { get; private set; }

    /// <summary>0, 1 ... Rows - 1.</summary>
    public ReadOnlySpan<int> AllRows => _allRows.AsSpan(0, Rows);

    /// <summary>The sequences' parts of the step as it began.</summary>
    public ReadOnlySpan<StepSlice> Slices => _slices.AsSpan(0, SliceCount);
    public int SliceCount { get; private set; }

    /// <summary>[Rows x Hidden]: the stream that every layer adds to.</summary>
    public float* Residual => _memory[0];

    /// <summary>[Rows x Hidden]: what <see cref="Norm"/> made of it.</summary>
    public float* Normed => _memory[1];

    /// <summary>[Rows x RotaryDim]: cosines, then sines.</summary>
    public float* Angles => _memory[2];

    /// <summary>[Rows].</summary>
    public int* Positions => (int*)_memory[3];

    /// <summary>[Rows]: where the blocks of the row's sequence begin in the block tables.</summary>
    public int* FirstBlocks => (int*)_memory[4];

    public int* BlockTables { get; private set; }

    /// <summary>Takes the rows of a step.</summary>
    /// <param name="step">Checked.</param>
    /// <param name="blockTables">The step's block tables, pinned until the step ends.</param>
    public void Begin(in StepBatch step, int* blockTables)
    {
        Reserve(step.Tokens.Length);
        Rows = step.Tokens.Length;
        BlockTables = blockTables;
        step.Positions.CopyTo(new Span<int>(Positions, Rows));
        SliceCount = step.Slices.Length;
        if (_slices.Length < SliceCount)
            _slices = new StepSlice[2 * SliceCount];
        step.Slices.CopyTo(_slices);
        foreach (StepSlice slice in step.Slices)
            new Span<int>(FirstBlocks + slice.FirstRow, slice.RowCount).Fill(slice.FirstBlock);
        for (int row = 0; row < Rows; row++)
        {
            float* angles = Angles + (long)row * _shape.RotaryDim;
            Rope.Angles(Positions[row], _frequencies, angles);
            for (int i = 0; i < _shape.RotaryDim && _magnitude != 1; i++)
                angles[i] *= _magnitude;
        }
    }

    /// <summary>Drops all rows but these, ascending.</summary>
    public void Keep(ReadOnlySpan<int> rows)
    {
        if (rows.Length == Rows)
            return;
        for (int i = 0; i < rows.Length; i++)
        {
            Positions[i] = Positions[rows[i]];
            FirstBlocks[i] = FirstBlocks[rows[i]];
        }
        Keep(Angles, _shape.RotaryDim, rows);
        Keep(Residual, _shape.Hidden, rows);
        Keep(Normed, _shape.Hidden, rows);
        Rows = rows.Length;
        Use(Normed, _shape.Hidden);
    }

    /// <summary>Moves some rows of other working memory to the front.</summary>
    public static void Keep(float* memory, int width, ReadOnlySpan<int> rows)
    {
        for (int i = 0; i < rows.Length; i++)
            if (rows[i] != i)
                new Span<float>(memory + (long)rows[i] * width, width).CopyTo(new Span<float>(memory + (long)i * width, width));
    }

    /// <summary>Normalises the residual stream into the input of the next products.</summary>
    public void Norm(NativeBuffer weights)
    {
        var job = new NormJob { Source = Residual, Weights = (float*)weights.Pointer, Target = Normed, Count = _shape.Hidden, Epsilon = _shape.RmsEpsilon, Rows = Rows, RowsPerChunk = RowsPerChunk() };
        Team.Run(&NormChunk, &job, Chunks(job.RowsPerChunk));
        Use(Normed, _shape.Hidden);
    }

    /// <summary>Makes these rows the input of the next products.</summary>
    public void Use(float* source, int inputs) => _inputs.Use(source, inputs, Rows);

    /// <summary>The current input as a matrix wants it.</summary>
    public PreparedRows Prepared(PackedMatrix matrix) => _inputs.For(matrix);

    /// <summary>The product of the current input with a matrix, written to <paramref name="output"/>.</summary>
    public Product Product(PackedMatrix matrix, float* output) => new(matrix, _inputs.For(matrix), output, matrix.Outputs, ProductTarget.Write);

    /// <summary>The product of the current input with a matrix, added to <paramref name="output"/>.</summary>
    public Product AddTo(PackedMatrix matrix, float* output) => new(matrix, _inputs.For(matrix), output, matrix.Outputs, ProductTarget.Add);

    /// <summary>The product of the current input with a matrix, written over all rows: prepared, the input lies elsewhere, and nothing else of them is needed any more. The step ends here.</summary>
    public Product LastProduct(PackedMatrix matrix, out float* output)
    {
        PreparedRows input = _inputs.For(matrix);
        output = Memory.TakeAll((long)Rows * matrix.Outputs);
        Rows = 0;
        _inputs.Use(null, 0, 0);
        return new Product(matrix, input, output, matrix.Outputs, ProductTarget.Write);
    }

    /// <summary>How many rows a chunk of a job takes. Up to four rows are done sooner than the team is told of them.</summary>
    public int RowsPerChunk() => Rows <= 4 ? Math.Max(1, Rows) : Math.Max(1, Rows / (4 * Team.Threads));

    public int Chunks(int rowsPerChunk) => (Rows + rowsPerChunk - 1) / rowsPerChunk;

    public void Dispose()
    {
        Memory.Dispose();
        _inputs.Dispose();
    }

    private void Reserve(int rows)
    {
        int capacity = Memory.Reserve(Math.Max(rows, RowsAtFirst));
        if (capacity == _allRows.Length)
            return;
        _allRows = [.. Enumerable.Range(0, capacity)];
        _inputs.Reserve(capacity);
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
