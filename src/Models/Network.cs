namespace Qanat.Models;

/// <summary>A loaded decoder that computes one step for any mix of sequences. Not thread-safe: one step at a time.</summary>
public abstract class Network : IDisposable
{
    public abstract ModelShape Shape { get; }

    /// <summary>Bytes of weights held in memory or mapped.</summary>
    public abstract long WeightBytes { get; }

    /// <summary>The instruction set and the threads that compute, for logs and status pages.</summary>
    public virtual string KernelTier => "none";

    /// <summary>Bytes of one sequence's recurrent state; 0 when every layer attends.</summary>
    public virtual long StateBytes => 0;

    /// <summary>Packs weights that still lie as the file has them, about so many bytes of them. Not while a step is computed.</summary>
    /// <returns>Some are left.</returns>
    public virtual bool PackNext(long bytes) => false;

    /// <summary>Bytes of weights that wait for <see cref="PackNext"/>. Any thread may ask.</summary>
    public virtual long UnpackedBytes => 0;

    /// <summary>Computes a row through its first layers for nobody, so that code is compiled before somebody waits for it.</summary>
    public virtual void WarmUp()
    {
    }

    /// <summary>Loads the network a model's files describe. They may be closed afterwards, unless weights are packed later.</summary>
    /// <exception cref="ModelFileException">The architecture is unknown, or a tensor is missing, of a wrong shape or of a type without kernels.</exception>
    public static Network Load(ModelSource file, NetworkOptions options) => new DecoderNetwork(file, options);

    /// <summary>Makes a cache of <paramref name="blockCount"/> blocks of <paramref name="blockTokens"/> tokens each, and of <paramref name="stateCount"/> recurrent states.</summary>
    /// <param name="stateCount">States the network keeps apart; ignored when it has none.</param>
    public abstract KvCache CreateKvCache(int blockCount, int blockTokens, int stateCount);

    /// <summary>A cache for networks without recurrent states.</summary>
    public KvCache CreateKvCache(int blockCount, int blockTokens) => CreateKvCache(blockCount, blockTokens, 0);

    /// <summary>Computes every row of the step, writes its keys and values to the cache, moves the states on, and gives logits and hidden vectors of the rows asked for.</summary>
    /// <param name="step">Rows of all sequences, one after the other.</param>
    /// <param name="cache">Made by this network.</param>
    /// <param name="hidden">[step.HiddenRows.Length x Hidden], row-major.</param>
    /// <returns>[step.LogitRows.Length x Vocabulary], row-major: in the network's memory, until its next step or its end. The caller may change them.</returns>
    public abstract Span<float> Forward(scoped in StepBatch step, KvCache cache, Span<float> hidden);

    /// <summary>A step whose hidden vectors are not wanted.</summary>
    public Span<float> Forward(scoped in StepBatch step, KvCache cache) => Forward(step, cache, []);

    public abstract void Dispose();
}

/// <summary>Keys and values of all sequences, in blocks, and recurrent states. Block n of a sequence holds its positions [n*BlockTokens, (n+1)*BlockTokens).</summary>
public abstract class KvCache(int blockCount, int blockTokens, int stateCount) : IDisposable
{
    public int BlockCount { get; } = blockCount;
    public int BlockTokens { get; } = blockTokens;

    /// <summary>Recurrent states, each of one sequence at one position; 0 when every layer attends.</summary>
    public int StateCount { get; } = stateCount;
    public abstract long Bytes { get; }

    /// <summary>Writes the keys and values of one block into another. Not while a step is computed.</summary>
    public abstract void Copy(int from, int to);

    public abstract void Dispose();
}

/// <summary>The rows that one step computes. Slices cover the rows in order without gap.</summary>
public readonly ref struct StepBatch
{
    /// <summary>[rows] token ids.</summary>
    public required ReadOnlySpan<int> Tokens { get; init; }

    /// <summary>[rows] positions in their sequence, 0-based.</summary>
    public required ReadOnlySpan<int> Positions { get; init; }

    /// <summary>One per sequence.</summary>
    public required ReadOnlySpan<StepSlice> Slices { get; init; }

    /// <summary>Block tables of all sequences, one after the other; each slice says where its own begins.</summary>
    public required ReadOnlySpan<int> BlockTables { get; init; }

    /// <summary>Rows whose logits are wanted, ascending.</summary>
    public required ReadOnlySpan<int> LogitRows { get; init; }

    /// <summary>Rows whose hidden vectors (after the last norm) are wanted, ascending.</summary>
    public ReadOnlySpan<int> HiddenRows { get; init; }
}

/// <summary>A sequence's part of a step: rows [FirstRow, FirstRow+RowCount) at consecutive positions; its blocks are BlockTables[FirstBlock .. FirstBlock+BlockCount).</summary>
/// <param name="StateIn">The recurrent state before the first row: read, and not written unless it is StateOut; None at position 0.</param>
/// <param name="StateOut">Where the state after the last row goes; no other slice of the step reads or writes it.</param>
public readonly record struct StepSlice(int FirstRow, int RowCount, int FirstBlock, int BlockCount, int StateIn = StepSlice.None, int StateOut = StepSlice.None)
{
    public const int None = -1;
}
