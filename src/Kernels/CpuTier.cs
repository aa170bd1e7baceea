using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>The instruction sets the kernels are written for, slowest first. Every tier gives the same bits.</summary>
public enum CpuTier
{
    /// <summary>Plain C#: the oracle of the others, and what runs on processors without AVX2.</summary>
    Scalar,

    /// <summary>AVX2 and FMA, 256 bits: byte products by <c>vpmaddwd</c>.</summary>
    Avx2,

    /// <summary>AVX-VNNI, 256 bits: byte products by the VEX form of <c>vpdpbusd</c>.</summary>
    AvxVnni,

    /// <summary>AVX2, FMA and F16C, and AVX-VNNI where there is one, in code assembled at start: no register is spilled, and weights are asked for before they are needed.</summary>
    Avx2Emitted,

    /// <summary>AVX-512 with VNNI, 512 bits: code assembled at start, because .NET 10 has no such instructions.</summary>
    Avx512Vnni,
}

/// <summary>Which tiers this machine can run.</summary>
public static class CpuTiers
{
    /// <summary>The fastest tier that runs here; the environment variable QANAT_CPU_TIER names a slower one.</summary>
    public static CpuTier Best { get; } = Choose(Environment.GetEnvironmentVariable("QANAT_CPU_TIER"));

    public static bool IsSupported(CpuTier tier) => tier switch
    {
        CpuTier.Scalar => true,
        CpuTier.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        CpuTier.AvxVnni => AvxVnni.IsSupported && Avx2.IsSupported && Fma.IsSupported,
        CpuTier.Avx2Emitted => EmittedKernels.Ymm.Refusal is null,
        CpuTier.Avx512Vnni => EmittedKernels.Zmm.Refusal is null,
        _ => false,
    };

    /// <summary>The tiers of this machine, slowest first.</summary>
    public static IReadOnlyList<CpuTier> Supported { get; } = [.. Enum.GetValues<CpuTier>().Where(IsSupported)];

    /// <summary>One line for the log: the tier, the width of the float kernels, and why a faster tier is not used.</summary>
    public static string Describe(CpuTier tier)
    {
        int floatBits = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : Vector128.IsHardwareAccelerated ? 128 : 32;
        string refusal = EmittedKernels.Zmm.Refusal is { } reason ? $"; {CpuTier.Avx512Vnni} not used: {reason}" : "";
        if (tier < CpuTier.Avx2Emitted && EmittedKernels.Ymm.Refusal is { } narrow)
            refusal += $"; {CpuTier.Avx2Emitted} not used: {narrow}";
        return FormattableString.Invariant($"{tier}, floats {floatBits} bits wide{refusal}");
    }

    private static CpuTier Choose(string? wanted)
    {
        CpuTier best = Enum.GetValues<CpuTier>().Last(IsSupported);
        if (string.IsNullOrEmpty(wanted))
            return best;
        if (!Enum.TryParse(wanted, ignoreCase: true, out CpuTier tier) || !Enum.IsDefined(tier))
            throw new InvalidOperationException($"QANAT_CPU_TIER is \"{wanted}\"; it must be one of {string.Join(", ", Enum.GetNames<CpuTier>())}");
        return IsSupported(tier) ? tier : throw new InvalidOperationException($"QANAT_CPU_TIER is {tier}, which this processor cannot run; the best here is {best}");
    }
}
