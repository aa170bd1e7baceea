using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>The inner loops where vectors have 256 bits: eight sums, two of each of four queries, fit into sixteen registers; the sixteen sums of the 512-bit form would not.
/// The same operations in the same order.</summary>
public sealed unsafe partial class Attention
{
    /// <summary>Equals <see cref="ScoreOne"/>.</summary>
    private static void ScoreOne_Vector256(float* keys, float** query, int headDim, float* scores, int stride)
    {
        float* q0 = query[0];
        float* q1 = query[1];
        float* q2 = query[2];
        float* q3 = query[3];
        Vector256<float> a0 = Vector256<float>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        for (int d = 0; d < headDim; d++, keys += KvLayout.GroupTokens)
        {
            Vector256<float> k0 = Vector256.Load(keys), k1 = Vector256.Load(keys + 8), x = Vector256.Create(q0[d]);
            a0 = Vector256.FusedMultiplyAdd(k0, x, a0);
            a1 = Vector256.FusedMultiplyAdd(k1, x, a1);
            x = Vector256.Create(q1[d]);
            b0 = Vector256.FusedMultiplyAdd(k0, x, b0);
            b1 = Vector256.FusedMultiplyAdd(k1, x, b1);
            x = Vector256.Create(q2[d]);
            c0 = Vector256.FusedMultiplyAdd(k0, x, c0);
            c1 = Vector256.FusedMultiplyAdd(k1, x, c1);
            x = Vector256.Create(q3[d]);
            d0 = Vector256.FusedMultiplyAdd(k0, x, d0);
            d1 = Vector256.FusedMultiplyAdd(k1, x, d1);
        }
        a0.Store(scores);
        a1.Store(scores + 8);
        b0.Store(scores + stride);
        b1.Store(scores + stride + 8);
        c0.Store(scores + 2L * stride);
        c1.Store(scores + 2L * stride + 8);
        d0.Store(scores + 3L * stride);
        d1.Store(scores + 3L * stride + 8);
    }

    /// <summary>Equals <see cref="GatherOne"/>.</summary>
    private static void GatherOne_Vector256(Work* work, int q, int d, int firstGroup, int groups, int* tokens)
    {
        int headDim = work->Layer->Layout.HeadDim;
        float* sums = work->Sums + q * headDim + d;
        Vector256<float> a0 = Vector256.Load(sums), a1 = Vector256.Load(sums + 8);
        Vector256<float> b0 = Vector256.Load(sums + headDim), b1 = Vector256.Load(sums + headDim + 8);
        Vector256<float> c0 = Vector256.Load(sums + 2 * headDim), c1 = Vector256.Load(sums + 2 * headDim + 8);
        Vector256<float> d0 = Vector256.Load(sums + 3 * headDim), d1 = Vector256.Load(sums + 3 * headDim + 8);
        long stride = work->KeysMax;
        for (int i = 0; i < groups; i++)
        {
            float* v = work->Values + i * KvLayout.GroupTokens * headDim + d;
            float* w = work->Scores + q * stride + (firstGroup + i) * KvLayout.GroupTokens;
            for (float* end = w + tokens[i]; w < end; w++, v += headDim)
            {
                Vector256<float> v0 = Vector256.Load(v), v1 = Vector256.Load(v + 8), x = Vector256.Create(w[0]);
                a0 = Vector256.FusedMultiplyAdd(v0, x, a0);
                a1 = Vector256.FusedMultiplyAdd(v1, x, a1);
                x = Vector256.Create(w[stride]);
                b0 = Vector256.FusedMultiplyAdd(v0, x, b0);
                b1 = Vector256.FusedMultiplyAdd(v1, x, b1);
                x = Vector256.Create(w[2 * stride]);
                c0 = Vector256.FusedMultiplyAdd(v0, x, c0);
                c1 = Vector256.FusedMultiplyAdd(v1, x, c1);
                x = Vector256.Create(w[3 * stride]);
                d0 = Vector256.FusedMultiplyAdd(v0, x, d0);
                d1 = Vector256.FusedMultiplyAdd(v1, x, d1);
            }
        }
        a0.Store(sums);
        a1.Store(sums + 8);
        b0.Store(sums + headDim);
        b1.Store(sums + headDim + 8);
        c0.Store(sums + 2 * headDim);
        c1.Store(sums + 2 * headDim + 8);
        d0.Store(sums + 3 * headDim);
        d1.Store(sums + 3 * headDim + 8);
    }

    /// <summary>Equals <see cref="Softmax"/>: sixteen lanes are two vectors.</summary>
    private static void Softmax_Vector256(Work* work, float* scores, int groups, int position)
    {
        Vector256<float> share = Vector256.Create(Exponentials_Vector256(work, scores, groups, position));
        for (float* eight = scores, end = scores + groups * KvLayout.GroupTokens; eight < end; eight += 8)
            Float16.RoundShareToHalf(Vector256.Load(eight) * share).Store(eight);
    }

    /// <summary>One query's scores to their exponentials, and 1 through the sum of these.</summary>
    private static float Exponentials_Vector256(Work* work, float* scores, int groups, int position)
    {
        KvLayout layout = work->Layer->Layout;
        Vector256<float> scale = Vector256.Create(work->Layer->Scale), hidden = Vector256.Create(float.NegativeInfinity), max = hidden;
        for (int i = 0; i < groups; i++)
        {
            int visible = Visible(layout, i, position);
            float* sixteen = scores + i * KvLayout.GroupTokens;
            Vector256<float> a = Vector256.Load(sixteen) * scale, b = Vector256.Load(sixteen + 8) * scale;
            if (visible < KvLayout.GroupTokens)
            {
                a = Vector256.ConditionalSelect(Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(visible)).AsSingle(), a, hidden);
                b = Vector256.ConditionalSelect(Vector256.LessThan(Vector256<int>.Indices, Vector256.Create(visible - 8)).AsSingle(), b, hidden);
            }
            a.Store(sixteen);
            b.Store(sixteen + 8);
            // Native: the second operand where one is no number. Such a score makes all weights of its row no numbers below, whatever is the largest.
            max = Vector256.MaxNative(Vector256.MaxNative(a, b), max);
        }
        Vector256<float> top = Vector256.Create(Lanes.Max(Vector512.Create(max, max)));
        Vector256<float> low = Vector256<float>.Zero, high = low;
        for (float* sixteen = scores, end = scores + groups * KvLayout.GroupTokens; sixteen < end; sixteen += KvLayout.GroupTokens)
        {
            Vector256<float> a = Lanes.ExpOfNegative(Vector256.Load(sixteen) - top), b = Lanes.ExpOfNegative(Vector256.Load(sixteen + 8) - top);
            a.Store(sixteen);
            b.Store(sixteen + 8);
            low += a;
            high += b;
        }
        return 1 / Lanes.Sum(low, high);
    }
}
