using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>The panel kernels assembled at start: one function per format and number of rows.</summary>
internal sealed unsafe class EmittedKernels
{
    /// <summary>Maps code and returns its address.</summary>
    public delegate nint Mapper(ReadOnlySpan<byte> code);

    private const int CacheLineBytes = 64;
    private const int VnniBit = 1 << 11;

    // In the order of the functions below. Stands first: the fields after it are made from it.
    private static readonly WeightFormat[] _formats =
    [
        WeightFormat.F32, WeightFormat.F16, WeightFormat.Q8_0, WeightFormat.Q4_0, WeightFormat.Q4_1, WeightFormat.Q5_0, WeightFormat.Q5_1, WeightFormat.Q4_K, WeightFormat.Q5_K, WeightFormat.Q6_K,
    ];

    private static readonly Lazy<(EmittedKernels? Kernels, string? Refusal)> _process = new(() => Load(MissingInstructions(), ExecutableMemory.Map));
    private static readonly delegate* unmanaged<PanelArgs*, void>* _table = Table();

    private readonly nint _code;
    private readonly int[] _offsets;

    private EmittedKernels(nint code, int[] offsets)
    {
        _code = code;
        _offsets = offsets;
    }

    /// <summary>Why there are no assembled kernels in this process; null when there are.</summary>
    public static string? Refusal => _process.Value.Refusal;

    /// <summary>What the processor lacks, or was told not to use; null when it can run the kernels.</summary>
    private static string? MissingInstructions()
    {
        if (!Avx512BW.IsSupported || !Avx512F.VL.IsSupported)
            return "AVX-512 is missing or switched off";
        return (X86Base.CpuId(7, 0).Ecx & VnniBit) == 0 ? "AVX-512 VNNI is missing" : null;
    }

    /// <summary>Assembles all kernels, or says why they cannot run here.</summary>
    /// <param name="missing">Instructions the processor lacks; null when it has all.</param>
    /// <param name="map">Makes code executable.</param>
    public static (EmittedKernels? Kernels, string? Refusal) Load(string? missing, Mapper map)
    {
        if (missing is not null)
            return (null, missing);
        using var code = new MemoryStream();
        var offsets = new int[_formats.Length * PanelArgs.RowsMax];
        for (int i = 0; i < offsets.Length; i++)
        {
            code.SetLength((code.Length + CacheLineBytes - 1) / CacheLineBytes * CacheLineBytes);
            code.Position = code.Length;
            offsets[i] = (int)code.Length;
            // No instruction refers to an address of its own, so the code runs wherever it is mapped.
            code.Write(Assembler(_formats[i / PanelArgs.RowsMax], i % PanelArgs.RowsMax + 1).Assemble((ulong)code.Length));
        }
        try
        {
            return (new EmittedKernels(map(code.ToArray()), offsets), null);
        }
        catch (PlatformNotSupportedException e)
        {
            return (null, e.Message);
        }
    }

    public static void F32(PanelArgs* args) => Call(0, args);
    public static void F16(PanelArgs* args) => Call(1, args);
    public static void Q8_0(PanelArgs* args) => Call(2, args);
    public static void Q4_0(PanelArgs* args) => Call(3, args);
    public static void Q4_1(PanelArgs* args) => Call(4, args);
    public static void Q5_0(PanelArgs* args) => Call(5, args);
    public static void Q5_1(PanelArgs* args) => Call(6, args);
    public static void Q4_K(PanelArgs* args) => Call(7, args);
    public static void Q5_K(PanelArgs* args) => Call(8, args);
    public static void Q6_K(PanelArgs* args) => Call(9, args);

    private static void Call(int format, PanelArgs* args) => _table[format * PanelArgs.RowsMax + (int)args->Rows - 1](args);

    /// <summary>The formats that have assembled kernels.</summary>
    internal static ReadOnlySpan<WeightFormat> Formats => _formats;

    /// <summary>What writes the kernel of a format for a number of rows.</summary>
    internal static PanelAssembler Assembler(WeightFormat format, int rows) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 => new FloatAssembler(format, rows),
        WeightFormat.Q8_0 => new Q8_0Assembler(rows),
        WeightFormat.Q4_K or WeightFormat.Q5_K or WeightFormat.Q6_K => new QuantSuperBlockAssembler(QuantLayout.Of(format), rows),
        WeightFormat.Q4_0 or WeightFormat.Q4_1 or WeightFormat.Q5_0 or WeightFormat.Q5_1 => new QuantBlockAssembler(QuantLayout.Of(format), rows),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "no assembler for this format"),
    };

    private static delegate* unmanaged<PanelArgs*, void>* Table()
    {
        if (_process.Value.Kernels is not { } kernels)
            return null;
        // Lives as long as the process, as the code does.
        var table = (delegate* unmanaged<PanelArgs*, void>*)new NativeBuffer((long)kernels._offsets.Length * sizeof(nint)).Pointer;
        for (int i = 0; i < kernels._offsets.Length; i++)
            table[i] = (delegate* unmanaged<PanelArgs*, void>)(kernels._code + kernels._offsets[i]);
        return table;
    }
}
