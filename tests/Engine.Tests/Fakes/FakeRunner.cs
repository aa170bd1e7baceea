namespace Qanat.Engine.Tests;

/// <summary>
/// A model whose logits are a hash of the whole token history, read back from its "KV cache" through the plan's block tables as a real one reads keys and values. A row computed at the wrong
/// position, a block shared by mistake, overwritten or never written changes the hash and with it everything generated from there on.
/// With states, a part of the history is kept in the slots that the plan names, as a recurrent network's is.
/// </summary>
internal sealed class FakeRunner(int blockCount, int blockTokens, int vocabulary = 61, int contextLength = 4096, int stateCount = 0) : IModelRunner
{
    private readonly ulong[] _states = new ulong[stateCount];
    private readonly ulong[] _history = new ulong[blockCount * blockTokens];
    private readonly float[] _logits = new float[256 * vocabulary];
    private readonly List<float[]> _hidden = [];

    public int Vocabulary => vocabulary;
    public int ContextLength => contextLength;
    public int BlockCount => blockCount;
    public int BlockTokens => blockTokens;
    public int StateCount => stateCount;
    public StepWork Work { get; init; } = new(1000, 1, 500);

    /// <summary>Rows computed so far.</summary>
    public long Rows { get; private set; }

    /// <summary>Called at the beginning of each run, with the plan.</summary>
    public Action<StepPlan>? OnRun { get; set; }

    /// <summary>Changes the logits of a row: sequence, logits.</summary>
    public Action<Sequence, float[]>? OnLogits { get; set; }

    /// <summary>What the engine does between steps and while it is idle, as long as it says that there is more.</summary>
    public Func<bool>? OnPrepare { get; set; }

    public bool IsDisposed { get; private set; }

    public bool Prepare() => OnPrepare?.Invoke() ?? false;

    public Span<float> Run(StepPlan plan)
    {
        OnRun?.Invoke(plan);
        Models.StepBatch batch = plan.Batch;
        Require(batch.Tokens.Length == batch.Positions.Length && plan.Slices.Count == batch.Slices.Length);
        _hidden.Clear();
        foreach (BlockCopy copy in plan.Copies) Array.Copy(_history, copy.From * blockTokens, _history, copy.To * blockTokens, blockTokens);
        int logitIndex = 0, row = 0;
        for (int s = 0; s < batch.Slices.Length; s++)
        {
            Models.StepSlice slice = batch.Slices[s];
            Require(row == slice.FirstRow);
            CheckStates(batch, s);
            ulong state = slice.StateIn < 0 ? 1 : _states[slice.StateIn];
            ReadOnlySpan<int> table = batch.BlockTables.Slice(slice.FirstBlock, slice.BlockCount);
            for (int end = row + slice.RowCount; row < end; row++)
            {
                int position = batch.Positions[row];
                ulong before = position == 0 ? 1 : _history[SlotOf(table, position - 1)];
                ulong history = BlockPool.Chain(before, [batch.Tokens[row], position]);
                _history[SlotOf(table, position)] = history;
                if (stateCount > 0) state = BlockPool.Chain(state, [batch.Tokens[row], position]);
                Rows++;
                if (batch.HiddenRows.Contains(row)) _hidden.Add([(history ^ state) >> 40]);
                if (logitIndex < batch.LogitRows.Length && batch.LogitRows[logitIndex] == row) WriteLogits(plan.Slices[s].Sequence, history ^ state, logitIndex++);
            }
            if (stateCount > 0) _states[slice.StateOut] = state;
        }
        Require(batch.LogitRows.Length == logitIndex && _hidden.Count == batch.HiddenRows.Length);
        return _logits.AsSpan(0, plan.LogitCount * vocabulary);
    }

    /// <summary>One number: of the history up to the row.</summary>
    public ReadOnlySpan<float> HiddenVector(int index) => _hidden[index];

    public void Dispose() => IsDisposed = true;

    /// <summary>What the network relies on: a state comes from before except at the beginning, and nobody else uses the one that is written.</summary>
    private void CheckStates(in Models.StepBatch batch, int index)
    {
        Models.StepSlice slice = batch.Slices[index];
        if (stateCount == 0)
        {
            Require(slice.StateIn < 0 && slice.StateOut < 0);
            return;
        }
        Require(slice.StateIn < 0 == (batch.Positions[slice.FirstRow] == 0) && slice.StateOut >= 0);
        for (int other = 0; other < batch.Slices.Length; other++)
            Require(other == index || (batch.Slices[other].StateOut != slice.StateOut && batch.Slices[other].StateIn != slice.StateOut));
    }

    /// <summary>Without xunit's asserts, which allocate.</summary>
    private static void Require(bool holds)
    {
        if (!holds) throw new InvalidOperationException("The step's arrays do not fit together.");
    }

    private int SlotOf(ReadOnlySpan<int> table, int position) => table[position / blockTokens] * blockTokens + position % blockTokens;

    private void WriteLogits(Sequence sequence, ulong history, int logitIndex)
    {
        Span<float> row = _logits.AsSpan(logitIndex * vocabulary, vocabulary);
        for (int token = 0; token < vocabulary; token++) row[token] = (Sampler.RandomAt(history, 0, token) >> 40) * (6f / (1 << 24));
        if (OnLogits is null) return;
        float[] copy = row.ToArray();
        OnLogits(sequence, copy);
        copy.CopyTo(row);
    }
}
