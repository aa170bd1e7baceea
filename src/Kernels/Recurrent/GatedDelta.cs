using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>What one head of a gated delta rule does to consecutive rows of one sequence.</summary>
public readonly unsafe struct DeltaScan
{
    /// <summary>[KeyDim x ValueDim] before the first row; null: zeros.</summary>
    public required float* StateIn { get; init; }

    /// <summary>[KeyDim x ValueDim] after the last row; may be StateIn.</summary>
    public required float* StateOut { get; init; }

    /// <summary>The first row's query, scaled; those of later rows follow InputStride singles later, as for keys and values.</summary>
    public required float* Query { get; init; }

    /// <summary>Of length 1.</summary>
    public required float* Key { get; init; }
    public required float* Value { get; init; }
    public required int InputStride { get; init; }

    /// <summary>The first row's forgetting, in (0, 1], and learning rate, in (0, 1); later rows GateStride singles later.</summary>
    public required float* Decay { get; init; }
    public required float* Beta { get; init; }
    public required int GateStride { get; init; }

    /// <summary>[ValueDim] of the first row.</summary>
    public required float* Output { get; init; }
    public required int OutputStride { get; init; }

    public required int Rows { get; init; }
    public required int KeyDim { get; init; }
    public required int ValueDim { get; init; }
}

/// <summary>The gated delta rule (Yang et al. 2024) as a recurrence. Per row, with state S [keys x values], query q, key k, value v, forgetting g and learning rate b:
/// <code>S = g S;  d = b (v - S^T k);  S = S + k d^T;  o = S^T q</code>
/// S is read and written once per row: with S' the state before, S^T k = g (S'^T k) and o = g (S'^T q) + d (k . q), and both products with the next row's key and query are
/// taken while the state is being written. Lanes are values, sums run over the keys in order, so a row's bits do not depend on where a sequence was cut.
/// The chunked form (<see cref="GatedDeltaChunked"/>) computes the same with other roundings.</summary>
public static unsafe partial class GatedDelta
{
    /// <summary>Most keys or values of a head; both are multiples of 16.</summary>
    public const int DimensionMax = 256;

    private const int Together = 4 * Lanes.Count;

    public static void Run(in DeltaScan scan)
    {
        if (scan.Rows == 0)
            return;
        if (!Vector512.IsHardwareAccelerated)
        {
            Run_Vector256(scan);
            return;
        }
        int column = 0;
        for (; column + Together <= scan.ValueDim; column += Together)
            FourVectors(scan, column);
        for (; column < scan.ValueDim; column += Lanes.Count)
            OneVector(scan, column);
    }

    /// <summary>Scalar twin of <see cref="Run"/>, bit for bit.</summary>
    public static void Run_Scalar(in DeltaScan scan)
    {
        for (int column = 0; column < scan.ValueDim; column++)
        {
            float known = 0, seen = 0;
            for (int i = 0; i < scan.KeyDim && scan.StateIn is not null; i++)
            {
                float s = scan.StateIn[(long)i * scan.ValueDim + column];
                known = MathF.FusedMultiplyAdd(s, scan.Key[i], known);
                seen = MathF.FusedMultiplyAdd(s, scan.Query[i], seen);
            }
            for (int row = 0; row < scan.Rows; row++)
            {
                float* key = scan.Key + (long)row * scan.InputStride, query = scan.Query + (long)row * scan.InputStride;
                float decay = scan.Decay[(long)row * scan.GateStride], beta = scan.Beta[(long)row * scan.GateStride];
                float delta = (scan.Value[(long)row * scan.InputStride + column] - decay * known) * beta;
                scan.Output[(long)row * scan.OutputStride + column] = MathF.FusedMultiplyAdd(delta, Dot(key, query, scan.KeyDim), decay * seen);
                known = seen = 0;
                for (int i = 0; i < scan.KeyDim; i++)
                {
                    float before = row > 0 ? scan.StateOut[(long)i * scan.ValueDim + column] : scan.StateIn is null ? 0 : scan.StateIn[(long)i * scan.ValueDim + column];
                    float s = MathF.FusedMultiplyAdd(delta, key[i], before * decay);
                    scan.StateOut[(long)i * scan.ValueDim + column] = s;
                    if (row + 1 == scan.Rows)
                        continue;
                    known = MathF.FusedMultiplyAdd(s, key[scan.InputStride + i], known);
                    seen = MathF.FusedMultiplyAdd(s, query[scan.InputStride + i], seen);
                }
            }
        }
    }

    /// <summary>64 values of all rows.</summary>
    private static void FourVectors(in DeltaScan scan, int column)
    {
        Vector512<float> k0 = Vector512<float>.Zero, k1 = k0, k2 = k0, k3 = k0, q0 = k0, q1 = k0, q2 = k0, q3 = k0;
        int stride = scan.ValueDim;
        float* key = scan.Key, query = scan.Query;
        float* from = scan.StateIn is null ? Cleared(scan, column, Together) : scan.StateIn + column;
        if (scan.StateIn is not null)
        {
            float* state = from;
            for (int i = 0; i < scan.KeyDim; i++, state += stride)
            {
                Vector512<float> k = Vector512.Create(key[i]), q = Vector512.Create(query[i]);
                Vector512<float> s0 = Vector512.Load(state), s1 = Vector512.Load(state + 16), s2 = Vector512.Load(state + 32), s3 = Vector512.Load(state + 48);
                k0 = Vector512.FusedMultiplyAdd(s0, k, k0);
                k1 = Vector512.FusedMultiplyAdd(s1, k, k1);
                k2 = Vector512.FusedMultiplyAdd(s2, k, k2);
                k3 = Vector512.FusedMultiplyAdd(s3, k, k3);
                q0 = Vector512.FusedMultiplyAdd(s0, q, q0);
                q1 = Vector512.FusedMultiplyAdd(s1, q, q1);
                q2 = Vector512.FusedMultiplyAdd(s2, q, q2);
                q3 = Vector512.FusedMultiplyAdd(s3, q, q3);
            }
        }
        for (int row = 0; row < scan.Rows; row++)
        {
            Vector512<float> decay = Vector512.Create(scan.Decay[(long)row * scan.GateStride]), beta = Vector512.Create(scan.Beta[(long)row * scan.GateStride]);
            Vector512<float> dot = Vector512.Create(Dot(key, query, scan.KeyDim));
            float* value = scan.Value + (long)row * scan.InputStride + column;
            float* output = scan.Output + (long)row * scan.OutputStride + column;
            Vector512<float> d0 = (Vector512.Load(value) - decay * k0) * beta, d1 = (Vector512.Load(value + 16) - decay * k1) * beta;
            Vector512<float> d2 = (Vector512.Load(value + 32) - decay * k2) * beta, d3 = (Vector512.Load(value + 48) - decay * k3) * beta;
            Vector512.FusedMultiplyAdd(d0, dot, decay * q0).Store(output);
            Vector512.FusedMultiplyAdd(d1, dot, decay * q1).Store(output + 16);
            Vector512.FusedMultiplyAdd(d2, dot, decay * q2).Store(output + 32);
            Vector512.FusedMultiplyAdd(d3, dot, decay * q3).Store(output + 48);
            k0 = k1 = k2 = k3 = q0 = q1 = q2 = q3 = Vector512<float>.Zero;
            // After the last row the products with a next key and query are taken of the last ones again and not used.
            long next = row + 1 < scan.Rows ? scan.InputStride : 0;
            float* to = scan.StateOut + column;
            for (int i = 0; i < scan.KeyDim; i++, from += stride, to += stride)
            {
                Vector512<float> own = Vector512.Create(key[i]), k = Vector512.Create(key[next + i]), q = Vector512.Create(query[next + i]);
                Vector512<float> s0 = Vector512.FusedMultiplyAdd(d0, own, Vector512.Load(from) * decay), s1 = Vector512.FusedMultiplyAdd(d1, own, Vector512.Load(from + 16) * decay);
                Vector512<float> s2 = Vector512.FusedMultiplyAdd(d2, own, Vector512.Load(from + 32) * decay), s3 = Vector512.FusedMultiplyAdd(d3, own, Vector512.Load(from + 48) * decay);
                s0.Store(to);
                s1.Store(to + 16);
                s2.Store(to + 32);
                s3.Store(to + 48);
                k0 = Vector512.FusedMultiplyAdd(s0, k, k0);
                k1 = Vector512.FusedMultiplyAdd(s1, k, k1);
                k2 = Vector512.FusedMultiplyAdd(s2, k, k2);
                k3 = Vector512.FusedMultiplyAdd(s3, k, k3);
                q0 = Vector512.FusedMultiplyAdd(s0, q, q0);
                q1 = Vector512.FusedMultiplyAdd(s1, q, q1);
                q2 = Vector512.FusedMultiplyAdd(s2, q, q2);
                q3 = Vector512.FusedMultiplyAdd(s3, q, q3);
            }
            from = scan.StateOut + column;
            key += next;
            query += next;
        }
    }

    /// <summary>16 values of all rows, as <see cref="FourVectors"/> computes 64.</summary>
    private static void OneVector(in DeltaScan scan, int column)
    {
        Vector512<float> known = Vector512<float>.Zero, seen = known;
        int stride = scan.ValueDim;
        float* key = scan.Key, query = scan.Query;
        float* from = scan.StateIn is null ? Cleared(scan, column, Lanes.Count) : scan.StateIn + column;
        for (int i = 0; i < scan.KeyDim && scan.StateIn is not null; i++)
        {
            Vector512<float> s = Vector512.Load(from + (long)i * stride);
            known = Vector512.FusedMultiplyAdd(s, Vector512.Create(key[i]), known);
            seen = Vector512.FusedMultiplyAdd(s, Vector512.Create(query[i]), seen);
        }
        for (int row = 0; row < scan.Rows; row++)
        {
            Vector512<float> decay = Vector512.Create(scan.Decay[(long)row * scan.GateStride]), beta = Vector512.Create(scan.Beta[(long)row * scan.GateStride]);
            Vector512<float> delta = (Vector512.Load(scan.Value + (long)row * scan.InputStride + column) - decay * known) * beta;
            Vector512.FusedMultiplyAdd(delta, Vector512.Create(Dot(key, query, scan.KeyDim)), decay * seen).Store(scan.Output + (long)row * scan.OutputStride + column);
            known = seen = Vector512<float>.Zero;
            long next = row + 1 < scan.Rows ? scan.InputStride : 0;
            float* to = scan.StateOut + column;
            for (int i = 0; i < scan.KeyDim; i++, from += stride, to += stride)
            {
                Vector512<float> s = Vector512.FusedMultiplyAdd(delta, Vector512.Create(key[i]), Vector512.Load(from) * decay);
                s.Store(to);
                known = Vector512.FusedMultiplyAdd(s, Vector512.Create(key[next + i]), known);
                seen = Vector512.FusedMultiplyAdd(s, Vector512.Create(query[next + i]), seen);
            }
            from = scan.StateOut + column;
            key += next;
            query += next;
        }
    }

    /// <summary>Clears some columns of the state to be written and gives the first.</summary>
    private static float* Cleared(in DeltaScan scan, int column, int columns)
    {
        float* state = scan.StateOut + column;
        for (int i = 0; i < scan.KeyDim; i++)
            new Span<float>(state + (long)i * scan.ValueDim, columns).Clear();
        return state;
    }

    /// <summary>16 running sums, joined as a tree.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Dot(float* a, float* b, int count)
    {
        Vector512<float> sums = Vector512<float>.Zero;
        for (int i = 0; i < count; i += Lanes.Count)
            sums = Vector512.FusedMultiplyAdd(Vector512.Load(a + i), Vector512.Load(b + i), sums);
        return Lanes.Sum(sums);
    }
}
