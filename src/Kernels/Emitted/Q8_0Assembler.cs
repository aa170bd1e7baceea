using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>Q8_0 weights by 512-bit <c>vpdpbusd</c>. Per block of 32 inputs: integer sums begin at -128 times the activations' sum, take eight groups of four inputs,
/// become floats and are added by one fma with the product of both scales. Equals the scalar twin of PanelProduct bit for bit.</summary>
internal sealed class Q8_0Assembler(int rows) : PanelAssembler(rows)
{
    private const int ScaleBytes = 64;
    private const int GroupBytes = 128;

    protected override void Block()
    {
        for (int half = 0; half < Halves; half++)
            Code.vcvtph2ps(Scale(half), __ymmword_ptr[Weights + half * 32]);
        for (int row = 0; row < Rows; row++)
        {
            Code.vpbroadcastd(Integer(row, 0), __dword_ptr[Activation(row, ActivationRows.CorrectionOffset)]);
            Code.vmovdqa64(Integer(row, 1), Integer(row, 0));
        }
        for (int group = 0; group < 8; group++)
        {
            for (int half = 0; half < Halves; half++)
                Code.vmovdqa64(Zmm(24 + half), __zmmword_ptr[Weights + ScaleBytes + group * GroupBytes + half * 64]);
            for (int row = 0; row < Rows; row++)
            {
                Code.vpbroadcastd(Zmm(26), __dword_ptr[Activation(row, group * 4)]);
                for (int half = 0; half < Halves; half++)
                    Code.vpdpbusd(Integer(row, half), Zmm(24 + half), Zmm(26));
            }
        }
        for (int row = 0; row < Rows; row++)
        {
            for (int half = 0; half < Halves; half++)
            {
                Code.vcvtdq2ps(Integer(row, half), Integer(row, half));
                Code.vmulps(Zmm(29 + half), Scale(half), __dword_bcst[Activation(row, ActivationRows.DeltaOffset)]);
                Code.vfmadd231ps(Sum(row, half), Integer(row, half), Zmm(29 + half));
            }
        }
        Code.add(Weights, ScaleBytes + 8 * GroupBytes);
        Code.add(Activations, ActivationRows.BlockBytes);
    }

    private static Iced.Intel.AssemblerRegisterZMM Integer(int row, int half) => Zmm(12 + row * Halves + half);

    private static Iced.Intel.AssemblerRegisterZMM Scale(int half) => Zmm(27 + half);
}
