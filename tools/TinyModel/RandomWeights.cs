using System.Buffers.Binary;
using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>The tensors of a recipe. Gains are chosen so that greedy text wanders instead of repeating itself, and so that the best token stands well before the second: two right
/// implementations then choose the same one, whatever the order of their sums. With a head of its own, each row is the embedding of the token it likes to follow, and the layers decide among
/// the rest. With a tied head, the last norm and the embedding rows have a few large numbers each: logits then hang on few dimensions and have heavy tails.</summary>
internal sealed class RandomWeights(TinyModelRecipe recipe, TinyTokenizer tokenizer)
{
    private const float EmbeddingScale = 0.05f;
    private const float UntiedEmbeddingScale = 0.9f;
    private const float HeadScale = 0.0625f;
    private const int HeadStride = 1009;
    private const float OutputGain = 2.5f;
    private const float HeadNormGain = 1.5f;

    public IEnumerable<GgufTensorSource> Tensors()
    {
        int queryRows = recipe.Heads * recipe.HeadDim, keyRows = recipe.KvHeads * recipe.HeadDim;
        yield return Embedding("token_embd.weight");
        if (!recipe.TiedEmbeddings) yield return Head("output.weight");
        yield return recipe.TiedEmbeddings ? Vector("output_norm.weight", recipe.Hidden, normal => OutputGain * normal * normal) : Norm("output_norm.weight", recipe.Hidden, 1);
        for (int layer = 0; layer < recipe.Layers; layer++)
        {
            string block = FormattableString.Invariant($"blk.{layer}.");
            yield return Norm(block + "attn_norm.weight", recipe.Hidden, 1);
            yield return Matrix(block + "attn_q.weight", recipe.Hidden, queryRows);
            yield return Matrix(block + "attn_k.weight", recipe.Hidden, keyRows);
            yield return Matrix(block + "attn_v.weight", recipe.Hidden, keyRows);
            yield return Norm(block + "attn_q_norm.weight", recipe.HeadDim, HeadNormGain);
            yield return Norm(block + "attn_k_norm.weight", recipe.HeadDim, HeadNormGain);
            yield return Matrix(block + "attn_output.weight", queryRows, recipe.Hidden);
            yield return Norm(block + "ffn_norm.weight", recipe.Hidden, 1);
            yield return Matrix(block + "ffn_gate.weight", recipe.Hidden, recipe.FeedForward);
            yield return Matrix(block + "ffn_up.weight", recipe.Hidden, recipe.FeedForward);
            yield return Matrix(block + "ffn_down.weight", recipe.FeedForward, recipe.Hidden);
        }
    }

    /// <summary>Gain per unit of input: variance 1 in, about variance 1 out.</summary>
    private GgufTensorSource Matrix(string name, int columns, int rows)
    {
        var random = new RandomNumbers(recipe.Seed, name);
        float scale = 1 / MathF.Sqrt(columns); // a square root is correctly rounded everywhere
        return Rows(name, columns, rows, (row, values) =>
        {
            for (int i = 0; i < values.Length; i++)
                values[i] = random.Normal(((long)row * columns) + i) * scale;
        });
    }

    /// <summary>Cubes of normal numbers: most are near zero and a few are large.</summary>
    private GgufTensorSource Embedding(string name)
    {
        var random = new RandomNumbers(recipe.Seed, name);
        return Rows(name, recipe.Hidden, recipe.Vocabulary, (row, values) =>
        {
            float scale = (recipe.TiedEmbeddings ? EmbeddingScale : UntiedEmbeddingScale) * (row >= TinyTokenizer.TokenCount ? 0.1f : tokenizer.WeightOf(row) switch
            {
                TokenWeight.Text => 1f,
                TokenWeight.End => 0.6f,
                TokenWeight.Fragment => 0.4f,
                _ => 0.2f,
            });
            Cubes(random, row, values, scale);
        });
    }

    /// <summary>All rows of a class are equally long, so that no token wins everywhere.</summary>
    private static void Cubes(RandomNumbers random, int row, float[] values, float scale)
    {
        float squares = 0;
        for (int i = 0; i < values.Length; i++)
        {
            float normal = random.Normal(((long)row * values.Length) + i);
            values[i] = normal * normal * normal;
            squares += values[i] * values[i];
        }
        scale /= MathF.Sqrt(squares / values.Length);
        for (int i = 0; i < values.Length; i++)
            values[i] *= scale;
    }

    /// <summary>Row of token j: the embedding of the token that j likes to follow, so that one token stands well before all others after most texts, and the layers decide after the rest.</summary>
    private GgufTensorSource Head(string name)
    {
        var random = new RandomNumbers(recipe.Seed, "token_embd.weight");
        int[] texts = [.. Enumerable.Range(0, TinyTokenizer.TokenCount).Where(token => tokenizer.WeightOf(token) == TokenWeight.Text)];
        var follows = new Dictionary<int, int>();
        for (int place = 0; place < texts.Length; place++) follows[texts[place]] = texts[(place + HeadStride) % texts.Length];
        return Rows(name, recipe.Hidden, recipe.Vocabulary, (row, values) =>
        {
            bool text = follows.TryGetValue(row, out int before);
            Cubes(random, text ? before : row, values, HeadScale * (text ? 1 : 0.2f));
        });
    }

    private GgufTensorSource Norm(string name, int size, float gain) => Vector(name, size, normal => gain * (1 + (0.1f * normal)));

    /// <param name="shape">Makes each number from a normal one.</param>
    private GgufTensorSource Vector(string name, int size, Func<float, float> shape)
    {
        var random = new RandomNumbers(recipe.Seed, name);
        return new GgufTensorSource(name, GgmlType.F32, [size], stream =>
        {
            var bytes = new byte[size * sizeof(float)];
            for (int i = 0; i < size; i++)
                BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), shape(random.Normal(i)));
            stream.Write(bytes);
        });
    }

    /// <param name="fill">Fills one row; its number comes first.</param>
    private GgufTensorSource Rows(string name, int columns, int rows, Action<int, float[]> fill) => new(name, recipe.Type, [columns, rows], stream =>
    {
        var values = new float[columns];
        var bytes = new byte[recipe.Type.RowBytes(columns)];
        for (int row = 0; row < rows; row++)
        {
            fill(row, values);
            WeightEncoder.Encode(recipe.Type, values, bytes);
            stream.Write(bytes);
        }
    });
}
