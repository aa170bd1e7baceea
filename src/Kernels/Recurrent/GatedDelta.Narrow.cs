using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>The scan where vectors have 256 bits: strips of sixteen values, whose four running sums fit into sixteen registers together with all they are made from. A strip of the state is copied together and stays in
/// the cache nearest to the core until its last row: where it lies in the state, a line in every eight, that cache would hold half of it. The same operations in the same order as <see cref="OneVector"/>.</summary>
public static unsafe partial class GatedDelta
{
    private const int RowsTogether = 256;

    [SkipLocalsInit]
    private static void Run_Vector256(in DeltaScan scan)
    {
        float* dots = stackalloc float[RowsTogether];
        float* strip = stackalloc float[DimensionMax * Lanes.Count];
        for (int first = 0; first < scan.Rows; first += RowsTogether)
        {
            int rows = Math.Min(RowsTogether, scan.Rows - first);
            for (int row = 0; row < rows; row++)
                dots[row] = Dot_Vector256(scan.Key + (long)(first + row) * scan.InputStride, scan.Query + (long)(first + row) * scan.InputStride, scan.KeyDim);
            for (int column = 0; column < scan.ValueDim; column += Lanes.Count)
                Strip_Vector256(scan, first, rows, column, dots, strip);
        }
    }

    /// <summary>Sixteen values of some rows.</summary>
    private static void Strip_Vector256(in DeltaScan scan, int first, int rows, int column, float* dots, float* strip)
    {
        int keyDim = scan.KeyDim, valueDim = scan.ValueDim;
        long stride = scan.InputStride;
        float* key = scan.Key + first * stride, query = scan.Query + first * stride, value = scan.Value + first * stride + column;
        float* output = scan.Output + (long)first * scan.OutputStride + column;
        Vector256<float> known0 = Vector256<float>.Zero, known1 = known0, seen0 = known0, seen1 = known0;
        float* before = first > 0 ? scan.StateOut : scan.StateIn;
        if (before is null)
        {
            new Span<float>(strip, keyDim * Lanes.Count).Clear();
        }
        else
        {
            before += column;
            for (int i = 0; i < keyDim; i++, before += valueDim)
            {
                Vector256<float> s0 = Vector256.Load(before), s1 = Vector256.Load(before + 8), k = Vector256.Create(key[i]), q = Vector256.Create(query[i]);
                s0.Store(strip + i * Lanes.Count);
                s1.Store(strip + i * Lanes.Count + 8);
                known0 = Vector256.FusedMultiplyAdd(s0, k, known0);
                known1 = Vector256.FusedMultiplyAdd(s1, k, known1);
                seen0 = Vector256.FusedMultiplyAdd(s0, q, seen0);
                seen1 = Vector256.FusedMultiplyAdd(s1, q, seen1);
            }
        }
        for (int row = 0; row < rows; row++, value += stride, output += scan.OutputStride)
        {
            Vector256<float> decay = Vector256.Create(scan.Decay[(long)(first + row) * scan.GateStride]), beta = Vector256.Create(scan.Beta[(long)(first + row) * scan.GateStride]);
            Vector256<float> dot = Vector256.Create(dots[row]);
            Vector256<float> delta0 = (Vector256.Load(value) - decay * known0) * beta, delta1 = (Vector256.Load(value + 8) - decay * known1) * beta;
            Vector256.FusedMultiplyAdd(delta0, dot, decay * seen0).Store(output);
            Vector256.FusedMultiplyAdd(delta1, dot, decay * seen1).Store(output + 8);
            known0 = known1 = seen0 = seen1 = Vector256<float>.Zero;
            // After the last row the products with a next key and query are taken of the last ones again and not used.
            bool isLast = row + 1 == rows;
            long next = isLast ? 0 : stride;
            float* from = strip, to = isLast ? scan.StateOut + column : strip;
            long toNext = isLast ? valueDim : Lanes.Count;
            float* nextKey = key + next, nextQuery = query + next;
            for (int i = 0; i < keyDim; i++, from += Lanes.Count, to += toNext)
            {
                Vector256<float> own = Vector256.Create(key[i]);
                Vector256<float> s0 = Vector256.FusedMultiplyAdd(delta0, own, Vector256.Load(from) * decay), s1 = Vector256.FusedMultiplyAdd(delta1, own, Vector256.Load(from + 8) * decay);
                s0.Store(to);
                s1.Store(to + 8);
                Vector256<float> k = Vector256.Create(nextKey[i]), q = Vector256.Create(nextQuery[i]);
                known0 = Vector256.FusedMultiplyAdd(s0, k, known0);
                known1 = Vector256.FusedMultiplyAdd(s1, k, known1);
                seen0 = Vector256.FusedMultiplyAdd(s0, q, seen0);
                seen1 = Vector256.FusedMultiplyAdd(s1, q, seen1);
            }
            key = nextKey;
            query = nextQuery;
        }
    }

    /// <summary>Equals <see cref="Dot"/>.</summary>
    private static float Dot_Vector256(float* a, float* b, int count)
    {
        Vector256<float> low = Vector256<float>.Zero, high = low;
        for (int i = 0; i < count; i += Lanes.Count)
        {
            low = Vector256.FusedMultiplyAdd(Vector256.Load(a + i), Vector256.Load(b + i), low);
            high = Vector256.FusedMultiplyAdd(Vector256.Load(a + i + 8), Vector256.Load(b + i + 8), high);
        }
        return Lanes.Sum(low, high);
    }
}
