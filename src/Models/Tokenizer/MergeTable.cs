using System.Numerics;

namespace Qanat.Models;

/// <summary>Which pairs of tokens merge, in which order of preference, and into what. Open addressing, at most three quarters full.</summary>
internal sealed class MergeTable
{
    private readonly Merge[] _merges;

    // The rank plus one in the lower bits, a part of the pair's hash in the others; 0 is free. Most pairs do not merge, which is nearly always seen here, without looking at a merge.
    private readonly uint[] _slots;
    private readonly uint _rankMask;
    private readonly int _slotBits;

    /// <param name="merges">By rank, the most preferred first; kept. A pair that is listed twice keeps its first rank.</param>
    public MergeTable(Merge[] merges)
    {
        _merges = merges;
        _slots = new uint[BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, merges.Length + merges.Length / 3 + 1))];
        _slotBits = BitOperations.Log2((uint)_slots.Length);
        _rankMask = uint.MaxValue >> BitOperations.LeadingZeroCount((uint)merges.Length | 1);
        for (int rank = 0; rank < merges.Length; rank++)
        {
            ulong hash = Hash(merges[rank].Left, merges[rank].Right);
            ref uint slot = ref SlotOf(merges[rank].Left, merges[rank].Right, hash);
            if (slot == 0)
                slot = Tag(hash) | (uint)(rank + 1);
        }
    }

    /// <summary>The rank of a pair; -1 when it does not merge.</summary>
    public int RankOf(int left, int right) => RankIn(SlotOf(left, right, Hash(left, right)));

    public int MergedOf(int rank) => _merges[rank].Merged;

    private int RankIn(uint slot) => (int)(slot & _rankMask) - 1;

    /// <summary>The slot of a pair, or the free one where it would be.</summary>
    private ref uint SlotOf(int left, int right, ulong hash)
    {
        uint[] slots = _slots;
        uint tag = Tag(hash);
        for (int at = (int)(hash >> (64 - _slotBits)); ; at = (at + 1) & (slots.Length - 1))
        {
            ref uint slot = ref slots[at];
            if (slot == 0)
                return ref slot;
            if (((slot ^ tag) & ~_rankMask) != 0)
                continue;
            ref readonly Merge merge = ref _merges[RankIn(slot)];
            if (merge.Left == left && merge.Right == right)
                return ref slot;
        }
    }

    /// <summary>The bits of a hash that follow those of the slot, as many as a rank leaves.</summary>
    private uint Tag(ulong hash) => (uint)(hash << _slotBits >> 32) & ~_rankMask;

    private static ulong Hash(int left, int right) => unchecked((((ulong)(uint)left << 32) | (uint)right) * 0x9E3779B97F4A7C15);
}

/// <summary>Left followed by Right becomes Merged (token ids).</summary>
internal readonly record struct Merge(int Left, int Right, int Merged);
