using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>A tile by assembled loops, block by block: where vectors have 256 bits, and executable memory is not refused.</summary>
public sealed unsafe partial class Attention
{
    private static void Tile_Emitted(Work* work, int queries, int perRow)
    {
        KvLayout layout = work->Layer->Layout;
        int groups = Groups(layout, work->LastPosition);
        for (int group = 0, count; group < groups; group += count)
        {
            count = GroupsOfStep(layout, group, groups);
            Score_Emitted(work, queries, group, count, groups);
        }
        for (int q = 0; q < queries; q++)
        {
            float* scores = work->Scores + (long)q * work->KeysMax;
            var args = new ShareArgs { Weights = scores, Groups = groups, Share = Exponentials_Vector256(work, scores, groups, work->Tile.FirstPosition + q / perRow) };
            work->RoundCode(&args);
        }
        new Span<float>(work->Sums, queries * layout.HeadDim).Clear();
        for (int group = 0, count; group < groups; group += count)
        {
            count = GroupsOfStep(layout, group, groups);
            Gather_Emitted(work, queries, group, count, groups);
        }
    }

    /// <summary>Groups that follow one another in one block.</summary>
    private static int GroupsOfStep(KvLayout layout, int group, int groups) => Math.Min(Math.Min(GroupsPerStep, layout.Groups - group % layout.Groups), groups - group);

    private static void Score_Emitted(Work* work, int queries, int firstGroup, int groups, int all)
    {
        KvLayout layout = work->Layer->Layout;
        byte* block = Block(work, firstGroup);
        int inBlock = firstGroup % layout.Groups;
        void* keys = work->Keys;
        if (layout.Format == KvFormat.F16)
            keys = layout.Keys(block, work->KvHead, inBlock);
        else
            for (int i = 0; i < groups; i++)
                layout.LoadKeys(block, work->KvHead, inBlock + i, work->Keys + i * KvLayout.GroupTokens * layout.HeadDim);
        int next = firstGroup + groups;
        var ahead = new Ahead(next == all ? null : layout.Keys(Block(work, next), work->KvHead, next % layout.Groups), groups * layout.GroupBytes, queries);
        for (int q = 0, together; q < queries; q += together)
        {
            together = AttentionCode.Together(queries - q);
            ahead.Ask();
            var args = new ScoreArgs
            {
                Keys = keys,
                Queries = work->Query + q,
                Scores = work->Scores + (long)q * work->KeysMax + firstGroup * KvLayout.GroupTokens,
                ScoreStride = (nint)work->KeysMax * sizeof(float),
                Dims = layout.HeadDim,
                Groups = groups,
            };
            work->ScoreCode[together](&args);
        }
    }

    private static void Gather_Emitted(Work* work, int queries, int firstGroup, int groups, int all)
    {
        KvLayout layout = work->Layer->Layout;
        byte* block = Block(work, firstGroup);
        int firstToken = firstGroup % layout.Groups * KvLayout.GroupTokens;
        // Values beyond the last position may be another sequence's leavings: they are not even multiplied by zero.
        int tokens = (groups - 1) * KvLayout.GroupTokens + Visible(layout, firstGroup + groups - 1, work->LastPosition);
        void* values = work->Values;
        if (layout.Format == KvFormat.F16)
            values = layout.Values(block, work->KvHead, firstToken);
        else
            layout.LoadValues(block, work->KvHead, firstToken, tokens, work->Values);
        int next = firstGroup + groups;
        var ahead = new Ahead(next == all ? null : layout.Values(Block(work, next), work->KvHead, next % layout.Groups * KvLayout.GroupTokens), groups * layout.GroupBytes, queries);
        for (int q = 0, together; q < queries; q += together)
        {
            together = AttentionCode.Together(queries - q);
            ahead.Ask();
            var args = new GatherArgs
            {
                Values = values,
                ValueStride = layout.HeadDim * (layout.Format == KvFormat.F16 ? sizeof(ushort) : sizeof(float)),
                Weights = work->Scores + (long)q * work->KeysMax + firstGroup * KvLayout.GroupTokens,
                WeightStride = (nint)work->KeysMax * sizeof(float),
                Tokens = tokens,
                Sums = work->Sums + q * layout.HeadDim,
                SumStride = layout.HeadDim * sizeof(float),
                Slices = layout.HeadDim / Lanes.Count,
            };
            work->GatherCode[together](&args);
        }
    }

    /// <summary>Asks for the next step's keys or values while the queries of this one are worked on, a part with each call: they lie in another block, of which the processor cannot know.</summary>
    private struct Ahead(byte* from, int bytes, int queries)
    {
        private const int LineBytes = 64;

        private readonly byte* _end = from + (from == null ? 0 : bytes);
        private readonly int _part = bytes / Math.Max(1, queries / AttentionAssembler.QueriesMax) + LineBytes;
        private byte* _next = from;

        public void Ask()
        {
            if (!Sse.IsSupported)
                return;
            byte* stop = _end - _next > _part ? _next + _part : _end;
            for (; _next < stop; _next += LineBytes)
                Sse.Prefetch0(_next);
        }
    }
}
