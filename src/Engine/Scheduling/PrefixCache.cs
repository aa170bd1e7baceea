using System.Diagnostics;

namespace Qanat.Engine;

/// <summary>What sequences read of what was computed before, and what they leave behind. Networks without states read every cached block, and copy what another one begins with; those with states go on from the last checkpoint only.</summary>
internal sealed class PrefixCache(BlockPool pool, StatePool? states)
{
    private readonly List<ulong> _blocksInTheMaking = [];
    private readonly List<int> _found = [];

    public void BeginPlan() => _blocksInTheMaking.Clear();

    /// <summary>Takes every block that follows what is computed and is in the cache. At least the last token stays to be computed: its logits are wanted.</summary>
    public void Read(Sequence sequence)
    {
        _found.Clear();
        int useful = 0, state = StatePool.None;
        for (int position = sequence.Computed; CanBeShared(sequence, position); position += pool.BlockTokens)
        {
            Debug.Assert(sequence.Blocks.Count * pool.BlockTokens == sequence.Computed, "a block is held from the step on that computes its first row");
            int index = position / pool.BlockTokens;
            int parent = _found.Count > 0 ? _found[^1] : index == 0 ? Block.None : sequence.Blocks[index - 1];
            int block = pool.Find(sequence.HashOfBlock(index), parent, sequence.Request.FairnessGroup, sequence.TokensOfBlock(index));
            if (block == Block.None) break;
            _found.Add(block);
            if (states is not null && states.Find(block) == StatePool.None) continue;
            useful = _found.Count;
            state = states?.Find(block) ?? StatePool.None;
        }
        // The next sequence that comes this far shall find a state.
        if (useful < _found.Count) sequence.Checkpoints!.Parting = sequence.Computed + _found.Count * pool.BlockTokens;
        for (int i = 0; i < useful; i++)
        {
            pool.Share(_found[i]);
            sequence.Blocks.Add(_found[i]);
        }
        sequence.Computed += useful * pool.BlockTokens;
        sequence.RegisteredBlocks += useful;
        if (state == StatePool.None) return;
        states!.Share(state);
        if (sequence.Memory != StatePool.None) states.Release(sequence.Memory);
        sequence.Memory = state;
    }

    /// <summary>How many of the tokens after what is computed a cached block begins with, up to all but the last, and that block: it was computed by a sequence that went on otherwise or ended there.
    /// A network with states cannot go on from there.</summary>
    public int FindBeginning(Sequence sequence, out int block)
    {
        block = Block.None;
        int left = sequence.Count - sequence.Computed - 1;
        if (states is not null || sequence.Computed % pool.BlockTokens != 0 || left < 1) return 0;
        block = pool.FindBeginning(ParentAt(sequence), sequence.Request.FairnessGroup, sequence.Tokens.Slice(sequence.Computed, Math.Min(left, pool.BlockTokens - 1)), out int common);
        if (block != Block.None) pool.Touch(block);
        return common;
    }

    /// <summary>Before a sequence lets go of its blocks: the tokens behind its last full block can be found by others.</summary>
    public void KeepBeginning(Sequence sequence)
    {
        int count = sequence.Computed % pool.BlockTokens;
        if (states is not null || count == 0) return;
        int first = sequence.Computed - count;
        pool.RegisterBeginning(sequence.Blocks[first / pool.BlockTokens], ParentAt(sequence), sequence.Request.FairnessGroup, sequence.Tokens.Slice(first, count));
    }

    /// <summary>Whether this very step computes for another sequence what this one could read a step later. Equal hashes of unequal blocks only cost that step.</summary>
    public bool IsInTheMaking(Sequence sequence, List<Sequence> running)
    {
        if (!CanBeShared(sequence, sequence.Computed)) return false;
        if (states is null) return _blocksInTheMaking.Contains(sequence.HashOfBlock(sequence.Computed / pool.BlockTokens));
        foreach (Sequence other in running)
        {
            if (other.Planned == 0 || other == sequence || other.Group != sequence.Group) continue;
            int common = Math.Min(other.Tokens.CommonPrefixLength(sequence.Tokens), sequence.Count - 1);
            if (other.Checkpoints!.AnyWithin(Math.Max(other.Computed, sequence.Computed), common)) return true;
        }
        return false;
    }

    /// <summary>The sequence computes the block that begins at a position in this step.</summary>
    public void Make(Sequence sequence, int position)
    {
        if (states is null && CanBeShared(sequence, position)) _blocksInTheMaking.Add(sequence.HashOfBlock(position / pool.BlockTokens));
    }

    /// <summary>After rows were computed: full blocks can be found by others, and the state is kept where that is worth its memory.</summary>
    public void Commit(Sequence sequence)
    {
        int full = sequence.Computed / pool.BlockTokens;
        for (int index = sequence.RegisteredBlocks; index < full; index++)
        {
            int parent = index == 0 ? Block.None : sequence.Blocks[index - 1];
            sequence.Blocks[index] = pool.Register(sequence.Blocks[index], sequence.HashOfBlock(index), parent, sequence.Request.FairnessGroup, sequence.TokensOfBlock(index));
        }
        sequence.RegisteredBlocks = full;
        if (states is null) return;
        if (sequence.Memory != StatePool.None && sequence.Memory != sequence.NextMemory) states.Release(sequence.Memory);
        sequence.Memory = sequence.NextMemory;
        sequence.NextMemory = StatePool.None;
        if (sequence.Computed % pool.BlockTokens != 0) return;
        int last = sequence.Blocks[full - 1];
        if (sequence.Checkpoints!.Contains(sequence.Computed)) states.Keep(sequence.Memory, last);
        else if (sequence.Computed > sequence.PromptLength) KeepTrailing(sequence, last);
    }

    /// <summary>One checkpoint follows what a sequence generates, for a next turn that repeats the answer.</summary>
    private void KeepTrailing(Sequence sequence, int block)
    {
        if (sequence.TrailingCheckpoint != Block.None) states!.Forget(sequence.TrailingCheckpoint);
        sequence.TrailingCheckpoint = states!.Find(block) == StatePool.None ? block : Block.None;
        states.Keep(sequence.Memory, block);
    }

    /// <summary>The last full block before what is computed ends.</summary>
    private int ParentAt(Sequence sequence) => sequence.Computed < pool.BlockTokens ? Block.None : sequence.Blocks[sequence.Computed / pool.BlockTokens - 1];

    /// <summary>Whether the block that begins at a position could be read from the cache: it is full, and not the last thing to compute.</summary>
    private bool CanBeShared(Sequence sequence, int position) => position % pool.BlockTokens == 0 && position + pool.BlockTokens < sequence.Count;
}
