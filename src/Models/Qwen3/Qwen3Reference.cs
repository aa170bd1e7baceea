using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The Qwen3 forward pass as the formulas read: a whole sequence, no cache, no packing, sums in doubles. The slow twin of <see cref="Qwen3Network"/>.
/// It rounds where the network rounds (activations before each product, keys, values and queries to halves), so the two differ only by the order of sums.</summary>
public sealed class Qwen3Reference
{
    private readonly GgufFile _file;
    private readonly ModelShape _shape;

    public Qwen3Reference(GgufFile file)
    {
        _file = file;
        _shape = Qwen3Shape.Read(file);
    }

    /// <summary>Logits after every token, [tokens x Vocabulary].</summary>
    public float[][] Logits(IReadOnlyList<int> tokens)
    {
        Matrix embedding = Load("token_embd.weight");
        float[][] x = [.. tokens.Select(token => embedding.Rows[token].ToArray())];
        for (int layer = 0; layer < _shape.Layers; layer++)
            Layer(FormattableString.Invariant($"blk.{layer}."), x);
        Matrix output = _shape.TiedEmbeddings ? embedding : Load("output.weight");
        return Product(output, Norm("output_norm.weight", x));
    }

    private void Layer(string prefix, float[][] x)
    {
        float[][] n = Norm(prefix + "attn_norm.weight", x);
        float[][] q = Product(Load(prefix + "attn_q.weight"), n);
        float[][] k = Product(Load(prefix + "attn_k.weight"), n);
        float[][] v = Product(Load(prefix + "attn_v.weight"), n);
        Turn(q, Load(prefix + "attn_q_norm.weight").Rows[0]);
        Turn(k, Load(prefix + "attn_k_norm.weight").Rows[0]);
        foreach (float[] row in v)
            RoundToHalf(row);
        Add(x, Product(Load(prefix + "attn_output.weight"), Attend(q, k, v)));

        float[][] m = Norm(prefix + "ffn_norm.weight", x);
        float[][] gate = Product(Load(prefix + "ffn_gate.weight"), m);
        float[][] up = Product(Load(prefix + "ffn_up.weight"), m);
        for (int row = 0; row < x.Length; row++)
            for (int i = 0; i < gate[row].Length; i++)
                gate[row][i] = (float)(gate[row][i] / (1 + Math.Exp(-gate[row][i])) * up[row][i]);
        Add(x, Product(Load(prefix + "ffn_down.weight"), gate));
    }

    /// <summary>Normalises every head, turns it by its row's position, rounds it to halves.</summary>
    private void Turn(float[][] rows, float[] norm)
    {
        for (int position = 0; position < rows.Length; position++)
        {
            for (int head = 0; head < rows[position].Length; head += _shape.HeadDim)
            {
                float[] h = Norm(rows[position][head..(head + _shape.HeadDim)], norm);
                int half = h.Length / 2;
                for (int i = 0; i < half; i++)
                {
                    double angle = position * Math.Pow(_shape.RopeTheta, -2.0 * i / h.Length);
                    rows[position][head + i] = (float)(h[i] * Math.Cos(angle) - h[i + half] * Math.Sin(angle));
                    rows[position][head + i + half] = (float)(h[i] * Math.Sin(angle) + h[i + half] * Math.Cos(angle));
                }
            }
            RoundToHalf(rows[position]);
        }
    }

    private float[][] Attend(float[][] q, float[][] k, float[][] v)
    {
        int d = _shape.HeadDim;
        float[][] attended = [.. q.Select(row => new float[row.Length])];
        for (int row = 0; row < q.Length; row++)
        {
            for (int head = 0; head < _shape.Heads; head++)
            {
                int kvHead = head / (_shape.Heads / _shape.KvHeads);
                float[] keys = [.. k.Take(row + 1).SelectMany(key => key[(kvHead * d)..((kvHead + 1) * d)])];
                float[] values = [.. v.Take(row + 1).SelectMany(value => value[(kvHead * d)..((kvHead + 1) * d)])];
                AttentionOracle.Row(q[row].AsSpan(head * d, d), keys, values, 1 / Math.Sqrt(d), attended[row].AsSpan(head * d, d));
            }
        }
        return attended;
    }

    private float[][] Norm(string name, float[][] x)
    {
        float[] weights = Load(name).Rows[0];
        return [.. x.Select(row => Norm(row, weights))];
    }

    private float[] Norm(float[] x, float[] weights)
    {
        double scale = 1 / Math.Sqrt(x.Sum(value => (double)value * value) / x.Length + _shape.RmsEpsilon);
        return [.. x.Select((value, i) => (float)(value * scale * weights[i]))];
    }

    private static unsafe float[][] Product(Matrix matrix, float[][] x)
    {
        ActivationFormat format = WeightFormats.Activations(matrix.Format);
        var prepared = new byte[ActivationRows.Stride(format, x[0].Length)];
        return [.. x.Select(row =>
        {
            var rounded = new float[row.Length];
            fixed (float* source = row)
            fixed (byte* target = prepared)
            {
                ActivationRows.Prepare_Scalar(format, source, row.Length, target);
                ActivationRows.Restore(format, target, rounded);
            }
            return matrix.Rows.Select(weights => (float)Dot(weights, rounded)).ToArray();
        })];
    }

    private static double Dot(float[] a, float[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
            sum += (double)a[i] * b[i];
        return sum;
    }

    private static void Add(float[][] x, float[][] y)
    {
        for (int row = 0; row < x.Length; row++)
            for (int i = 0; i < x[row].Length; i++)
                x[row][i] += y[row][i];
    }

    private static void RoundToHalf(float[] row)
    {
        for (int i = 0; i < row.Length; i++)
            row[i] = Float16.HalfToSingle(Float16.SingleToHalf(row[i]));
    }

    private unsafe Matrix Load(string name)
    {
        GgufTensor tensor = _file.Tensor(name);
        WeightFormat format = WeightReader.Format(_file, tensor);
        int inputs = (int)tensor.Shape[0];
        var rows = new float[tensor.Elements / inputs][];
        for (int row = 0; row < rows.Length; row++)
        {
            rows[row] = new float[inputs];
            Dequantize.Row(format, _file.Pointer(tensor) + row * WeightFormats.RowBytes(format, inputs), rows[row]);
        }
        return new Matrix(format, rows);
    }

    private sealed record Matrix(WeightFormat Format, float[][] Rows);
}
