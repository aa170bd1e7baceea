namespace Qanat.Kernels.Tests;

public sealed unsafe class RowTests
{
    public static TheoryData<int> Lengths => [1, 7, 15, 16, 17, 64, 100, 1024];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void RmsNorm_equals_its_scalar_twin_and_the_formula(int count)
    {
        using NativeBuffer x = Native.Random(count, count), w = Native.Random(count, count + 1), y = new(count * 4);
        var expected = new float[count];
        RmsNorm.Row(x.AsFloats(), w.AsFloats(), y.AsFloats(), count, 1e-6f);
        RmsNorm.Row_Scalar(x.Span(), w.Span(), expected, 1e-6f);
        Native.AssertSameBits(expected, y.Span());

        double square = 0;
        foreach (float value in x.Span())
            square += (double)value * value;
        for (int i = 0; i < count; i++)
            Assert.Equal(x.Span()[i] / Math.Sqrt(square / count + 1e-6) * w.Span()[i], y.Span()[i], 1e-5 * Math.Abs(y.Span()[i]) + 1e-12);
    }

    [Theory]
    [MemberData(nameof(Lengths))]
    public void SiluMultiply_equals_its_scalar_twin_and_the_formula(int count)
    {
        using NativeBuffer gate = Native.Random(count, count), up = Native.Random(count, count + 1), y = new(count * 4);
        gate.Span()[0] = -200;
        var expected = new float[count];
        SiluMultiply.Row(gate.AsFloats(), up.AsFloats(), y.AsFloats(), count);
        SiluMultiply.Row_Scalar(gate.Span(), up.Span(), expected);
        Native.AssertSameBits(expected, y.Span());
        for (int i = 0; i < count; i++)
            Assert.Equal(gate.Span()[i] / (1 + Math.Exp(-gate.Span()[i])) * up.Span()[i], y.Span()[i], 1e-6 * Math.Abs(y.Span()[i]) + 1e-30);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(40)]
    [InlineData(128)]
    public void Rope_equals_its_scalar_twin_and_turns_pairs_by_the_position(int dimensions)
    {
        int half = dimensions / 2;
        using NativeBuffer head = Native.Random(dimensions, dimensions), twin = Native.Random(dimensions, dimensions), angles = new(dimensions * 4);
        float[] before = head.Span().ToArray();
        Rope.Angles(12345, Rope.Frequencies(dimensions, 1e6), angles.AsFloats());
        Rope.Head(head.AsFloats(), angles.AsFloats(), half);
        Rope.Head_Scalar(twin.AsFloats(), angles.AsFloats(), half);
        Native.AssertSameBits(twin.Span(), head.Span());
        for (int i = 0; i < half; i++)
        {
            var turned = new System.Numerics.Complex(before[i], before[i + half]) * System.Numerics.Complex.FromPolarCoordinates(1, 12345 * Math.Pow(1e6, -2.0 * i / dimensions));
            Assert.Equal(turned.Real, head.Span()[i], 1e-5);
            Assert.Equal(turned.Imaginary, head.Span()[i + half], 1e-5);
        }
    }

    [Fact]
    public void Exp_is_within_two_units_in_the_last_place_and_zero_for_minus_infinity()
    {
        Assert.Equal(0, Lanes.Exp(float.NegativeInfinity));
        Assert.Equal(1, Lanes.Exp(0));
        for (float x = -87; x < 88; x += 0.00371f)
        {
            double exact = Math.Exp(x);
            Assert.InRange(Math.Abs(Lanes.Exp(x) - exact), 0, 2 * ((double)MathF.BitIncrement((float)exact) - (float)exact));
        }
    }

    [Theory]
    [InlineData(ActivationFormat.F32)]
    [InlineData(ActivationFormat.F16)]
    [InlineData(ActivationFormat.BF16)]
    [InlineData(ActivationFormat.Q8)]
    [InlineData(ActivationFormat.Q8K)]
    public void Prepared_rows_equal_their_scalar_twin(ActivationFormat format)
    {
        foreach (int inputs in format switch { ActivationFormat.Q8 => (int[])[32, 64, 1024], ActivationFormat.Q8K => [256, 512, 1024], _ => [1, 2, 31, 32, 65, 1024] })
        {
            int stride = ActivationRows.Stride(format, inputs);
            using NativeBuffer source = Native.Random(inputs, inputs), prepared = new(stride), twin = new(stride);
            source.Span()[..Math.Min(inputs, 32)].Fill(inputs % 64 == 0 ? 0 : 1e-9f);
            ActivationRows.Prepare(format, source.AsFloats(), inputs, prepared.Pointer);
            ActivationRows.Prepare_Scalar(format, source.AsFloats(), inputs, twin.Pointer);
            Assert.True(new Span<byte>(prepared.Pointer, stride).SequenceEqual(new Span<byte>(twin.Pointer, stride)));

            var restored = new float[inputs];
            ActivationRows.Restore(format, prepared.Pointer, restored);
            for (int i = 0; i < inputs; i++)
                Assert.Equal(source.Span()[i], restored[i], format switch { ActivationFormat.Q8 or ActivationFormat.Q8K => 0.1, ActivationFormat.F32 => 0, _ => Math.Abs(source.Span()[i]) / 255 + 1e-7 });
        }
    }

    [Theory]
    [InlineData(ActivationFormat.Q8)]
    [InlineData(ActivationFormat.Q8K)]
    public void Rounding_to_bytes_equals_its_scalar_twin_at_the_edges(ActivationFormat format)
    {
        int stride = ActivationRows.Stride(format, 256);
        var random = new Random(3);
        foreach (float size in (float[])[0, float.Epsilon, 1e-40f, 1e-37f, 1, 127, 1e30f, float.MaxValue])
        {
            using NativeBuffer source = Native.Floats(256, _ => size * random.Next(-127, 128) / 127), prepared = new(stride), twin = new(stride);
            // Ties, the largest number of either sign, and twice.
            source.Span()[7] = -size;
            source.Span()[40] = size;
            source.Span()[41] = size * 0.5f;
            ActivationRows.Prepare(format, source.AsFloats(), 256, prepared.Pointer);
            ActivationRows.Prepare_Scalar(format, source.AsFloats(), 256, twin.Pointer);
            Assert.True(new Span<byte>(prepared.Pointer, stride).SequenceEqual(new Span<byte>(twin.Pointer, stride)), FormattableString.Invariant($"size {size}"));
        }
    }
}
