using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>F32, F16 and BF16 weights: sum = fma(w, a, sum) for every input in order, in registers from the first input to the last; more than one row reads the panel in two halves.
/// Equals the scalar twins of PanelProduct bit for bit.</summary>
internal sealed class YmmFloatAssembler(WeightFormat format, int rows) : YmmAssembler(rows)
{
    private static AssemblerRegisterYMM HighHalves => ymm15;

    protected override void Panel()
    {
        if (format == WeightFormat.BF16)
            Fill(HighHalves, 0xffff0000);
        for (int first = 0; first < Vectors; first += VectorsTogether)
        {
            if (first > 0)
            {
                Code.mov(Weights, Argument(nameof(PanelArgs.Weights)));
                Code.mov(Activations, Argument(nameof(PanelArgs.Activations)));
                Code.mov(r10, Argument(nameof(PanelArgs.Blocks)));
            }
            for (int i = 0; i < Rows * VectorsTogether; i++)
                Zero(Ymm(i));
            EachBlock(() => Block(first));
            EachOutput(row =>
            {
                for (int vector = 0; vector < VectorsTogether; vector++)
                    Code.vmovups(__ymmword_ptr[rax + (first + vector) * VectorBytes], Sum(row, vector));
            });
        }
    }

    private AssemblerRegisterYMM Sum(int row, int vector) => Ymm(row * VectorsTogether + vector);

    /// <summary>ymm8-11 hold the weights of one input.</summary>
    private void Block(int first)
    {
        int bytes = WeightFormats.PackedBytes(format);
        for (int line = 0; line < bytes && first == 0; line += LineBytes)
            Prefetch(line);
        if (format == WeightFormat.BF16)
            Pair(first);
        else
            Single(first);
        Code.add(Weights, bytes);
        Code.add(Activations, format == WeightFormat.BF16 ? 2 * sizeof(float) : sizeof(float));
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
        for (int input = 0; input < 2; input++)
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
