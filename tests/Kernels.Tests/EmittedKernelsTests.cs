using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels.Tests;

public sealed class EmittedKernelsTests
{
    [Fact]
    public void Refused_executable_memory_falls_back_and_says_why()
    {
        if (!Avx512BW.IsSupported)
            Assert.Skip("this processor has no AVX-512");
        (EmittedKernels? kernels, string? refusal) = EmittedKernels.Load(_ => throw new PlatformNotSupportedException("the system refuses executable memory (errno 13)"));
        Assert.Null(kernels);
        Assert.Equal("the system refuses executable memory (errno 13)", refusal);
    }

    [Fact]
    public void The_description_names_the_tier_and_why_a_faster_one_is_not_used()
    {
        string text = CpuTiers.Describe(CpuTiers.Best);
        Assert.StartsWith(CpuTiers.Best.ToString(), text, StringComparison.Ordinal);
        Assert.Equal(EmittedKernels.Refusal is not null, text.Contains("not used: " + EmittedKernels.Refusal, StringComparison.Ordinal));
    }
}
