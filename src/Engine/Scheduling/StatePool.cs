using System.Diagnostics;

namespace Qanat.Engine;

/// <summary>
/// Hands out the slots of recurrent states. A slot is free, held by the sequences that stand at its position, or a checkpoint: kept for the block of the prefix cache that ends where the state
/// stands, so that a sequence with the same beginning can go on from there. A state has no inverse, so without a checkpoint a cached block is of no use to a network that needs states.
/// A checkpoint that nobody holds gives way to whoever needs a slot, least recently used first; a held one may give up being one, if its holder has no other place to write to.
/// </summary>
internal sealed class StatePool
{
    public const int None = -1;

    private readonly int[] _references;
    private readonly int[] _blockOfSlot;
    private readonly long[] _lastUse;
    private readonly int[] _slotOfBlock;
    private long _uses;

    public StatePool(int slotCount, int blockCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slotCount, 1);
        _references = new int[slotCount];
        _lastUse = new long[slotCount];
        _blockOfSlot = new int[slotCount];
        _slotOfBlock = new int[blockCount];
        Array.Fill(_blockOfSlot, Block.None);
        Array.Fill(_slotOfBlock, None);
    }

    public int SlotCount => _references.Length;
    public int CheckpointCount => SlotCount - _blockOfSlot.AsSpan().Count(Block.None);
    public int HeldCount => SlotCount - _references.AsSpan().Count(0);

    public int References(int slot) => _references[slot];

    /// <summary>A slot for a new state, held once; None when all are held.</summary>
    public int TryTake()
    {
        int oldest = None;
        for (int slot = 0; slot < SlotCount; slot++)
        {
            if (_references[slot] > 0) continue;
            if (_blockOfSlot[slot] == Block.None)
            {
                oldest = slot;
                break;
            }
            if (oldest == None || _lastUse[slot] < _lastUse[oldest]) oldest = slot;
        }
        if (oldest == None) return None;
        Drop(oldest);
        _references[oldest] = 1;
        return oldest;
    }

    /// <summary>The slot a sequence writes its next state to: its own if it alone holds it and no checkpoint is lost, else a fresh one, else its own at the price of the checkpoint. None: not now.</summary>
    /// <param name="own">Where it stands; None at its beginning.</param>
    public int TryTakeNext(int own)
    {
        if (own != None && _references[own] == 1 && _blockOfSlot[own] == Block.None) return own;
        int fresh = TryTake();
        if (fresh != None || own == None || _references[own] > 1) return fresh;
        Drop(own);
        return own;
    }

    public void Share(int slot)
    {
        Require(_references[slot] > 0 || _blockOfSlot[slot] != Block.None, "a free state cannot be shared");
        _references[slot]++;
        _lastUse[slot] = ++_uses;
    }

    public void Release(int slot)
    {
        Require(_references[slot] > 0, "a state was released more often than it was taken");
        _references[slot]--;
    }

    /// <summary>Makes a held slot the checkpoint of a block, unless the block has one.</summary>
    public void Keep(int slot, int block)
    {
        Require(_references[slot] > 0, "a state is kept by its holder");
        if (_slotOfBlock[block] != None || _blockOfSlot[slot] != Block.None) return;
        _slotOfBlock[block] = slot;
        _blockOfSlot[slot] = block;
        _lastUse[slot] = ++_uses;
    }

    /// <summary>The checkpoint of a block; None when there is none.</summary>
    public int Find(int block) => _slotOfBlock[block];

    /// <summary>The block's content is gone or its checkpoint not worth its memory.</summary>
    public void Forget(int block)
    {
        if (_slotOfBlock[block] != None) Drop(_slotOfBlock[block]);
    }

    /// <summary>Recounts and throws when the books of the pool do not agree.</summary>
    public void Verify()
    {
        for (int slot = 0; slot < SlotCount; slot++)
        {
            Require(_references[slot] >= 0, "a state has fewer than no holders");
            Require(_blockOfSlot[slot] == Block.None || _slotOfBlock[_blockOfSlot[slot]] == slot, "a checkpoint is not its block's");
        }
        Require(_slotOfBlock.Count(slot => slot != None) == CheckpointCount, "a block has a checkpoint that is none");
    }

    private void Drop(int slot)
    {
        if (_blockOfSlot[slot] == Block.None) return;
        _slotOfBlock[_blockOfSlot[slot]] = None;
        _blockOfSlot[slot] = Block.None;
    }

    private static void Require(bool holds, string message)
    {
        if (!holds) throw new UnreachableException(message);
    }
}
