using System.Numerics;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>Weights of four to six bits by 512-bit <c>vpdpbusd</c>: what all of them share is bringing one group of four inputs of 32 outputs into two vectors, and multiplying it with all rows.
/// Equals the scalar twin of PanelProduct bit for bit. zmm12-23 hold the running integer sums.</summary>
internal abstract class QuantAssembler(QuantLayout layout, int rows) : PanelAssembler(rows)
{
    private const int LineBytes = 64;

    /// <summary>How far ahead lines of weights are asked for (see <see cref="AskForLines"/>).</summary>
    private const int AheadBytes = 256;

    protected QuantLayout Layout { get; } = layout;

    protected override void Begin()
    {
        Code.mov(eax, 0x0f0f0f0f);
        Code.vpbroadcastd(NibbleMask, eax);
        if (Layout.Bits > 4)
        {
            Code.mov(eax, Layout.Bits == 5 ? 0x10101010 : 0x30303030);
            Code.vpbroadcastd(HighMask, eax);
        }
        Code.mov(Weights, Argument(nameof(PanelArgs.Weights)));
    }

    /// <summary>Adds the products of eight inputs (a pair of groups) to the running sums.</summary>
    /// <param name="quantsOffset">From <see cref="PanelAssembler.Weights"/> to the 32 inputs that hold the pair.</param>
    /// <param name="pair">0 to 3.</param>
    /// <param name="activationOffset">From <see cref="PanelAssembler.Activations"/> to the 32 inputs.</param>
    protected void MultiplyPair(int quantsOffset, int pair, int activationOffset)
    {
        int pairBytes = Layout.QuantBytes / 4;
        AskForLines(quantsOffset + pair * pairBytes, quantsOffset + (pair + 1) * pairBytes);
        for (int half = 0; half < Halves; half++)
            Code.vmovdqa64(Raw(half), __zmmword_ptr[Weights + quantsOffset + Layout.HighBytes + pair * 128 + half * 64]);
        for (int group = 0; group < 2; group++)
        {
            for (int half = 0; half < Halves; half++)
            {
                if (group == 1)
                    Code.vpsrlw(Raw(half), Raw(half), 4);
                Code.vpandd(Weight(half), Raw(half), NibbleMask);
                if (Layout.Bits > 4)
                    AddHighBits(quantsOffset, 2 * pair + group, half);
            }
            for (int row = 0; row < Rows; row++)
            {
                Code.vpbroadcastd(Activated, __dword_ptr[Activation(row, activationOffset + pair * 8 + group * 4)]);
                for (int half = 0; half < Halves; half++)
                    Code.vpdpbusd(Running(row, half), Weight(half), Activated);
            }
        }
    }

    /// <summary>Asks for the lines that begin within these bytes, a little ahead. A block's parts are needed in another order than they lie in, and the processor asks for memory ahead by itself only
    /// where lines are first touched one after another: without this, a core of a Zen 4 reads Q4_K and Q6_K at 12 GB/s, with it at 30. Asking far ahead instead gives 15: there are
    /// too few places to wait for lines in.</summary>
    protected void AskForLines(int begin, int end)
    {
        for (int line = (begin + LineBytes - 1) / LineBytes; line * LineBytes < end; line++)
            Code.prefetcht0(__byte_ptr[Weights + line * LineBytes + AheadBytes]);
    }

    protected static AssemblerRegisterZMM Running(int row, int half) => Zmm(12 + row * Halves + half);
    protected static AssemblerRegisterZMM Raw(int half) => Zmm(24 + half);
    protected static AssemblerRegisterZMM Weight(int half) => Zmm(26 + half);
    protected static AssemblerRegisterZMM Activated => Zmm(28);
    protected static AssemblerRegisterZMM Temporary => Zmm(31);
    private static AssemblerRegisterZMM NibbleMask => Zmm(29);
    private static AssemblerRegisterZMM HighMask => Zmm(30);

    protected static void ForAll(int rows, Action<int, int> action)
    {
        for (int row = 0; row < rows; row++)
            for (int half = 0; half < Halves; half++)
                action(row, half);
    }

    /// <summary>Brings a group's bits to bit 4 of each byte; bits that cross from byte to byte fall to the mask.</summary>
    private void AddHighBits(int quantsOffset, int group, int half)
    {
        int width = Layout.Bits - 4;
        int vector = width == 1 ? 0 : group / 4;
        int stands = (group * width + 4) % 8;
        AssemblerMemoryOperand high = __zmmword_ptr[Weights + quantsOffset + vector * 128 + half * 64];
        if (stands > 4)
            Code.vpsrlw(Temporary, high, (byte)(stands - 4));
        else if (stands < 4)
            Code.vpsllw(Temporary, high, (byte)(4 - stands));
        else
            Code.vmovdqa64(Temporary, high);
        // weight | (high & mask)
        Code.vpternlogd(Weight(half), Temporary, HighMask, 0xf8);
    }
}

/// <summary>Blocks of 32 inputs: the integer sum becomes a float and is added by one fma with the product of both scales, then the offset, if there is one.</summary>
internal sealed class QuantBlockAssembler(QuantLayout layout, int rows) : QuantAssembler(layout, rows)
{
    protected override void Block()
    {
        AskForLines(0, Layout.QuantsOffset);
        for (int row = 0; row < Rows; row++)
        {
            if (Layout.Zero == 0)
            {
                Code.vpxord(Running(row, 0), Running(row, 0), Running(row, 0));
            }
            else
            {
                // -128 times the activations' sum becomes -Zero times it.
                Code.vpbroadcastd(Running(row, 0), __dword_ptr[Activation(row, ActivationRows.CorrectionOffset)]);
                Code.vpsrad(Running(row, 0), Running(row, 0), (byte)(7 - BitOperations.Log2((uint)Layout.Zero)));
            }
            Code.vmovdqa64(Running(row, 1), Running(row, 0));
        }
        for (int pair = 0; pair < 4; pair++)
            MultiplyPair(Layout.QuantsOffset, pair, 0);
        for (int half = 0; half < Halves; half++)
        {
            Code.vcvtph2ps(Raw(half), __ymmword_ptr[Weights + QuantLayout.DeltaOffset + half * 32]);
            if (Layout.HasMin)
                Code.vcvtph2ps(Weight(half), __ymmword_ptr[Weights + QuantLayout.MinOffset + half * 32]);
        }
        ForAll(Rows, (row, half) =>
        {
            Code.vcvtdq2ps(Running(row, half), Running(row, half));
            Code.vmulps(Temporary, Raw(half), __dword_bcst[Activation(row, ActivationRows.DeltaOffset)]);
            Code.vfmadd231ps(Sum(row, half), Running(row, half), Temporary);
            if (Layout.HasMin)
                Code.vfmadd231ps(Sum(row, half), Weight(half), __dword_bcst[Activation(row, ActivationRows.SumOffset)]);
        });
        Code.add(Weights, Layout.PackedBytes);
        Code.add(Activations, ActivationRows.BlockBytes);
    }
}

/// <summary>Blocks of 256 inputs with sub-blocks: zmm0-11 hold the integer sums of a block, and the float sums stay in the output, which is read and written once per block.</summary>
internal sealed class QuantSuperBlockAssembler(QuantLayout layout, int rows) : QuantAssembler(layout, rows)
{
    private const int TwoParts = 64;

    // Of the pairs of sub-blocks, and of the loop over the parts of a block.
    private static AssemblerRegister64 Scales => rsi;
    private static AssemblerRegister64 Counter => r11;
    private static AssemblerRegister64 Output => r11;

    /// <summary>Integer sums of the block.</summary>
    private static AssemblerRegisterZMM Products(int row, int half) => Sum(row, half);

    protected override void Begin()
    {
        base.Begin();
        EachOutput(row =>
        {
            for (int half = 0; half < Halves; half++)
                Code.vmovups(__zmmword_ptr[Output + half * 64], Products(row, half));
        });
    }

    protected override void Block()
    {
        Label parts = Code.CreateLabel();
        AskForLines(0, Layout.QuantsOffset);
        Code.lea(Scales, Weights + Layout.ScalesOffset);
        Code.mov(r11d, 256 / TwoParts);
        Code.Label(ref parts);
        for (int sub = 0; sub < TwoParts / Layout.SubInputs; sub++)
            SubBlock(sub);
        Code.add(Weights, 2 * Layout.QuantBytes);
        Code.add(Activations, TwoParts);
        Code.add(Scales, TwoParts / Layout.SubInputs * 32);
        Code.dec(Counter);
        Code.jnz(parts);
        Finish();
        Code.add(Weights, Layout.QuantsOffset);
        Code.add(Activations, ActivationRows.SuperBlockBytes - 256);
    }

    protected override void Store()
    {
        // Each block has stored its sums.
    }

    private void SubBlock(int sub)
    {
        ForAll(Rows, (row, half) => Code.vpxord(Running(row, half), Running(row, half), Running(row, half)));
        for (int pair = 0; pair < Layout.SubInputs / 8; pair++)
        {
            int input = sub * Layout.SubInputs + pair * 8;
            MultiplyPair(Layout.QuantsOffset + input / 32 * Layout.QuantBytes, input % 32 / 8, input / 32 * 32);
        }
        for (int half = 0; half < Halves; half++)
        {
            // A lane holds two neighbours' scales as 16-bit numbers.
            Code.vpmovsxbw(Weight(half), __ymmword_ptr[Scales + sub / 2 * 64 + half * 32]);
            if (sub % 2 == 0)
                Code.vpslld(Weight(half), Weight(half), 16);
            Code.vpsrad(Weight(half), Weight(half), 16);
        }
        ForAll(Rows, (row, half) => Code.vpmulld(Running(row, half), Running(row, half), Weight(half)));
        ForAll(Rows, (row, half) => Code.vpaddd(Products(row, half), Products(row, half), Running(row, half)));
    }

    /// <summary>Both pointers stand behind the block's quants and activations.</summary>
    private void Finish()
    {
        int block = Layout.QuantsOffset - Layout.PackedBytes;
        const int activation = -256;
        ForAll(Rows, (row, half) => Code.vpxord(Running(row, half), Running(row, half), Running(row, half)));
        for (int pair = 0; pair < Layout.SubBlocks / 2; pair++)
        {
            int values = (Layout.HasMin ? Layout.MinsOffset : Layout.ScalesOffset) + pair * 64;
            int sums = (Layout.HasMin ? ActivationRows.SuperSums32Offset : ActivationRows.SuperSums16Offset) + pair * 4;
            for (int half = 0; half < Halves; half++)
                Code.vpmovsxbw(Weight(half), __ymmword_ptr[Weights + block + values + half * 32]);
            for (int row = 0; row < Rows; row++)
            {
                Code.vpbroadcastd(Activated, __dword_ptr[Activation(row, activation + sums)]);
                for (int half = 0; half < Halves; half++)
                    Code.vpdpwssd(Running(row, half), Weight(half), Activated);
            }
        }
        for (int half = 0; half < Halves; half++)
        {
            Code.vcvtph2ps(Raw(half), __ymmword_ptr[Weights + block + QuantLayout.DeltaOffset + half * 32]);
            if (Layout.HasMin)
                Code.vcvtph2ps(Weight(half), __ymmword_ptr[Weights + block + QuantLayout.MinOffset + half * 32]);
        }
        EachOutput(row =>
        {
            AssemblerMemoryOperand d = __dword_bcst[Activation(row, activation + ActivationRows.SuperDeltaOffset)];
            for (int half = 0; half < Halves; half++)
            {
                if (!Layout.HasMin)
                {
                    Code.vpslld(Running(row, half), Running(row, half), (byte)BitOperations.Log2((uint)Layout.Zero));
                    Code.vpsubd(Products(row, half), Products(row, half), Running(row, half));
                }
                Code.vcvtdq2ps(Products(row, half), Products(row, half));
                Code.vmulps(Temporary, Raw(half), d);
                Code.vmovups(Activated, __zmmword_ptr[Output + half * 64]);
                Code.vfmadd231ps(Activated, Products(row, half), Temporary);
                if (Layout.HasMin)
                {
                    Code.vcvtdq2ps(Running(row, half), Running(row, half));
                    Code.vmulps(Temporary, Weight(half), d);
                    Code.vfnmadd231ps(Activated, Running(row, half), Temporary);
                }
                Code.vmovups(__zmmword_ptr[Output + half * 64], Activated);
                Code.vpxord(Products(row, half), Products(row, half), Products(row, half));
            }
        });
    }

    private void EachOutput(Action<int> action)
    {
        Code.mov(Output, Argument(nameof(PanelArgs.Output)));
        for (int row = 0; row < Rows; row++)
        {
            if (row > 0)
                Code.add(Output, Argument(nameof(PanelArgs.OutputStride)));
            action(row);
        }
    }
}
