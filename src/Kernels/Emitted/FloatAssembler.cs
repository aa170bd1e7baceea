using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>F32 and F16 weights: sum = fma(w, a, sum) for every input in order. Equals the scalar twins of PanelProduct bit for bit.</summary>
internal sealed class FloatAssembler(WeightFormat format, int rows) : PanelAssembler(rows)
{
    protected override void Block()
    {
        for (int half = 0; half < Halves; half++)
        {
            if (format == WeightFormat.F16)
                Code.vcvtph2ps(Zmm(12 + half), __ymmword_ptr[Weights + half * 32]);
            else
                Code.vmovups(Zmm(12 + half), __zmmword_ptr[Weights + half * 64]);
        }
        for (int row = 0; row < Rows; row++)
        {
            Code.vbroadcastss(Zmm(14), __dword_ptr[Activation(row, 0)]);
            for (int half = 0; half < Halves; half++)
                Code.vfmadd231ps(Sum(row, half), Zmm(12 + half), Zmm(14));
        }
        Code.add(Weights, WeightFormats.PackedBytes(format));
        Code.add(Activations, sizeof(float));
    }
}
