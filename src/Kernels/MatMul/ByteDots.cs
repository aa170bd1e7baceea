using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Sums of products of unsigned weights (at most six bits) with signed bytes, in 256-bit vectors whose 32-bit lanes are outputs: exact in every instruction set, so that
/// all give the same integers.</summary>
internal interface IByteDot
{
    /// <summary>Whether running sums of weights with sub-blocks and a zero other than 0 begin at <see cref="ActivationRows"/>' corrections, so that nothing is left to correct.</summary>
    static abstract bool BeginsAtCorrections { get; }

    /// <summary>Adds to each lane the products of its four weights with four activations.</summary>
    static abstract Vector256<short> Add(Vector256<short> running, Vector256<byte> weights, Vector256<sbyte> activations);

    /// <summary>Running sums as 32-bit sums.</summary>
    static abstract Vector256<int> Widen(Vector256<short> running);

    /// <summary>Running sums times scales from <see cref="Scales"/>.</summary>
    static abstract Vector256<int> Widen(Vector256<short> running, Vector256<short> scales);

    /// <summary>From a lane's two neighbouring scales, the first (0) or second (1) in the form that <see cref="Widen(Vector256{short}, Vector256{short})"/> wants.</summary>
    static abstract Vector256<short> Scales(Vector256<short> pairs, int which);
}

/// <summary><c>vpmaddubsw</c> into running sums of 16 bits: two products are at most 2 * (2^bits - 1) * 127, so that 8 groups of inputs fit for weights of 4 bits and 4 for those of 5.
/// Weights of 6 bits run over and come back: begun at -32 times the activations' sums, what 4 groups sum to is at most 8 * 32 * 127, which 16 bits hold, and additions that wrap are exact
/// modulo 2^16. <c>vpmaddwd</c> widens, and scales for nothing.</summary>
internal readonly struct MaddDot : IByteDot
{
    public static bool BeginsAtCorrections => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Add(Vector256<short> running, Vector256<byte> weights, Vector256<sbyte> activations) => running + Avx2.MultiplyAddAdjacent(weights, activations);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen(Vector256<short> running) => Avx2.MultiplyAddAdjacent(running, Vector256<short>.One);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen(Vector256<short> running, Vector256<short> scales) => Avx2.MultiplyAddAdjacent(running, scales);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Scales(Vector256<short> pairs, int which)
    {
        // Both bytes of the wanted scale, twice; those of the second stand two bytes further.
        Vector256<byte> first = Vector256.Create(0x05040504_01000100UL, 0x0d0c0d0c_09080908UL, 0x05040504_01000100UL, 0x0d0c0d0c_09080908UL).AsByte();
        return Avx2.Shuffle(pairs.AsByte(), first + Vector256.Create((byte)(2 * which))).AsInt16();
    }
}

/// <summary>The VEX form of <c>vpdpbusd</c>: running sums have 32 bits from the start.</summary>
internal readonly struct VnniDot : IByteDot
{
    public static bool BeginsAtCorrections => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Add(Vector256<short> running, Vector256<byte> weights, Vector256<sbyte> activations) =>
        AvxVnni.MultiplyWideningAndAdd(running.AsInt32(), weights, activations).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen(Vector256<short> running) => running.AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen(Vector256<short> running, Vector256<short> scales) => running.AsInt32() * scales.AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Scales(Vector256<short> pairs, int which) => (which == 0 ? pairs.AsInt32() << 16 >> 16 : pairs.AsInt32() >> 16).AsInt16();
}
