using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Qanat.Kernels;

/// <summary>Sums of products of unsigned weights (at most six bits) with signed bytes, in 256-bit vectors whose 32-bit lanes are outputs: exact in every instruction set, so that
/// all give the same integers.</summary>
internal interface IByteDot
{
    /// <summary>Groups of four inputs that a running sum can take before it must be widened.</summary>
    static abstract int GroupsMax(int bits);

    /// <summary>Adds to each lane the products of its four weights with four activations.</summary>
    static abstract Vector256<short> Add(Vector256<short> running, Vector256<byte> weights, Vector256<sbyte> activations);

    /// <summary>Running sums as 32-bit sums.</summary>
    static abstract Vector256<int> Widen(Vector256<short> running);

    /// <summary>Running sums times scales from <see cref="Scales"/>.</summary>
    static abstract Vector256<int> Widen(Vector256<short> running, Vector256<short> scales);

    /// <summary>From a lane's two neighbouring scales, the first (0) or second (1) in the form that <see cref="Widen(Vector256{short}, Vector256{short})"/> wants.</summary>
    static abstract Vector256<short> Scales(Vector256<short> pairs, int which);
}

/// <summary><c>vpmaddubsw</c> into running sums of 16 bits: two products are at most 2 * (2^bits - 1) * 127, so 8, 4 or 2 of them fit for weights of 4, 5 or 6 bits.
/// <c>vpmaddwd</c> widens, and scales for nothing.</summary>
internal readonly struct MaddDot : IByteDot
{
    public static int GroupsMax(int bits) => bits == 4 ? 8 : bits == 5 ? 4 : 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Add(Vector256<short> running, Vector256<byte> weights, Vector256<sbyte> activations) => running + Avx2.MultiplyAddAdjacent(weights, activations);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen(Vector256<short> running) => Avx2.MultiplyAddAdjacent(running, Vector256<short>.One);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Widen(Vector256<short> running, Vector256<short> scales) => Avx2.MultiplyAddAdjacent(running, scales);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Scales(Vector256<short> pairs, int which)
    {
        Vector256<int> lane = pairs.AsInt32();
        return which == 0 ? Avx2.Blend(pairs, (lane << 16).AsInt16(), 0xaa) : Avx2.Blend((lane >>> 16).AsInt16(), pairs, 0xaa);
    }
}

/// <summary>The VEX form of <c>vpdpbusd</c>: running sums have 32 bits from the start.</summary>
internal readonly struct VnniDot : IByteDot
{
    public static int GroupsMax(int bits) => 8;

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
