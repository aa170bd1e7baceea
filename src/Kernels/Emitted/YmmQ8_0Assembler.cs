using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>Q8_0 weights: products of |q| with activations that carry q's sign. Equals the scalar twin of PanelProduct bit for bit.</summary>
/// <param name="vnni">By <c>vpdpbusd</c> (AVX-VNNI); else by <c>vpmaddubsw</c>, whose two products are at most 2 * 128 * 127, which 16 bits hold, and <c>vpmaddwd</c>.</param>
internal sealed class YmmQ8_0Assembler(int rows, bool vnni) : YmmAssembler(rows)
{
    private const int ScaleBytes = 64;
    private const int GroupBytes = 128;
    private const int BlockBytes = ScaleBytes + 8 * GroupBytes;

    protected override void Panel()
    {
        Fill(Ones, 0x00010001);
        Fill(SignBits, Packing.SignBits);
        if (Rows == 1)
        {
            for (int vector = 0; vector < Vectors; vector++)
                Zero(Ymm(4 + vector));
            EachBlock(OneRow);
            EachOutput(_ =>
            {
                for (int vector = 0; vector < Vectors; vector++)
                    Code.vmovups(__ymmword_ptr[rax + vector * VectorBytes], Ymm(4 + vector));
            });
            return;
        }
        ZeroStackSums();
        EachBlock(() =>
        {
            for (int half = 0; half < 2; half++)
                Half(half);
            Step();
        });
        StoreStackSums();
    }

    private static AssemblerRegisterYMM Ones => ymm14;
    private static AssemblerRegisterYMM SignBits => ymm15;

    /// <summary>ymm0-3: integer sums; ymm4-7: float sums.</summary>
    private void OneRow()
    {
        Prefetch(0);
        for (int group = 0; group < 8; group++)
        {
            Prefetch(ScaleBytes + group * GroupBytes);
            Prefetch(ScaleBytes + group * GroupBytes + LineBytes);
            Code.vpbroadcastd(ymm8, __dword_ptr[Activation(0, group * 4)]);
            for (int vector = 0; vector < Vectors; vector++)
            {
                Code.vpxor(ymm9, SignBits, __ymmword_ptr[Weights + ScaleBytes + group * GroupBytes + vector * VectorBytes]);
                Code.vpabsb(ymm10, ymm9);
                Multiply(group, Ymm(vector), ymm10, ymm9);
            }
        }
        Code.vbroadcastss(ymm8, __dword_ptr[Activation(0, ActivationRows.DeltaOffset)]);
        for (int vector = 0; vector < Vectors; vector++)
        {
            Code.vcvtph2ps(ymm9, __xmmword_ptr[Weights + vector * 16]);
            Code.vmulps(ymm9, ymm9, ymm8);
            Code.vcvtdq2ps(Ymm(vector), Ymm(vector));
            Code.vfmadd231ps(Ymm(4 + vector), Ymm(vector), ymm9);
        }
        Step();
    }

    /// <summary>ymm0-7: integer sums, two vectors of each row.</summary>
    private void Half(int half)
    {
        if (half == 0)
            Prefetch(0);
        for (int group = 0; group < 8; group++)
        {
            int weights = ScaleBytes + group * GroupBytes + half * LineBytes;
            Prefetch(weights);
            for (int vector = 0; vector < 2; vector++)
            {
                Code.vpxor(Ymm(8 + vector), SignBits, __ymmword_ptr[Weights + weights + vector * VectorBytes]);
                Code.vpabsb(Ymm(10 + vector), Ymm(8 + vector));
            }
            for (int row = 0; row < Rows; row++)
            {
                Code.vpbroadcastd(ymm12, __dword_ptr[Activation(row, group * 4)]);
                for (int vector = 0; vector < 2; vector++)
                {
                    Code.vpsignb(ymm13, ymm12, Ymm(8 + vector));
                    Add(group, Ymm(row * 2 + vector), Ymm(10 + vector));
                }
            }
        }
        for (int vector = 0; vector < 2; vector++)
            Code.vcvtph2ps(Ymm(8 + vector), __xmmword_ptr[Weights + half * 32 + vector * 16]);
        for (int row = 0; row < Rows; row++)
        {
            Code.vbroadcastss(ymm12, __dword_ptr[Activation(row, ActivationRows.DeltaOffset)]);
            for (int vector = 0; vector < 2; vector++)
            {
                Code.vmulps(ymm13, Ymm(8 + vector), ymm12);
                Code.vcvtdq2ps(Ymm(row * 2 + vector), Ymm(row * 2 + vector));
                Code.vfmadd213ps(ymm13, Ymm(row * 2 + vector), StackSum(row, half * 2 + vector));
                Code.vmovaps(StackSum(row, half * 2 + vector), ymm13);
            }
        }
    }

    /// <summary>Adds |q| times the activations of ymm8 with the sign of q.</summary>
    private void Multiply(int group, AssemblerRegisterYMM sum, AssemblerRegisterYMM magnitude, AssemblerRegisterYMM q)
    {
        Code.vpsignb(ymm13, ymm8, q);
        Add(group, sum, magnitude);
    }

    /// <summary>Adds the products of magnitudes with ymm13; the first group begins the sum.</summary>
    private void Add(int group, AssemblerRegisterYMM sum, AssemblerRegisterYMM magnitude)
    {
        if (vnni)
        {
            if (group == 0)
                Zero(sum);
            Code.vpdpbusd(sum, magnitude, ymm13);
            return;
        }
        Code.vpmaddubsw(ymm13, magnitude, ymm13);
        Code.vpmaddwd(group == 0 ? sum : ymm13, ymm13, Ones);
        if (group > 0)
            Code.vpaddd(sum, sum, ymm13);
    }

    private void Step()
    {
        Code.add(Weights, BlockBytes);
        Code.add(Activations, ActivationRows.BlockBytes);
    }
}
