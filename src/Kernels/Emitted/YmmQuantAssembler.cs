using System.Numerics;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>Weights of four to six bits. Equals the scalar twin of PanelProduct bit for bit. One row: ymm0-3 hold the running sums. More: ymm0-7, two vectors of each row.</summary>
/// <param name="vnni">By <c>vpdpbusd</c> (AVX-VNNI) into running sums of 32 bits; else by <c>vpmaddubsw</c> into running sums of 16 (see <see cref="MaddDot"/> for why they are exact).</param>
internal abstract class YmmQuantAssembler(QuantLayout layout, int rows, bool vnni) : YmmAssembler(rows)
{
    protected QuantLayout Layout { get; } = layout;

    /// <summary>Running sums have 32 bits.</summary>
    protected bool Vnni { get; } = vnni;

    protected static AssemblerRegisterYMM NibbleMask => ymm14;

    /// <summary>Mask of the bits above the fourth, or 16-bit ones for formats that have none.</summary>
    protected static AssemblerRegisterYMM HighMask => ymm15;
    protected static AssemblerRegisterYMM Activated => ymm12;
    protected static AssemblerRegisterYMM Temporary => ymm13;

    protected AssemblerRegisterYMM Running(int row, int vector) => Ymm(row * VectorsTogether + vector);

    /// <summary>Adds the products of eight inputs (a pair of groups) of <see cref="YmmAssembler.VectorsTogether"/> vectors to the running sums.</summary>
    /// <param name="quantsOffset">From <see cref="YmmAssembler.Weights"/> to the 32 inputs that hold the pair.</param>
    /// <param name="pair">0 to 3.</param>
    /// <param name="activationOffset">From <see cref="YmmAssembler.Activations"/> to the 32 inputs.</param>
    /// <param name="first">First vector.</param>
    protected void MultiplyPair(int quantsOffset, int pair, int activationOffset, int first)
    {
        int nibbles = quantsOffset + Layout.HighBytes + pair * 128 + first * VectorBytes;
        for (int line = 0; line < VectorsTogether * VectorBytes; line += LineBytes)
            Prefetch(nibbles + line);
        if (Rows == 1)
        {
            OneRow(quantsOffset, nibbles, pair, activationOffset);
            return;
        }
        for (int vector = 0; vector < 2; vector++)
            Code.vmovdqu(Ymm(8 + vector), __ymmword_ptr[Weights + nibbles + vector * VectorBytes]);
        for (int group = 0; group < 2; group++)
        {
            for (int vector = 0; vector < 2; vector++)
            {
                if (group == 1)
                    Code.vpsrlw(Ymm(8 + vector), Ymm(8 + vector), 4);
                Code.vpand(Ymm(10 + vector), Ymm(8 + vector), NibbleMask);
                AddHighBits(Ymm(10 + vector), quantsOffset, 2 * pair + group, first + vector);
            }
            for (int row = 0; row < Rows; row++)
            {
                Code.vpbroadcastd(Activated, __dword_ptr[Activation(row, activationOffset + pair * 8 + group * 4)]);
                for (int vector = 0; vector < 2; vector++)
                    Add(Running(row, vector), Ymm(10 + vector), Activated, Temporary);
            }
        }
    }

    private void OneRow(int quantsOffset, int nibbles, int pair, int activationOffset)
    {
        Code.vpbroadcastd(ymm12, __dword_ptr[Activation(0, activationOffset + pair * 8)]);
        Code.vpbroadcastd(ymm11, __dword_ptr[Activation(0, activationOffset + pair * 8 + 4)]);
        for (int vector = 0; vector < Vectors; vector++)
        {
            Code.vmovdqu(ymm8, __ymmword_ptr[Weights + nibbles + vector * VectorBytes]);
            Code.vpand(ymm9, ymm8, NibbleMask);
            Code.vpsrlw(ymm8, ymm8, 4);
            Code.vpand(ymm8, ymm8, NibbleMask);
            AddHighBits(ymm9, quantsOffset, 2 * pair, vector);
            AddHighBits(ymm8, quantsOffset, 2 * pair + 1, vector);
            Add(Running(0, vector), ymm9, ymm12, ymm9);
            Add(Running(0, vector), ymm8, ymm11, ymm8);
        }
    }

    /// <summary>Adds the products of four bytes of each lane; temporary may be the weights.</summary>
    private void Add(AssemblerRegisterYMM running, AssemblerRegisterYMM weights, AssemblerRegisterYMM activated, AssemblerRegisterYMM temporary)
    {
        if (Vnni)
        {
            Code.vpdpbusd(running, weights, activated);
            return;
        }
        Code.vpmaddubsw(temporary, weights, activated);
        Code.vpaddw(running, running, temporary);
    }

    /// <summary>Brings a group's bits to bit 4 of each byte; bits that cross from byte to byte fall to the mask.</summary>
    private void AddHighBits(AssemblerRegisterYMM weights, int quantsOffset, int group, int vector)
    {
        int width = Layout.Bits - 4;
        if (width == 0)
            return;
        int stands = (group * width + 4) % 8;
        Code.vmovdqu(Temporary, __ymmword_ptr[Weights + quantsOffset + (width == 1 ? 0 : group / 4) * 128 + vector * VectorBytes]);
        if (stands > 4)
            Code.vpsrlw(Temporary, Temporary, (byte)(stands - 4));
        else if (stands < 4)
            Code.vpsllw(Temporary, Temporary, (byte)(4 - stands));
        Code.vpand(Temporary, Temporary, HighMask);
        Code.vpor(weights, weights, Temporary);
    }

    protected void ForAll(Action<int, int> action)
    {
        for (int row = 0; row < Rows; row++)
            for (int vector = 0; vector < VectorsTogether; vector++)
                action(row, vector);
    }
}

/// <summary>Four-bit blocks of 32 inputs: the integer sum becomes a float and is added by one fma with the product of both scales, then the offset, if there is one.</summary>
internal sealed class YmmQuantBlockAssembler(QuantLayout layout, int rows, bool vnni) : YmmQuantAssembler(layout, rows, vnni)
{
    protected override void Panel()
    {
        Fill(NibbleMask, 0x0f0f0f0f);
        Fill(HighMask, 0x00010001);
        if (Rows == 1)
        {
            for (int vector = 0; vector < Vectors; vector++)
                Zero(Ymm(4 + vector));
            EachBlock(Block);
            EachOutput(_ =>
            {
                for (int vector = 0; vector < Vectors; vector++)
                    Code.vmovups(__ymmword_ptr[rax + vector * VectorBytes], Ymm(4 + vector));
            });
            return;
        }
        ZeroStackSums();
        EachBlock(Block);
        StoreStackSums();
    }

    private void Block()
    {
        Prefetch(0);
        if (Layout.HasMin)
            Prefetch(LineBytes);
        for (int first = 0; first < Vectors; first += VectorsTogether)
        {
            ForAll((row, vector) => Zero(Running(row, vector)));
            for (int pair = 0; pair < 4; pair++)
                MultiplyPair(Layout.QuantsOffset, pair, 0, first);
            Finish(first);
        }
        Code.add(Weights, Layout.PackedBytes);
        Code.add(Activations, ActivationRows.BlockBytes);
    }

    private void Finish(int first)
    {
        for (int row = 0; row < Rows; row++)
        {
            if (Layout.Zero != 0)
            {
                // -128 times the activations' sum becomes -Zero times it.
                Code.vpbroadcastd(Activated, __dword_ptr[Activation(row, ActivationRows.CorrectionOffset)]);
                Code.vpsrad(Activated, Activated, (byte)(7 - BitOperations.Log2((uint)Layout.Zero)));
            }
            for (int vector = 0; vector < VectorsTogether; vector++)
            {
                if (!Vnni)
                    Code.vpmaddwd(Running(row, vector), Running(row, vector), HighMask);
                if (Layout.Zero != 0)
                    Code.vpaddd(Running(row, vector), Running(row, vector), Activated);
                Code.vcvtdq2ps(Running(row, vector), Running(row, vector));
            }
        }
        for (int vector = 0; vector < VectorsTogether; vector++)
        {
            Code.vcvtph2ps(ymm8, __xmmword_ptr[Weights + QuantLayout.DeltaOffset + (first + vector) * 16]);
            if (Layout.HasMin)
                Code.vcvtph2ps(ymm9, __xmmword_ptr[Weights + QuantLayout.MinOffset + (first + vector) * 16]);
            for (int row = 0; row < Rows; row++)
            {
                Code.vbroadcastss(Activated, __dword_ptr[Activation(row, ActivationRows.DeltaOffset)]);
                Code.vmulps(Activated, Activated, ymm8);
                if (Layout.HasMin)
                    Code.vbroadcastss(Temporary, __dword_ptr[Activation(row, ActivationRows.SumOffset)]);
                AssemblerRegisterYMM sum = Rows == 1 ? Ymm(4 + vector) : ymm10;
                if (Rows > 1)
                    Code.vmovaps(sum, StackSum(row, first + vector));
                Code.vfmadd231ps(sum, Running(row, vector), Activated);
                if (Layout.HasMin)
                    Code.vfmadd231ps(sum, ymm9, Temporary);
                if (Rows > 1)
                    Code.vmovaps(StackSum(row, first + vector), sum);
            }
        }
    }
}

/// <summary>Blocks of 256 inputs with sub-blocks. The integer sums of a block stay in ymm4-7 (one row) or on the stack, the float sums on the stack.</summary>
internal sealed class YmmQuantSuperBlockAssembler(QuantLayout layout, int rows, bool vnni) : YmmQuantAssembler(layout, rows, vnni)
{
    private const int TwoParts = 64;

    // Running sums of 16 bits hold eight groups of weights of 4 bits, four of others.
    private int PairsTogether => Vnni ? Layout.SubInputs / 8 : Math.Min(Layout.SubInputs / 8, Layout.Bits == 4 ? 4 : 2);

    protected override void Panel()
    {
        Fill(NibbleMask, 0x0f0f0f0f);
        Fill(HighMask, Layout.Bits == 5 ? 0x10101010u : 0x30303030u);
        ZeroStackSums();
        EachBlock(() =>
        {
            for (int line = 0; line < Layout.QuantsOffset; line += LineBytes)
                Prefetch(line);
            for (int first = 0; first < Vectors; first += VectorsTogether)
                Block(first);
            Code.add(Weights, Layout.PackedBytes);
            Code.add(Activations, ActivationRows.SuperBlockBytes);
        });
        StoreStackSums();
    }

    /// <summary>Some of the vectors through a whole block. Both pointers come back to its beginning.</summary>
    private void Block(int first)
    {
        Label parts = Code.CreateLabel();
        Code.lea(Pointer, Weights + Layout.ScalesOffset);
        Code.lea(Corrections, Activations + ActivationRows.SuperCorrectionsOffset);
        Code.mov(Counter, 256 / TwoParts);
        Zero(ymm8);
        ForAll((row, vector) =>
        {
            if (Rows == 1)
                Zero(Ymm(4 + vector));
            else
                Code.vmovdqa(StackInteger(row, vector), ymm8);
        });
        Code.Label(ref parts);
        for (int input = 0; input < TwoParts; input += PairsTogether * 8)
            Section(input, first);
        Code.add(Weights, TwoParts / 32 * Layout.QuantBytes);
        Code.add(Activations, TwoParts);
        Code.add(Pointer, TwoParts / Layout.SubInputs * 32);
        Code.add(Corrections, TwoParts / 16 * 4);
        Code.dec(Counter);
        Code.jnz(parts);
        Code.sub(Weights, 256 / 32 * Layout.QuantBytes);
        Code.sub(Activations, 256);
        Finish(first);
    }

    /// <summary>As many inputs as running sums hold, from one sub-block: their sums times the sub-block's scales are added to the integer sums.</summary>
    private void Section(int input, int first)
    {
        Begin(input);
        if (Layout.Bits > 4)
            for (int line = 0; line < VectorsTogether * VectorBytes && input % (32 / (Layout.Bits - 4)) == 0; line += LineBytes)
                Prefetch(Layout.QuantsOffset + input / 32 * Layout.QuantBytes + input % 32 / 16 * 128 + first * VectorBytes + line);
        for (int pair = 0; pair < PairsTogether; pair++)
            MultiplyPair(Layout.QuantsOffset + input / 32 * Layout.QuantBytes, input % 32 / 8 + pair, input / 32 * 32, first);
        int sub = input / Layout.SubInputs;
        for (int vector = 0; vector < VectorsTogether; vector++)
        {
            Code.vpmovsxbw(ymm8, __xmmword_ptr[Pointer + sub / 2 * 64 + (first + vector) * 16]);
            Choose(sub % 2);
            for (int row = 0; row < Rows; row++)
            {
                if (Vnni)
                    Code.vpmulld(Running(row, vector), Running(row, vector), ymm8);
                else
                    Code.vpmaddwd(Running(row, vector), Running(row, vector), ymm8);
                if (Rows == 1)
                {
                    Code.vpaddd(Ymm(4 + vector), Ymm(4 + vector), Running(row, vector));
                    continue;
                }
                Code.vpaddd(Running(row, vector), Running(row, vector), StackInteger(row, vector));
                Code.vmovdqa(StackInteger(row, vector), Running(row, vector));
            }
        }
    }

    /// <summary>Running sums begin at zero, or at what weights that are stored without sign add too much.</summary>
    private void Begin(int input)
    {
        if (Vnni && Layout.Bits == 6)
        {
            Code.vpcmpeqw(Temporary, Temporary, Temporary);
            Code.vpsrlw(Temporary, Temporary, 15);
        }
        for (int row = 0; row < Rows; row++)
        {
            if (Layout.Bits == 6)
                Code.vpbroadcastd(Running(row, 0), __dword_ptr[At(Corrections, row) + input / 16 * 4]);
            else
                Zero(Running(row, 0));
            if (Vnni && Layout.Bits == 6)
                Code.vpmaddwd(Running(row, 0), Running(row, 0), Temporary);
            for (int vector = 1; vector < VectorsTogether; vector++)
                Code.vmovdqa(Running(row, vector), Running(row, 0));
        }
    }

    /// <summary>A lane of ymm8 holds two neighbours' scales as 16-bit numbers: the wanted one becomes a number of 32 bits, or takes both places.</summary>
    private void Choose(int which)
    {
        if (Vnni)
        {
            if (which == 0)
                Code.vpslld(ymm8, ymm8, 16);
            Code.vpsrad(ymm8, ymm8, 16);
            return;
        }
        if (which == 0)
            Code.vpslld(ymm9, ymm8, 16);
        else
            Code.vpsrld(ymm9, ymm8, 16);
        Code.vpblendw(ymm8, ymm8, ymm9, (byte)(which == 0 ? 0xaa : 0x55));
    }

    private void Finish(int first)
    {
        if (Layout.HasMin)
            AddMinima(first);
        for (int vector = 0; vector < VectorsTogether; vector++)
        {
            Code.vcvtph2ps(ymm8, __xmmword_ptr[Weights + QuantLayout.DeltaOffset + (first + vector) * 16]);
            if (Layout.HasMin)
                Code.vcvtph2ps(ymm9, __xmmword_ptr[Weights + QuantLayout.MinOffset + (first + vector) * 16]);
            for (int row = 0; row < Rows; row++)
            {
                Code.vbroadcastss(ymm10, __dword_ptr[Activation(row, ActivationRows.SuperDeltaOffset)]);
                Code.vmulps(ymm11, ymm8, ymm10);
                if (Rows == 1)
                    Code.vcvtdq2ps(ymm12, Ymm(4 + vector));
                else
                    Code.vcvtdq2ps(ymm12, StackInteger(row, vector));
                Code.vmovaps(ymm13, StackSum(row, first + vector));
                Code.vfmadd231ps(ymm13, ymm12, ymm11);
                if (Layout.HasMin)
                {
                    Code.vmulps(ymm11, ymm9, ymm10);
                    Code.vcvtdq2ps(Running(row, vector), Running(row, vector));
                    Code.vfnmadd231ps(ymm13, Running(row, vector), ymm11);
                }
                Code.vmovaps(StackSum(row, first + vector), ymm13);
            }
        }
    }

    /// <summary>The sub-blocks' minima times the activations' sums, in place of the running sums.</summary>
    private void AddMinima(int first)
    {
        ForAll((row, vector) => Zero(Running(row, vector)));
        for (int pair = 0; pair < Layout.SubBlocks / 2; pair++)
        {
            for (int vector = 0; vector < VectorsTogether; vector++)
                Code.vpmovsxbw(Ymm(8 + vector), __xmmword_ptr[Weights + Layout.MinsOffset + pair * 64 + (first + vector) * 16]);
            for (int row = 0; row < Rows; row++)
            {
                Code.vpbroadcastd(Activated, __dword_ptr[Activation(row, ActivationRows.SuperSums32Offset + pair * 4)]);
                for (int vector = 0; vector < VectorsTogether; vector++)
                {
                    Code.vpmaddwd(Temporary, Ymm(8 + vector), Activated);
                    Code.vpaddd(Running(row, vector), Running(row, vector), Temporary);
                }
            }
        }
    }
}
