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
    private readonly PrefixCache _cache;
    private readonly StatePool? _states;
    private readonly int _messageStart;
    private readonly StepWork _work;
    private readonly int _sequencesMax;
    private readonly Dictionary<SequenceId, Sequence> _sequences = [];
    private readonly List<Sequence> _running = [];
    private readonly FairShare _groups = new();
    private readonly StepPlan _plan = new();
    private long _arrivals;
    private int _budget;
    private bool _admits;

    /// <param name="sequencesMax">Not more than there are states, if there are any: then every running sequence can always go on.</param>
    /// <param name="states">Null: the network has none.</param>
    /// <param name="messageStart">The token that begins a message of a chat; -1: there is none.</param>
    public Scheduler(BlockPool pool, StepWork work, int sequencesMax, StatePool? states = null, int messageStart = -1)
    {
        _pool = pool;
        _states = states;
        _cache = new PrefixCache(pool, states);
        _messageStart = messageStart;
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
        var sequence = new Sequence(request, _groups.Join(request.FairnessGroup), _arrivals++, _pool.BlockTokens) { Checkpoints = _states is null ? null : new Checkpoints(request.Prompt.AsSpan(), _messageStart, _pool.BlockTokens) };
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
            _cache.BeginPlan();
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
            sequence.Computed += sequence.Copied + slice.RowCount;
            sequence.Copied = sequence.Planned = 0;
            sequence.ReportedPromptTokens += slice.PromptTokensComputed + slice.CachedPromptTokens;
            _cache.Commit(sequence);
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
        int copied = 0, source = Block.None;
        if (sequence.Planned == 0)
        {
            _cache.Read(sequence);
            if (_cache.IsInTheMaking(sequence, _running)) return false;
            copied = _cache.FindBeginning(sequence, out source);
        }
        int start = sequence.Reached + copied;
        // A state is kept as it is at the end of a piece.
        if (sequence.Planned > 0 && sequence.Checkpoints?.Contains(start) == true) return false;
        int end = Math.Min(sequence.Count, (start / _pool.BlockTokens + 1) * _pool.BlockTokens);
        int rows = end - start;
        if (rows > _budget || !TryHoldBlocks(sequence, end)) return false;
        if (!TryHoldState(sequence))
        {
            GiveBackUnusedBlocks(sequence);
            return false;
        }
        if (sequence.Planned == 0) _cache.Make(sequence, start);
        if (copied > 0) Copy(sequence, copied, source);
        sequence.Planned += rows;
        _budget -= rows;
        sequence.Group.Served += _work.OfRows(start, rows);
        return true;
    }

    /// <summary>The block that the sequence has just got begins as another one does. That one may have become this one, or be given away later in this plan: copies are made in this order, before rows are computed.</summary>
    private void Copy(Sequence sequence, int tokens, int source)
    {
        sequence.Copied = tokens;
        if (source != sequence.Blocks[^1]) _plan.Copies.Add(new BlockCopy(source, sequence.Blocks[^1]));
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

    /// <summary>A sequence that gets no rows must not hold a block for them: in the next step it may find the same block in the cache.</summary>
    private void GiveBackUnusedBlocks(Sequence sequence)
    {
        while (sequence.Blocks.Count > BlocksFor(sequence.Reached))
        {
            _pool.Release(sequence.Blocks[^1]);
            sequence.Blocks.RemoveAt(sequence.Blocks.Count - 1);
        }
    }

    /// <summary>Makes the sequence hold a place for the state after its rows. False when one of another sequence must be read first: the next step has one.</summary>
    private bool TryHoldState(Sequence sequence)
    {
        if (_states is null || sequence.NextMemory != StatePool.None) return true;
        sequence.NextMemory = _states.TryTakeNext(sequence.Memory);
        return sequence.NextMemory != StatePool.None;
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
        victim.Group.Served -= _work.OfRows(victim.Computed + victim.Copied, victim.Planned);
        StopRunning(victim);
        victim.State = SequenceState.Waiting;
        _groups.Enqueue(victim);
        _plan.Preempted.Add(victim);
        Preemptions++;
    }

    private void StopRunning(Sequence sequence)
    {
        _cache.KeepBeginning(sequence);
        LetGoOfBlocks(sequence);
        _running.Remove(sequence);
        sequence.Group.Running--;
    }

    private void LetGoOfBlocks(Sequence sequence)
    {
        // Last block first: a block must not stay cached longer than its parent.
        for (int i = sequence.Blocks.Count - 1; i >= 0; i--) _pool.Release(sequence.Blocks[i]);
        sequence.Blocks.Clear();
        if (sequence.Memory != StatePool.None) _states!.Release(sequence.Memory);
        if (sequence.NextMemory != StatePool.None && sequence.NextMemory != sequence.Memory) _states!.Release(sequence.NextMemory);
        sequence.Memory = sequence.NextMemory = StatePool.None;
        sequence.TrailingCheckpoint = Block.None;
        sequence.RegisteredBlocks = 0;
        sequence.Computed = 0;
        sequence.Copied = 0;
        sequence.Planned = 0;
    }

    /// <summary>Lets a waiting sequence run when there is a place, and blocks for all its tokens and the next one beyond what the running ones still need for theirs.</summary>
    private bool TryAdmit(Sequence sequence, FairnessGroup group)
    {
        _cache.Read(sequence);
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
