using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>What happens to the heads of a row between their projection and attention.</summary>
internal unsafe struct HeadsJob
{
    public bool DoesQueries;
    public bool DoesKeys;

    /// <summary>[Heads x HeadDim]; null: none. The others likewise for their heads.</summary>
    public float* QueryBias;
    public float* KeyBias;
    public float* ValueBias;

    /// <summary>[HeadDim]; null: heads are not normalised.</summary>
    public float* QueryNorm;
    public float* KeyNorm;

    /// <summary>[Rows x Heads x ProjectedHead]: the query is the first HeadDim of a head.</summary>
    public float* Projected;
    public int ProjectedHead;

    /// <summary>[Rows x Heads x HeadDim], written; may be Projected.</summary>
    public float* Queries;
    public float* Keys;
    public float* Values;
    public float* Angles;
    public int RotaryDim;
    public int* Positions;

    /// <summary>Per row, where its sequence's blocks begin in the block tables.</summary>
    public int* FirstBlocks;

    public int* BlockTables;
    public byte* Cache;
    public KvLayout Layout;
    public int Heads;
    public float Epsilon;
    public int Rows;
    public int RowsPerChunk;

    public static void Chunk(void* state, int chunk, int thread)
    {
        var job = (HeadsJob*)state;
        int end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk);
        for (int row = chunk * job->RowsPerChunk; row < end; row++)
        {
            if (job->DoesQueries)
                TurnQueries(job, row);
            if (job->DoesKeys)
                StoreKeys(job, row);
        }
    }

    private static void TurnQueries(HeadsJob* job, int row)
    {
        int headDim = job->Layout.HeadDim;
        float* projected = job->Projected + (long)row * job->Heads * job->ProjectedHead;
        float* query = job->Queries + (long)row * job->Heads * headDim;
        for (int head = 0; head < job->Heads; head++, query += headDim, projected += job->ProjectedHead)
        {
            Turn(job, row, projected, query, job->QueryBias is null ? null : job->QueryBias + head * headDim, job->QueryNorm);
            // Keys are halves; a query of the same precision is what ggml multiplies them with.
            ActivationRows.Prepare(ActivationFormat.F16, query, headDim, (byte*)query);
        }
    }

    private static void StoreKeys(HeadsJob* job, int row)
    {
        int headDim = job->Layout.HeadDim;
        int position = job->Positions[row];
        byte* block = job->Cache + job->BlockTables[job->FirstBlocks[row] + position / job->Layout.BlockTokens] * job->Layout.BlockBytes;
        float* key = job->Keys + (long)row * job->Layout.KvHeads * headDim;
        float* value = job->Values + (long)row * job->Layout.KvHeads * headDim;
        for (int head = 0; head < job->Layout.KvHeads; head++, key += headDim, value += headDim)
        {
            Turn(job, row, key, key, job->KeyBias is null ? null : job->KeyBias + head * headDim, job->KeyNorm);
            if (job->ValueBias is not null)
                Add(value, job->ValueBias + head * headDim, value, headDim);
            job->Layout.Write(block, head, position % job->Layout.BlockTokens, key, value);
        }
    }

    /// <summary>Bias, norm, rotation.</summary>
    private static void Turn(HeadsJob* job, int row, float* source, float* target, float* bias, float* norm)
    {
        int headDim = job->Layout.HeadDim;
        if (bias is not null)
            Add(source, bias, source, headDim);
        if (norm is not null)
            RmsNorm.Row(source, norm, target, headDim, job->Epsilon);
        else if (target != source)
            new ReadOnlySpan<float>(source, headDim).CopyTo(new Span<float>(target, headDim));
        Rope.Head(target, job->Angles + (long)row * job->RotaryDim, job->RotaryDim / 2);
    }

    private static void Add(float* a, float* b, float* target, int count)
    {
        for (int i = 0; i < count; i++)
            target[i] = a[i] + b[i];
    }
}
