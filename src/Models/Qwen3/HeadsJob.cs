using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>What happens to the heads of a row between their projection and attention.</summary>
internal unsafe struct HeadsJob
{
    /// <summary>[HeadDim]; null: queries are not touched.</summary>
    public float* QueryNorm;

    /// <summary>[HeadDim]; null: keys and values are not touched.</summary>
    public float* KeyNorm;

    public float* Queries;
    public float* Keys;
    public float* Values;
    public float* Angles;
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
            if (job->QueryNorm is not null)
                TurnQueries(job, row);
            if (job->KeyNorm is not null)
                StoreKeys(job, row);
        }
    }

    private static void TurnQueries(HeadsJob* job, int row)
    {
        int headDim = job->Layout.HeadDim;
        float* angles = job->Angles + (long)row * headDim;
        float* query = job->Queries + (long)row * job->Heads * headDim;
        for (int head = 0; head < job->Heads; head++, query += headDim)
        {
            RmsNorm.Row(query, job->QueryNorm, query, headDim, job->Epsilon);
            Rope.Head(query, angles, headDim / 2);
            // Keys are halves; a query of the same precision is what ggml multiplies them with.
            ActivationRows.Prepare(ActivationFormat.F16, query, headDim, (byte*)query);
        }
    }

    private static void StoreKeys(HeadsJob* job, int row)
    {
        int headDim = job->Layout.HeadDim;
        int position = job->Positions[row];
        byte* block = job->Cache + job->BlockTables[job->FirstBlocks[row] + position / job->Layout.BlockTokens] * job->Layout.BlockBytes;
        float* angles = job->Angles + (long)row * headDim;
        float* key = job->Keys + (long)row * job->Layout.KvHeads * headDim;
        float* value = job->Values + (long)row * job->Layout.KvHeads * headDim;
        for (int head = 0; head < job->Layout.KvHeads; head++, key += headDim, value += headDim)
        {
            RmsNorm.Row(key, job->KeyNorm, key, headDim, job->Epsilon);
            Rope.Head(key, angles, headDim / 2);
            job->Layout.Write(block, head, position % job->Layout.BlockTokens, key, value);
        }
    }
}
