using System.Runtime.Intrinsics;

namespace Qanat.Kernels.Tests;

public sealed unsafe class Float16Tests
{
    [Fact]
    public void Every_half_becomes_its_single()
    {
        ushort* halves = stackalloc ushort[16];
        float* singles = stackalloc float[16];
        float* eights = stackalloc float[16];
        for (int first = 0; first < 65536; first += 16)
        {
            for (int i = 0; i < 16; i++)
                halves[i] = (ushort)(first + i);
            Float16.LoadHalf(halves).Store(singles);
            Float16.LoadEightHalves(halves).Store(eights);
            Float16.LoadEightHalves(halves + 8).Store(eights + 8);
            for (int i = 0; i < 16; i++)
            {
                Assert.Equal(BitConverter.SingleToInt32Bits(singles[i]), BitConverter.SingleToInt32Bits(eights[i]));
                float expected = (float)BitConverter.UInt16BitsToHalf(halves[i]);
                Assert.True(float.IsNaN(expected) ? float.IsNaN(singles[i]) : BitConverter.SingleToInt32Bits(expected) == BitConverter.SingleToInt32Bits(singles[i]), $"half {halves[i]:x4}");
            }
        }
    }

    [Fact]
    public void The_processors_own_widening_gives_the_same_singles()
    {
        const int Count = 65536 + 5;
        ushort[] halves = [.. Enumerable.Range(0, Count).Select(i => (ushort)i)];
        float[] singles = new float[Count];
        int widened;
        fixed (ushort* source = halves)
        fixed (float* target = singles)
            widened = HalfWidening.Widen(source, target, Count);
        Assert.SkipWhen(widened == 0, "the processor has no F16C, or assembled code may not run");
        Assert.Equal(65536, widened);
        for (int i = 0; i < widened; i++)
        {
            float expected = (float)BitConverter.UInt16BitsToHalf(halves[i]);
            Assert.True(float.IsNaN(expected) ? float.IsNaN(singles[i]) : BitConverter.SingleToInt32Bits(expected) == BitConverter.SingleToInt32Bits(singles[i]), $"half {halves[i]:x4}");
        }
    }

    [Fact]
    public void Shares_become_the_nearest_half()
    {
        var random = new Random(2);
        float* shares = stackalloc float[8];
        float* rounded = stackalloc float[8];
        for (int round = 0; round < 100_000; round++)
        {
            // Halves, their neighbours and ties, and anything between, down to the smallest.
            float half = (float)BitConverter.UInt16BitsToHalf((ushort)random.Next(0x3c00));
            float next = (float)BitConverter.UInt16BitsToHalf((ushort)(BitConverter.HalfToUInt16Bits((Half)half) + 1));
            float tie = (half + next) / 2;
            float[] samples = [half, tie, MathF.BitIncrement(tie), MathF.BitDecrement(tie), next, random.NextSingle(), random.NextSingle() * 1e-5f, random.NextSingle() * 1e-8f];
            samples.CopyTo(new Span<float>(shares, 8));
            Float16.RoundShareToHalf(Vector256.Load(shares)).Store(rounded);
            for (int i = 0; i < 8; i++)
                Assert.Equal(BitConverter.SingleToInt32Bits((float)(Half)shares[i]), BitConverter.SingleToInt32Bits(rounded[i]));
        }
    }

    [Fact]
    public void Singles_become_the_nearest_half_and_bfloat()
    {
        var random = new Random(1);
        float* singles = stackalloc float[16];
        ushort* stored = stackalloc ushort[16];
        float* halves = stackalloc float[32];
        float* rounded = stackalloc float[32];
        for (int round = 0; round < 50_000; round++)
        {
            for (int i = 0; i < 16; i++)
                singles[i] = Sample(random);
            Float16.RoundToHalf(Vector512.Load(singles)).Store(halves);
            BFloat.Round(Vector512.Load(singles)).Store(rounded);
            for (int i = 0; i < 16; i += 8)
            {
                Float16.RoundToHalf(Vector256.Load(singles + i)).Store(halves + 16 + i);
                BFloat.Round(Vector256.Load(singles + i)).Store(rounded + 16 + i);
            }
            Float16.StoreFiniteHalves(singles, stored);
            for (int i = 0; i < 16; i++)
            {
                var half = (float)(Half)singles[i];
                Assert.Equal((half, half), (halves[i], halves[16 + i]));
                int bfloat = BitConverter.SingleToInt32Bits(BFloat.Round_Scalar(singles[i]));
                Assert.Equal((bfloat, bfloat), (BitConverter.SingleToInt32Bits(rounded[i]), BitConverter.SingleToInt32Bits(rounded[16 + i])));
                Assert.Equal((Half)Math.Clamp(singles[i], -Float16.HalfMax, Float16.HalfMax), BitConverter.UInt16BitsToHalf(stored[i]));
            }
        }
    }

    [Theory]
    [InlineData(1f, 1f)]
    [InlineData(1.00390625f, 1f)]
    [InlineData(1.01171875f, 1.015625f)]
    [InlineData(-1.00391f, -1.0078125f)]
    [InlineData(float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(float.MaxValue, float.PositiveInfinity)]
    public void BFloat_rounds_to_nearest_ties_to_even(float value, float expected)
    {
        Assert.Equal(expected, Float16.RoundToBFloat(value));
        Assert.Equal(expected, BFloat.Round_Scalar(value));
    }

    [Fact]
    public void In_products_tiny_bfloats_are_zero_and_no_NaN_becomes_infinity()
    {
        Assert.Equal(BFloat.Least, BFloat.Round_Scalar(BFloat.Least));
        Assert.Equal(-BFloat.Least, BFloat.Round_Scalar(MathF.BitIncrement(-BFloat.Least)));
        Assert.Equal(0, BFloat.Round_Scalar(0.99f * BFloat.Least));
        Assert.Equal(0, BFloat.Round_Scalar(-float.Epsilon));
        float nan = BitConverter.Int32BitsToSingle(0x7f800001);
        Assert.True(float.IsNaN(BFloat.Round_Scalar(nan)));
        Assert.True(float.IsNaN(Float16.BFloatToSingle((ushort)BFloat.Pair(BFloat.Round_Scalar(nan), 1))));
    }

    /// <summary>Any bits; halves' neighbourhoods with their ties; the borders of subnormals and of overflow.</summary>
    private static float Sample(Random random) => random.Next(4) switch
    {
        0 => BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue)),
        1 => BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits((float)BitConverter.UInt16BitsToHalf((ushort)random.Next(65536))) + random.Next(-1, 2) + 4096 * random.Next(3)),
        2 => (random.NextSingle() - 0.5f) * 2.4e-4f,
        _ => (65504 + 64 * (random.NextSingle() - 0.5f)) * (random.Next(2) == 0 ? 1 : -1),
    };
}
