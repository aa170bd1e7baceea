using Qanat.Kernels;

namespace Qanat.Models;

public sealed partial class DecoderReference
{
    /// <summary>The gated delta rule as it reads: S = g S; S = S + k (b (v - S^T k))^T; o = S^T q.</summary>
    private float[][] DeltaNet(string prefix, float[][] n)
    {
        DeltaNetShape net = _shape.DeltaNet!;
        (float[][] projected, float[][] z) = Projections(prefix, n, net);
        float[][] mixed = Convolve(projected, Load(prefix + "ssm_conv1d.weight").Rows);
        (float[][] alpha, float[][] beta) = Rates(prefix, n, net);
        float[] bias = Load(prefix + "ssm_dt.bias").Rows[0], rate = Load(prefix + "ssm_a").Rows[0], norm = Load(prefix + "ssm_norm.weight").Rows[0];
        float[][] read = [.. n.Select(_ => new float[net.Values])];
        for (int head = 0; head < net.ValueHeads; head++)
        {
            var state = new double[net.KeyDim, net.ValueDim];
            for (int row = 0; row < n.Length; row++)
            {
                int keyHead = net.KeyHeadOf(head);
                double[] q = Unit(mixed[row].AsSpan(keyHead * net.KeyDim, net.KeyDim)), k = Unit(mixed[row].AsSpan((net.KeyHeads + keyHead) * net.KeyDim, net.KeyDim));
                ReadOnlySpan<float> v = mixed[row].AsSpan(2 * net.KeyHeads * net.KeyDim + head * net.ValueDim, net.ValueDim);
                double g = Math.Exp(rate[head] * Math.Log(1 + Math.Exp((double)alpha[row][head] + bias[head]))), b = Sigmoid(beta[row][head]);
                var output = new float[net.ValueDim];
                for (int j = 0; j < net.ValueDim; j++)
                {
                    double known = 0, seen = 0;
                    for (int i = 0; i < net.KeyDim; i++)
                        known += (state[i, j] *= g) * k[i];
                    double delta = b * (v[j] - known);
                    for (int i = 0; i < net.KeyDim; i++)
                        seen += (state[i, j] += k[i] * delta) * q[i];
                    output[j] = (float)(seen / Math.Sqrt(net.KeyDim));
                }
                Norm(output, norm).Select((value, j) => (float)(value * z[row][head * net.ValueDim + j] * Sigmoid(z[row][head * net.ValueDim + j]))).ToArray().CopyTo(read[row], head * net.ValueDim);
            }
        }
        return Product(Load(prefix + "ssm_out.weight"), read);
    }

    private (float[][] Mixed, float[][] Gate) Projections(string prefix, float[][] n, DeltaNetShape net)
    {
        if (!_file.HasTensor(prefix + "ssm_in.weight"))
            return (Product(Load(prefix + "attn_qkv.weight"), n), Product(Load(prefix + "attn_gate.weight"), n));
        int k = net.KeyDim, v = net.Values / net.KeyHeads;
        float[][][] groups = [.. Product(Load(prefix + "ssm_in.weight"), n).Select(row => row.Chunk(2 * k + 2 * v).ToArray())];
        float[] Part(float[][] row, int first, int count) => [.. row.SelectMany(group => group[first..(first + count)])];
        return ([.. groups.Select(row => (float[])[.. Part(row, 0, k), .. Part(row, k, k), .. Part(row, 2 * k, v)])], [.. groups.Select(row => Part(row, 2 * k + v, v))]);
    }

    private (float[][] Alpha, float[][] Beta) Rates(string prefix, float[][] n, DeltaNetShape net)
    {
        if (!_file.HasTensor(prefix + "ssm_ba.weight"))
            return (Product(Load(prefix + "ssm_alpha.weight"), n), Product(Load(prefix + "ssm_beta.weight"), n));
        float[][] both = Product(Load(prefix + "ssm_ba.weight"), n);
        int each = net.ValueHeads / net.KeyHeads;
        float[] Part(float[] row, int first) => [.. row.Chunk(2 * each).SelectMany(group => group[first..(first + each)])];
        return ([.. both.Select(row => Part(row, each))], [.. both.Select(row => Part(row, 0))]);
    }

    private static float[][] Convolve(float[][] x, float[][] weights) =>
        [.. x.Select((row, t) => row.Select((_, channel) =>
        {
            double sum = 0;
            int kernel = weights[channel].Length;
            for (int j = 0; j < kernel; j++)
                if (t - kernel + 1 + j >= 0)
                    sum += (double)weights[channel][j] * x[t - kernel + 1 + j][channel];
            return (float)(sum * Sigmoid(sum));
        }).ToArray())];

    private static double[] Unit(ReadOnlySpan<float> x)
    {
        double squares = 1e-6;
        foreach (float value in x)
            squares += (double)value * value;
        return [.. x.ToArray().Select(value => value / Math.Sqrt(squares))];
    }

    private float[][] Experts(string prefix, float[][] m)
    {
        ExpertShape experts = _shape.Experts!;
        float[][] scores = ProductOfSingles(Load(prefix + "ffn_gate_inp.weight"), m);
        float[][] shared = experts.SharedFeedForward > 0 ? SwiGlu(prefix, "_shexp", m) : [];
        float[][] gates = experts.SharedFeedForward > 0 ? ProductOfSingles(Load(prefix + "ffn_gate_inp_shexp.weight"), m) : [];
        GgufTensor gate = _file.Tensor(prefix + "ffn_gate_exps.weight"), up = _file.Tensor(prefix + "ffn_up_exps.weight"), down = _file.Tensor(prefix + "ffn_down_exps.weight");
        return [.. m.Select((row, r) =>
        {
            double[] weights = [.. scores[r].Select(score => Math.Exp((double)score - scores[r].Max()))];
            double all = weights.Sum();
            int[] used = [.. Enumerable.Range(0, experts.Count).OrderByDescending(expert => weights[expert]).ThenBy(expert => expert).Take(experts.Used)];
            double share = experts.NormalisesWeights ? used.Sum(expert => weights[expert]) : all;
            var sum = new double[_shape.Hidden];
            foreach (int expert in used)
            {
                int width = experts.FeedForward;
                float[][] activated = Activate(Product(Load(gate, (long)expert * width, width), [row]), Product(Load(up, (long)expert * width, width), [row]));
                float[] result = Product(Load(down, (long)expert * _shape.Hidden, _shape.Hidden), activated)[0];
                for (int i = 0; i < sum.Length; i++)
                    sum[i] += weights[expert] / share * result[i];
            }
            for (int i = 0; i < sum.Length && experts.SharedFeedForward > 0; i++)
                sum[i] += Sigmoid(gates[r][0]) * shared[r][i];
            return sum.Select(value => (float)value).ToArray();
        })];
    }

    private static float[][] ProductOfSingles(Matrix matrix, float[][] x) => Product(matrix with { Format = WeightFormat.F32 }, x);
}
