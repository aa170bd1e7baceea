using CsCheck;

namespace Qanat.Models.Tests;

public sealed class PieceMergerTests
{
    /// <summary>The slow twin: merge the best pair, the leftmost of equals, until none is left.</summary>
    private static List<int> MergeSlowly(IEnumerable<int> piece, List<Merge> merges)
    {
        List<int> tokens = [.. piece];
        while (true)
        {
            int best = -1, bestRank = int.MaxValue;
            for (int i = 0; i + 1 < tokens.Count; i++)
            {
                int rank = merges.FindIndex(merge => merge.Left == tokens[i] && merge.Right == tokens[i + 1]);
                if (rank >= 0 && rank < bestRank)
                    (best, bestRank) = (i, rank);
            }
            if (best < 0)
                return tokens;
            tokens[best] = merges[bestRank].Merged;
            tokens.RemoveAt(best + 1);
        }
    }

    [Fact]
    public void Merging_equals_its_slow_twin_on_any_merge_list()
    {
        // Tokens 0-2 are letters; each merge takes any two earlier tokens and makes a new one, so that chains, repeats and overlaps abound.
        Gen<List<Merge>> lists = Gen.Select(Gen.Int[0, 1000], Gen.Int[0, 1000]).List[0, 12].Select(picks =>
        {
            var merges = new List<Merge>();
            foreach ((int left, int right) in picks)
                merges.Add(new Merge(left % (3 + merges.Count), right % (3 + merges.Count), 3 + merges.Count));
            return merges;
        });
        Gen.Select(lists, Gen.Int[0, 2].Array[0, 40]).Sample((merges, piece) =>
        {
            int[] tokens = [.. piece];
            int count = PieceMerger.Merge(tokens, new MergeTable([.. merges]));
            return tokens[..count].SequenceEqual(MergeSlowly(piece, merges));
        }, iter: 20_000, threads: 1);
    }

    [Fact]
    public void A_full_table_gives_every_pair_its_first_rank_and_no_other_any()
    {
        const int Tokens = 400;
        var random = new Random(3);
        Merge[] merges = [.. Enumerable.Range(0, 70_000).Select(rank => new Merge(random.Next(Tokens), random.Next(Tokens), rank))];
        var firstRanks = new Dictionary<(int, int), int>();
        for (int rank = 0; rank < merges.Length; rank++)
            firstRanks.TryAdd((merges[rank].Left, merges[rank].Right), rank);
        var table = new MergeTable(merges);
        for (int left = 0; left < Tokens; left++)
            for (int right = 0; right < Tokens; right++)
            {
                int expected = firstRanks.GetValueOrDefault((left, right), -1);
                if (table.RankOf(left, right) != expected || (expected >= 0 && table.MergedOf(expected) != expected))
                    Assert.Fail(FormattableString.Invariant($"{left} and {right}: rank {table.RankOf(left, right)}, not {expected}"));
            }
    }

    [Fact]
    public void A_very_long_piece_is_merged_too()
    {
        var merges = new MergeTable([new Merge(0, 0, 1), new Merge(1, 1, 2), new Merge(2, 2, 3)]);
        var tokens = new int[1_000_001];
        int count = PieceMerger.Merge(tokens, merges);
        Assert.Equal(125_001, count);
        Assert.Equal(0, tokens[count - 1]);
        Assert.All(tokens[..(count - 1)], token => Assert.Equal(3, token));
    }
}
