using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>F32, F16 and BF16 weights: sum = fma(w, a, sum) for every input in order (of a pair of BF16 the second first), beginning with what the output holds, in registers from the first input to the last; more than one row
/// reads the weights twice, each time half of the outputs. From zeros it equals the scalar twins of PanelProduct bit for bit.</summary>
internal sealed class YmmFloatAssembler(WeightFormat format, int rows) : YmmAssembler(rows)
{
    /// <summary>Times that more than one row read the weights.</summary>
    public const int Passes = 2;

    private static AssemblerRegisterYMM HighHalves => ymm15;

    /// <summary>What to ask for next, and how far on after each block.</summary>
    private static AssemblerRegister64 Ahead => r11;
    private static AssemblerRegister64 AheadStep => rsi;

    protected override void Panel()
    {
        if (format == WeightFormat.BF16)
            Fill(HighHalves, 0xffff0000);
        if (Rows > 1)
        {
            Code.mov(Ahead, Argument(nameof(PanelArgs.Ahead)));
            Code.mov(AheadStep, Argument(nameof(PanelArgs.AheadStep)));
        }
        for (int first = 0; first < Vectors; first += VectorsTogether)
        {
            EachOutput(row =>
            {
                for (int vector = 0; vector < VectorsTogether; vector++)
                    Code.vmovups(Sum(row, vector), __ymmword_ptr[rax + (first + vector) * VectorBytes]);
            });
            Code.mov(Weights, Argument(nameof(PanelArgs.Weights)));
            Code.mov(Activations, Argument(nameof(PanelArgs.Activations)));
            Code.mov(r10, Argument(nameof(PanelArgs.Blocks)));
            EachTwoInputs(first);
            EachOutput(row =>
            {
                for (int vector = 0; vector < VectorsTogether; vector++)
                    Code.vmovups(__ymmword_ptr[rax + (first + vector) * VectorBytes], Sum(row, vector));
            });
        }
    }

    private AssemblerRegisterYMM Sum(int row, int vector) => Ymm(row * VectorsTogether + vector);

    /// <summary>A block of bfloats holds two inputs; of the others two blocks are a turn of the loop, which an odd number of blocks enters at its middle.</summary>
    private void EachTwoInputs(int first)
    {
        if (format == WeightFormat.BF16)
        {
            EachBlock(() =>
            {
                Ask();
                Block(first);
            });
            return;
        }
        Label loop = Code.CreateLabel(), middle = Code.CreateLabel();
        Code.mov(r9, r10);
        Code.inc(r10);
        Code.shr(r10, 1);
        Code.test(r9, 1);
        Code.jnz(middle);
        Code.Label(ref loop);
        Block(first);
        Code.Label(ref middle);
        Ask();
        Block(first);
        Code.dec(r10);
        Code.jnz(loop);
    }

    /// <summary>One row asks for what it will read itself; more rows for a bit of what their caller reads next.</summary>
    private void Ask()
    {
        if (Rows > 1)
        {
            Code.prefetcht0(__byte_ptr[Ahead]);
            Code.add(Ahead, AheadStep);
            return;
        }
        for (int line = 0; line < 2 * WeightFormats.PackedBytes(format) / WeightFormats.PackedElements(format); line += LineBytes)
            Prefetch(line);
    }

    /// <summary>ymm8-11 hold the weights of one input.</summary>
    private void Block(int first)
    {
        if (format == WeightFormat.BF16)
            Pair(first);
        else
            Single(first);
        Code.add(Weights, WeightFormats.PackedBytes(format));
        Code.add(Activations, WeightFormats.PackedElements(format) * sizeof(float));
    }

    private void Single(int first)
    {
        for (int vector = 0; vector < VectorsTogether; vector++)
        {
            if (format == WeightFormat.F16)
                Code.vcvtph2ps(Ymm(8 + vector), __xmmword_ptr[Weights + (first + vector) * 16]);
            else
                Code.vmovups(Ymm(8 + vector), __ymmword_ptr[Weights + (first + vector) * VectorBytes]);
        }
        for (int row = 0; row < Rows; row++)
        {
            Code.vbroadcastss(ymm14, __dword_ptr[Activation(row, 0)]);
            for (int vector = 0; vector < VectorsTogether; vector++)
                Code.vfmadd231ps(Sum(row, vector), Ymm(8 + vector), ymm14);
        }
    }

    private void Pair(int first)
    {
        for (int input = 1; input >= 0; input--)
        {
            for (int vector = 0; vector < VectorsTogether; vector++)
            {
                AssemblerMemoryOperand pair = __ymmword_ptr[Weights + (first + vector) * VectorBytes];
                if (input == 1)
                {
                    Code.vpand(Ymm(8 + vector), HighHalves, pair);
                    continue;
                }
                Code.vmovdqu(Ymm(8 + vector), pair);
                Code.vpslld(Ymm(8 + vector), Ymm(8 + vector), 16);
            }
            for (int row = 0; row < Rows; row++)
            {
                Code.vbroadcastss(ymm14, __dword_ptr[Activation(row, input * sizeof(float))]);
                for (int vector = 0; vector < VectorsTogether; vector++)
                    Code.vfmadd231ps(Sum(row, vector), Ymm(8 + vector), ymm14);
            }
        }
    }
}
