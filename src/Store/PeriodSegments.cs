using Qanat.Books;

namespace Qanat.Store;

/// <summary>A stretch of a period made of whole units of a grain (such as days), or, with grain 0, one that only the records themselves answer for.</summary>
internal readonly record struct PeriodSegment(long Grain, Period Period);

/// <summary>Cuts a period so that as much of it as possible is answered by the coarsest sums.</summary>
internal static class PeriodSegments
{
    /// <param name="grains">In nanoseconds, coarsest first; each is a multiple of the next.</param>
    public static List<PeriodSegment> Of(Period period, params ReadOnlySpan<long> grains)
    {
        List<PeriodSegment> segments = [];
        Cut(segments, Math.Max(0, period.From.UnixNanoseconds), period.To.UnixNanoseconds, grains);
        return segments;
    }

    // Int128: rounding up the last representable instants must not wrap.
    private static void Cut(List<PeriodSegment> segments, Int128 from, Int128 to, ReadOnlySpan<long> grains)
    {
        if (from >= to) return;
        if (grains.IsEmpty)
        {
            Add(segments, 0, from, to);
            return;
        }
        Int128 first = (from + grains[0] - 1) / grains[0] * grains[0], last = to / grains[0] * grains[0];
        if (first >= last)
        {
            Cut(segments, from, to, grains[1..]);
            return;
        }
        Cut(segments, from, first, grains[1..]);
        Add(segments, grains[0], first, last);
        Cut(segments, last, to, grains[1..]);
    }

    private static void Add(List<PeriodSegment> segments, long grain, Int128 from, Int128 to) =>
        segments.Add(new PeriodSegment(grain, new Period(new Instant((long)from), new Instant((long)to))));
}
