using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Panel kernels assembled when a format is first met: one function per format and number of rows. Assembling all takes longer than loading a small model.</summary>
internal sealed unsafe class EmittedKernels
{
    /// <summary>Maps code and returns its address.</summary>
    public delegate nint Mapper(ReadOnlySpan<byte> code);

    private const int CacheLineBytes = 64;
    private const int VnniBit = 1 << 11;
    private const int HalfConversionBit = 1 << 29;
    private const int BFloatDotsBit = 1 << 5;
    private const byte Return = 0xc3;

    private readonly Lazy<string?> _refusal;
    private readonly WeightFormat[] _formats;
    private readonly int _rowsMax;
    private readonly Func<WeightFormat, int, byte[]> _assemble;
    private readonly nint* _table;
    private readonly Lock _assembling = new();

    private EmittedKernels(WeightFormat[] formats, int rowsMax, Func<WeightFormat, int, byte[]> assemble, Func<string?> missing)
    {
        _formats = formats;
        _rowsMax = rowsMax;
        _assemble = assemble;
        // Never freed: kernels live as long as the process.
        _table = (nint*)NativeMemory.AllocZeroed((nuint)(formats.Length * rowsMax), (nuint)sizeof(nint));
        _refusal = new(() => Refuse(missing(), ExecutableMemory.Map));
    }

    /// <summary>512-bit code for AVX-512 with VNNI.</summary>
    public static EmittedKernels Zmm { get; } = new(
        [WeightFormat.F32, WeightFormat.F16, WeightFormat.Q8_0, WeightFormat.Q4_0, WeightFormat.Q4_1, WeightFormat.Q5_0, WeightFormat.Q5_1, WeightFormat.Q4_K, WeightFormat.Q5_K, WeightFormat.Q6_K],
        PanelAssembler.RowsMax, (format, rows) => ZmmAssembler(format, rows).Assemble(0), MissingForZmm);

    /// <summary>512-bit code for BF16 weights, by <c>vdpbf16ps</c> where the processor has it.</summary>
    public static EmittedKernels ZmmBFloats { get; } = new([WeightFormat.BF16], BFloatAssembler.RowsMax, (_, rows) => ZmmBFloat(HasBFloatDots, rows).Assemble(0), MissingForZmm);

    /// <summary>256-bit code for AVX2 with FMA and F16C, which .NET 10 has no functions for: the runtime's own code spills registers, converts halves by hand and does not ask for memory ahead.</summary>
    public static EmittedKernels Ymm { get; } = new(
        [WeightFormat.F32, WeightFormat.F16, WeightFormat.BF16, WeightFormat.Q8_0, WeightFormat.Q4_0, WeightFormat.Q4_1, WeightFormat.Q4_K, WeightFormat.Q5_K, WeightFormat.Q6_K],
        YmmAssembler.RowsMax, (format, rows) => YmmKernel(format, rows, AvxVnni.IsSupported).Assemble(0), MissingForYmm);

    /// <summary>Why there can be no assembled kernels of this width in this process; null when there can.</summary>
    public string? Refusal => _refusal.Value;

    /// <summary>The formats that have assembled kernels.</summary>
    public ReadOnlySpan<WeightFormat> Formats => _formats;

    /// <summary>Where the functions of all formats in order, for 1, 2 ... rows, are found once they are assembled. Lives as long as the process, as the code does.</summary>
    public delegate* unmanaged<PanelArgs*, void>* Table => (delegate* unmanaged<PanelArgs*, void>*)_table;

    /// <summary>Puts a format's functions into the table. For any thread, any number of times.</summary>
    /// <exception cref="PlatformNotSupportedException">The system has no executable memory left.</exception>
    public void Assemble(WeightFormat format)
    {
        var functions = new Span<nint>(_table + Array.IndexOf(_formats, format) * _rowsMax, _rowsMax);
        lock (_assembling)
        {
            if (functions[0] != 0)
                return;
            using var code = new MemoryStream();
            Span<int> starts = stackalloc int[_rowsMax];
            for (int i = 0; i < _rowsMax; i++)
            {
                code.SetLength((code.Length + CacheLineBytes - 1) / CacheLineBytes * CacheLineBytes);
                code.Position = code.Length;
                starts[i] = (int)code.Length;
                // No instruction refers to an address of its own, so the code runs wherever it is mapped.
                code.Write(_assemble(format, i + 1));
            }
            nint first = ExecutableMemory.Map(code.ToArray());
            for (int i = 0; i < _rowsMax; i++)
                functions[i] = first + starts[i];
        }
    }

    /// <summary>Why assembled kernels cannot run here; null when they can.</summary>
    /// <param name="missing">Instructions the processor lacks; null when it has all.</param>
    /// <param name="map">Makes code executable.</param>
    public static string? Refuse(string? missing, Mapper map)
    {
        if (missing is not null)
            return missing;
        try
        {
            map([Return]);
            return null;
        }
        catch (PlatformNotSupportedException e)
        {
            return e.Message;
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

    /// <summary>What writes the 512-bit kernel of BF16 weights; both give the same bits.</summary>
    internal static PanelAssembler ZmmBFloat(bool dots, int rows) => dots ? new BFloatAssembler(rows) : new FloatAssembler(WeightFormat.BF16, rows);

    /// <summary>The processor has <c>vdpbf16ps</c>.</summary>
    internal static bool HasBFloatDots => X86Base.IsSupported && X86Base.CpuId(7, 0).Eax > 0 && (X86Base.CpuId(7, 1).Eax & BFloatDotsBit) != 0;

    /// <summary>What writes the 256-bit kernel of a format for a number of rows.</summary>
    /// <param name="vnni">The processor has AVX-VNNI.</param>
    internal static YmmAssembler YmmKernel(WeightFormat format, int rows, bool vnni) => format switch
    {
        WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16 => new YmmFloatAssembler(format, rows),
        WeightFormat.Q8_0 => new YmmQ8_0Assembler(rows, vnni),
        WeightFormat.Q4_0 or WeightFormat.Q4_1 => new YmmQuantBlockAssembler(QuantLayout.Of(format), rows, vnni),
        _ => new YmmQuantSuperBlockAssembler(QuantLayout.Of(format), rows, vnni),
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
