using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The Qwen3 dense decoder: RMSNorm, grouped-query attention with normalised heads and rotary positions, SwiGLU.</summary>
/// <remarks>Per layer: x += W_o attention(rope(norm(W_q n)), rope(norm(W_k n)), W_v n) with n = norm(x); x += W_down(silu(W_gate m) * W_up m) with m = norm(x).
/// A row's numbers depend on its sequence alone: not on other rows of the step, threads, or where a prefill was cut.</remarks>
public sealed unsafe class Qwen3Network : Network
{
    private readonly WorkerTeam _team;
    private readonly MatMul _matMul;
    private readonly Qwen3Weights _weights;
    private readonly Qwen3Step _step;

    /// <param name="file">Not needed after construction.</param>
    /// <param name="options">Threads and instruction set.</param>
    /// <exception cref="ModelFileException">The file does not hold a Qwen3 decoder with types that have kernels.</exception>
    public Qwen3Network(GgufFile file, NetworkOptions options)
    {
        Shape = Qwen3Shape.Read(file);
        _team = options.Threads is int threads ? new WorkerTeam(threads) : new WorkerTeam();
        try
        {
            _weights = new Qwen3Weights(file, Shape, _team);
        }
        catch
        {
            _team.Dispose();
            throw;
        }
        _matMul = new MatMul(options.Tier is { } tier ? KernelSet.For(tier) : KernelSet.Best, _team);
        _step = new Qwen3Step(Shape, _matMul, _team);
    }

    public override ModelShape Shape { get; }
    public override long WeightBytes => _weights.Bytes;
    public override string KernelTier => FormattableString.Invariant($"{CpuTiers.Describe(_matMul.Kernels.Tier)}, {_team.Threads} threads");

    /// <param name="blockCount">At least 1.</param>
    /// <param name="blockTokens">Any; multiples of 16 waste no memory.</param>
    public override KvCache CreateKvCache(int blockCount, int blockTokens)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockCount, 1);
        return new PagedKvCache(Shape.Layers, new KvLayout(Shape.KvHeads, Shape.HeadDim, blockTokens), blockCount);
    }

    /// <exception cref="ArgumentException">The step contradicts itself, the network or the cache.</exception>
    public override void Forward(in StepBatch step, KvCache cache, Span<float> logits)
    {
        if (cache is not PagedKvCache paged || paged.Layout != new KvLayout(Shape.KvHeads, Shape.HeadDim, paged.BlockTokens))
            throw new ArgumentException("the cache is not one of this network", nameof(cache));
        StepCheck.Throw(step, Shape, paged, logits.Length);
        if (step.Tokens.IsEmpty)
            return;
        fixed (int* blockTables = step.BlockTables)
        fixed (float* output = logits)
        {
            _step.Begin(step, blockTables);
            for (int i = 0; i < step.Tokens.Length; i++)
                _weights.Embedding.Dequantize(step.Tokens[i], _step.Residual + (long)i * Shape.Hidden);
            for (int layer = 0; layer < Shape.Layers && _step.Rows > 0; layer++)
                Layer(_weights.Layers[layer], paged.Layout, paged.Layer(layer), layer == Shape.Layers - 1 ? step.LogitRows : _step.AllRows);
            if (_step.Rows > 0)
                Logits(output);
        }
    }

    public override void Dispose()
    {
        _step.Dispose();
        _weights.Dispose();
        _team.Dispose();
    }

    /// <summary>One layer of all rows; only <paramref name="kept"/> go on after their keys and values are stored. The last layer keeps the rows whose logits are wanted.</summary>
    private void Layer(Qwen3Weights.Layer weights, KvLayout layout, byte* cache, ReadOnlySpan<int> kept)
    {
        _step.Norm(weights.AttentionNorm);
        bool all = kept.Length == _step.Rows;
        Product key = _step.Product(weights.Key, _step.Keys);
        Product value = _step.Product(weights.Value, _step.Values);
        if (all)
            _matMul.Multiply([_step.Product(weights.Query, _step.Queries), key, value]);
        else
            _matMul.Multiply([key, value]);
        _step.Heads(all ? weights.QueryNorm : null, weights.KeyNorm, layout, cache);
        if (!all)
        {
            _step.Keep(kept);
            if (kept.IsEmpty)
                return;
            _matMul.Multiply([_step.Product(weights.Query, _step.Queries)]);
            _step.Heads(weights.QueryNorm, null, layout, cache);
        }

        _step.Attend(layout, cache);
        _step.Use(_step.Attended, Shape.Heads * Shape.HeadDim);
        _matMul.Multiply([_step.AddTo(weights.AttentionOutput, _step.Residual)]);

        _step.Norm(weights.FeedForwardNorm);
        _matMul.MultiplySwiGlu(_step.Product(weights.Gate, _step.FeedForward), _step.Product(weights.Up, _step.FeedForward));
        _step.Use(_step.FeedForward, Shape.FeedForward);
        _matMul.Multiply([_step.AddTo(weights.Down, _step.Residual)]);
    }

    private void Logits(float* output)
    {
        _step.Norm(_weights.OutputNorm);
        _matMul.Multiply([_step.Product(_weights.Output, output)]);
    }
}
