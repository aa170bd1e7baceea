using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>A decoder of the Qwen family. Per layer: x += mix(norm(x)); x += feedForward(norm(x)). The mixer is attention or a gated DeltaNet, the feed-forward dense or a mixture of experts, as the shape says.</summary>
/// <remarks>A row's numbers depend on its sequence alone: not on other rows of the step, threads, or where a prefill was cut.</remarks>
public sealed unsafe class DecoderNetwork : Network
{
    private readonly WorkerTeam _team;
    private readonly MatMul _matMul;
    private readonly DecoderWeights _weights;
    private readonly DecoderStep _step;
    private readonly KvFormat _kv;
    private readonly AttentionMixer _attention;
    private readonly DeltaNetMixer? _deltaNet;
    private readonly ExpertFeedForward? _experts;
    private readonly RowMemory _feedForward;
    private int[] _kept = [];
    private ModelSource? _file;

    /// <param name="file">Not needed after construction, or, where weights are packed later, the network's from then on.</param>
    /// <param name="options">Threads, instruction set, and when weights are packed.</param>
    /// <exception cref="ModelFileException">The file does not hold a known decoder with types that have kernels.</exception>
    public DecoderNetwork(ModelSource file, NetworkOptions options)
    {
        Shape = DecoderShape.Read(file);
        _kv = options.Kv;
        _team = options.Threads is int threads ? new WorkerTeam(threads) : new WorkerTeam();
        // Kernels are assembled by code that runs for the first time, one thread at a time: beside the weights.
        Task<KernelSet> kernels = Task.Run(() => Kernels(file, options));
        try
        {
            _weights = new DecoderWeights(file, Shape, _team, options);
            _matMul = new MatMul(kernels.GetAwaiter().GetResult(), _team);
        }
        catch
        {
            _weights?.Dispose();
            _team.Dispose();
            throw;
        }
        _file = options.Packing == WeightPacking.Later ? file : null;
        _step = new DecoderStep(Shape, _matMul, _team);
        _attention = new AttentionMixer(Shape, _step);
        _deltaNet = Shape.DeltaNet is null ? null : new DeltaNetMixer(Shape, _step);
        _experts = Shape.Experts is null ? null : new ExpertFeedForward(Shape, _step);
        _feedForward = RowMemory.OfPart(_step.Memory, Shape.FeedForward);
    }

    public override ModelShape Shape { get; }
    public override long WeightBytes => _weights.Bytes;
    public override long StateBytes => StateSingles * sizeof(float);
    public override string KernelTier => FormattableString.Invariant($"{CpuTiers.Describe(_matMul.Kernels.Tier)}, {_team.Threads} threads");

    private long StateSingles => Shape.DeltaNet is { } net ? (long)Shape.DeltaNetLayers * net.LayerState : 0;

    /// <param name="blockCount">At least 1.</param>
    /// <param name="blockTokens">Any; multiples of 16 waste no memory.</param>
    /// <param name="stateCount">Ignored when no layer is recurrent.</param>
    public override KvCache CreateKvCache(int blockCount, int blockTokens, int stateCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockCount, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(stateCount);
        return new DecoderCache(Shape.AttentionLayers, new KvLayout(Shape.KvHeads, Shape.HeadDim, blockTokens, _kv), blockCount, StateSingles, Shape.DeltaNet is null ? 0 : stateCount);
    }

    /// <exception cref="ArgumentException">The step contradicts itself, the network or the cache.</exception>
    public override Span<float> Forward(scoped in StepBatch step, KvCache cache, Span<float> hidden)
    {
        if (cache is not DecoderCache own || own.Layout != new KvLayout(Shape.KvHeads, Shape.HeadDim, own.BlockTokens, _kv))
            throw new ArgumentException("the cache is not one of this network", nameof(cache));
        StepCheck.Throw(step, Shape, own, hidden.Length);
        if (step.Tokens.IsEmpty)
            return [];
        fixed (int* blockTables = step.BlockTables)
        fixed (float* vectors = hidden)
        {
            ReadOnlySpan<int> wanted = Wanted(step);
            Begin(step, blockTables);
            RunLayers(own, Shape.Layers, wanted);
            return _step.Rows > 0 ? Finish(step, wanted, vectors) : [];
        }
    }

    public override void WarmUp()
    {
        // At least one layer of each kind.
        int layers = 1 + Enumerable.Range(0, Shape.Layers).First(layer => !Shape.IsRecurrent(layer));
        using var cache = (DecoderCache)CreateKvCache(blockCount: 1, blockTokens: 1, stateCount: 1);
        int blockTable = 0;
        Begin(new StepBatch { Tokens = [0], Positions = [0], Slices = [new StepSlice(0, 1, 0, 1, StateOut: Shape.DeltaNet is null ? StepSlice.None : 0)], BlockTables = [0], LogitRows = [] }, &blockTable);
        RunLayers(cache, layers, wanted: []);
    }

    public override long UnpackedBytes => _weights.UnpackedBytes;

    public override bool PackNext(long bytes)
    {
        if (_file is null)
            return false;
        if (_weights.PackNext(bytes))
            return true;
        _file.Dispose();
        _file = null;
        // What the file's head and the building of the tokenizer left is worth megabytes and would stay for a long time: little is allocated while a model is served.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        NativeBuffer.TrimHeap();
        return false;
    }

    public override void Dispose()
    {
        _experts?.Dispose();
        _attention.Dispose();
        _step.Dispose();
        _matMul.Dispose();
        _weights.Dispose();
        _team.Dispose();
        _file?.Dispose();
    }

    /// <summary>The kernels of this machine, made ready for the formats of the file.</summary>
    private static KernelSet Kernels(ModelSource file, NetworkOptions options)
    {
        KernelSet kernels = options.Tier is { } tier ? KernelSet.For(tier) : KernelSet.Best;
        foreach (GgmlType type in file.Tensors.Where(tensor => tensor.Shape.Length > 1).Select(tensor => tensor.Type).Distinct())
            if (WeightReader.FormatOf(type) is { } format)
                kernels.Prepare(format);
        return kernels;
    }

    private void Begin(in StepBatch step, int* blockTables)
    {
        _step.Begin(step, blockTables);
        for (int i = 0; i < step.Tokens.Length; i++)
            _weights.Embedding.Dequantize(step.Tokens[i], _step.Residual + (long)i * Shape.Hidden);
    }

    private void RunLayers(DecoderCache cache, int layers, ReadOnlySpan<int> wanted)
    {
        int attentionLayer = 0, recurrentLayer = 0;
        for (int i = 0; i < layers && _step.Rows > 0; i++)
        {
            // Only what is wanted goes through the last layer beyond what later steps need of it.
            ReadOnlySpan<int> kept = i == Shape.Layers - 1 ? wanted : _step.AllRows;
            DecoderLayer layer = _weights.Layers[i];
            _step.Norm(layer.MixerNorm);
            if (layer.Attention is not null)
                _attention.Run(layer.Attention, cache.Layout, cache.Layer(attentionLayer++), kept);
            else
                _deltaNet!.Run(layer.DeltaNet!, cache, recurrentLayer++, kept);
            if (_step.Rows > 0)
                FeedForward(layer);
        }
    }

    private void FeedForward(DecoderLayer layer)
    {
        _step.Norm(layer.FeedForwardNorm);
        if (layer.Dense is not { } dense)
        {
            _experts!.Run(layer.Experts!);
            return;
        }
        _matMul.MultiplySwiGlu(_step.Product(dense.Gate, _feedForward[0]), _step.Product(dense.Up, _feedForward[0]));
        _step.Use(_feedForward[0], Shape.FeedForward);
        _matMul.Multiply([_step.AddTo(dense.Down, _step.Residual)]);
    }

    /// <summary>Rows whose logits or vectors are wanted, ascending.</summary>
    private ReadOnlySpan<int> Wanted(in StepBatch step)
    {
        if (step.HiddenRows.IsEmpty)
            return step.LogitRows;
        if (_kept.Length < step.LogitRows.Length + step.HiddenRows.Length)
            _kept = new int[2 * (step.LogitRows.Length + step.HiddenRows.Length)];
        int count = 0;
        for (int l = 0, h = 0; l < step.LogitRows.Length || h < step.HiddenRows.Length; count++)
        {
            int logit = l < step.LogitRows.Length ? step.LogitRows[l] : int.MaxValue, hidden = h < step.HiddenRows.Length ? step.HiddenRows[h] : int.MaxValue;
            _kept[count] = Math.Min(logit, hidden);
            l += logit <= hidden ? 1 : 0;
            h += hidden <= logit ? 1 : 0;
        }
        return _kept.AsSpan(0, count);
    }

    /// <summary>The last norm; then vectors and logits of the rows that asked for them.</summary>
    private Span<float> Finish(scoped in StepBatch step, scoped ReadOnlySpan<int> wanted, float* hidden)
    {
        _step.Norm(_weights.OutputNorm);
        if (!step.HiddenRows.IsEmpty)
        {
            for (int i = 0; i < step.HiddenRows.Length; i++)
                new ReadOnlySpan<float>(_step.Normed + (long)wanted.IndexOf(step.HiddenRows[i]) * Shape.Hidden, Shape.Hidden).CopyTo(new Span<float>(hidden + (long)i * Shape.Hidden, Shape.Hidden));
            int[] places = _kept;
            for (int i = 0; i < step.LogitRows.Length; i++)
                places[i] = wanted.IndexOf(step.LogitRows[i]);
            _step.Keep(places.AsSpan(0, step.LogitRows.Length));
        }
        if (_step.Rows == 0)
            return [];
        int count = checked(_step.Rows * Shape.Vocabulary);
        _matMul.Multiply([_step.LastProduct(_weights.Output, out float* logits)]);
        return new Span<float>(logits, count);
    }
}
