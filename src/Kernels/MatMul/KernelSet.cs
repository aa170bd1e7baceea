namespace Qanat.Kernels;

/// <summary>The panel kernels of one tier.</summary>
/// <remarks>All kernels of a format compute each output of each row by the same operations in the same order, whatever the tier and the number of rows:
/// float weights: sum = fma(w, a, sum) over the inputs in order, of each two of BF16 the second first; Q8_0: per block the exact integer sum, then sum = fma(integer, d_w * d_a, sum); fewer bits: see the scalar twin.</remarks>
public sealed unsafe class KernelSet
{
    private readonly nint[] _panels = new nint[Enum.GetValues<WeightFormat>().Length];

    private KernelSet(CpuTier tier)
    {
        if (!CpuTiers.IsSupported(tier))
            throw new PlatformNotSupportedException($"this processor cannot run the {tier} kernels");
        Tier = tier;
    }

    /// <summary>The kernels of the fastest tier of this machine.</summary>
    public static KernelSet Best { get; } = new(CpuTiers.Best);

    /// <exception cref="PlatformNotSupportedException">This machine lacks the instructions.</exception>
    public static KernelSet For(CpuTier tier) => tier == Best.Tier ? Best : new KernelSet(tier);

    public CpuTier Tier { get; }

    /// <summary>Rows that a kernel is given at once: as many as its registers hold sums for, or, where it cuts them itself, more.</summary>
    internal int RowsTogether(WeightFormat format) => Tier switch
    {
        CpuTier.Avx512Vnni => format == WeightFormat.BF16 ? PanelArgs.RowsMax : PanelAssembler.RowsMax,
        CpuTier.Avx2Emitted => PanelArgs.RowsMax,
        _ => 4,
    };

    /// <summary>Makes a format's kernels ready, so that its first product need not: assembles them, where the tier is one that is assembled.</summary>
    public void Prepare(WeightFormat format) => Panel(format);

    /// <summary>The function that multiplies 1 to <see cref="PanelArgs.RowsMax"/> rows with one panel.</summary>
    internal delegate*<PanelArgs*, void> Panel(WeightFormat format)
    {
        nint known = _panels[(int)format];
        return known != 0 ? (delegate*<PanelArgs*, void>)known : First(format);
    }

    private delegate*<PanelArgs*, void> First(WeightFormat format)
    {
        EmittedKernels? emitted = Tier switch
        {
            CpuTier.Avx512Vnni => format == WeightFormat.BF16 ? EmittedKernels.ZmmBFloats : EmittedKernels.Zmm,
            CpuTier.Avx2Emitted => EmittedKernels.Ymm,
            _ => null,
        };
        if (emitted is not null && emitted.Formats.Contains(format))
            emitted.Assemble(format);
        delegate*<PanelArgs*, void> panel = Find(format);
        _panels[(int)format] = (nint)panel;
        return panel;
    }

    private delegate*<PanelArgs*, void> Find(WeightFormat format) => Tier switch
    {
        CpuTier.Scalar => Scalar(format),
        CpuTier.Avx512Vnni => WithZmm(format),
        CpuTier.Avx2Emitted => WithYmm(format),
        _ => Vectorised(format),
    };

    private static delegate*<PanelArgs*, void> Scalar(WeightFormat format) => format switch
    {
        WeightFormat.F32 => &PanelProduct.F32_Scalar,
        WeightFormat.F16 => &PanelProduct.F16_Scalar,
        WeightFormat.BF16 => &PanelProduct.BF16_Scalar,
        WeightFormat.Q8_0 => &PanelProduct.Q8_0_Scalar,
        WeightFormat.Q4_0 => &PanelProduct.Quants_Scalar<Q4_0>,
        WeightFormat.Q4_1 => &PanelProduct.Quants_Scalar<Q4_1>,
        WeightFormat.Q5_0 => &PanelProduct.Quants_Scalar<Q5_0>,
        WeightFormat.Q5_1 => &PanelProduct.Quants_Scalar<Q5_1>,
        WeightFormat.Q4_K => &PanelProduct.Quants_Scalar<Q4_K>,
        WeightFormat.Q5_K => &PanelProduct.Quants_Scalar<Q5_K>,
        WeightFormat.Q6_K => &PanelProduct.Quants_Scalar<Q6_K>,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown weight format"),
    };

    private delegate*<PanelArgs*, void> Vectorised(WeightFormat format) => format switch
    {
        WeightFormat.F32 => &PanelProduct.F32_Vector512,
        WeightFormat.F16 => &PanelProduct.F16_Vector512,
        WeightFormat.BF16 => &PanelProduct.BF16_Vector512,
        _ => Tier >= CpuTier.AvxVnni && System.Runtime.Intrinsics.X86.AvxVnni.IsSupported ? WithAvxVnni(format) : WithAvx2(format),
    };

    private static delegate*<PanelArgs*, void> WithAvxVnni(WeightFormat format) => format switch
    {
        WeightFormat.Q8_0 => &PanelProduct.Q8_0_AvxVnni,
        WeightFormat.Q4_0 => &PanelProduct.Quants_AvxVnni<Q4_0>,
        WeightFormat.Q4_1 => &PanelProduct.Quants_AvxVnni<Q4_1>,
        WeightFormat.Q5_0 => &PanelProduct.Quants_AvxVnni<Q5_0>,
        WeightFormat.Q5_1 => &PanelProduct.Quants_AvxVnni<Q5_1>,
        WeightFormat.Q4_K => &PanelProduct.Quants_AvxVnni<Q4_K>,
        WeightFormat.Q5_K => &PanelProduct.Quants_AvxVnni<Q5_K>,
        WeightFormat.Q6_K => &PanelProduct.Quants_AvxVnni<Q6_K>,
        _ => Scalar(format),
    };

    private static delegate*<PanelArgs*, void> WithAvx2(WeightFormat format) => format switch
    {
        WeightFormat.Q8_0 => &PanelProduct.Q8_0_Avx2,
        WeightFormat.Q4_0 => &PanelProduct.Quants_Avx2<Q4_0>,
        WeightFormat.Q4_1 => &PanelProduct.Quants_Avx2<Q4_1>,
        WeightFormat.Q5_0 => &PanelProduct.Quants_Avx2<Q5_0>,
        WeightFormat.Q5_1 => &PanelProduct.Quants_Avx2<Q5_1>,
        WeightFormat.Q4_K => &PanelProduct.Quants_Avx2<Q4_K>,
        WeightFormat.Q5_K => &PanelProduct.Quants_Avx2<Q5_K>,
        WeightFormat.Q6_K => &PanelProduct.Quants_Avx2<Q6_K>,
        _ => Scalar(format),
    };

    private delegate*<PanelArgs*, void> WithYmm(WeightFormat format) => format switch
    {
        WeightFormat.F32 => &YmmKernels.F32,
        WeightFormat.F16 => &YmmKernels.F16,
        WeightFormat.BF16 => &YmmKernels.BF16,
        WeightFormat.Q8_0 => &YmmKernels.Q8_0,
        WeightFormat.Q4_0 => &YmmKernels.Q4_0,
        WeightFormat.Q4_1 => &YmmKernels.Q4_1,
        WeightFormat.Q4_K => &YmmKernels.Q4_K,
        WeightFormat.Q5_K => &YmmKernels.Q5_K,
        WeightFormat.Q6_K => &YmmKernels.Q6_K,
        _ => Vectorised(format),
    };

    private delegate*<PanelArgs*, void> WithZmm(WeightFormat format) => format switch
    {
        WeightFormat.F32 => &ZmmKernels.F32,
        WeightFormat.F16 => &ZmmKernels.F16,
        WeightFormat.BF16 => &ZmmKernels.BF16,
        WeightFormat.Q8_0 => &ZmmKernels.Q8_0,
        WeightFormat.Q4_0 => &ZmmKernels.Q4_0,
        WeightFormat.Q4_1 => &ZmmKernels.Q4_1,
        WeightFormat.Q5_0 => &ZmmKernels.Q5_0,
        WeightFormat.Q5_1 => &ZmmKernels.Q5_1,
        WeightFormat.Q4_K => &ZmmKernels.Q4_K,
        WeightFormat.Q5_K => &ZmmKernels.Q5_K,
        WeightFormat.Q6_K => &ZmmKernels.Q6_K,
        _ => Vectorised(format),
    };
}
