using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>A mixture of experts: each row goes through the likeliest few, weighted, and through a shared one if there is one. Rows are sorted by expert, so that an expert's weights are read once.</summary>
internal sealed unsafe class ExpertFeedForward : IDisposable
{
    private readonly ModelShape _shape;
    private readonly ExpertShape _experts;
    private readonly DecoderStep _step;
    private readonly ExpertMatMul _products;
    private readonly PreparedInputs _inner;
    private readonly RowMemory _memory;
    private readonly int[] _counts;
    private readonly ExpertRows[] _parts;
    private NativeBuffer _gathered = new(0);
    private int _capacity;

    public ExpertFeedForward(ModelShape shape, DecoderStep step)
    {
        _shape = shape;
        _experts = shape.Experts!;
        _step = step;
        _products = new ExpertMatMul(step.MatMul.Kernels, step.Team);
        _inner = new PreparedInputs(step.MatMul, _experts.FeedForward);
        int used = _experts.Used;
        _memory = RowMemory.OfPart(step.Memory, _experts.Count, used, used, used, (long)used * _experts.FeedForward, (long)used * shape.Hidden, _experts.SharedFeedForward, shape.Hidden);
        _counts = new int[_experts.Count];
        _parts = new ExpertRows[_experts.Count];
    }

    /// <summary>[Rows x Experts].</summary>
    private float* Scores => _memory[0];

    /// <summary>[Rows x Used]: experts, likeliest first.</summary>
    private int* Chosen => (int*)_memory[1];

    /// <summary>[Rows x Used]: their weights.</summary>
    private float* Weights => _memory[2];

    /// <summary>[Rows x Used]: where a row's copy for an expert stands among the sorted ones.</summary>
    private int* Places => (int*)_memory[3];

    /// <summary>[Rows x Used x FeedForward], sorted.</summary>
    private float* Activated => _memory[4];

    /// <summary>[Rows x Used x Hidden], sorted.</summary>
    private float* Results => _memory[5];
    private float* SharedActivated => _memory[6];
    private float* SharedResults => _memory[7];

    /// <summary>Adds the feed-forward of the normalised rows to the residual stream.</summary>
    public void Run(ExpertWeights weights)
    {
        int rows = _step.Rows;
        Reserve(rows);
        _step.MatMul.Multiply([_step.Product(weights.Router, Scores)]);
        var job = new Job
        {
            Scores = Scores,
            Chosen = Chosen,
            Weights = Weights,
            Places = Places,
            Results = Results,
            SharedResults = weights.Shared is null ? null : SharedResults,
            SharedGate = weights.SharedGate is null ? null : (float*)weights.SharedGate.Pointer,
            Normed = _step.Normed,
            Residual = _step.Residual,
            Experts = _experts.Count,
            Used = _experts.Used,
            Hidden = _shape.Hidden,
            Normalises = _experts.NormalisesWeights,
            Rows = rows,
            RowsPerChunk = _step.RowsPerChunk(),
        };
        _step.Team.Run(&ChooseChunk, &job, _step.Chunks(job.RowsPerChunk));
        int parts = Sort(rows);
        if (weights.Shared is { } shared)
            _step.MatMul.MultiplySwiGlu(_step.Product(shared.Gate, SharedActivated), _step.Product(shared.Up, SharedActivated));
        fixed (ExpertRows* part = _parts)
        {
            _products.MultiplySwiGlu(weights.Gate, weights.Up, Gather(weights.Gate.First, rows), part, parts, Activated);
            _inner.Use(Activated, _experts.FeedForward, rows * _experts.Used);
            _products.Multiply(weights.Down, _inner.For(weights.Down.First), part, parts, Results);
        }
        if (weights.Shared is not null)
        {
            _step.Use(SharedActivated, _experts.SharedFeedForward);
            _step.MatMul.Multiply([_step.Product(weights.Shared.Down, SharedResults)]);
        }
        _step.Team.Run(&CombineChunk, &job, _step.Chunks(job.RowsPerChunk));
    }

    public void Dispose()
    {
        _inner.Dispose();
        _gathered.Dispose();
    }

    private void Reserve(int rows)
    {
        if (rows <= _capacity)
            return;
        _capacity = Math.Max(rows, Math.Min(2 * _capacity, 1 << 20));
        _inner.Reserve(_capacity * _experts.Used);
    }

    /// <summary>Counting sort of all (row, expert) pairs by expert, rows in order. Returns how many experts are used.</summary>
    private int Sort(int rows)
    {
        Array.Clear(_counts);
        int pairs = rows * _experts.Used;
        for (int i = 0; i < pairs; i++)
            _counts[Chosen[i]]++;
        int parts = 0, first = 0;
        for (int expert = 0; expert < _counts.Length; expert++)
        {
            int count = _counts[expert];
            if (count > 0)
                _parts[parts++] = new ExpertRows(expert, first, count);
            _counts[expert] = first;
            first += count;
        }
        for (int i = 0; i < pairs; i++)
            Places[i] = _counts[Chosen[i]]++;
        return parts;
    }

    /// <summary>A copy of each row's prepared input at the place of each of its experts.</summary>
    private PreparedRows Gather(PackedMatrix matrix, int rows)
    {
        PreparedRows prepared = _step.Prepared(matrix);
        long bytes = (long)_capacity * _experts.Used * prepared.Stride;
        if (_gathered.Bytes < bytes)
        {
            _gathered.Dispose();
            _gathered = new NativeBuffer(bytes);
        }
        var job = new GatherJob { Source = (byte*)prepared.Pointer, Target = _gathered.Pointer, Stride = prepared.Stride, Places = Places, Used = _experts.Used, Rows = rows, RowsPerChunk = _step.RowsPerChunk() };
        _step.Team.Run(&GatherChunk, &job, _step.Chunks(job.RowsPerChunk));
        return new PreparedRows((nint)_gathered.Pointer, prepared.Stride, rows * _experts.Used);
    }

    /// <summary>Softmax over all experts, then the likeliest, ties to the lower number.</summary>
    private static void ChooseChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk);
        for (int row = chunk * job->RowsPerChunk; row < end; row++)
            ExpertChoice.Choose(new Span<float>(job->Scores + (long)row * job->Experts, job->Experts), job->Normalises,
                new Span<int>(job->Chosen + (long)row * job->Used, job->Used), new Span<float>(job->Weights + (long)row * job->Used, job->Used));
    }

    private static void GatherChunk(void* state, int chunk, int thread)
    {
        var job = (GatherJob*)state;
        long end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk) * (long)job->Used;
        for (long pair = (long)chunk * job->RowsPerChunk * job->Used; pair < end; pair++)
            new ReadOnlySpan<byte>(job->Source + pair / job->Used * job->Stride, job->Stride).CopyTo(new Span<byte>(job->Target + (long)job->Places[pair] * job->Stride, job->Stride));
    }

    /// <summary>Residual += the experts' results, weighted, likeliest first, plus the shared one's, gated.</summary>
    private static void CombineChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk);
        for (int row = chunk * job->RowsPerChunk; row < end; row++)
        {
            int* places = job->Places + (long)row * job->Used;
            float* weights = job->Weights + (long)row * job->Used;
            float* residual = job->Residual + (long)row * job->Hidden;
            float* first = job->Results + (long)places[0] * job->Hidden;
            WeightedSum.Scale(first, weights[0], job->Hidden);
            for (int i = 1; i < job->Used; i++)
                WeightedSum.Add(first, job->Results + (long)places[i] * job->Hidden, weights[i], job->Hidden);
            if (job->SharedResults is not null)
            {
                float gate = WeightedSum.Dot(job->Normed + (long)row * job->Hidden, job->SharedGate, job->Hidden);
                WeightedSum.Add(first, job->SharedResults + (long)row * job->Hidden, DeltaGates.Rate(gate), job->Hidden);
            }
            WeightedSum.Add(residual, first, 1, job->Hidden);
        }
    }

    private struct Job
    {
        public float* Scores;
        public int* Chosen;
        public float* Weights;
        public int* Places;
        public float* Results;
        public float* SharedResults;
        public float* SharedGate;
        public float* Normed;
        public float* Residual;
        public int Experts;
        public int Used;
        public int Hidden;
        public bool Normalises;
        public int Rows;
        public int RowsPerChunk;
    }

    private struct GatherJob
    {
        public byte* Source;
        public byte* Target;
        public int Stride;
        public int* Places;
        public int Used;
        public int Rows;
        public int RowsPerChunk;
    }
}
