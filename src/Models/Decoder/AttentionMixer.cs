using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Causal attention with grouped queries, rotary positions and, as the shape says, biases, head norms and an output gate.</summary>
internal sealed unsafe class AttentionMixer : IDisposable
{
    private readonly ModelShape _shape;
    private readonly DecoderStep _step;
    private readonly Attention _attention;
    private readonly RowMemory _memory;
    private int _tileCount;

    public AttentionMixer(ModelShape shape, DecoderStep step)
    {
        _shape = shape;
        _step = step;
        _attention = new Attention(step.Team);
        int queries = shape.Heads * shape.HeadDim, keys = shape.KvHeads * shape.HeadDim;
        _memory = RowMemory.OfPart(step.Memory, queries, Math.Max(queries, 2 * keys), sizeof(AttentionTile) / sizeof(float), shape.HasOutputGate ? 2 * queries : 0);
    }

    private float* Queries => _memory[0];

    /// <summary>Keys, and behind them values, until these are stored in the cache; then what attention gives.</summary>
    private float* Keys => _memory[1];
    private float* Values => Keys + (long)_step.Rows * _shape.KvHeads * _shape.HeadDim;
    private float* Attended => _memory[1];
    private AttentionTile* Tiles => (AttentionTile*)_memory[2];

    /// <summary>[Rows x Heads x (query, gate)] with an output gate, else the queries themselves.</summary>
    private float* Projected => _shape.HasOutputGate ? _memory[3] : Queries;
    private int ProjectedHead => _shape.HasOutputGate ? 2 * _shape.HeadDim : _shape.HeadDim;

    /// <summary>Adds the mixed rows to the residual stream.</summary>
    /// <param name="cache">This layer's part of block 0.</param>
    /// <param name="kept">Rows that go on after all keys and values are stored; the step keeps them.</param>
    public void Run(AttentionWeights weights, KvLayout layout, byte* cache, ReadOnlySpan<int> kept)
    {
        bool all = kept.Length == _step.Rows;
        Product key = _step.Product(weights.Key, Keys);
        Product value = _step.Product(weights.Value, Values);
        if (all)
            _step.MatMul.Multiply([_step.Product(weights.Query, Projected), key, value]);
        else
            _step.MatMul.Multiply([key, value]);
        Heads(weights, layout, cache, queries: all, keys: true);
        if (!all)
        {
            _step.Keep(kept);
            if (kept.IsEmpty)
                return;
            _step.MatMul.Multiply([_step.Product(weights.Query, Projected)]);
            Heads(weights, layout, cache, queries: true, keys: false);
        }
        Attend(layout, cache);
        if (_shape.HasOutputGate)
            Gate();
        _step.Use(Attended, _shape.Heads * _shape.HeadDim);
        _step.MatMul.Multiply([_step.AddTo(weights.Output, _step.Residual)]);
    }

    public void Dispose() => _attention.Dispose();

    /// <summary>Normalises and turns query heads; normalises, turns and stores key heads with their values.</summary>
    private void Heads(AttentionWeights weights, KvLayout layout, byte* cache, bool queries, bool keys)
    {
        static float* Pointer(NativeBuffer? buffer) => buffer is null ? null : (float*)buffer.Pointer;
        var job = new HeadsJob
        {
            DoesQueries = queries,
            DoesKeys = keys,
            QueryBias = Pointer(weights.QueryBias),
            KeyBias = Pointer(weights.KeyBias),
            ValueBias = Pointer(weights.ValueBias),
            QueryNorm = Pointer(weights.QueryNorm),
            KeyNorm = Pointer(weights.KeyNorm),
            Projected = Projected,
            ProjectedHead = ProjectedHead,
            Queries = Queries,
            Keys = Keys,
            Values = Values,
            Angles = _step.Angles,
            RotaryDim = _shape.RotaryDim,
            Positions = _step.Positions,
            FirstBlocks = _step.FirstBlocks,
            BlockTables = _step.BlockTables,
            Cache = cache,
            Layout = layout,
            Heads = _shape.Heads,
            Epsilon = _shape.RmsEpsilon,
            Rows = _step.Rows,
            RowsPerChunk = _step.RowsPerChunk(),
        };
        _step.Team.Run(&HeadsJob.Chunk, &job, _step.Chunks(job.RowsPerChunk));
    }

    private void Attend(KvLayout layout, byte* cache)
    {
        CutTiles();
        _attention.Run(new Attention.Layer
        {
            Queries = Queries,
            Output = Attended,
            Heads = _shape.Heads,
            Scale = 1 / MathF.Sqrt(_shape.HeadDim),
            Layout = layout,
            Cache = cache,
            BlockTables = _step.BlockTables,
            Tiles = Tiles,
            TileCount = _tileCount,
        });
    }

    private void CutTiles()
    {
        int rowsMax = Attention.RowsPerTile(_shape.Heads, _shape.KvHeads);
        int* positions = _step.Positions, firstBlocks = _step.FirstBlocks;
        _tileCount = 0;
        int first = 0;
        for (int row = 1; row <= _step.Rows; row++)
        {
            if (row < _step.Rows && row - first < rowsMax && firstBlocks[row] == firstBlocks[first] && positions[row] == positions[row - 1] + 1)
                continue;
            Tiles[_tileCount++] = new AttentionTile(first, row - first, positions[first], firstBlocks[first]);
            first = row;
        }
    }

    private void Gate()
    {
        var job = new GateJob { Projected = Projected, Attended = Attended, Heads = _shape.Heads, HeadDim = _shape.HeadDim, Rows = _step.Rows, RowsPerChunk = _step.RowsPerChunk() };
        _step.Team.Run(&GateChunk, &job, _step.Chunks(job.RowsPerChunk));
    }

    private static void GateChunk(void* state, int chunk, int thread)
    {
        var job = (GateJob*)state;
        long first = (long)chunk * job->RowsPerChunk * job->Heads, end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk) * (long)job->Heads;
        for (long head = first; head < end; head++)
        {
            float* attended = job->Attended + head * job->HeadDim;
            SigmoidMultiply.Row(job->Projected + (2 * head + 1) * job->HeadDim, attended, attended, job->HeadDim);
        }
    }

    private struct GateJob
    {
        public float* Projected;
        public float* Attended;
        public int Heads;
        public int HeadDim;
        public int Rows;
        public int RowsPerChunk;
    }
}
