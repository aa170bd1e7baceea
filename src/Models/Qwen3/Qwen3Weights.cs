using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>All weights of a Qwen3 decoder, packed for the kernels.</summary>
internal sealed class Qwen3Weights : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    public Qwen3Weights(GgufFile file, ModelShape shape, WorkerTeam team)
    {
        var reader = new WeightReader(file, team);
        try
        {
            Embedding = Matrix(reader, "token_embd.weight", shape.Hidden, shape.Vocabulary);
            Output = shape.TiedEmbeddings ? Embedding : Matrix(reader, "output.weight", shape.Hidden, shape.Vocabulary);
            OutputNorm = Vector(reader, "output_norm.weight", shape.Hidden);
            Layers = new Layer[shape.Layers];
            int queries = shape.Heads * shape.HeadDim;
            int keys = shape.KvHeads * shape.HeadDim;
            for (int i = 0; i < Layers.Length; i++)
            {
                string Name(string part) => FormattableString.Invariant($"blk.{i}.{part}.weight");
                Layers[i] = new Layer(
                    Vector(reader, Name("attn_norm"), shape.Hidden),
                    Matrix(reader, Name("attn_q"), shape.Hidden, queries),
                    Matrix(reader, Name("attn_k"), shape.Hidden, keys),
                    Matrix(reader, Name("attn_v"), shape.Hidden, keys),
                    Vector(reader, Name("attn_q_norm"), shape.HeadDim),
                    Vector(reader, Name("attn_k_norm"), shape.HeadDim),
                    Matrix(reader, Name("attn_output"), queries, shape.Hidden),
                    Vector(reader, Name("ffn_norm"), shape.Hidden),
                    Matrix(reader, Name("ffn_gate"), shape.Hidden, shape.FeedForward),
                    Matrix(reader, Name("ffn_up"), shape.Hidden, shape.FeedForward),
                    Matrix(reader, Name("ffn_down"), shape.FeedForward, shape.Hidden));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>[Vocabulary x Hidden].</summary>
    public PackedMatrix Embedding { get; }

    /// <summary>[Vocabulary x Hidden]; the embedding itself when they are tied.</summary>
    public PackedMatrix Output { get; }

    public NativeBuffer OutputNorm { get; }
    public Layer[] Layers { get; }
    public long Bytes { get; private set; }

    public void Dispose()
    {
        foreach (IDisposable part in _owned)
            part.Dispose();
        _owned.Clear();
    }

    private PackedMatrix Matrix(WeightReader reader, string name, int inputs, int outputs)
    {
        PackedMatrix matrix = reader.Matrix(name, inputs, outputs);
        _owned.Add(matrix);
        Bytes += matrix.Bytes;
        return matrix;
    }

    private NativeBuffer Vector(WeightReader reader, string name, int length)
    {
        NativeBuffer vector = reader.Vector(name, length);
        _owned.Add(vector);
        Bytes += vector.Bytes;
        return vector;
    }

    public sealed record Layer(NativeBuffer AttentionNorm, PackedMatrix Query, PackedMatrix Key, PackedMatrix Value, NativeBuffer QueryNorm, NativeBuffer KeyNorm,
        PackedMatrix AttentionOutput, NativeBuffer FeedForwardNorm, PackedMatrix Gate, PackedMatrix Up, PackedMatrix Down);
}
