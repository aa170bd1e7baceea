using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>Halves to singles by the processor's own instruction (F16C), which .NET 10 has no function for: the integer arithmetic of <see cref="Float16"/> takes ten instructions for it.
/// Exact, so that it makes no difference to any sum.</summary>
internal static unsafe class HalfWidening
{
    /// <summary>Numbers of one turn of the loop.</summary>
    private const int NumbersPerTurn = 16;

    private static readonly delegate* unmanaged[SuppressGCTransition]<ushort*, float*, nint, void> _widen = Load();

    /// <summary>Widens what it can and says how many numbers that is: all but the last few, or none where there is no such code.</summary>
    /// <param name="source">[count] halves.</param>
    /// <param name="target">[count].</param>
    /// <param name="count">At least 0.</param>
    public static int Widen(ushort* source, float* target, int count)
    {
        int turns = _widen == null ? 0 : count / NumbersPerTurn;
        if (turns > 0)
            _widen(source, target, turns);
        return turns * NumbersPerTurn;
    }

    /// <summary>A function void(ushort* source, float* target, nint turns) in the System V convention; at least one turn.</summary>
    internal static byte[] Assemble()
    {
        var code = new Assembler(64);
        Label loop = code.CreateLabel();
        code.Label(ref loop);
        code.vcvtph2ps(ymm0, __xmmword_ptr[rdi]);
        code.vcvtph2ps(ymm1, __xmmword_ptr[rdi + 16]);
        code.vmovups(__ymmword_ptr[rsi], ymm0);
        code.vmovups(__ymmword_ptr[rsi + 32], ymm1);
        code.add(rdi, NumbersPerTurn * sizeof(ushort));
        code.add(rsi, NumbersPerTurn * sizeof(float));
        code.dec(rdx);
        code.jnz(loop);
        code.vzeroupper();
        code.ret();
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    private static delegate* unmanaged[SuppressGCTransition]<ushort*, float*, nint, void> Load()
    {
        try
        {
            return EmittedKernels.MissingForYmm() is null ? (delegate* unmanaged[SuppressGCTransition]<ushort*, float*, nint, void>)ExecutableMemory.Map(Assemble()) : null;
        }
        catch (PlatformNotSupportedException)
        {
            return null;
        }
    }
}
