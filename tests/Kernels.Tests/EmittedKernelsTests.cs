namespace Qanat.Kernels.Tests;

public sealed unsafe class EmittedKernelsTests
{
    public static TheoryData<WeightFormat> Formats => [.. EmittedKernels.Zmm.Formats];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Emitted_instructions_say_what_the_scalar_kernels_compute(WeightFormat format) =>
        AssertScalar(format, 2 * Math.Max(32, WeightFormats.BlockElements(format)), PanelAssembler.RowsMax, count => Interpreted(EmittedKernels.ZmmAssembler(format, count)));

    /// <summary>By AVX2 and by AVX-VNNI, whichever of them the processor of these tests has.</summary>
    [Theory]
    [InlineData(WeightFormat.Q8_0)]
    [InlineData(WeightFormat.Q4_0)]
    [InlineData(WeightFormat.Q4_1)]
    [InlineData(WeightFormat.Q4_K)]
    [InlineData(WeightFormat.Q5_K)]
    [InlineData(WeightFormat.Q6_K)]
    public void Narrow_instructions_say_what_the_scalar_kernels_compute(WeightFormat format)
    {
        foreach (bool vnni in (bool[])[false, true])
        {
            AssertScalar(format, 2 * WeightFormats.PackedElements(format), YmmAssembler.RowsMax, count =>
            {
                var machine = new MachineInterpreter(EmittedKernels.YmmKernel(format, count, vnni).Assemble(0));
                // The form that processors without AVX-512 have.
                Assert.Equal(vnni, machine.Count(Iced.Intel.Code.VEX_Vpdpbusd_ymm_ymm_ymmm256) > 0);
                return args => machine.Call(args);
            });
        }
    }

    [Theory]
    [InlineData(true, 64)]
    [InlineData(true, 7)]
    [InlineData(false, 64)]
    [InlineData(false, 7)]
    public void Both_kernels_of_BF16_say_what_the_scalar_kernel_computes(bool dots, int inputs)
    {
        AssertScalar(WeightFormat.BF16, inputs, BFloatAssembler.RowsMax, count => Interpreted(EmittedKernels.ZmmBFloat(dots, count)));
        if (CpuTiers.IsSupported(CpuTier.Avx512Vnni) && (!dots || EmittedKernels.HasBFloatDots))
            AssertScalar(WeightFormat.BF16, inputs, BFloatAssembler.RowsMax, count => Mapped(EmittedKernels.ZmmBFloat(dots, count)));
    }

    private static Call Interpreted(PanelAssembler kernel)
    {
        var interpreter = new MachineInterpreter(kernel.Assemble(0));
        return args => interpreter.Call(args);
    }

    private static Call Mapped(PanelAssembler kernel)
    {
        nint code = ExecutableMemory.Map(kernel.Assemble(0));
        return args => ((delegate* unmanaged<PanelArgs*, void>)code)(args);
    }

    private delegate void Call(PanelArgs* args);

    private static void AssertScalar(WeightFormat format, int inputs, int rowsMax, Func<int, Call> kernel)
    {
        using var team = new WorkerTeam(1);
        using var weights = new RandomMatrix(format, PackedMatrix.PanelOutputs, inputs, seed: 12);
        using NativeBuffer source = Native.Random(rowsMax * inputs, 12);
        float[] expected = weights.Multiply(source, rowsMax, CpuTier.Scalar, team);
        ActivationFormat form = WeightFormats.Activations(format);
        using var prepared = new NativeBuffer(rowsMax * ActivationRows.Stride(form, inputs));
        PreparedRows rows = new MatMul(KernelSet.For(CpuTier.Scalar), team).Prepare(form, source.AsFloats(), inputs, inputs, rowsMax, prepared.Pointer);
        for (int count = 1; count <= rowsMax; count++)
        {
            using NativeBuffer output = Native.Floats(count * 40, _ => 7);
            var args = new PanelArgs
            {
                Weights = weights.Packed.Panel(0),
                Activations = rows.Row(0),
                ActivationStride = rows.Stride,
                Output = output.AsFloats(),
                OutputStride = 40 * sizeof(float),
                Blocks = weights.Packed.Blocks,
                Rows = count,
            };
            kernel(count)(&args);
            for (int row = 0; row < count; row++)
            {
                Native.AssertSameBits(expected.AsSpan(row * 32, 32), output.Span().Slice(row * 40, 32));
                Assert.All(output.Span().Slice(row * 40 + 32, 8).ToArray(), beyond => Assert.Equal(7, beyond));
            }
        }
    }

    [Theory]
    [InlineData(WeightFormat.Q4_0)]
    [InlineData(WeightFormat.Q4_1)]
    [InlineData(WeightFormat.Q5_0)]
    [InlineData(WeightFormat.Q5_1)]
    [InlineData(WeightFormat.Q4_K)]
    [InlineData(WeightFormat.Q5_K)]
    [InlineData(WeightFormat.Q6_K)]
    public void Every_line_of_a_panel_is_asked_for_once_and_one_after_another(WeightFormat format)
    {
        const int Blocks = 2, LineBytes = 64;
        int inputs = Blocks * WeightFormats.PackedElements(format), panelBytes = Blocks * WeightFormats.PackedBytes(format);
        ActivationFormat form = WeightFormats.Activations(format);
        using var panel = new NativeBuffer(panelBytes);
        using var prepared = new NativeBuffer(ActivationRows.Stride(form, inputs));
        using var output = new NativeBuffer(PackedMatrix.PanelOutputs * sizeof(float));
        var args = new PanelArgs { Weights = panel.Pointer, Activations = prepared.Pointer, Output = output.AsFloats(), Blocks = Blocks, Rows = 1 };
        var machine = new MachineInterpreter(EmittedKernels.ZmmAssembler(format, rows: 1).Assemble(0));
        machine.Call(&args);
        Assert.Equal(panelBytes / LineBytes, machine.Asked.Count);
        Assert.All(machine.Asked.Skip(1).Zip(machine.Asked), pair => Assert.Equal(pair.Second + LineBytes, pair.First));
        Assert.InRange((long)machine.Asked[0] - (long)panel.Pointer, 0, 1024);
    }

    [Fact]
    public void Refused_executable_memory_falls_back_and_says_why()
    {
        string? refusal = EmittedKernels.Refuse(missing: null, _ => throw new PlatformNotSupportedException("the system refuses executable memory (errno 13)"));
        Assert.Equal("the system refuses executable memory (errno 13)", refusal);
    }

    [Fact]
    public void Missing_instructions_are_named_and_nothing_is_mapped() =>
        Assert.Equal("AVX-512 VNNI is missing", EmittedKernels.Refuse("AVX-512 VNNI is missing", _ => throw new InvalidOperationException("mapped")));

    [Fact]
    public void Executable_memory_is_on_unless_it_is_switched_off_and_nothing_else_is_understood()
    {
        Assert.False(ExecutableMemory.IsOff(null));
        Assert.False(ExecutableMemory.IsOff(""));
        Assert.False(ExecutableMemory.IsOff("on"));
        Assert.True(ExecutableMemory.IsOff("off"));
        Assert.Contains("on or off", Assert.Throws<InvalidOperationException>(() => ExecutableMemory.IsOff("0")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_system_maps_code_that_runs_or_says_why_not()
    {
        if (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture != System.Runtime.InteropServices.Architecture.X64 || !OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable(ExecutableMemory.Switch) is "off")
            return;
        // lea eax, [rdi + 2]; ret
        var add = (delegate* unmanaged<int, int>)ExecutableMemory.Map([0x8d, 0x47, 0x02, 0xc3]);
        Assert.Equal(42, add(40));
    }

    [Fact]
    public void The_description_names_the_tier_and_why_a_faster_one_is_not_used()
    {
        string text = CpuTiers.Describe(CpuTiers.Best);
        Assert.StartsWith(CpuTiers.Best.ToString(), text, StringComparison.Ordinal);
        Assert.Equal(EmittedKernels.Zmm.Refusal is not null, text.Contains("not used: " + EmittedKernels.Zmm.Refusal, StringComparison.Ordinal));
    }
}
