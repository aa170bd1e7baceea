using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>BF16 weights by 512-bit <c>vdpbf16ps</c>: for each pair of inputs sum = fma(w, a, sum) of the second, then of the first. Equals the scalar twin of PanelProduct bit for bit,
/// because no number is tiny (<see cref="BFloat"/>).</summary>
internal sealed class BFloatAssembler(int rows) : PanelAssembler(rows)
{
    /// <summary>Most rows of one kernel: sixteen sums hide the instruction's latency of six cycles, and eight rows meet the weights when they come from memory.</summary>
    public new const int RowsMax = 8;

    private const int LineBytes = 64;

    /// <summary>What to ask for next.</summary>
    private static AssemblerRegister64 Ahead => rsi;

    protected override void Begin()
    {
        // The pairs of a row lie behind its singles.
        Code.lea(Activations, Activations + r10 * 8);
        Code.mov(Ahead, Argument(nameof(PanelArgs.Ahead)));
    }

    protected override void Block()
    {
        for (int half = 0; half < Halves; half++)
        {
            Code.prefetcht0(__byte_ptr[Ahead + half * LineBytes]);
            Code.vmovups(Zmm(16 + half), __zmmword_ptr[Weights + half * LineBytes]);
        }
        for (int row = 0; row < Rows; row++)
        {
            Code.vpbroadcastd(Zmm(18), __dword_ptr[Activation(row, 0)]);
            for (int half = 0; half < Halves; half++)
                Code.vdpbf16ps(Sum(row, half), Zmm(16 + half), Zmm(18));
        }
        Code.add(Ahead, WeightFormats.PackedBytes(WeightFormat.BF16));
        Code.add(Weights, WeightFormats.PackedBytes(WeightFormat.BF16));
        Code.add(Activations, sizeof(uint));
    }
}
