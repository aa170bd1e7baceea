using System.Runtime.InteropServices;

namespace Qanat.Kernels.Tests;

public sealed unsafe class RecurrentTests
{
    private static float[] Random(int count, int seed, float from = -1, float to = 1)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => from + (to - from) * random.NextSingle())];
    }

    /// <summary>One head over some rows: unit keys and queries, forgetting and learning rates between 0 and 1.</summary>
    private sealed class Head
    {
        public Head(int rows, int keyDim, int valueDim, int seed)
        {
            (Rows, KeyDim, ValueDim) = (rows, keyDim, valueDim);
            Inputs = Random(rows * (2 * keyDim + valueDim), seed);
            fixed (float* inputs = Inputs)
                for (int row = 0; row < rows; row++)
                    for (int part = 0; part < 2; part++)
                        DeltaGates.Scale(inputs + row * (2 * keyDim + valueDim) + part * keyDim, keyDim, 1);
            Decay = Random(rows, seed + 1, 0.7f, 1);
            Beta = Random(rows, seed + 2, 0, 1);
            State = Random(keyDim * valueDim, seed + 3);
        }

        public int Rows { get; }
        public int KeyDim { get; }
        public int ValueDim { get; }
        public float[] Inputs { get; }
        public float[] Decay { get; }
        public float[] Beta { get; }
        public float[] State { get; }

        public delegate void Computes(in DeltaScan scan);

        /// <summary>Outputs and last state, computed in pieces.</summary>
        public (float[] Output, float[] State) Run(Computes how, bool fromZero, params int[] pieces)
        {
            var output = new float[Rows * ValueDim];
            float[] before = [.. State], after = [.. State];
            fixed (float* inputs = Inputs, decay = Decay, beta = Beta, o = output, a = before, b = after)
            {
                int row = 0;
                foreach (int count in pieces)
                {
                    int stride = 2 * KeyDim + ValueDim;
                    how(new DeltaScan
                    {
                        StateIn = row > 0 ? b : fromZero ? null : a,
                        StateOut = b,
                        Query = inputs + row * stride,
                        Key = inputs + row * stride + KeyDim,
                        Value = inputs + row * stride + 2 * KeyDim,
                        InputStride = stride,
                        Decay = decay + row,
                        Beta = beta + row,
                        GateStride = 1,
                        Output = o + row * ValueDim,
                        OutputStride = ValueDim,
                        Rows = count,
                        KeyDim = KeyDim,
                        ValueDim = ValueDim,
                    });
                    row += count;
                }
            }
            Assert.Equal(State, before);
            return (output, after);
        }
    }

    private static void AssertSame(float[] expected, float[] actual) =>
        Assert.True(MemoryMarshal.Cast<float, int>(expected).SequenceEqual(MemoryMarshal.Cast<float, int>(actual)), "the bits differ");

    [Theory]
    [InlineData(1, 16, 16)]
    [InlineData(2, 32, 64)]
    [InlineData(7, 128, 128)]
    [InlineData(5, 48, 80)]
    public void A_scan_equals_its_scalar_twin_bit_for_bit(int rows, int keyDim, int valueDim)
    {
        foreach (bool fromZero in new[] { false, true })
        {
            var head = new Head(rows, keyDim, valueDim, rows);
            (float[] output, float[] state) = head.Run(GatedDelta.Run, fromZero, rows);
            (float[] expected, float[] expectedState) = head.Run(GatedDelta.Run_Scalar, fromZero, rows);
            AssertSame(expected, output);
            AssertSame(expectedState, state);
        }
    }

    [Fact]
    public void A_scan_gives_the_same_bits_wherever_it_is_cut()
    {
        var head = new Head(23, 64, 80, 4);
        (float[] output, float[] state) = head.Run(GatedDelta.Run, fromZero: true, 23);
        foreach (int[] pieces in new int[][] { [1, 22], [16, 7], [5, 1, 1, 16], [.. Enumerable.Repeat(1, 23)] })
        {
            (float[] cut, float[] cutState) = head.Run(GatedDelta.Run, fromZero: true, pieces);
            AssertSame(output, cut);
            AssertSame(state, cutState);
        }
    }

    [Theory]
    [InlineData(1, 64)]
    [InlineData(64, 64)]
    [InlineData(150, 64)]
    [InlineData(100, 16)]
    public void The_chunked_form_equals_the_recurrence(int rows, int chunk)
    {
        var head = new Head(rows, 64, 48, rows);
        (float[] output, float[] state) = head.Run(GatedDelta.Run, fromZero: false, rows);
        (float[] chunked, float[] chunkedState) = head.Run((in DeltaScan scan) => GatedDeltaChunked.Run(scan, chunk), fromZero: false, rows);
        for (int i = 0; i < output.Length; i++)
            Assert.InRange(Math.Abs(output[i] - chunked[i]), 0, 1e-5f);
        for (int i = 0; i < state.Length; i++)
            Assert.InRange(Math.Abs(state[i] - chunkedState[i]), 0, 1e-5f);
    }

    [Theory]
    [InlineData(1, 4)]
    [InlineData(2, 4)]
    [InlineData(9, 4)]
    [InlineData(6, 2)]
    public void A_convolution_equals_its_twin_and_may_be_cut(int rows, int kernel)
    {
        const int channels = 48;
        float[] x = Random(rows * channels, rows), weights = Random(kernel * channels, 2), before = Random((kernel - 1) * channels, 3);
        float[] expected = [.. x], whole = [.. x], cut = [.. x], expectedState = new float[before.Length], wholeState = [.. before], cutState = [.. before];
        fixed (float* e = expected, a = whole, b = cut, w = weights, s = before, es = expectedState, ws = wholeState, cs = cutState)
        {
            CausalConv.Run_Scalar(e, channels, rows, channels, w, channels, kernel, s, es);
            CausalConv.Run(a, channels, rows, channels, w, channels, kernel, ws, ws);
            for (int row = 0; row < rows; row++)
                CausalConv.Run(b + row * channels, channels, 1, channels, w, channels, kernel, cs, cs);
        }
        AssertSame(expected, whole);
        AssertSame(expected, cut);
        AssertSame(expectedState, wholeState);
        AssertSame(expectedState, cutState);
    }

    [Fact]
    public void Without_a_past_a_convolution_sees_zeros()
    {
        float[] x = Random(32, 1), zeros = new float[48], weights = Random(64, 2), state = new float[48], other = new float[48], y = [.. x];
        fixed (float* a = x, b = y, w = weights, z = zeros, s = state, o = other)
        {
            CausalConv.Run(a, 16, 2, 16, w, 16, 4, null, s);
            CausalConv.Run(b, 16, 2, 16, w, 16, 4, z, o);
        }
        AssertSame(y, x);
        AssertSame(other, state);
    }

    [Fact]
    public void A_sigmoid_gate_equals_its_scalar_twin()
    {
        float[] gate = [.. Random(37, 1, -20, 20), 0, -200, 200], x = Random(gate.Length, 2), actual = new float[gate.Length], expected = new float[gate.Length];
        fixed (float* g = gate, p = x, t = actual)
            SigmoidMultiply.Row(g, p, t, gate.Length);
        SigmoidMultiply.Row_Scalar(gate, x, expected);
        AssertSame(expected, actual);
    }

    [Fact]
    public void Stretching_by_1_keeps_all_frequencies_and_by_4_keeps_the_fast_and_quarters_the_slow()
    {
        double[] plain = Rope.Frequencies(128, 1e6);
        Assert.Equal(plain, Yarn.Frequencies(128, 1e6, 1, 32768, 32, 1), (a, b) => Math.Abs(a - b) <= 1e-15 * a);
        double[] stretched = Yarn.Frequencies(128, 1e6, 4, 32768, 32, 1);
        Assert.Equal(plain[0], stretched[0], 15);
        Assert.Equal(plain[^1] / 4, stretched[^1], 15);
        Assert.Equal(1, Yarn.Magnitude(1));
    }

    /// <summary>Frequencies of the kept, the mixed and the divided part by the paper's formula, worked out elsewhere: for Qwen3 (128 dimensions, base 1e6, trained on 32,768 tokens) and Qwen3.5 (64, 1e7, 262,144).</summary>
    [Theory]
    [InlineData(128, 1e6, 32768, new[] { 0, 23, 24, 31, 39, 40, 41, 63 }, new[] { 1.0, 0.006978305848598663, 0.005375321490790102, 0.0008029597275452302, 6.490394320837029e-05, 4.445698525097307e-05, 3.582531425592407e-05, 3.102344401879299e-07 })]
    [InlineData(64, 1e7, 262144, new[] { 0, 14, 15, 18, 21, 22, 23, 31 }, new[] { 1.0, 0.0008659643233600654, 0.0004742398226801046, 7.217387404309113e-05, 8.759770071179003e-06, 3.84981631514873e-06, 2.3264301023242476e-06, 4.1370427498579534e-08 })]
    public void Stretching_by_4_gives_the_frequencies_of_the_formula(int dimensions, double theta, int original, int[] pairs, double[] expected)
    {
        double[] stretched = Yarn.Frequencies(dimensions, theta, 4, original, 32, 1);
        for (int i = 0; i < pairs.Length; i++)
            Assert.Equal(expected[i], stretched[pairs[i]], 1e-12 * expected[i]);
        Assert.Equal(1.138629436111989, Yarn.Magnitude(4), 1e-14);
    }
}
