using System.Diagnostics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels.Tests;

/// <summary>The kernel tests again, in processes whose runtime is told to leave instructions alone: what other processors would run.</summary>
public sealed class TierSwitchTests
{
    private const string Marker = "QANAT_TIER_SWITCH";

    public static TheoryData<string> Switches => ["DOTNET_EnableAVX512", "DOTNET_EnableAVXVNNI", "DOTNET_EnableAVX2", "DOTNET_EnableHWIntrinsic"];

    [Theory]
    [MemberData(nameof(Switches))]
    public void Kernels_are_right_without_some_instructions(string name) => RunAgain(name, "0", "-class-", typeof(WorkerTeamTests).FullName!);

    [Fact]
    public void Kernels_are_right_without_executable_memory() =>
        RunAgain(ExecutableMemory.Switch, "off", "-class", typeof(TierSwitchTests).FullName!, "-class", typeof(AttentionTests).FullName!, "-class", typeof(RowTests).FullName!);

    [Fact]
    public void The_switch_of_this_process_is_really_off()
    {
        bool off = Environment.GetEnvironmentVariable(Marker) switch
        {
            null => true,
            "DOTNET_EnableAVX512" => !Avx512F.IsSupported && CpuTiers.Best < CpuTier.Avx512Vnni,
            "DOTNET_EnableAVXVNNI" => !AvxVnni.IsSupported && CpuTiers.Best != CpuTier.AvxVnni,
            "DOTNET_EnableAVX2" => !Avx2.IsSupported && CpuTiers.Best == CpuTier.Scalar,
            ExecutableMemory.Switch => DoesWithoutExecutableMemory,
            "DOTNET_EnableHWIntrinsic" => !Vector128.IsHardwareAccelerated && CpuTiers.Best == CpuTier.Scalar,
            _ => false,
        };
        Assert.True(off, CpuTiers.Describe(CpuTiers.Best));
    }

    /// <summary>The best tier is then one without assembled code; where assembled code of any kind would have run, the reason is given.</summary>
    private static bool DoesWithoutExecutableMemory =>
        CpuTiers.Best is not (CpuTier.Avx2Emitted or CpuTier.Avx512Vnni)
        && (EmittedKernels.MissingForYmm() is not null || CpuTiers.Describe(CpuTiers.Best).Contains("executable memory is switched off", StringComparison.Ordinal));

    private static void RunAgain(string name, string value, params string[] classes)
    {
        if (Environment.GetEnvironmentVariable(Marker) is not null)
            Assert.Skip("this is the child process");
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["-noColor", .. classes]) { RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment[name] = value;
        start.Environment[Marker] = name;
        using Process child = Process.Start(start)!;
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.True(child.ExitCode == 0, output);
    }
}
