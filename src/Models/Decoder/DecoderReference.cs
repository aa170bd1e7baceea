using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The forward pass as the formulas read: a whole sequence, no cache, no packing, sums in doubles. The slow twin of <see cref="DecoderNetwork"/>.
/// It rounds where the network rounds (activations before each product, keys, values and queries to halves), so the two differ only by the order of sums.</summary>
public sealed partial class DecoderReference
{
    private readonly ModelSource _file;
    private readonly ModelShape _shape;
    private readonly double[] _frequencies;
    private readonly double _magnitude = 1;

    public DecoderReference(ModelSource file)
    {
        _file = file;
        _shape = DecoderShape.Read(file);
        _frequencies = Rope.Frequencies(_shape.RotaryDim, _shape.RopeTheta);
        if (_shape.Yarn is { } yarn)
        {
            _frequencies = Yarn.Frequencies(_shape.RotaryDim, _shape.RopeTheta, yarn.Factor, yarn.OriginalContext, yarn.BetaFast, yarn.BetaSlow);
            _magnitude = yarn.Magnitude;
        }
    }

    /// <summary>Logits after every token, [tokens x Vocabulary].</summary>
    public float[][] Logits(IReadOnlyList<int> tokens)
    {
        Matrix embedding = Load("token_embd.weight");
        Matrix output = _shape.TiedEmbeddings ? embedding : Load("output.weight");
        return Product(output, Hidden(tokens));
    }

    /// <summary>The hidden vector after every token, after the last norm, [tokens x Hidden].</summary>
    public float[][] Hidden(IReadOnlyList<int> tokens)
    {
        Matrix embedding = Load("token_embd.weight");
        float[][] x = [.. tokens.Select(token => embedding.Rows[token].ToArray())];
        for (int layer = 0; layer < _shape.Layers; layer++)
        {
            string prefix = FormattableString.Invariant($"blk.{layer}.");
            float[][] n = Norm(prefix + "attn_norm.weight", x);
            Add(x, _shape.IsRecurrent(layer) ? DeltaNet(prefix, n) : Attention(prefix, n));
            float[][] m = Norm(prefix + (_shape.DeltaNet is null ? "ffn_norm.weight" : "post_attention_norm.weight"), x);
            Add(x, _shape.Experts is null ? SwiGlu(prefix, "", m) : Experts(prefix, m));
        }
        return Norm("output_norm.weight", x);
    }

    private float[][] Attention(string prefix, float[][] n)
    {
        float[][] q = Product(Load(prefix + "attn_q.weight"), n);
        float[][] k = Product(Load(prefix + "attn_k.weight"), n);
        float[][] v = Product(Load(prefix + "attn_v.weight"), n);
        float[][]? gate = null;
        if (_shape.HasOutputGate)
        {
            int d = _shape.HeadDim;
            float[] Part(float[] row, int part) => [.. Enumerable.Range(0, _shape.Heads).SelectMany(head => row[((2 * head + part) * d)..((2 * head + part + 1) * d)])];
            gate = [.. q.Select(row => Part(row, 1))];
            q = [.. q.Select(row => Part(row, 0))];
        }
        if (_shape.HasAttentionBias)
        {
            foreach ((float[][] rows, string bias) in new[] { (q, "attn_q.bias"), (k, "attn_k.bias"), (v, "attn_v.bias") })
            {
                float[] added = Load(prefix + bias).Rows[0];
                Add(rows, [.. rows.Select(_ => added)]);
            }
        }
        Turn(q, _shape.HasHeadNorms ? Load(prefix + "attn_q_norm.weight").Rows[0] : null);
        Turn(k, _shape.HasHeadNorms ? Load(prefix + "attn_k_norm.weight").Rows[0] : null);
        foreach (float[] row in v)
            RoundToHalf(row);
        float[][] attended = Attend(q, k, v);
        for (int row = 0; gate is not null && row < attended.Length; row++)
            for (int i = 0; i < attended[row].Length; i++)
                attended[row][i] = (float)(attended[row][i] * Sigmoid(gate[row][i]));
        return Product(Load(prefix + "attn_output.weight"), attended);
    }

    private float[][] SwiGlu(string prefix, string suffix, float[][] m) =>
        Product(Load($"{prefix}ffn_down{suffix}.weight"), Activate(Product(Load($"{prefix}ffn_gate{suffix}.weight"), m), Product(Load($"{prefix}ffn_up{suffix}.weight"), m)));

    private static float[][] Activate(float[][] gate, float[][] up) =>
        [.. gate.Select((row, r) => row.Select((value, i) => (float)(value * Sigmoid(value) * up[r][i])).ToArray())];

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>Normalises every head, turns it by its row's position, rounds it to halves.</summary>
    private void Turn(float[][] rows, float[]? norm)
    {
        for (int position = 0; position < rows.Length; position++)
        {
            for (int head = 0; head < rows[position].Length; head += _shape.HeadDim)
            {
                float[] h = rows[position][head..(head + _shape.HeadDim)];
                if (norm is not null)
                    h = Norm(h, norm);
                h.CopyTo(rows[position], head);
                int half = _shape.RotaryDim / 2;
                for (int i = 0; i < half; i++)
                {
                    double cosine = _magnitude * Math.Cos(position * _frequencies[i]), sine = _magnitude * Math.Sin(position * _frequencies[i]);
                    rows[position][head + i] = (float)(h[i] * cosine - h[i + half] * sine);
                    rows[position][head + i + half] = (float)(h[i] * sine + h[i + half] * cosine);
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

    private Matrix Load(string name)
    {
        GgufTensor tensor = _file.Tensor(name);
        int inputs = (int)tensor.Shape[0];
        return Load(tensor, 0, (int)(tensor.Elements / inputs));
    }

    /// <summary>Some consecutive rows of a tensor.</summary>
    private unsafe Matrix Load(GgufTensor tensor, long first, int count)
    {
        WeightFormat format = WeightReader.Format(_file, tensor);
        using TensorData data = _file.Read(tensor);
        int inputs = (int)tensor.Shape[0];
        var rows = new float[count][];
        for (int row = 0; row < count; row++)
        {
            rows[row] = new float[inputs];
            Dequantize.Row(format, data.Pointer + (first + row) * WeightFormats.RowBytes(format, inputs), rows[row]);
        }
        return new Matrix(format, rows);
    }

    private sealed record Matrix(WeightFormat Format, float[][] Rows);
}
