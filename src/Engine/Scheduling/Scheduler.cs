using System.Diagnostics;

namespace Qanat.Engine;

/// <summary>
/// Decides what each step computes. Single-threaded and pure: no clock, no model, no I/O; the same calls give the same plans.
/// Every running sequence whose newest token alone is missing gets that one row; the rest of the budget goes block by block to the least served group's oldest sequence.
/// Rows are cut at block boundaries, so that a prompt is computed in the same pieces whether its beginning was read from the cache or not.
/// </summary>
internal sealed class Scheduler
{
    private readonly BlockPool _pool;
    private readonly StepWork _work;
    private readonly int _sequencesMax;
    private readonly Dictionary<SequenceId, Sequence> _sequences = [];
    private readonly List<Sequence> _running = [];
    private readonly FairShare _groups = new();
    private readonly List<ulong> _blocksInTheMaking = [];
    private readonly StepPlan _plan = new();
    private long _arrivals;
    private int _budget;
    private bool _admits;

    public Scheduler(BlockPool pool, StepWork work, int sequencesMax)
    {
        _pool = pool;
        _work = work;
        _sequencesMax = sequencesMax;
    }

    public int WaitingCount => _groups.WaitingCount;
    public int RunningCount => _running.Count;
    public long Preemptions { get; private set; }

    /// <summary>Running sequences, oldest first.</summary>
    public IReadOnlyList<Sequence> Running => _running;

    public Sequence Submit(SequenceRequest request)
    {
        var sequence = new Sequence(request, _groups.Join(request.FairnessGroup), _arrivals++, _pool.BlockTokens);
        _sequences.Add(request.Id, sequence);
        _groups.Enqueue(sequence);
        return sequence;
    }

    /// <summary>Raises how many tokens the sequence may generate; lower values and unknown ids change nothing.</summary>
    public void Allow(SequenceId id, int newTokens)
    {
        if (_sequences.TryGetValue(id, out Sequence? sequence)) sequence.AllowedNewTokens = Math.Max(sequence.AllowedNewTokens, newTokens);
    }

    /// <summary>Takes the sequence out and frees its blocks; what it computed stays cached. Null for unknown ids.</summary>
    public Sequence? End(SequenceId id)
    {
        if (!_sequences.Remove(id, out Sequence? sequence)) return null;
        if (sequence.State == SequenceState.Running) StopRunning(sequence);
        else _groups.Dequeue(sequence);
        sequence.State = SequenceState.Ended;
        _groups.Leave(sequence.Group);
        return sequence;
    }

    /// <summary>All sequences, waiting and running.</summary>
    public IReadOnlyCollection<Sequence> All => _sequences.Values;

    /// <summary>Plans the next step. An empty plan stays empty until a sequence is submitted, allowed more or ended.</summary>
    /// <param name="budget">Rows the step may compute; at least the sequences that can run plus one block, so that no sequence waits for ever.</param>
    public StepPlan Plan(int budget)
    {
        if (budget < _sequencesMax + _pool.BlockTokens) throw new ArgumentOutOfRangeException(nameof(budget), budget, "The budget must hold one row per sequence and one block.");
        do
        {
            _plan.Begin();
            _groups.BeginPlan(_plan.Number, _running);
            _budget = budget;
            _admits = true;
            _blocksInTheMaking.Clear();
            GiveNewestTokens();
            GiveToTheLeastServed();
            foreach (Sequence sequence in _running)
                if (sequence.Planned > 0) _plan.Add(sequence);
        }
        while (_plan.IsEmpty && _plan.Preempted.Count > 0);
        return _plan;
    }

    /// <summary>Applies a computed plan: rows count as computed, full blocks can be found by others, sampled tokens are appended.</summary>
    /// <param name="sampled">One token per row of logits; those of sequences that ended meanwhile are ignored.</param>
    public void Commit(StepPlan plan, ReadOnlySpan<int> sampled)
    {
        foreach (PlannedSlice slice in plan.Slices)
        {
            Sequence sequence = slice.Sequence;
            if (sequence.State == SequenceState.Ended) continue;
            sequence.Computed += slice.RowCount;
            sequence.Planned = 0;
            sequence.ReportedPromptTokens += slice.PromptTokensComputed + slice.CachedPromptTokens;
            RegisterFullBlocks(sequence);
            if (slice.Generates) sequence.Append(sampled[slice.LogitIndex]);
        }
    }

    // ---- giving rows ---------------------------------------------------------------------------------------------

    /// <summary>One row to every sequence that lacks only one, oldest first: streams flow on whatever else there is to do.</summary>
    private void GiveNewestTokens()
    {
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            if (!sequence.IsPaused && sequence.Lag == 1) TryGive(sequence);
            // Making room may have taken paused sequences out of the list before this one.
            i = _running.IndexOf(sequence);
        }
    }

    private void GiveToTheLeastServed()
    {
        while (_budget > 0 && _groups.LeastServed(_plan.Number) is { } group)
        {
            Sequence? sequence = NextOf(group);
            if (sequence is null)
            {
                group.ExhaustedInPlan = _plan.Number;
            }
            else if (sequence.State == SequenceState.Waiting)
            {
                // The least served group's next sequence goes first. When it does not fit nobody is admitted, so that small ones cannot keep it out for ever.
                if (!TryAdmit(sequence, group)) _admits = false;
            }
            else if (!TryGive(sequence))
            {
                sequence.SkippedInPlan = _plan.Number;
            }
        }
    }

    /// <summary>The oldest running sequence of the group that wants rows, else the first of its waiting line.</summary>
    private Sequence? NextOf(FairnessGroup group)
    {
        foreach (Sequence sequence in _running)
            if (!sequence.IsPaused && sequence.Lag > 0 && sequence.SkippedInPlan != _plan.Number && sequence.Group == group) return sequence;
        if (_admits)
            foreach (Sequence sequence in group.Waiting)
                if (!sequence.IsPaused) return sequence;
        return null;
    }

    /// <summary>Gives the sequence its rows up to the next block boundary. False: none now, for want of budget or blocks, or because another sequence is just computing the same block.</summary>
    private bool TryGive(Sequence sequence)
    {
        if (sequence.Planned == 0)
        {
            ReadFromCache(sequence);
            if (IsInTheMaking(sequence)) return false;
        }
        int start = sequence.Computed + sequence.Planned;
        int end = Math.Min(sequence.Count, (start / _pool.BlockTokens + 1) * _pool.BlockTokens);
        int rows = end - start;
        if (rows > _budget || !TryHoldBlocks(sequence, end)) return false;
        if (sequence.Planned == 0 && CanBeShared(sequence, start)) _blocksInTheMaking.Add(sequence.HashOfBlock(start / _pool.BlockTokens));
        sequence.Planned += rows;
        _budget -= rows;
        sequence.Group.Served += _work.OfRows(start, rows);
        return true;
    }

    // ---- the prefix cache ----------------------------------------------------------------------------------------

    /// <summary>Takes every block that follows what is computed and is in the cache. At least the last token stays to be computed: its logits are wanted.</summary>
    private void ReadFromCache(Sequence sequence)
    {
        while (CanBeShared(sequence, sequence.Computed))
        {
            Debug.Assert(sequence.Blocks.Count * _pool.BlockTokens == sequence.Computed, "a block is held from the step on that computes its first row");
            int index = sequence.Computed / _pool.BlockTokens;
            int block = _pool.Find(sequence.HashOfBlock(index), index == 0 ? Block.None : sequence.Blocks[index - 1], sequence.Request.FairnessGroup, sequence.TokensOfBlock(index));
            if (block == Block.None) return;
            _pool.Share(block);
            sequence.Blocks.Add(block);
            sequence.Computed += _pool.BlockTokens;
            sequence.RegisteredBlocks = index + 1;
        }
    }

    /// <summary>Whether the block that begins at a position could be read from the cache: it is full, and not the last thing to compute.</summary>
    private bool CanBeShared(Sequence sequence, int position) => position % _pool.BlockTokens == 0 && position + _pool.BlockTokens < sequence.Count;

    /// <summary>Whether this very step computes the sequence's next block for another sequence: one step later it can be read. Equal hashes of unequal blocks only cost that step.</summary>
    private bool IsInTheMaking(Sequence sequence) =>
        CanBeShared(sequence, sequence.Computed) && _blocksInTheMaking.Contains(sequence.HashOfBlock(sequence.Computed / _pool.BlockTokens));

    private void RegisterFullBlocks(Sequence sequence)
    {
        int full = sequence.Computed / _pool.BlockTokens;
        for (int index = sequence.RegisteredBlocks; index < full; index++)
        {
            int parent = index == 0 ? Block.None : sequence.Blocks[index - 1];
            sequence.Blocks[index] = _pool.Register(sequence.Blocks[index], sequence.HashOfBlock(index), parent, sequence.Request.FairnessGroup, sequence.TokensOfBlock(index));
        }
        sequence.RegisteredBlocks = full;
    }

    // ---- blocks, admission and preemption ------------------------------------------------------------------------

    /// <summary>Makes the sequence hold blocks for its first <paramref name="end"/> tokens, preempting paused and younger sequences when blocks run out.</summary>
    private bool TryHoldBlocks(Sequence sequence, int end)
    {
        int needed = BlocksFor(end);
        while (sequence.Blocks.Count < needed)
        {
            int block = _pool.TryTake();
            if (block != Block.None)
            {
                sequence.Blocks.Add(block);
                continue;
            }
            if (VictimFor(sequence) is not { } victim) return false;
            Preempt(victim);
            _admits = false;
        }
        return true;
    }

    /// <summary>The newest paused sequence, else the newest one that is younger than the given one. So the oldest that is not paused always gets its blocks.</summary>
    private Sequence? VictimFor(Sequence sequence)
    {
        for (int i = _running.Count - 1; i >= 0; i--)
            if (_running[i] != sequence && _running[i].IsPaused) return _running[i];
        Sequence newest = _running[^1];
        return newest.Arrival > sequence.Arrival ? newest : null;
    }

    private void Preempt(Sequence victim)
    {
        _budget += victim.Planned;
        victim.Group.Served -= _work.OfRows(victim.Computed, victim.Planned);
        StopRunning(victim);
        victim.State = SequenceState.Waiting;
        _groups.Enqueue(victim);
        _plan.Preempted.Add(victim);
        Preemptions++;
    }

    private void StopRunning(Sequence sequence)
    {
        LetGoOfBlocks(sequence);
        _running.Remove(sequence);
        sequence.Group.Running--;
    }

    private void LetGoOfBlocks(Sequence sequence)
    {
        // Last block first: a block must not stay cached longer than its parent.
        for (int i = sequence.Blocks.Count - 1; i >= 0; i--) _pool.Release(sequence.Blocks[i]);
        sequence.Blocks.Clear();
        sequence.RegisteredBlocks = 0;
        sequence.Computed = 0;
        sequence.Planned = 0;
    }

    /// <summary>Lets a waiting sequence run when there is a place, and blocks for all its tokens and the next one beyond what the running ones still need for theirs.</summary>
    private bool TryAdmit(Sequence sequence, FairnessGroup group)
    {
        ReadFromCache(sequence);
        int need = Math.Min(BlocksFor(sequence.Count + 1), _pool.BlockCount) - sequence.Blocks.Count;
        bool fits = _running.Count < _sequencesMax && _pool.AvailableCount - PromisedBlocks() >= need;
        if (!fits && !(group.Running == 0 && TryMakeRoom(group, need)))
        {
            LetGoOfBlocks(sequence);
            return false;
        }
        _groups.Dequeue(sequence);
        sequence.State = SequenceState.Running;
        group.Running++;
        int index = _running.Count;
        while (index > 0 && _running[index - 1].Arrival > sequence.Arrival) index--;
        _running.Insert(index, sequence);
        return true;
    }

    /// <summary>For a group with nothing running: takes places and blocks from the newest sequences of the largest groups, never a group's last one.</summary>
    private bool TryMakeRoom(FairnessGroup group, int need)
    {
        if (_pool.AvailableCount - PromisedBlocks() + ReclaimableBlocks(group) < need) return false;
        while (_running.Count >= _sequencesMax || _pool.AvailableCount - PromisedBlocks() < need)
        {
            if (_groups.Largest(group) is not { } largest) return false;
            Preempt(NewestOf(largest));
        }
        return true;
    }

    /// <summary>Blocks the running sequences will need for the tokens they have already.</summary>
    private int PromisedBlocks()
    {
        int promised = 0;
        foreach (Sequence sequence in _running) promised += Math.Max(0, BlocksFor(sequence.Count) - sequence.Blocks.Count);
        return promised;
    }

    /// <summary>Blocks that only sequences hold that could be preempted in favour of the group.</summary>
    private int ReclaimableBlocks(FairnessGroup group)
    {
        int blocks = 0;
        for (int i = 0; i < _running.Count; i++)
        {
            Sequence sequence = _running[i];
            if (sequence.Group == group || IsOldestOfItsGroup(i)) continue;
            foreach (int block in sequence.Blocks)
                if (_pool.References(block) == 1) blocks++;
        }
        return blocks;
    }

    private bool IsOldestOfItsGroup(int index)
    {
        for (int i = 0; i < index; i++)
            if (_running[i].Group == _running[index].Group) return false;
        return true;
    }

    private Sequence NewestOf(FairnessGroup group)
    {
        for (int i = _running.Count - 1; i >= 0; i--)
            if (_running[i].Group == group) return _running[i];
        throw new UnreachableException("A group counts running sequences that do not run.");
    }

    private int BlocksFor(int tokens) => (tokens + _pool.BlockTokens - 1) / _pool.BlockTokens;
}
