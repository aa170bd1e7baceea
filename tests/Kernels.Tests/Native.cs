namespace Qanat.Kernels.Tests;

/// <summary>Native memory for a test, with random contents made from a seed.</summary>
internal static unsafe class Native
{
    public static NativeBuffer Floats(int count, Func<int, float> value)
    {
        var buffer = new NativeBuffer((long)count * sizeof(float));
        for (int i = 0; i < count; i++)
            ((float*)buffer.Pointer)[i] = value(i);
        return buffer;
    }

    /// <summary>Roughly normal numbers, a few of them large, some zero.</summary>
    public static NativeBuffer Random(int count, int seed)
    {
        var random = new Random(seed);
        return Floats(count, _ => random.Next(20) switch
        {
            0 => 0,
            1 => 40 * (random.NextSingle() - 0.5f),
            _ => random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f,
        });
    }

    /// <summary>Normal numbers of deviation 1.</summary>
    public static NativeBuffer Normal(int count, int seed)
    {
        var random = new Random(seed);
        return Floats(count, _ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())));
    }

    public static float* AsFloats(this NativeBuffer buffer) => (float*)buffer.Pointer;

    public static Span<float> Span(this NativeBuffer buffer) => new(buffer.Pointer, (int)(buffer.Bytes / sizeof(float)));

    public static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            if (BitConverter.SingleToInt32Bits(expected[i]) != BitConverter.SingleToInt32Bits(actual[i]))
                Assert.Fail(FormattableString.Invariant($"number {i} is {actual[i]:R}, not {expected[i]:R}"));
    }
}
