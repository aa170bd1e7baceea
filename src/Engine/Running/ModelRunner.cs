using System.Globalization;
using Qanat.Models;

namespace Qanat.Engine;

/// <summary>The seam to the model: computes the rows of a plan.</summary>
internal interface IModelRunner : IDisposable
{
    int Vocabulary { get; }

    /// <summary>Tokens the model can attend to.</summary>
    int ContextLength { get; }
    int BlockCount { get; }
    int BlockTokens { get; }

    /// <summary>Recurrent states that can be kept apart; 0 when the model has none.</summary>
    int StateCount { get; }
    StepWork Work { get; }

    /// <summary>Makes the plan's copies of blocks; then computes every row and keeps its keys and values. A row's result must depend on its own sequence alone, to the last bit.</summary>
    /// <returns>[plan.LogitCount x Vocabulary], valid until the next call; the caller may change it.</returns>
    Span<float> Run(StepPlan plan);

    /// <summary>A hidden vector of the last run, valid until the next.</summary>
    /// <param name="index">In [0, plan.HiddenCount).</param>
    ReadOnlySpan<float> HiddenVector(int index);

    /// <summary>Does a little of what makes later steps faster, between two of them; false when nothing is left to do.</summary>
    bool Prepare() => false;

    /// <summary>What is left of that, in bytes. Any thread may ask.</summary>
    long UnpackedBytes => 0;
}

/// <summary>Runs plans on a network of Qanat's own. Owns the KV cache, not the network.</summary>
internal sealed class ModelRunner : IModelRunner
{
    /// <summary>Some milliseconds: a step, or a request that arrives meanwhile, waits so long.</summary>
    private const long PackedBetweenStepsBytes = 16L << 20;

    private readonly Network _network;
    private readonly KvCache _cache;
    private float[] _hidden = [];

    /// <exception cref="ArgumentException">The memory for keys and values does not hold one block.</exception>
    public ModelRunner(Network network, EngineOptions options)
    {
        _network = network;
        long blockBytes;
        using (KvCache one = network.CreateKvCache(1, options.BlockTokens)) blockBytes = one.Bytes;
        long blocks = Math.Min(options.KvBytesMax / blockBytes, Array.MaxLength / options.BlockTokens);
        if (blocks < 1) throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"KvBytesMax is {options.KvBytesMax} bytes, but one block of {options.BlockTokens} tokens needs {blockBytes}: allow more memory for keys and values."), nameof(options));
        _cache = network.CreateKvCache((int)blocks, options.BlockTokens, StatesOf(network, options));
        Work = StepWork.Of(network.Shape);
    }

    public int Vocabulary => _network.Shape.Vocabulary;
    public int ContextLength => _network.Shape.ContextLength;
    public int BlockCount => _cache.BlockCount;
    public int BlockTokens => _cache.BlockTokens;
    public int StateCount => _cache.StateCount;
    public StepWork Work { get; }
    private int HiddenSize => _network.Shape.Hidden;

    public Span<float> Run(StepPlan plan)
    {
        if (_hidden.Length < plan.HiddenCount * HiddenSize) _hidden = new float[2 * plan.HiddenCount * HiddenSize];
        foreach (BlockCopy copy in plan.Copies) _cache.Copy(copy.From, copy.To);
        return _network.Forward(plan.Batch, _cache, _hidden);
    }

    public ReadOnlySpan<float> HiddenVector(int index) => _hidden.AsSpan(index * HiddenSize, HiddenSize);

    public bool Prepare() => _network.PackNext(PackedBetweenStepsBytes);
    public long UnpackedBytes => _network.UnpackedBytes;

    public void Dispose() => _cache.Dispose();

    private static int StatesOf(Network network, EngineOptions options)
    {
        if (network.StateBytes == 0) return 0;
        long states = options.StateBytesMax / network.StateBytes;
        if (states < 1) throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"StateBytesMax is {options.StateBytesMax} bytes, but the recurrent state of one sequence needs {network.StateBytes}: allow more memory for states."), nameof(options));
        return (int)Math.Min(states, 1 << 16);
    }
}
