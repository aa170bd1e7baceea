using System.Collections.Immutable;
using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The hyper-parameters of a decoder. HeadDim is read from the file, never derived from Hidden / Heads.</summary>
/// <param name="FeedForward">Width of the dense feed-forward; 0 when every layer has experts.</param>
public sealed record ModelShape(string Architecture, int Layers, int Hidden, int FeedForward, int Heads, int KvHeads, int HeadDim, int Vocabulary, int ContextLength, float RmsEpsilon, float RopeTheta, bool TiedEmbeddings)
{
    /// <summary>Dimensions of a head that turn with the position, from the first; the others pass unchanged.</summary>
    public int RotaryDim { get; init; } = HeadDim;

    /// <summary>How positions beyond the trained context are stretched; null: they are not.</summary>
    public YarnScaling? Yarn { get; init; }

    /// <summary>Queries, keys and values have a bias.</summary>
    public bool HasAttentionBias { get; init; }

    /// <summary>Query and key heads are normalised before they turn.</summary>
    public bool HasHeadNorms { get; init; } = true;

    /// <summary>What attention gathers is multiplied by the sigmoid of a gate.</summary>
    public bool HasOutputGate { get; init; }

    /// <summary>The recurrent layers' mixer; null when all layers attend.</summary>
    public DeltaNetShape? DeltaNet { get; init; }

    /// <summary>Per layer, whether it is recurrent; empty when none is.</summary>
    public ImmutableArray<bool> RecurrentLayers { get; init; } = [];

    /// <summary>Experts of every layer; null: the feed-forward is dense.</summary>
    public ExpertShape? Experts { get; init; }

    public int AttentionLayers => Layers - DeltaNetLayers;
    public int DeltaNetLayers => RecurrentLayers.Count(recurrent => recurrent);

    public bool IsRecurrent(int layer) => !RecurrentLayers.IsEmpty && RecurrentLayers[layer];
}

/// <summary>YaRN (Peng et al. 2023): low frequencies are divided by the factor, high ones kept, those between mixed; cosines and sines grow by 0.1 ln(factor) + 1.</summary>
/// <param name="Factor">At least 1.</param>
/// <param name="OriginalContext">Tokens the model was trained on.</param>
/// <param name="BetaFast">Turns within the original context from which a frequency is kept.</param>
/// <param name="BetaSlow">Turns within the original context up to which a frequency is divided.</param>
public sealed record YarnScaling(float Factor, int OriginalContext, float BetaFast, float BetaSlow)
{
    /// <summary>How many times more than that cosines and sines grow.</summary>
    public float AttentionFactor { get; init; } = 1;

    /// <summary>What cosines and sines are multiplied by.</summary>
    public double Magnitude => Yarn.Magnitude(Factor) * AttentionFactor;
}

/// <summary>A gated DeltaNet (Yang et al. 2024): a causal convolution, then per value head a matrix of state that forgets by a gate and learns by the delta rule.</summary>
/// <param name="ConvKernel">Inputs the convolution sees, the newest included.</param>
/// <param name="GroupsValueHeads">Value heads of one key head stand together (Qwen3-Next); else they are ValueHeads / KeyHeads apart (Qwen3.5).</param>
public sealed record DeltaNetShape(int KeyHeads, int ValueHeads, int KeyDim, int ValueDim, int ConvKernel, bool GroupsValueHeads)
{
    /// <summary>Channels of the convolution: queries, keys, values.</summary>
    public int Channels => 2 * KeyHeads * KeyDim + Values;

    /// <summary>Numbers of all value heads.</summary>
    public int Values => ValueHeads * ValueDim;

    /// <summary>Inputs the convolution must remember, oldest first.</summary>
    public int ConvState => (ConvKernel - 1) * Channels;

    /// <summary>Singles of one layer's state: the convolution's inputs, then [ValueHeads x KeyDim x ValueDim].</summary>
    public int LayerState => ConvState + ValueHeads * KeyDim * ValueDim;

    /// <summary>Rows of Qwen3-Next's joined projection: for each key head its query, its key, the values of its value heads and their gates.</summary>
    public int JoinedRows => Channels + Values;

    /// <summary>Where queries, keys and values are in it.</summary>
    public int[] JoinedMixed() => [.. JoinedPart(0, KeyDim), .. JoinedPart(KeyDim, KeyDim), .. JoinedPart(2 * KeyDim, Values / KeyHeads)];

    /// <summary>Where the gates are in it.</summary>
    public int[] JoinedGate() => [.. JoinedPart(2 * KeyDim + Values / KeyHeads, Values / KeyHeads)];

    private IEnumerable<int> JoinedPart(int first, int count) => Enumerable.Range(0, KeyHeads).SelectMany(head => Enumerable.Range(head * (JoinedRows / KeyHeads) + first, count));

    public int KeyHeadOf(int valueHead) => GroupsValueHeads ? valueHead / (ValueHeads / KeyHeads) : valueHead % KeyHeads;
}

/// <summary>A mixture of experts: of Count feed-forwards each row goes through the Used likeliest.</summary>
/// <param name="SharedFeedForward">Width of the expert that every row goes through, gated; 0: there is none.</param>
/// <param name="NormalisesWeights">The weights of the used experts are scaled to sum to 1.</param>
public sealed record ExpertShape(int Count, int Used, int FeedForward, int SharedFeedForward, bool NormalisesWeights);
