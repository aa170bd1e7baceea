using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>F32, F16 and BF16 weights: sum = fma(w, a, sum) for every input in order, of a pair of BF16 the second first, as <see cref="BFloatAssembler"/> does. Equals the scalar twins of
/// PanelProduct bit for bit.</summary>
internal sealed class FloatAssembler(WeightFormat format, int rows) : PanelAssembler(rows)
{
    /// <summary>How far ahead one row asks for its weights: the processor's own prefetchers stop at the end of a page of 4 KiB, and a product of one row is bound by memory.</summary>
    private const int PrefetchBytes = 3072;

    private const int LineBytes = 64;

    private static AssemblerRegisterZMM HighHalves => Zmm(31);

    protected override void Begin()
    {
        if (format != WeightFormat.BF16)
            return;
        Code.mov(esi, 0xffff0000);
        Code.vpbroadcastd(HighHalves, esi);
    }

    protected override void Block()
    {
        for (int line = 0; line < WeightFormats.PackedBytes(format) && Rows == 1; line += LineBytes)
            Code.prefetcht0(__byte_ptr[Weights + line + PrefetchBytes]);
        for (int input = WeightFormats.PackedElements(format) - 1; input >= 0; input--)
        {
            for (int half = 0; half < Halves; half++)
                Load(Zmm(28 + half), input, half);
            for (int row = 0; row < Rows; row++)
            {
                Code.vbroadcastss(Zmm(30), __dword_ptr[Activation(row, input * sizeof(float))]);
                for (int half = 0; half < Halves; half++)
                    Code.vfmadd231ps(Sum(row, half), Zmm(28 + half), Zmm(30));
            }
        }
        Code.add(Weights, WeightFormats.PackedBytes(format));
        Code.add(Activations, WeightFormats.PackedElements(format) * sizeof(float));
    }

    /// <summary>One input's weights of 16 outputs; those of BF16 lie in pairs, the first input's in the low half.</summary>
    private void Load(AssemblerRegisterZMM target, int input, int half)
    {
        if (format == WeightFormat.F32)
        {
            Code.vmovups(target, __zmmword_ptr[Weights + half * 64]);
        }
        else if (format == WeightFormat.F16)
        {
            Code.vcvtph2ps(target, __ymmword_ptr[Weights + half * 32]);
        }
        else if (input == 0)
        {
            Code.vpslld(target, __zmmword_ptr[Weights + half * 64], 16);
        }
        else
        {
            Code.vpandd(target, HighHalves, __zmmword_ptr[Weights + half * 64]);
        }
    }
}
