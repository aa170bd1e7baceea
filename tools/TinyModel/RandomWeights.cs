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

    private const float ConvGain = 0.7f;
    private const float RouterGain = 3f;
    private const float Forgetting = 0.3f;

    public IEnumerable<GgufTensorSource> Tensors()
    {
        yield return Embedding("token_embd.weight");
        if (!recipe.TiedEmbeddings) yield return Head("output.weight");
        yield return recipe.TiedEmbeddings ? Vector("output_norm.weight", recipe.Hidden, normal => OutputGain * normal * normal) : Norm("output_norm.weight", recipe.Hidden, 1);
        for (int layer = 0; layer < recipe.Layers; layer++)
        {
            string block = FormattableString.Invariant($"blk.{layer}.");
            yield return Norm(block + "attn_norm.weight", recipe.Hidden, 1);
            foreach (GgufTensorSource tensor in recipe.IsRecurrent(layer) ? DeltaNet(block, recipe.DeltaNet!) : Attention(block)) yield return tensor;
            yield return Norm(block + (recipe.DeltaNet is null ? "ffn_norm.weight" : "post_attention_norm.weight"), recipe.Hidden, 1);
            foreach (GgufTensorSource tensor in recipe.Experts is { } experts ? Experts(block, experts) : Dense(block, "", recipe.FeedForward)) yield return tensor;
        }
    }

    private IEnumerable<GgufTensorSource> Attention(string block)
    {
        int queryRows = recipe.Heads * recipe.HeadDim, keyRows = recipe.KvHeads * recipe.HeadDim;
        yield return Matrix(block + "attn_q.weight", recipe.Hidden, recipe.DeltaNet is null ? queryRows : 2 * queryRows);
        yield return Matrix(block + "attn_k.weight", recipe.Hidden, keyRows);
        yield return Matrix(block + "attn_v.weight", recipe.Hidden, keyRows);
        if (recipe.Architecture == "qwen2")
        {
            yield return Vector(block + "attn_q.bias", queryRows, normal => normal);
            yield return Vector(block + "attn_k.bias", keyRows, normal => normal);
            yield return Vector(block + "attn_v.bias", keyRows, normal => 0.1f * normal);
        }
        else
        {
            yield return Norm(block + "attn_q_norm.weight", recipe.HeadDim, HeadNormGain);
            yield return Norm(block + "attn_k_norm.weight", recipe.HeadDim, HeadNormGain);
        }
        yield return Matrix(block + "attn_output.weight", queryRows, recipe.Hidden);
    }

    private IEnumerable<GgufTensorSource> DeltaNet(string block, DeltaNetShape net)
    {
        yield return Matrix(block + "attn_qkv.weight", recipe.Hidden, net.Channels);
        yield return Matrix(block + "attn_gate.weight", recipe.Hidden, net.Values);
        if (net.GroupsValueHeads)
        {
            yield return Matrix(block + "ssm_ba.weight", recipe.Hidden, 2 * net.ValueHeads);
        }
        else
        {
            yield return Matrix(block + "ssm_alpha.weight", recipe.Hidden, net.ValueHeads);
            yield return Matrix(block + "ssm_beta.weight", recipe.Hidden, net.ValueHeads);
        }
        yield return Singles(block + "ssm_conv1d.weight", net.ConvKernel, net.Channels, ConvGain);
        yield return Vector(block + "ssm_dt.bias", net.ValueHeads, normal => normal);
        yield return Vector(block + "ssm_a", net.ValueHeads, normal => -Forgetting * normal * normal);
        yield return Norm(block + "ssm_norm.weight", net.ValueDim, 1);
        yield return Matrix(block + "ssm_out.weight", net.Values, recipe.Hidden);
    }

    private IEnumerable<GgufTensorSource> Dense(string block, string suffix, int width)
    {
        yield return Matrix($"{block}ffn_gate{suffix}.weight", recipe.Hidden, width);
        yield return Matrix($"{block}ffn_up{suffix}.weight", recipe.Hidden, width);
        yield return Matrix($"{block}ffn_down{suffix}.weight", width, recipe.Hidden);
    }

    private IEnumerable<GgufTensorSource> Experts(string block, ExpertShape experts)
    {
        yield return Singles(block + "ffn_gate_inp.weight", recipe.Hidden, experts.Count, RouterGain / MathF.Sqrt(recipe.Hidden));
        yield return Matrix(block + "ffn_gate_exps.weight", recipe.Hidden, experts.FeedForward, experts.Count);
        yield return Matrix(block + "ffn_up_exps.weight", recipe.Hidden, experts.FeedForward, experts.Count);
        yield return Matrix(block + "ffn_down_exps.weight", experts.FeedForward, recipe.Hidden, experts.Count);
        if (experts.SharedFeedForward == 0) yield break;
        foreach (GgufTensorSource tensor in Dense(block, "_shexp", experts.SharedFeedForward)) yield return tensor;
        yield return Vector(block + "ffn_gate_inp_shexp.weight", recipe.Hidden, normal => normal / MathF.Sqrt(recipe.Hidden));
    }

    /// <summary>Gain per unit of input: variance 1 in, about variance 1 out.</summary>
    private GgufTensorSource Matrix(string name, int columns, int rows, int experts = 1)
    {
        float scale = 1 / MathF.Sqrt(columns); // a square root is correctly rounded everywhere
        GgufTensorSource all = Rows(name, recipe.Type, columns, rows * experts, Normals(name, columns, scale));
        return experts == 1 ? all : all with { Shape = [columns, rows, experts] };
    }

    /// <summary>A matrix that is never rounded.</summary>
    private GgufTensorSource Singles(string name, int columns, int rows, float scale) => Rows(name, GgmlType.F32, columns, rows, Normals(name, columns, scale));

    private Action<int, float[]> Normals(string name, int columns, float scale)
    {
        var random = new RandomNumbers(recipe.Seed, name);
        return (row, values) =>
        {
            for (int i = 0; i < values.Length; i++)
                values[i] = random.Normal(((long)row * columns) + i) * scale;
        };
    }

    /// <summary>Cubes of normal numbers: most are near zero and a few are large.</summary>
    private GgufTensorSource Embedding(string name)
    {
        var random = new RandomNumbers(recipe.Seed, name);
        return Rows(name, recipe.Type, recipe.Hidden, recipe.Vocabulary, (row, values) =>
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
        return Rows(name, recipe.Type, recipe.Hidden, recipe.Vocabulary, (row, values) =>
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
    private static GgufTensorSource Rows(string name, GgmlType type, int columns, int rows, Action<int, float[]> fill) => new(name, type, [columns, rows], stream =>
    {
        var values = new float[columns];
        var bytes = new byte[type.RowBytes(columns)];
        for (int row = 0; row < rows; row++)
        {
            fill(row, values);
            WeightEncoder.Encode(type, values, bytes);
            stream.Write(bytes);
        }
    });
}
