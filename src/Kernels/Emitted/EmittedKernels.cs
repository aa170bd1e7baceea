using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Panel kernels assembled at start: one function per format and number of rows.</summary>
internal sealed unsafe class EmittedKernels
{
    /// <summary>Maps code and returns its address.</summary>
    public delegate nint Mapper(ReadOnlySpan<byte> code);

    private const int CacheLineBytes = 64;
    private const int VnniBit = 1 << 11;
    private const int HalfConversionBit = 1 << 29;

    private readonly Lazy<(nint[]? Functions, string? Refusal)> _loaded;
    private readonly WeightFormat[] _formats;
    private readonly int _rowsMax;
    private readonly Func<WeightFormat, int, byte[]> _assemble;

    private EmittedKernels(WeightFormat[] formats, int rowsMax, Func<WeightFormat, int, byte[]> assemble, Func<string?> missing)
    {
        _formats = formats;
        _rowsMax = rowsMax;
        _assemble = assemble;
        _loaded = new(() => Load(missing(), ExecutableMemory.Map));
    }

    /// <summary>512-bit code for AVX-512 with VNNI.</summary>
    public static EmittedKernels Zmm { get; } = new(
        [WeightFormat.F32, WeightFormat.F16, WeightFormat.Q8_0, WeightFormat.Q4_0, WeightFormat.Q4_1, WeightFormat.Q5_0, WeightFormat.Q5_1, WeightFormat.Q4_K, WeightFormat.Q5_K, WeightFormat.Q6_K],
        PanelArgs.RowsMax, (format, rows) => ZmmAssembler(format, rows).Assemble(0), MissingForZmm);

    /// <summary>256-bit code for AVX2 with FMA and F16C, which .NET 10 has no functions for: the runtime's own code spills registers, converts halves by hand and does not ask for memory ahead.</summary>
    public static EmittedKernels Ymm { get; } = new(
        [WeightFormat.F32, WeightFormat.F16, WeightFormat.BF16, WeightFormat.Q8_0, WeightFormat.Q4_0, WeightFormat.Q4_1, WeightFormat.Q4_K, WeightFormat.Q5_K, WeightFormat.Q6_K],
        YmmAssembler.RowsMax, (format, rows) => YmmKernel(format, rows).Assemble(0), MissingForYmm);

    /// <summary>Why there are no assembled kernels of this width in this process; null when there are.</summary>
    public string? Refusal => _loaded.Value.Refusal;

    /// <summary>The formats that have assembled kernels.</summary>
    public ReadOnlySpan<WeightFormat> Formats => _formats;

    /// <summary>The functions of all formats in order, for 1, 2 ... rows; null when there are none. Lives as long as the process, as the code does.</summary>
    public delegate* unmanaged<PanelArgs*, void>* Table()
    {
        if (_loaded.Value.Functions is not { } functions)
            return null;
        var table = (nint*)new NativeBuffer((long)functions.Length * sizeof(nint)).Pointer;
        functions.CopyTo(new Span<nint>(table, functions.Length));
        return (delegate* unmanaged<PanelArgs*, void>*)table;
    }

    /// <summary>Assembles all kernels, or says why they cannot run here.</summary>
    /// <param name="missing">Instructions the processor lacks; null when it has all.</param>
    /// <param name="map">Makes code executable.</param>
    public (nint[]? Functions, string? Refusal) Load(string? missing, Mapper map)
    {
        if (missing is not null)
            return (null, missing);
        using var code = new MemoryStream();
        var functions = new nint[_formats.Length * _rowsMax];
        for (int i = 0; i < functions.Length; i++)
        {
            code.SetLength((code.Length + CacheLineBytes - 1) / CacheLineBytes * CacheLineBytes);
            code.Position = code.Length;
            functions[i] = (nint)code.Length;
            // No instruction refers to an address of its own, so the code runs wherever it is mapped.
            code.Write(_assemble(_formats[i / _rowsMax], i % _rowsMax + 1));
        }
        try
        {
            nint first = map(code.ToArray());
            for (int i = 0; i < functions.Length; i++)
                functions[i] += first;
            return (functions, null);
        }
        catch (PlatformNotSupportedException e)
        {
            return (null, e.Message);
        }
    }

    /// <summary>What writes the 512-bit kernel of a format for a number of rows.</summary>
    internal static PanelAssembler ZmmAssembler(WeightFormat format, int rows) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 => new FloatAssembler(format, rows),
        WeightFormat.Q8_0 => new Q8_0Assembler(rows),
        WeightFormat.Q4_K or WeightFormat.Q5_K or WeightFormat.Q6_K => new QuantSuperBlockAssembler(QuantLayout.Of(format), rows),
        WeightFormat.Q4_0 or WeightFormat.Q4_1 or WeightFormat.Q5_0 or WeightFormat.Q5_1 => new QuantBlockAssembler(QuantLayout.Of(format), rows),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "no assembler for this format"),
    };

    private static YmmAssembler YmmKernel(WeightFormat format, int rows) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16 => new YmmFloatAssembler(format, rows),
        WeightFormat.Q8_0 => new YmmQ8_0Assembler(rows),
        WeightFormat.Q4_0 or WeightFormat.Q4_1 => new YmmQuantBlockAssembler(QuantLayout.Of(format), rows),
        _ => new YmmQuantSuperBlockAssembler(QuantLayout.Of(format), rows),
    };

    private static string? MissingForZmm()
    {
        if (!Avx512BW.IsSupported || !Avx512F.VL.IsSupported)
            return "AVX-512 is missing or switched off";
        return (X86Base.CpuId(7, 0).Ecx & VnniBit) == 0 ? "AVX-512 VNNI is missing" : null;
    }

    internal static string? MissingForYmm()
    {
        if (!Avx2.IsSupported || !Fma.IsSupported)
            return "AVX2 or FMA is missing or switched off";
        return (X86Base.CpuId(1, 0).Ecx & HalfConversionBit) == 0 ? "F16C is missing" : null;
    }
}
