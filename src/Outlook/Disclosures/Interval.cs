using System.Globalization;

namespace Qanat.Outlook;

/// <summary>A closed interval of real numbers; either end may be infinite. Where a source gives a half-open interval ("35 %" is [34.5 %, 35.5 %)) the closure is kept,
/// so a bound computed from it is an infimum or a supremum.</summary>
public readonly record struct Interval
{
    public static readonly Interval Everything = new(double.NegativeInfinity, double.PositiveInfinity);

    public Interval(double low, double high)
    {
        if (!(low <= high))
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"[{low}, {high}] is not an interval: its low end must not exceed its high end."));
        Low = low;
        High = high;
    }

    public double Low { get; }
    public double High { get; }
    public double Width => High - Low;
    public double Middle => double.IsInfinity(Width) ? double.NaN : Low + Width / 2;
    public bool IsPoint => Low == High;
    public bool IsBounded => double.IsFinite(Low) && double.IsFinite(High);

    public static Interval At(double value) => new(value, value);
    public static Interval AtLeast(double low) => new(low, double.PositiveInfinity);
    public static Interval AtMost(double high) => new(double.NegativeInfinity, high);

    /// <summary>What a number printed to a place can have been: half a unit of that place either side.</summary>
    public static Interval Rounded(double value, double place) => new(value - place / 2, value + place / 2);

    public bool Contains(double value) => value >= Low && value <= High;
    public bool Contains(double value, double slack) => value >= Low - slack && value <= High + slack;
    public bool Meets(Interval other) => Low <= other.High && other.Low <= High;

    /// <summary>The common part, or null where the two do not meet.</summary>
    public Interval? Intersect(Interval other) => Meets(other) ? new Interval(Math.Max(Low, other.Low), Math.Min(High, other.High)) : null;

    public static Interval operator +(Interval a, Interval b) => new(a.Low + b.Low, a.High + b.High);
    public static Interval operator -(Interval a, Interval b) => new(a.Low - b.High, a.High - b.Low);
    public static Interval operator -(Interval a) => new(-a.High, -a.Low);
    public static Interval operator *(Interval a, double factor) => factor >= 0
        ? new(Times(a.Low, factor), Times(a.High, factor))
        : new(Times(a.High, factor), Times(a.Low, factor));

    public static Interval operator *(Interval a, Interval b)
    {
        double p = Times(a.Low, b.Low), q = Times(a.Low, b.High), r = Times(a.High, b.Low), s = Times(a.High, b.High);
        return new(Math.Min(Math.Min(p, q), Math.Min(r, s)), Math.Max(Math.Max(p, q), Math.Max(r, s)));
    }

    /// <exception cref="DivideByZeroException">The divisor may be zero.</exception>
    public static Interval operator /(Interval a, Interval b) => b.Contains(0)
        ? throw new DivideByZeroException("The divisor's interval contains zero.")
        : a * new Interval(1 / b.High, 1 / b.Low);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"[{Low:G10}, {High:G10}]");

    // 0 x infinity is 0 here: the end of a range that is scaled away.
    private static double Times(double a, double b) => a == 0 || b == 0 ? 0 : a * b;
}
