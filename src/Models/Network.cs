namespace Qanat.Models;

/// <summary>A loaded decoder that computes one step for any mix of sequences. Not thread-safe: one step at a time.</summary>
public abstract class Network : IDisposable
{
    public abstract ModelShape Shape { get; }

    /// <summary>Bytes of weights held in memory or mapped.</summary>
    public abstract long WeightBytes { get; }

    /// <summary>The instruction set and the threads that compute, for logs and status pages.</summary>
    public virtual string KernelTier => "none";

    /// <summary>Loads the network a model file describes. The file may be closed afterwards.</summary>
    /// <exception cref="ModelFileException">The architecture is unknown, or a tensor is missing, of a wrong shape or of a type without kernels.</exception>
    public static Network Load(GgufFile file, NetworkOptions options) => file.Text("general.architecture") switch
    {
        Qwen3Shape.Architecture => new Qwen3Network(file, options),
        string other => throw file.Bad($"the architecture is \"{other}\"; known: {Qwen3Shape.Architecture}"),
    };

    /// <summary>Makes a KV cache of <paramref name="blockCount"/> blocks of <paramref name="blockTokens"/> tokens each.</summary>
    public abstract KvCache CreateKvCache(int blockCount, int blockTokens);

    /// <summary>Computes every row of the step, writes its keys and values to the cache, and the logits of the rows asked for.</summary>
    /// <param name="step">Rows of all sequences, one after the other.</param>
    /// <param name="cache">Made by this network.</param>
    /// <param name="logits">[step.LogitRows.Length x Vocabulary], row-major.</param>
    public abstract void Forward(in StepBatch step, KvCache cache, Span<float> logits);

    public abstract void Dispose();
}

/// <summary>Keys and values of all sequences, in blocks. Block n of a sequence holds its positions [n*BlockTokens, (n+1)*BlockTokens).</summary>
public abstract class KvCache(int blockCount, int blockTokens) : IDisposable
{
    public int BlockCount { get; } = blockCount;
    public int BlockTokens { get; } = blockTokens;
    public abstract long Bytes { get; }
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
}

/// <summary>A sequence's part of a step: rows [FirstRow, FirstRow+RowCount) at consecutive positions; its blocks are BlockTables[FirstBlock .. FirstBlock+BlockCount).</summary>
public readonly record struct StepSlice(int FirstRow, int RowCount, int FirstBlock, int BlockCount);
