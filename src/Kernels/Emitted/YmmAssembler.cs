using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>What the 256-bit panel kernels of all formats share: a function void(PanelArgs*) in the System V convention for a fixed number of rows, on processors with AVX2, FMA and F16C.
/// A panel's 32 outputs are four vectors. One row keeps all four at work; more rows take two vectors at a time, so that the sums of four rows fit into sixteen registers.</summary>
internal abstract class YmmAssembler(int rows)
{
    /// <summary>Most rows of one kernel.</summary>
    public const int RowsMax = 4;

    protected const int Vectors = 4;
    protected const int VectorBytes = 32;
    protected const int LineBytes = 64;

    /// <summary>How far ahead weights are asked for: the processor's own prefetchers stop at the end of a page of 4 KiB, and a product of one row is bound by memory.</summary>
    private const int PrefetchBytes = 3072;

    private const int StackBytes = 256 + RowsMax * Vectors * VectorBytes;

    private static readonly AssemblerRegisterYMM[] _ymm =
    [
        ymm0, ymm1, ymm2, ymm3, ymm4, ymm5, ymm6, ymm7, ymm8, ymm9, ymm10, ymm11, ymm12, ymm13, ymm14, ymm15,
    ];

    protected Assembler Code { get; } = new(64);

    protected int Rows { get; } = rows;

    /// <summary>Vectors that are worked on together.</summary>
    protected int VectorsTogether => Rows == 1 ? Vectors : 2;

    /// <summary>Next byte of the panel.</summary>
    protected static AssemblerRegister64 Weights => rax;

    /// <summary>Next byte of the first prepared row.</summary>
    protected static AssemblerRegister64 Activations => rdx;

    /// <summary>Two registers for loops within a block.</summary>
    protected static AssemblerRegister64 Pointer => rbx;
    protected static AssemblerRegister64 Counter => r12;

    /// <summary>One more pointer that <see cref="At"/> may begin with.</summary>
    protected static AssemblerRegister64 Corrections => r9;

    /// <summary>Appends the function.</summary>
    public byte[] Assemble(ulong address)
    {
        Code.push(rbp);
        Code.mov(rbp, rsp);
        Code.push(rbx);
        Code.push(r12);
        Code.sub(rsp, StackBytes);
        Code.and(rsp, -LineBytes);
        Code.mov(Weights, Argument(nameof(PanelArgs.Weights)));
        Code.mov(Activations, Argument(nameof(PanelArgs.Activations)));
        Code.mov(rcx, Argument(nameof(PanelArgs.ActivationStride)));
        Code.mov(r10, Argument(nameof(PanelArgs.Blocks)));
        Code.lea(r8, rcx + rcx * 2);
        Panel();
        Code.vzeroupper();
        Code.lea(rsp, rbp - 16);
        Code.pop(r12);
        Code.pop(rbx);
        Code.pop(rbp);
        Code.ret();
        using var stream = new MemoryStream();
        Code.Assemble(new StreamCodeWriter(stream), address);
        return stream.ToArray();
    }

    /// <summary>The panel from its first block to the stored sums.</summary>
    protected abstract void Panel();

    /// <summary>A loop over all blocks of the panel.</summary>
    protected void EachBlock(Action block)
    {
        Label loop = Code.CreateLabel();
        Code.Label(ref loop);
        block();
        Code.dec(r10);
        Code.jnz(loop);
    }

    protected static AssemblerRegisterYMM Ymm(int index) => _ymm[index];

    /// <summary>A place in a prepared row, some bytes from the row's next block.</summary>
    protected static AssemblerMemoryOperand Activation(int row, int offset) => At(Activations, row) + offset;

    /// <summary>first + row * rcx, with r8 = 3 rcx.</summary>
    protected static AssemblerMemoryOperand At(AssemblerRegister64 first, int row) => row switch
    {
        0 => first + 0,
        1 => first + rcx,
        2 => first + rcx * 2,
        3 => first + r8,
        _ => throw new ArgumentOutOfRangeException(nameof(row), row, "a kernel has at most four rows"),
    };

    /// <summary>Integer sums of two vectors of each row, where registers do not hold them.</summary>
    protected static AssemblerMemoryOperand StackInteger(int row, int vector) => __ymmword_ptr[rsp + (row * 2 + vector) * VectorBytes];

    /// <summary>Float sums of all four vectors of each row, where registers do not hold them.</summary>
    protected static AssemblerMemoryOperand StackSum(int row, int vector) => __ymmword_ptr[rsp + 256 + (row * Vectors + vector) * VectorBytes];

    /// <summary>Asks for the line that holds this byte of a later block.</summary>
    protected void Prefetch(int offset) => Code.prefetcht0(__byte_ptr[Weights + offset + PrefetchBytes]);

    protected void Zero(AssemblerRegisterYMM register) => Code.vpxor(register, register, register);

    /// <summary>Before the sums begin: uses ymm0.</summary>
    protected void Fill(AssemblerRegisterYMM register, uint lane)
    {
        Code.mov(eax, lane);
        Code.vmovd(xmm0, eax);
        Code.vpbroadcastd(register, xmm0);
        Code.mov(Weights, Argument(nameof(PanelArgs.Weights)));
    }

    protected void ZeroStackSums()
    {
        Zero(ymm0);
        for (int row = 0; row < Rows; row++)
            for (int vector = 0; vector < Vectors; vector++)
                Code.vmovdqa(StackSum(row, vector), ymm0);
    }

    /// <summary>Copies the sums from the stack to the output.</summary>
    protected void StoreStackSums() => EachOutput(row =>
    {
        for (int vector = 0; vector < Vectors; vector++)
        {
            Code.vmovaps(ymm0, StackSum(row, vector));
            Code.vmovups(__ymmword_ptr[rax + vector * VectorBytes], ymm0);
        }
    });

    /// <summary>Calls with the address of each output row in rax.</summary>
    protected void EachOutput(Action<int> action)
    {
        Code.mov(rax, Argument(nameof(PanelArgs.Output)));
        for (int row = 0; row < Rows; row++)
        {
            if (row > 0)
                Code.add(rax, Argument(nameof(PanelArgs.OutputStride)));
            action(row);
        }
    }

    protected static AssemblerMemoryOperand Argument(string field) => __qword_ptr[rdi + (int)Marshal.OffsetOf<PanelArgs>(field)];

}
