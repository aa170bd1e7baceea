using System.Globalization;

namespace Qanat.Engine;

public sealed record EngineOptions
{
    /// <summary>Rows (tokens) one step computes at most.</summary>
    public int StepTokensMax { get; init; } = 256;
    public int SequencesMax { get; init; } = 64;
    public int WaitingMax { get; init; } = 1024;
    public int BlockTokens { get; init; } = 32;

    /// <summary>Memory for keys and values; the block count follows from it.</summary>
    public long KvBytesMax { get; init; } = 512L << 20;

    /// <summary>Memory for recurrent states (models with gated DeltaNets), those of running sequences and checkpoints of the prefix cache; at most as many sequences run at once as states fit in.</summary>
    public long StateBytesMax { get; init; } = 1L << 30;

    /// <summary>How often an idle engine tells that it is idle, and once when it ends; null: never.</summary>
    public TimeSpan? IdleReportInterval { get; init; }

    internal void Check()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(SequencesMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(WaitingMax, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(BlockTokens, 1);
        if (StepTokensMax < (long)SequencesMax + BlockTokens)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"StepTokensMax is {StepTokensMax}; it must be at least SequencesMax + BlockTokens ({SequencesMax} + {BlockTokens}), so that every running sequence gets its row and a prompt gets on too."), nameof(StepTokensMax));
    }
}
