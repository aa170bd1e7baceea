using System.Numerics;

namespace Qanat.Models;

/// <summary>Which pairs of tokens merge, in which order of preference, and into what. Open addressing, at most three quarters full.</summary>
internal sealed class MergeTable
{
    // Keys are kept inverted: no pair's is then 0, which memory begins with.
    private const ulong Empty = 0;

    private readonly ulong[] _keys;
    private readonly int[] _ranks;
    private readonly int[] _merged;
    private readonly int _shift;

    /// <param name="merges">By rank, the most preferred first. A pair that is listed twice keeps its first rank.</param>
    public MergeTable(ReadOnlySpan<Merge> merges)
    {
        int slots = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, merges.Length + merges.Length / 3 + 1));
        _keys = new ulong[slots];
        _ranks = new int[slots];
        _merged = new int[merges.Length];
        _shift = 64 - BitOperations.Log2((uint)slots);
        for (int rank = 0; rank < merges.Length; rank++)
        {
            _merged[rank] = merges[rank].Merged;
            int slot = SlotOf(Key(merges[rank].Left, merges[rank].Right));
            if (_keys[slot] != Empty)
                continue;
            _keys[slot] = Key(merges[rank].Left, merges[rank].Right);
            _ranks[slot] = rank;
        }
    }

    /// <summary>The rank of a pair; -1 when it does not merge.</summary>
    public int RankOf(int left, int right)
    {
        int slot = SlotOf(Key(left, right));
        return _keys[slot] == Empty ? -1 : _ranks[slot];
    }

    public int MergedOf(int rank) => _merged[rank];

    private int SlotOf(ulong key)
    {
        int slot = (int)(unchecked(key * 0x9E3779B97F4A7C15) >> _shift);
        while (_keys[slot] != key && _keys[slot] != Empty)
            slot = (slot + 1) & (_keys.Length - 1);
        return slot;
    }

    private static ulong Key(int left, int right) => ~(((ulong)(uint)left << 32) | (uint)right);
}

/// <summary>Left followed by Right becomes Merged (token ids).</summary>
internal readonly record struct Merge(int Left, int Right, int Merged);
