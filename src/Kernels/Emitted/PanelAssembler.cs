using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>What the panel kernels of all formats share: a function void(PanelArgs*) in the System V convention for a fixed number of rows.
/// zmm0-11 hold the float sums of six rows, two vectors (outputs 0-15 and 16-31) per row; zmm12-31 are free. No register needs saving: all zmm are the callee's.</summary>
internal abstract class PanelAssembler(int rows)
{
    /// <summary>Most rows of one kernel, where a format does not say otherwise.</summary>
    public const int RowsMax = 6;

    protected const int Halves = 2;

    private static readonly AssemblerRegisterZMM[] _zmm =
    [
        zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15,
        zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31,
    ];

    protected Assembler Code { get; } = new(64);

    protected int Rows { get; } = rows;

    /// <summary>Next byte of the panel.</summary>
    protected static AssemblerRegister64 Weights => rax;

    /// <summary>Next byte of the first prepared row.</summary>
    protected static AssemblerRegister64 Activations => rdx;

    /// <summary>Appends the function, aligned to a cache line.</summary>
    public byte[] Assemble(ulong address)
    {
        Label loop = Code.CreateLabel();
        Code.mov(Weights, Argument(nameof(PanelArgs.Weights)));
        Code.mov(Activations, Argument(nameof(PanelArgs.Activations)));
        Code.mov(rcx, Argument(nameof(PanelArgs.ActivationStride)));
        Code.mov(r10, Argument(nameof(PanelArgs.Blocks)));
        Code.lea(r8, rcx + rcx * 2);
        Code.lea(r9, rcx + rcx * 4);
        Code.lea(r11, rcx + r8 * 2);
        for (int row = 0; row < Rows; row++)
            for (int half = 0; half < Halves; half++)
                Code.vpxord(Sum(row, half), Sum(row, half), Sum(row, half));
        Begin();
        Code.Label(ref loop);
        Block();
        Code.dec(r10);
        Code.jnz(loop);
        Store();
        Code.vzeroupper();
        Code.ret();
        using var stream = new MemoryStream();
        Code.Assemble(new StreamCodeWriter(stream), address);
        return stream.ToArray();
    }

    /// <summary>Sets up constants before the first block.</summary>
    protected virtual void Begin()
    {
    }

    /// <summary>Multiplies one packed block with its activations and steps both pointers on.</summary>
    protected abstract void Block();

    protected static AssemblerRegisterZMM Zmm(int index) => _zmm[index];

    protected static AssemblerRegisterZMM Sum(int row, int half) => _zmm[row * Halves + half];

    /// <summary>A place in a prepared row, some bytes from the row's next block.</summary>
    protected static AssemblerMemoryOperand Activation(int row, int offset) => RowAddress(Activations, row) + offset;

    /// <summary>Writes the float sums, after the last block.</summary>
    protected virtual void Store()
    {
        Code.mov(rax, Argument(nameof(PanelArgs.Output)));
        Code.mov(rcx, Argument(nameof(PanelArgs.OutputStride)));
        Code.lea(r8, rcx + rcx * 2);
        Code.lea(r9, rcx + rcx * 4);
        Code.lea(r11, rcx + r8 * 2);
        for (int row = 0; row < Rows; row++)
            for (int half = 0; half < Halves; half++)
                Code.vmovups(__zmmword_ptr[RowAddress(rax, row) + half * 64], Sum(row, half));
    }

    protected static AssemblerMemoryOperand Argument(string field) => __qword_ptr[rdi + (int)Marshal.OffsetOf<PanelArgs>(field)];

    /// <summary>first + row * rcx, with r8 = 3 rcx, r9 = 5 rcx and r11 = 7 rcx.</summary>
    private static AssemblerMemoryOperand RowAddress(AssemblerRegister64 first, int row) => row switch
    {
        0 => first + 0,
        1 => first + rcx,
        2 => first + rcx * 2,
        3 => first + r8,
        4 => first + rcx * 4,
        5 => first + r9,
        6 => first + r8 * 2,
        7 => first + r11,
        _ => throw new ArgumentOutOfRangeException(nameof(row), row, "a kernel has at most eight rows"),
    };
}
