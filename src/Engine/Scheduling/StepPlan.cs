using System.Runtime.InteropServices;
using Qanat.Models;

namespace Qanat.Engine;

/// <summary>A sequence's part of a step.</summary>
/// <param name="Index">Its place in the plan.</param>
/// <param name="FirstPosition">Position of its first row; everything before it is computed or was read from the cache.</param>
/// <param name="LogitIndex">Which row of the step's logits is its own; -1 when it has not caught up with its tokens or wants none.</param>
/// <param name="HiddenIndex">Which of the step's hidden vectors is its own; -1 when it has not caught up with its tokens or wants none.</param>
/// <param name="PromptTokensComputed">Its prompt rows that are reported as computed with this step.</param>
/// <param name="CachedPromptTokens">Its prompt tokens that are reported as read from the cache with this step.</param>
internal readonly record struct PlannedSlice(int Index, Sequence Sequence, int FirstPosition, int RowCount, int LogitIndex, int HiddenIndex, int PromptTokensComputed, int CachedPromptTokens)
{
    public bool WantsLogits => LogitIndex >= 0;

    /// <summary>It catches up with its tokens and gives another one.</summary>
    public bool Generates => WantsLogits && Sequence.Request.Reading is null;

    /// <summary>It catches up with its tokens and gives what it was asked to read.</summary>
    public bool Reads => HiddenIndex >= 0 || (WantsLogits && Sequence.Request.Reading is not null);
}

/// <summary>Keys and values of a block that another one begins with.</summary>
internal readonly record struct BlockCopy(int From, int To);

/// <summary>What one step computes: decided by <see cref="Scheduler.Plan"/>, run by the model, applied by <see cref="Scheduler.Commit"/>. One instance is used again for every step.</summary>
internal sealed class StepPlan
{
    private readonly List<int> _tokens = [];
    private readonly List<int> _positions = [];
    private readonly List<int> _blockTables = new(4096);
    private readonly List<int> _logitRows = [];
    private readonly List<int> _hiddenRows = [];
    private readonly List<StepSlice> _stepSlices = [];

    /// <summary>Counts the plans of a scheduler, from 1.</summary>
    public long Number { get; private set; }

    public List<PlannedSlice> Slices { get; } = [];

    /// <summary>To be made in this order before any row is computed. Some may be for sequences that lost their blocks since; nobody reads those.</summary>
    public List<BlockCopy> Copies { get; } = [];

    /// <summary>Sequences that lost their blocks while the plan was made.</summary>
    public List<Sequence> Preempted { get; } = [];

    public int RowCount => _tokens.Count;
    public int LogitCount => _logitRows.Count;
    public int HiddenCount => _hiddenRows.Count;
    public bool IsEmpty => Slices.Count == 0;

    /// <summary>The same for the network.</summary>
    public StepBatch Batch => new()
    {
        Tokens = CollectionsMarshal.AsSpan(_tokens),
        Positions = CollectionsMarshal.AsSpan(_positions),
        Slices = CollectionsMarshal.AsSpan(_stepSlices),
        BlockTables = CollectionsMarshal.AsSpan(_blockTables),
        LogitRows = CollectionsMarshal.AsSpan(_logitRows),
        HiddenRows = CollectionsMarshal.AsSpan(_hiddenRows),
    };

    public void Begin()
    {
        Number++;
        Slices.Clear();
        Copies.Clear();
        Preempted.Clear();
        _tokens.Clear();
        _positions.Clear();
        _blockTables.Clear();
        _logitRows.Clear();
        _hiddenRows.Clear();
        _stepSlices.Clear();
    }

    /// <summary>Adds the rows that were planned for the sequence.</summary>
    public void Add(Sequence sequence)
    {
        int first = sequence.Computed + sequence.Copied;
        int end = first + sequence.Planned;
        _stepSlices.Add(new StepSlice(_tokens.Count, sequence.Planned, _blockTables.Count, sequence.Blocks.Count, sequence.Memory, sequence.NextMemory));
        for (int position = first; position < end; position++)
        {
            _tokens.Add(sequence.Tokens[position]);
            _positions.Add(position);
        }
        foreach (int block in sequence.Blocks) _blockTables.Add(block);
        int logitIndex = -1, hiddenIndex = -1;
        if (end == sequence.Count && sequence.Request.Reading is { IsHiddenVector: true })
        {
            hiddenIndex = _hiddenRows.Count;
            _hiddenRows.Add(_tokens.Count - 1);
        }
        else if (end == sequence.Count)
        {
            logitIndex = _logitRows.Count;
            _logitRows.Add(_tokens.Count - 1);
        }
        int reported = sequence.ReportedPromptTokens;
        int cached = Math.Max(0, Math.Min(first, sequence.PromptLength) - reported);
        int computed = Math.Max(0, Math.Min(end, sequence.PromptLength) - reported - cached);
        Slices.Add(new PlannedSlice(Slices.Count, sequence, first, sequence.Planned, logitIndex, hiddenIndex, computed, cached));
    }
}
