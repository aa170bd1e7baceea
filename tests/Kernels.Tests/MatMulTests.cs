namespace Qanat.Kernels.Tests;

public sealed unsafe class MatMulTests
{
    public static TheoryData<CpuTier, WeightFormat> TiersAndFormats => new MatrixTheoryData<CpuTier, WeightFormat>(CpuTiers.Supported, Enum.GetValues<WeightFormat>());
    public static TheoryData<WeightFormat> Formats => [.. Enum.GetValues<WeightFormat>()];

    [Theory]
    [MemberData(nameof(TiersAndFormats))]
    public void Every_tier_equals_the_scalar_kernels(CpuTier tier, WeightFormat format)
    {
        using var team = new WorkerTeam(2);
        foreach ((int outputs, int blocks) in new[] { (1, 1), (31, 2), (32, 3), (33, 1), (70, 5), (200, 8) })
        {
            int inputs = WeightFormats.BlockElements(format) == 256 ? Math.Min(blocks, 2) * 256 : blocks * 32;
            using var weights = new RandomMatrix(format, outputs, inputs, seed: outputs + blocks);
            using NativeBuffer source = Native.Random(50 * weights.Inputs, outputs);
            // A row's numbers do not depend on the others, so the rows of a longer product serve for all shorter ones.
            float[] expected = weights.Multiply(source, 50, CpuTier.Scalar, team);
            foreach (int rows in new[] { 1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 17, 50 })
                Native.AssertSameBits(expected.AsSpan(0, rows * outputs), weights.Multiply(source, rows, tier, team));
            foreach (int rows in new[] { 1, 17 })
                Native.AssertSameBits(expected.AsSpan(0, rows * outputs), weights.MultiplyUnpacked(source, rows, tier, team));
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Scalar_kernels_equal_sums_of_dequantised_weights(WeightFormat format)
    {
        using var team = new WorkerTeam(1);
        using var weights = new RandomMatrix(format, outputs: 45, inputs: 512, seed: 9);
        using NativeBuffer source = Native.Random(3 * weights.Inputs, 9);
        float[] actual = weights.Multiply(source, 3, CpuTier.Scalar, team);
        ActivationFormat activations = WeightFormats.Activations(format);
        using var prepared = new NativeBuffer(ActivationRows.Stride(activations, weights.Inputs));
        var restored = new float[weights.Inputs];
        for (int row = 0; row < 3; row++)
        {
            ActivationRows.Prepare(activations, source.AsFloats() + row * weights.Inputs, weights.Inputs, prepared.Pointer);
            ActivationRows.Restore(activations, prepared.Pointer, restored);
            for (int o = 0; o < 45; o++)
            {
                double exact = 0, size = 0;
                float[] w = weights.Row(o);
                for (int k = 0; k < w.Length; k++)
                {
                    exact += (double)w[k] * restored[k];
                    size += Math.Abs((double)w[k] * restored[k]);
                }
                // Activations' sums that meet offsets are rounded to halves.
                Assert.Equal(exact, actual[row * 45 + o], (format is WeightFormat.Q4_1 or WeightFormat.Q5_1 ? 5e-4 : 1e-5) * size);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Packing_loses_nothing(WeightFormat format)
    {
        using var team = new WorkerTeam(1);
        using var weights = new RandomMatrix(format, outputs: 37, inputs: 512, seed: 4);
        using var row = new NativeBuffer(weights.Inputs * 4);
        for (int o = 0; o < 37; o++)
        {
            int output = o;
            weights.BeforeAndAfterPacking(team, matrix =>
            {
                matrix.Dequantize(output, row.AsFloats());
                Native.AssertSameBits(weights.Row(output), row.Span());
            });
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => weights.Packed.Dequantize(37, row.AsFloats()));
    }

    [Theory]
    [MemberData(nameof(TiersAndFormats))]
    public void Rows_that_meet_different_experts_equal_each_expert_alone(CpuTier tier, WeightFormat format)
    {
        const int outputs = 70, rows = 25;
        using var team = new WorkerTeam(2);
        int inputs = WeightFormats.BlockElements(format) == 256 ? 256 : 96;
        using RandomMatrix first = new(format, outputs, inputs, seed: 1), second = new(format, outputs, inputs, seed: 2), third = new(format, outputs, inputs, seed: 3);
        RandomMatrix[] experts = [first, second, third];
        using var matrices = new ExpertMatrices([first.Packed, second.Packed, third.Packed]);
        using NativeBuffer source = Native.Random(rows * inputs, 5), target = Native.Floats(rows * outputs, _ => float.NaN);
        ActivationFormat activations = WeightFormats.Activations(format);
        using var prepared = new NativeBuffer(rows * ActivationRows.Stride(activations, inputs));
        var kernels = KernelSet.For(tier);
        PreparedRows all = new MatMul(kernels, team).Prepare(activations, source.AsFloats(), inputs, inputs, rows, prepared.Pointer);
        // Numbers of rows around what kernels take together.
        ExpertRows[] parts = [new(0, 0, 5), new(1, 5, 6), new(2, 11, 1), new(0, 12, 13)];
        fixed (ExpertRows* part = parts)
            new ExpertMatMul(kernels, team).Multiply(matrices, all, part, parts.Length, target.AsFloats());
        foreach (ExpertRows part in parts)
            Native.AssertSameBits(experts[part.Expert].Multiply(source, rows, CpuTier.Scalar, team).AsSpan(part.FirstRow * outputs, part.RowCount * outputs), target.Span().Slice(part.FirstRow * outputs, part.RowCount * outputs));
    }

    [Fact]
    public void Bytes_of_full_range_do_not_saturate()
    {
        using var team = new WorkerTeam(1);
        var file = new byte[32 * 2 * 34];
        for (int i = 0; i < file.Length; i++)
            file[i] = (i % 34) switch { 0 => 0x00, 1 => 0x3c, _ => i / 34 % 2 == 0 ? (byte)0x80 : (byte)0x7f };
        using var weights = new RandomMatrix(WeightFormat.Q8_0, 32, 64, file);
        using NativeBuffer source = Native.Floats(64, _ => -1f);
        float[] expected = weights.Multiply(source, 1, CpuTier.Scalar, team);
        Assert.Equal(32, expected[0], 0.01);
        foreach (CpuTier tier in CpuTiers.Supported)
            Native.AssertSameBits(expected, weights.Multiply(source, 1, tier, team));
    }

    [Fact]
    public void Numbers_around_the_smallest_give_the_same_bits_on_every_tier()
    {
        const int inputs = 65, rows = 17;
        using var team = new WorkerTeam(1);
        var random = new Random(8);
        // Products from beneath the smallest normal number, which some instructions take as zero, to where their sums cancel to little more than it.
        float[] sizes = [float.Epsilon, 1e-40f, 1.2e-38f, 1e-37f, 1e-30f, BFloat.Least / 2, BFloat.Least, BFloat.Least, 2 * BFloat.Least, 1e-15f, 1e-10f];
        float Number() => sizes[random.Next(sizes.Length)] * (1 + random.NextSingle()) * (2 * random.Next(2) - 1);
        var file = new byte[33 * inputs * sizeof(ushort)];
        for (int i = 0; i < file.Length; i += sizeof(ushort))
            BitConverter.TryWriteBytes(file.AsSpan(i), (ushort)(BitConverter.SingleToUInt32Bits(Number()) >> 16));
        using var weights = new RandomMatrix(WeightFormat.BF16, 33, inputs, file);
        using NativeBuffer source = Native.Floats(rows * inputs, _ => Number());
        float[] expected = weights.Multiply(source, rows, CpuTier.Scalar, team);
        Assert.Contains(expected, sum => sum != 0 && MathF.Abs(sum) < 1e-30f);
        Assert.DoesNotContain(expected, float.IsSubnormal);
        foreach (CpuTier tier in CpuTiers.Supported)
            Native.AssertSameBits(expected, weights.Multiply(source, rows, tier, team));
        for (int o = 0; o < 33; o++)
        {
            int output = o;
            float[] row = [.. weights.Row(o).Select(BFloat.WithoutTiny)];
            weights.BeforeAndAfterPacking(team, matrix =>
            {
                using var unpacked = new NativeBuffer(inputs * sizeof(float));
                matrix.Dequantize(output, unpacked.AsFloats());
                Native.AssertSameBits(row, unpacked.Span());
            });
        }
    }

    [Fact]
    public void Several_products_of_one_job_equal_each_alone_and_add_to_what_is_there()
    {
        using var team = new WorkerTeam(3);
        var matMul = new MatMul(KernelSet.Best, team);
        using var a = new RandomMatrix(WeightFormat.Q8_0, 70, 96, seed: 1);
        using var b = new RandomMatrix(WeightFormat.Q8_0, 33, 96, seed: 2);
        using NativeBuffer source = Native.Random(5 * 96, 3), prepared = new(5 * ActivationRows.Stride(ActivationFormat.Q8, 96));
        using NativeBuffer outputA = Native.Floats(5 * 80, _ => 7), outputB = Native.Floats(5 * 33, i => i);
        PreparedRows rows = matMul.Prepare(ActivationFormat.Q8, source.AsFloats(), 96, 96, 5, prepared.Pointer);
        matMul.Multiply([new Product(a.Packed, rows, outputA.AsFloats(), 80, ProductTarget.Write), new Product(b.Packed, rows, outputB.AsFloats(), 33, ProductTarget.Add)]);

        float[] aloneA = a.Multiply(source, 5, CpuTier.Scalar, team), aloneB = b.Multiply(source, 5, CpuTier.Scalar, team);
        for (int row = 0; row < 5; row++)
        {
            for (int o = 0; o < 80; o++)
                Assert.Equal(o < 70 ? aloneA[row * 70 + o] : 7, outputA.Span()[row * 80 + o]);
            for (int o = 0; o < 33; o++)
                Assert.Equal(row * 33 + o + aloneB[row * 33 + o], outputB.Span()[row * 33 + o]);
        }
    }

    [Fact]
    public void SwiGlu_equals_two_products_and_the_gate()
    {
        using var team = new WorkerTeam(2);
        var matMul = new MatMul(KernelSet.Best, team);
        using var gate = new RandomMatrix(WeightFormat.Q8_0, 70, 64, seed: 1);
        using var up = new RandomMatrix(WeightFormat.Q8_0, 70, 64, seed: 2);
        using NativeBuffer source = Native.Random(9 * 64, 3), prepared = new(9 * ActivationRows.Stride(ActivationFormat.Q8, 64)), output = new(9 * 70 * 4);
        PreparedRows rows = matMul.Prepare(ActivationFormat.Q8, source.AsFloats(), 64, 64, 9, prepared.Pointer);
        matMul.MultiplySwiGlu(new Product(gate.Packed, rows, output.AsFloats(), 70, ProductTarget.Write), new Product(up.Packed, rows, output.AsFloats(), 70, ProductTarget.Write));

        float[] expected = new float[9 * 70];
        SiluMultiply.Row_Scalar(gate.Multiply(source, 9, CpuTier.Scalar, team), up.Multiply(source, 9, CpuTier.Scalar, team), expected);
        Native.AssertSameBits(expected, output.Span());

        // One of the two is packed already.
        new Span<byte>(output.Pointer, 9 * 70 * 4).Clear();
        gate.BeforeAndAfterPacking(team, matrix =>
        {
            matMul.MultiplySwiGlu(new Product(matrix, rows, output.AsFloats(), 70, ProductTarget.Write), new Product(up.Packed, rows, output.AsFloats(), 70, ProductTarget.Write));
            Native.AssertSameBits(expected, output.Span());
        });
    }

    [Fact]
    public void Panels_of_a_matrix_that_is_not_packed_are_not_there()
    {
        using var team = new WorkerTeam(1);
        using var weights = new RandomMatrix(WeightFormat.Q8_0, 32, 32, seed: 1);
        Assert.Throws<InvalidOperationException>(() => weights.BeforeAndAfterPacking(team, matrix => matrix.Panel(0)));
    }
}
