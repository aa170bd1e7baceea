using System.Runtime.CompilerServices;

namespace Qanat.Kernels;

/// <summary>The one packed form of all formats of four to six bits. A packed block (32 outputs) is
/// <list type="number">
/// <item>32 halves d;</item>
/// <item>with minima: 32 halves m (dmin);</item>
/// <item>with sub-blocks: their scales, one byte each, two neighbours together: [pair of sub-blocks][output][2];</item>
/// <item>with sub-blocks and minima: the sub-blocks' minima, in the same order;</item>
/// <item>for each 32 inputs: the bits above the fourth, then the nibbles.</item>
/// </list>
/// Inputs go in groups of four, g = 0..7 within 32 inputs, so that a lane of 32 bits is an output and its four bytes are four inputs.
/// Nibbles: [4 pairs of groups][output][4 bytes], group 2p in the low nibble, 2p + 1 in the high one.
/// Fifth bits: [output][4 bytes], group g at bit (g + 4) % 8, so that a shift and a mask bring it to bit 4.
/// Fifth and sixth bits: [groups 0-3, groups 4-7][output][4 bytes], group g at bits 4-5, 6-7, 0-1, 2-3 for g % 4 = 0, 1, 2, 3.</summary>
/// <param name="Bits">Of a weight: 4, 5 or 6.</param>
/// <param name="Inputs">Of a block: 32 or 256.</param>
/// <param name="SubInputs">Inputs that share an integer scale; equal to Inputs when there are no such scales.</param>
/// <param name="HasMin">Whether weights have an offset of their own.</param>
/// <param name="Zero">The stored value that stands for weight 0, when there is no offset.</param>
internal readonly record struct QuantLayout(int Bits, int Inputs, int SubInputs, bool HasMin, int Zero)
{
    public static QuantLayout Of(WeightFormat format) => format switch
    {
        WeightFormat.Q4_0 => Of<Q4_0>(),
        WeightFormat.Q4_1 => Of<Q4_1>(),
        WeightFormat.Q5_0 => Of<Q5_0>(),
        WeightFormat.Q5_1 => Of<Q5_1>(),
        WeightFormat.Q4_K => Of<Q4_K>(),
        WeightFormat.Q5_K => Of<Q5_K>(),
        WeightFormat.Q6_K => Of<Q6_K>(),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "not a format of four to six bits"),
    };

    public static QuantLayout Of<TFormat>() where TFormat : IQuantFormat => new(TFormat.Bits, TFormat.Inputs, TFormat.SubInputs, TFormat.HasMin, TFormat.Zero);

    public bool HasSubBlocks => SubInputs < Inputs;
    public int SubBlocks => HasSubBlocks ? Inputs / SubInputs : 0;

    public const int DeltaOffset = 0;
    public const int MinOffset = 64;
    public int ScalesOffset => HasMin ? 128 : 64;
    public int MinsOffset => ScalesOffset + SubBlocks * 32;
    public int QuantsOffset => ScalesOffset + SubBlocks * (HasMin ? 64 : 32);

    /// <summary>Bytes of 32 inputs: the high bits first, then the nibbles.</summary>
    public int QuantBytes => Bits * 128;

    /// <summary>Where the nibbles begin within 32 inputs.</summary>
    public int HighBytes => (Bits - 4) * 128;

    public int PackedBytes => QuantsOffset + Inputs / 32 * QuantBytes;
}

/// <summary>A <see cref="QuantLayout"/> as constants of a type, for kernels that are compiled once per format.</summary>
internal interface IQuantFormat
{
    static abstract int Bits { get; }
    static abstract int Inputs { get; }
    static abstract int SubInputs { get; }
    static abstract bool HasMin { get; }
    static abstract int Zero { get; }
}

/// <summary>What <see cref="QuantLayout"/> says, as constants of compiled kernels.</summary>
internal static class Quants<TFormat> where TFormat : IQuantFormat
{
    public static bool HasSubBlocks
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TFormat.SubInputs < TFormat.Inputs;
    }

    public static int SubBlocks
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => HasSubBlocks ? TFormat.Inputs / TFormat.SubInputs : 0;
    }

    public static int ScalesOffset
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => TFormat.HasMin ? 128 : 64;
    }

    public static int MinsOffset
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ScalesOffset + SubBlocks * 32;
    }

    public static int QuantsOffset
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ScalesOffset + SubBlocks * (TFormat.HasMin ? 64 : 32);
    }

    public static int PackedBytes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => QuantsOffset + TFormat.Inputs / 32 * TFormat.Bits * 128;
    }
}

internal readonly struct Q4_0 : IQuantFormat
{
    public static int Bits => 4;
    public static int Inputs => 32;
    public static int SubInputs => 32;
    public static bool HasMin => false;
    public static int Zero => 8;
}

internal readonly struct Q4_1 : IQuantFormat
{
    public static int Bits => 4;
    public static int Inputs => 32;
    public static int SubInputs => 32;
    public static bool HasMin => true;
    public static int Zero => 0;
}

internal readonly struct Q5_0 : IQuantFormat
{
    public static int Bits => 5;
    public static int Inputs => 32;
    public static int SubInputs => 32;
    public static bool HasMin => false;
    public static int Zero => 16;
}

internal readonly struct Q5_1 : IQuantFormat
{
    public static int Bits => 5;
    public static int Inputs => 32;
    public static int SubInputs => 32;
    public static bool HasMin => true;
    public static int Zero => 0;
}

internal readonly struct Q4_K : IQuantFormat
{
    public static int Bits => 4;
    public static int Inputs => 256;
    public static int SubInputs => 32;
    public static bool HasMin => true;
    public static int Zero => 0;
}

internal readonly struct Q5_K : IQuantFormat
{
    public static int Bits => 5;
    public static int Inputs => 256;
    public static int SubInputs => 32;
    public static bool HasMin => true;
    public static int Zero => 0;
}

internal readonly struct Q6_K : IQuantFormat
{
    public static int Bits => 6;
    public static int Inputs => 256;
    public static int SubInputs => 16;
    public static bool HasMin => false;
    public static int Zero => 32;
}
