using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>The kernels' exponential for those who compute with logits: its bits do not depend on the processor, so that a draw does not either.</summary>
public static class Exponential
{
    /// <summary>e^x of eight numbers that are not above 0 and may be minus infinity, within 2 ulp; exactly 1 for 0, and 0 below -87.3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> OfNegative(Vector256<float> x) => Lanes.ExpOfNegative(x);
}
