using System.Buffers;

namespace Qanat.Models;

/// <summary>Byte-pair merging of one piece in O(n log n): tokens in a linked list, candidate pairs in a heap ordered by rank, then from left to right.
/// Its slow twin is in the tests: find the best pair, merge it, begin again.</summary>
internal static class PieceMerger
{
    private const int StackBytes = 128;

    /// <param name="tokens">One token per byte of the piece.</param>
    /// <returns>How many tokens are left, in the front of <paramref name="tokens"/>.</returns>
    public static int Merge(Span<int> tokens, MergeTable merges)
    {
        int count = tokens.Length;
        if (count < 2)
            return count;
        if (count <= StackBytes)
            return Merge(tokens, merges, stackalloc int[2 * count], stackalloc ulong[3 * count]);

        int[] links = ArrayPool<int>.Shared.Rent(2 * count);
        ulong[] heap = ArrayPool<ulong>.Shared.Rent(3 * count);
        try
        {
            return Merge(tokens, merges, links.AsSpan(0, 2 * count), heap);
        }
        finally
        {
            ArrayPool<int>.Shared.Return(links);
            ArrayPool<ulong>.Shared.Return(heap);
        }
    }

    /// <param name="links">[2n] next and previous index of each token, -1 at the ends; a token that was merged away is its own next.</param>
    /// <param name="heapSpace">[3n] each of the n-1 first pairs and of the two that a merge makes is pushed once.</param>
    private static int Merge(Span<int> tokens, MergeTable merges, Span<int> links, Span<ulong> heapSpace)
    {
        int count = tokens.Length;
        Span<int> next = links[..count], previous = links[count..];
        var heap = new CandidateHeap(heapSpace);
        for (int i = 0; i < count; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1 < count ? i + 1 : -1;
            if (i + 1 < count)
                heap.Push(merges.RankOf(tokens[i], tokens[i + 1]), i);
        }

        while (heap.TryPop(out int rank, out int left))
        {
            int right = next[left];
            // A candidate is stale when one of its tokens has since merged with another neighbour.
            if (right < 0 || right == left || merges.RankOf(tokens[left], tokens[right]) != rank)
                continue;
            tokens[left] = merges.MergedOf(rank);
            int after = next[right];
            next[left] = after;
            next[right] = right;
            if (after >= 0)
            {
                previous[after] = left;
                heap.Push(merges.RankOf(tokens[left], tokens[after]), left);
            }
            if (previous[left] >= 0)
                heap.Push(merges.RankOf(tokens[previous[left]], tokens[left]), previous[left]);
        }

        int kept = 0;
        for (int i = 0; i >= 0; i = next[i])
            tokens[kept++] = tokens[i]; // kept <= i: nothing is overwritten before it is read
        return kept;
    }

    /// <summary>A binary min-heap of rank and position in one number each.</summary>
    private ref struct CandidateHeap(Span<ulong> space)
    {
        private readonly Span<ulong> _items = space;
        private int _count;

        /// <param name="rank">-1: the pair does not merge, nothing is pushed.</param>
        public void Push(int rank, int position)
        {
            if (rank < 0)
                return;
            ulong item = ((ulong)(uint)rank << 32) | (uint)position;
            int at = _count++;
            while (at > 0 && _items[(at - 1) / 2] > item)
            {
                _items[at] = _items[(at - 1) / 2];
                at = (at - 1) / 2;
            }
            _items[at] = item;
        }

        public bool TryPop(out int rank, out int position)
        {
            rank = position = 0;
            if (_count == 0)
                return false;
            rank = (int)(_items[0] >> 32);
            position = (int)(_items[0] & uint.MaxValue);
            ulong moved = _items[--_count];
            int at = 0;
            while ((2 * at) + 1 < _count)
            {
                int child = (2 * at) + 1;
                if (child + 1 < _count && _items[child + 1] < _items[child])
                    child++;
                if (_items[child] >= moved)
                    break;
                _items[at] = _items[child];
                at = child;
            }
            _items[at] = moved;
            return true;
        }
    }
}
