using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Some consecutive rows of one sequence. Row i of the tile stands at position FirstPosition + i and sees the keys of positions 0 to its own.</summary>
/// <param name="FirstRow">Index of the first row in the queries and the output.</param>
/// <param name="Rows">At least 1.</param>
/// <param name="FirstPosition">Position of the first row in its sequence.</param>
/// <param name="FirstBlock">Index in the block tables of the sequence's first block.</param>
public readonly record struct AttentionTile(int FirstRow, int Rows, int FirstPosition, int FirstBlock);

/// <summary>Causal attention with grouped queries over keys and values in blocks, halves or bytes: out = softmax(q K^T * scale) V per head.
/// The weights of the softmax are rounded to halves before they meet the values, as ggml does. A row's bits depend on nothing but its position and its
/// sequence: every sum runs over dimensions or positions in order, and keys that a row does not see add exact zeros.</summary>
public sealed unsafe partial class Attention : IDisposable
{
    /// <summary>Largest head.</summary>
    public const int HeadDimMax = 256;

    /// <summary>Most query heads that can share a key head.</summary>
    public const int GroupMax = QueriesMax;

    // Queries that share keys and values while these lie in the cache nearest to the core: a multiple of four and of six, the numbers that loops work on together.
    private const int QueriesMax = 36;
    private const int KeysPerStep = 64;
    private const int GroupsPerStep = KeysPerStep / KvLayout.GroupTokens;
    private const int QueriesTogether = 4;

    private readonly WorkerTeam _team;
    private readonly bool _usesEmitted;
    private NativeBuffer _scratch = new(0);
    private int _keysMax;

    public Attention(WorkerTeam team) : this(team, usesEmitted: true)
    {
    }

    /// <param name="team">Computes the tiles.</param>
    /// <param name="usesEmitted">False: loops in C# even where there are assembled ones.</param>
    internal Attention(WorkerTeam team, bool usesEmitted)
    {
        _team = team;
        _usesEmitted = usesEmitted && !Vector512.IsHardwareAccelerated && AttentionCode.Halves is not null;
    }

    /// <summary>What all tiles of a layer have in common.</summary>
    public readonly struct Layer
    {
        /// <summary>[rows x Heads x HeadDim], rotated, rounded to halves as the keys are.</summary>
        public required float* Queries { get; init; }

        /// <summary>[rows x Heads x HeadDim].</summary>
        public required float* Output { get; init; }

        public required int Heads { get; init; }

        /// <summary>1 / sqrt(HeadDim) as a rule.</summary>
        public required float Scale { get; init; }

        /// <summary>Of keys and values.</summary>
        public required KvLayout Layout { get; init; }

        /// <summary>This layer's part of block 0; that of block n follows n * Layout.BlockBytes later.</summary>
        public required byte* Cache { get; init; }

        /// <summary>Block numbers of all sequences.</summary>
        public required int* BlockTables { get; init; }

        /// <summary>At most <see cref="RowsPerTile"/> rows each.</summary>
        public required AttentionTile* Tiles { get; init; }

        public required int TileCount { get; init; }

        internal int QueriesPerKvHead => Heads / Layout.KvHeads;
    }

    /// <summary>Most rows of a tile.</summary>
    public static int RowsPerTile(int heads, int kvHeads) => Math.Max(1, QueriesMax / (heads / kvHeads));

    /// <summary>Computes all tiles, one chunk per tile and key head.</summary>
    public void Run(Layer layer)
    {
        int keys = 0;
        for (int i = 0; i < layer.TileCount; i++)
            keys = Math.Max(keys, Groups(layer.Layout, layer.Tiles[i].FirstPosition + layer.Tiles[i].Rows - 1) * KvLayout.GroupTokens);
        Reserve(keys);
        var job = new Job { Layer = layer, Scratch = _scratch.Pointer, ScratchBytes = ScratchBytes(_keysMax), KeysMax = _keysMax };
        if (_usesEmitted && (layer.Layout.Format == KvFormat.F16 ? AttentionCode.Halves : AttentionCode.Singles) is { } code)
            (job.ScoreCode, job.GatherCode, job.RoundCode) = ((nint)code.Score, (nint)code.Gather, (nint)code.Round);
        _team.Run(&Chunk, &job, layer.TileCount * layer.Layout.KvHeads);
    }

    public void Dispose() => _scratch.Dispose();

    private void Reserve(int keys)
    {
        if (keys <= _keysMax)
            return;
        // Not a power of two itself: the same key's scores of all queries would fall into the same few places of a cache.
        _keysMax = Math.Max(1024, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)keys)) + KvLayout.GroupTokens;
        _scratch.Dispose();
        _scratch = new NativeBuffer(_team.Threads * ScratchBytes(_keysMax));
    }

    private static long ScratchBytes(int keys) => sizeof(float) * ((2L * KeysPerStep + QueriesMax) * HeadDimMax + (long)QueriesMax * keys);

    /// <summary>Key groups up to and with a position's.</summary>
    private static int Groups(KvLayout layout, int position) => position / layout.BlockTokens * layout.Groups + position % layout.BlockTokens / KvLayout.GroupTokens + 1;

    private static void Chunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        AttentionTile tile = job->Layer.Tiles[chunk / job->Layer.Layout.KvHeads];
        int headDim = job->Layer.Layout.HeadDim;
        int perRow = job->Layer.QueriesPerKvHead;
        int queries = tile.Rows * perRow;
        float** query = stackalloc float*[QueriesMax];
        var keys = (float*)(job->Scratch + thread * job->ScratchBytes);
        var work = new Work
        {
            Layer = &job->Layer,
            Tile = tile,
            KvHead = chunk % job->Layer.Layout.KvHeads,
            Queries = (queries + QueriesTogether - 1) / QueriesTogether * QueriesTogether,
            Query = query,
            Keys = keys,
            Values = keys + KeysPerStep * HeadDimMax,
            Sums = keys + 2 * KeysPerStep * HeadDimMax,
            Scores = keys + (2 * KeysPerStep + QueriesMax) * HeadDimMax,
            KeysMax = job->KeysMax,
            ScoreCode = (delegate* unmanaged[SuppressGCTransition]<ScoreArgs*, void>*)job->ScoreCode,
            GatherCode = (delegate* unmanaged[SuppressGCTransition]<GatherArgs*, void>*)job->GatherCode,
            RoundCode = (delegate* unmanaged[SuppressGCTransition]<ShareArgs*, void>)job->RoundCode,
            LastPosition = tile.FirstPosition + tile.Rows - 1,
        };
        for (int i = 0; i < work.Queries; i++)
        {
            int real = Math.Min(i, queries - 1);
            query[i] = job->Layer.Queries + ((long)(tile.FirstRow + real / perRow) * job->Layer.Heads + work.KvHead * perRow + real % perRow) * headDim;
        }
        if (work.ScoreCode != null)
            Tile_Emitted(&work, queries, perRow);
        else
            Tile(&work, queries, perRow);
        for (int q = 0; q < queries; q++)
            new Span<float>(work.Sums + q * headDim, headDim).CopyTo(new Span<float>(job->Layer.Output + (query[q] - job->Layer.Queries), headDim));
    }

    private static void Tile(Work* work, int queries, int perRow)
    {
        KvLayout layout = work->Layer->Layout;
        int groups = Groups(layout, work->LastPosition);
        for (int group = 0; group < groups; group += GroupsPerStep)
            Score(work, group, Math.Min(GroupsPerStep, groups - group));
        for (int q = 0; q < queries; q++)
        {
            float* scores = work->Scores + (long)q * work->KeysMax;
            if (Vector512.IsHardwareAccelerated)
                Softmax(work, scores, groups, work->Tile.FirstPosition + q / perRow);
            else
                Softmax_Vector256(work, scores, groups, work->Tile.FirstPosition + q / perRow);
        }
        for (int q = queries; q < work->Queries; q++)
            new Span<float>(work->Scores + (long)q * work->KeysMax, groups * KvLayout.GroupTokens).Clear();
        new Span<float>(work->Sums, work->Queries * layout.HeadDim).Clear();
        for (int group = 0; group < groups; group += GroupsPerStep)
            Gather(work, group, Math.Min(GroupsPerStep, groups - group));
    }

    /// <summary>Raw scores of all queries with up to four key groups.</summary>
    private static void Score(Work* work, int firstGroup, int groups)
    {
        KvLayout layout = work->Layer->Layout;
        int groupSize = KvLayout.GroupTokens * layout.HeadDim;
        for (int i = 0; i < groups; i++)
            layout.LoadKeys(Block(work, firstGroup + i), work->KvHead, (firstGroup + i) % layout.Groups, work->Keys + i * groupSize);
        for (int q = 0; q < work->Queries; q += QueriesTogether)
        {
            float* scores = work->Scores + (long)q * work->KeysMax + firstGroup * KvLayout.GroupTokens;
            int i = 0;
            for (; i < groups && !Vector512.IsHardwareAccelerated; i++)
                ScoreOne_Vector256(work->Keys + i * groupSize, work->Query + q, layout.HeadDim, scores + i * KvLayout.GroupTokens, work->KeysMax);
            for (; i + 4 <= groups; i += 4)
                ScoreFour(work->Keys + i * groupSize, work->Query + q, layout.HeadDim, scores + i * KvLayout.GroupTokens, work->KeysMax);
            for (; i < groups; i++)
                ScoreOne(work->Keys + i * groupSize, work->Query + q, layout.HeadDim, scores + i * KvLayout.GroupTokens, work->KeysMax);
        }
    }

    /// <summary>Raw scores of four queries and four key groups, each as <see cref="ScoreOne"/> computes it: eight loads feed sixteen multiplications.</summary>
    private static void ScoreFour(float* keys, float** query, int headDim, float* scores, int stride)
    {
        int groupSize = KvLayout.GroupTokens * headDim;
        float* q0 = query[0];
        float* q1 = query[1];
        float* q2 = query[2];
        float* q3 = query[3];
        Vector512<float> a0 = Vector512<float>.Zero, a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
        Vector512<float> c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
        for (int d = 0; d < headDim; d++, keys += KvLayout.GroupTokens)
        {
            Vector512<float> k0 = Vector512.Load(keys);
            Vector512<float> k1 = Vector512.Load(keys + groupSize);
            Vector512<float> k2 = Vector512.Load(keys + 2 * groupSize);
            Vector512<float> k3 = Vector512.Load(keys + 3 * groupSize);
            Vector512<float> x = Vector512.Create(q0[d]);
            a0 = Vector512.FusedMultiplyAdd(k0, x, a0);
            a1 = Vector512.FusedMultiplyAdd(k1, x, a1);
            a2 = Vector512.FusedMultiplyAdd(k2, x, a2);
            a3 = Vector512.FusedMultiplyAdd(k3, x, a3);
            x = Vector512.Create(q1[d]);
            b0 = Vector512.FusedMultiplyAdd(k0, x, b0);
            b1 = Vector512.FusedMultiplyAdd(k1, x, b1);
            b2 = Vector512.FusedMultiplyAdd(k2, x, b2);
            b3 = Vector512.FusedMultiplyAdd(k3, x, b3);
            x = Vector512.Create(q2[d]);
            c0 = Vector512.FusedMultiplyAdd(k0, x, c0);
            c1 = Vector512.FusedMultiplyAdd(k1, x, c1);
            c2 = Vector512.FusedMultiplyAdd(k2, x, c2);
            c3 = Vector512.FusedMultiplyAdd(k3, x, c3);
            x = Vector512.Create(q3[d]);
            d0 = Vector512.FusedMultiplyAdd(k0, x, d0);
            d1 = Vector512.FusedMultiplyAdd(k1, x, d1);
            d2 = Vector512.FusedMultiplyAdd(k2, x, d2);
            d3 = Vector512.FusedMultiplyAdd(k3, x, d3);
        }
        StoreFour(scores, a0, a1, a2, a3);
        StoreFour(scores + stride, b0, b1, b2, b3);
        StoreFour(scores + 2L * stride, c0, c1, c2, c3);
        StoreFour(scores + 3L * stride, d0, d1, d2, d3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFour(float* target, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        a.Store(target);
        b.Store(target + 16);
        c.Store(target + 32);
        d.Store(target + 48);
    }

    /// <summary>Raw scores of four queries and one key group; a lane is a key, the sum runs over the dimensions in order.</summary>
    private static void ScoreOne(float* keys, float** query, int headDim, float* scores, int stride)
    {
        float* q0 = query[0];
        float* q1 = query[1];
        float* q2 = query[2];
        float* q3 = query[3];
        Vector512<float> s0 = Vector512<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
        for (int d = 0; d < headDim; d++, keys += KvLayout.GroupTokens)
        {
            Vector512<float> key = Vector512.Load(keys);
            s0 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q0[d]), s0);
            s1 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q1[d]), s1);
            s2 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q2[d]), s2);
            s3 = Vector512.FusedMultiplyAdd(key, Vector512.Create(q3[d]), s3);
        }
        s0.Store(scores);
        s1.Store(scores + stride);
        s2.Store(scores + 2L * stride);
        s3.Store(scores + 3L * stride);
    }

    /// <summary>One query's scores to weights that sum to 1, rounded to halves; keys beyond its position weigh 0.</summary>
    private static void Softmax(Work* work, float* scores, int groups, int position)
    {
        KvLayout layout = work->Layer->Layout;
        Vector512<float> scale = Vector512.Create(work->Layer->Scale);
        Vector512<float> hidden = Vector512.Create(float.NegativeInfinity);
        Vector512<float> max = hidden;
        for (int i = 0; i < groups; i++)
        {
            Vector512<float> score = Vector512.Load(scores + i * KvLayout.GroupTokens) * scale;
            int visible = Visible(layout, i, position);
            if (visible < KvLayout.GroupTokens)
                score = Vector512.ConditionalSelect(Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(visible)).AsSingle(), score, hidden);
            score.Store(scores + i * KvLayout.GroupTokens);
            max = Vector512.Max(max, score);
        }
        Vector512<float> top = Vector512.Create(Lanes.Max(max));
        Vector512<float> sums = Vector512<float>.Zero;
        for (int i = 0; i < groups; i++)
        {
            Vector512<float> weight = Lanes.Exp(Vector512.Load(scores + i * KvLayout.GroupTokens) - top);
            weight.Store(scores + i * KvLayout.GroupTokens);
            sums += weight;
        }
        Vector512<float> share = Vector512.Create(1 / Lanes.Sum(sums));
        for (int i = 0; i < groups; i++)
            Float16.RoundToHalf(Vector512.Load(scores + i * KvLayout.GroupTokens) * share).Store(scores + i * KvLayout.GroupTokens);
    }

    /// <summary>Adds the weighted values of up to four groups of tokens to all queries' sums.</summary>
    private static void Gather(Work* work, int firstGroup, int groups)
    {
        KvLayout layout = work->Layer->Layout;
        int* tokens = stackalloc int[GroupsPerStep];
        for (int i = 0; i < groups; i++)
        {
            // Values beyond the last position may be another sequence's leavings: they are not even multiplied by zero.
            tokens[i] = Visible(layout, firstGroup + i, work->LastPosition);
            layout.LoadValues(Block(work, firstGroup + i), work->KvHead, (firstGroup + i) % layout.Groups * KvLayout.GroupTokens, tokens[i], work->Values + i * KvLayout.GroupTokens * layout.HeadDim);
        }
        for (int q = 0; q < work->Queries; q += QueriesTogether)
        {
            int d = 0;
            for (; d < layout.HeadDim && !Vector512.IsHardwareAccelerated; d += Lanes.Count)
                GatherOne_Vector256(work, q, d, firstGroup, groups, tokens);
            for (; d + 4 * Lanes.Count <= layout.HeadDim; d += 4 * Lanes.Count)
                GatherFour(work, q, d, firstGroup, groups, tokens);
            for (; d < layout.HeadDim; d += Lanes.Count)
                GatherOne(work, q, d, firstGroup, groups, tokens);
        }
    }

    /// <summary>64 dimensions of four queries, each as <see cref="GatherOne"/> computes it.</summary>
    private static void GatherFour(Work* work, int q, int d, int firstGroup, int groups, int* tokens)
    {
        int headDim = work->Layer->Layout.HeadDim;
        float* sums = work->Sums + q * headDim + d;
        (Vector512<float> a0, Vector512<float> a1, Vector512<float> a2, Vector512<float> a3) = LoadFour(sums);
        (Vector512<float> b0, Vector512<float> b1, Vector512<float> b2, Vector512<float> b3) = LoadFour(sums + headDim);
        (Vector512<float> c0, Vector512<float> c1, Vector512<float> c2, Vector512<float> c3) = LoadFour(sums + 2 * headDim);
        (Vector512<float> d0, Vector512<float> d1, Vector512<float> d2, Vector512<float> d3) = LoadFour(sums + 3 * headDim);
        long stride = work->KeysMax;
        for (int i = 0; i < groups; i++)
        {
            float* v = work->Values + i * KvLayout.GroupTokens * headDim + d;
            float* w = work->Scores + q * stride + (firstGroup + i) * KvLayout.GroupTokens;
            float* end = w + tokens[i];
            for (; w < end; w++, v += headDim)
            {
                (Vector512<float> v0, Vector512<float> v1, Vector512<float> v2, Vector512<float> v3) = LoadFour(v);
                Vector512<float> x = Vector512.Create(w[0]);
                a0 = Vector512.FusedMultiplyAdd(v0, x, a0);
                a1 = Vector512.FusedMultiplyAdd(v1, x, a1);
                a2 = Vector512.FusedMultiplyAdd(v2, x, a2);
                a3 = Vector512.FusedMultiplyAdd(v3, x, a3);
                x = Vector512.Create(w[stride]);
                b0 = Vector512.FusedMultiplyAdd(v0, x, b0);
                b1 = Vector512.FusedMultiplyAdd(v1, x, b1);
                b2 = Vector512.FusedMultiplyAdd(v2, x, b2);
                b3 = Vector512.FusedMultiplyAdd(v3, x, b3);
                x = Vector512.Create(w[2 * stride]);
                c0 = Vector512.FusedMultiplyAdd(v0, x, c0);
                c1 = Vector512.FusedMultiplyAdd(v1, x, c1);
                c2 = Vector512.FusedMultiplyAdd(v2, x, c2);
                c3 = Vector512.FusedMultiplyAdd(v3, x, c3);
                x = Vector512.Create(w[3 * stride]);
                d0 = Vector512.FusedMultiplyAdd(v0, x, d0);
                d1 = Vector512.FusedMultiplyAdd(v1, x, d1);
                d2 = Vector512.FusedMultiplyAdd(v2, x, d2);
                d3 = Vector512.FusedMultiplyAdd(v3, x, d3);
            }
        }
        StoreFour(sums, a0, a1, a2, a3);
        StoreFour(sums + headDim, b0, b1, b2, b3);
        StoreFour(sums + 2 * headDim, c0, c1, c2, c3);
        StoreFour(sums + 3 * headDim, d0, d1, d2, d3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> A, Vector512<float> B, Vector512<float> C, Vector512<float> D) LoadFour(float* source) =>
        (Vector512.Load(source), Vector512.Load(source + 16), Vector512.Load(source + 32), Vector512.Load(source + 48));

    /// <summary>16 dimensions of four queries, token after token.</summary>
    private static void GatherOne(Work* work, int q, int d, int firstGroup, int groups, int* tokens)
    {
        int headDim = work->Layer->Layout.HeadDim;
        float* sums = work->Sums + q * headDim + d;
        Vector512<float> o0 = Vector512.Load(sums);
        Vector512<float> o1 = Vector512.Load(sums + headDim);
        Vector512<float> o2 = Vector512.Load(sums + 2 * headDim);
        Vector512<float> o3 = Vector512.Load(sums + 3 * headDim);
        long stride = work->KeysMax;
        for (int i = 0; i < groups; i++)
        {
            float* v = work->Values + i * KvLayout.GroupTokens * headDim + d;
            float* w = work->Scores + q * stride + (firstGroup + i) * KvLayout.GroupTokens;
            for (int t = 0; t < tokens[i]; t++, v += headDim)
            {
                Vector512<float> value = Vector512.Load(v);
                o0 = Vector512.FusedMultiplyAdd(value, Vector512.Create(w[t]), o0);
                o1 = Vector512.FusedMultiplyAdd(value, Vector512.Create(w[t + stride]), o1);
                o2 = Vector512.FusedMultiplyAdd(value, Vector512.Create(w[t + 2 * stride]), o2);
                o3 = Vector512.FusedMultiplyAdd(value, Vector512.Create(w[t + 3 * stride]), o3);
            }
        }
        o0.Store(sums);
        o1.Store(sums + headDim);
        o2.Store(sums + 2 * headDim);
        o3.Store(sums + 3 * headDim);
    }

    /// <summary>Tokens of a group at positions up to this one.</summary>
    private static int Visible(KvLayout layout, int group, int position)
    {
        int inBlock = group % layout.Groups * KvLayout.GroupTokens;
        return Math.Min(Math.Min(KvLayout.GroupTokens, layout.BlockTokens - inBlock), position + 1 - (group / layout.Groups * layout.BlockTokens + inBlock));
    }

    /// <summary>The layer's part of the block that holds a group.</summary>
    private static byte* Block(Work* work, int group) =>
        work->Layer->Cache + work->Layer->BlockTables[work->Tile.FirstBlock + group / work->Layer->Layout.Groups] * work->Layer->Layout.BlockBytes;

    private struct Job
    {
        public Layer Layer;
        public byte* Scratch;
        public long ScratchBytes;
        public int KeysMax;

        // Of AttentionCode; 0: there is none.
        public nint ScoreCode;
        public nint GatherCode;
        public nint RoundCode;
    }

    /// <summary>One tile and one key head in work. Queries are padded to fours by repeating the last one, whose copies weigh nothing.</summary>
    private struct Work
    {
        public Layer* Layer;
        public AttentionTile Tile;
        public int KvHead;
        public int Queries;
        public int LastPosition;
        public float** Query;

        /// <summary>[groups of a step][HeadDim][16 tokens].</summary>
        public float* Keys;

        /// <summary>[KeysPerStep x HeadDim].</summary>
        public float* Values;

        /// <summary>[Queries x HeadDim].</summary>
        public float* Sums;

        /// <summary>[Queries x KeysMax].</summary>
        public float* Scores;

        public int KeysMax;
        public delegate* unmanaged[SuppressGCTransition]<ScoreArgs*, void>* ScoreCode;
        public delegate* unmanaged[SuppressGCTransition]<GatherArgs*, void>* GatherCode;
        public delegate* unmanaged[SuppressGCTransition]<ShareArgs*, void> RoundCode;
    }
}
