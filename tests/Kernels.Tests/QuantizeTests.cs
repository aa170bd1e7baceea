namespace Qanat.Kernels.Tests;

public sealed unsafe class QuantizeTests
{
    // Relative root mean square error on normal numbers: about 2^-bits times the ratio of a block's extreme to its deviation.
    public static TheoryData<WeightFormat, double> Errors => new()
    {
        { WeightFormat.F32, 0 },
        { WeightFormat.F16, 0.0003 },
        { WeightFormat.BF16, 0.0025 },
        { WeightFormat.Q8_0, 0.007 },
        { WeightFormat.Q4_0, 0.095 },
        { WeightFormat.Q4_1, 0.085 },
        { WeightFormat.Q5_0, 0.048 },
        { WeightFormat.Q5_1, 0.042 },
        { WeightFormat.Q4_K, 0.077 },
        { WeightFormat.Q5_K, 0.040 },
        { WeightFormat.Q6_K, 0.022 },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public void What_is_read_back_is_near_what_was_written(WeightFormat format, double errorMax)
    {
        using NativeBuffer weights = Native.Normal(64 * 256, seed: 5);
        double error = RelativeError(format, weights.Span());
        Assert.InRange(error, format == WeightFormat.F32 ? 0 : errorMax / 2, errorMax);
    }

    [Theory]
    [MemberData(nameof(MatMulTests.Formats), MemberType = typeof(MatMulTests))]
    public void Zeros_constants_and_single_peaks_come_back(WeightFormat format)
    {
        float peakError = format is WeightFormat.Q6_K or WeightFormat.Q8_0 or WeightFormat.BF16 ? 0.005f : 0.002f;
        foreach (float sign in new[] { 1f, -1f })
        {
            Assert.All(RoundTrip(format, new float[256]), value => Assert.Equal(0, value));
            Assert.All(RoundTrip(format, [.. Enumerable.Repeat(sign * 0.3f, 256)]), value => Assert.Equal(sign * 0.3f, value, peakError));
            var peak = new float[256];
            peak[77] = sign;
            float[] back = RoundTrip(format, peak);
            Assert.Equal(sign, back[77], peakError);
            for (int i = 0; i < 256; i++)
                if (i != 77)
                    Assert.Equal(0, back[i], 0.001f);
        }
    }

    [Fact]
    public void Rows_that_are_not_whole_blocks_are_refused() =>
        Assert.Throws<ArgumentException>(() => Quantize.Row(WeightFormat.Q4_K, new float[128], new byte[144]));

    private static double RelativeError(WeightFormat format, ReadOnlySpan<float> weights)
    {
        float[] back = RoundTrip(format, weights);
        double differences = 0, squares = 0;
        for (int i = 0; i < back.Length; i++)
        {
            differences += ((double)back[i] - weights[i]) * ((double)back[i] - weights[i]);
            squares += (double)weights[i] * weights[i];
        }
        return Math.Sqrt(differences / squares);
    }

    private static float[] RoundTrip(WeightFormat format, ReadOnlySpan<float> weights)
    {
        var bytes = new byte[WeightFormats.RowBytes(format, weights.Length)];
        var back = new float[weights.Length];
        Quantize.Row(format, weights, bytes);
        fixed (byte* source = bytes)
            Dequantize.Row(format, source, back);
        return back;
    }
}
