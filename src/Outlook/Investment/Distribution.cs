using MathNet.Numerics.Distributions;

namespace Qanat.Outlook;

/// <summary>What may become of a driver: a distribution through its quantile function, which is all that sampling, percentiles and a copula need.</summary>
public abstract record DriverDistribution
{
    /// <summary>The value below which a fraction p of the cases lies; 0 &lt; p &lt; 1.</summary>
    public abstract double Quantile(double p);
    public double Median => Quantile(0.5);

    /// <summary>The probability density at x. A certain value has none.</summary>
    public abstract double Density(double x);
    public virtual bool IsCertain => false;
}

public sealed record FixedValue(double Value) : DriverDistribution
{
    public override double Quantile(double p) => Value;
    public override double Density(double x) => throw new NotSupportedException("A certain value has no density.");
    public override bool IsCertain => true;
    public override string ToString() => $"{Value}";
}

public sealed record UniformRange(double Low, double High) : DriverDistribution
{
    public override double Quantile(double p) => Low + p * (High - Low);
    public override double Density(double x) => x >= Low && x <= High ? 1 / (High - Low) : 0;
    public override string ToString() => $"uniform {Low} to {High}";
}

public sealed record TriangularRange(double Low, double Mode, double High) : DriverDistribution
{
    public override double Quantile(double p)
    {
        double width = High - Low, turn = width == 0 ? 0 : (Mode - Low) / width;
        if (width == 0) return Low;
        return p < turn ? Low + Math.Sqrt(p * width * (Mode - Low)) : High - Math.Sqrt((1 - p) * width * (High - Mode));
    }

    public override double Density(double x) => x >= Low && x <= High ? Triangular.PDF(Low, High, Mode, x) : 0;
    public override string ToString() => $"triangular {Low}, {Mode}, {High}";
}

/// <summary>The smooth cousin of the triangular distribution: a beta with mean (low + 4 mode + high) / 6.</summary>
public sealed record PertRange(double Low, double Mode, double High) : DriverDistribution
{
    private const int TableSize = 512;
    // The inverse of the incomplete beta is slow: it is tabulated once and interpolated, with an error far below the precision of any driver.
    private readonly double[] _table = Tabulate(Low, Mode, High);

    public override double Quantile(double p)
    {
        double at = p * TableSize;
        int below = Math.Min((int)at, TableSize - 1);
        return _table[below] + (_table[below + 1] - _table[below]) * (at - below);
    }

    public override double Density(double x) => x >= Low && x <= High ? Beta.PDF(A(Low, Mode, High), B(Low, Mode, High), (x - Low) / (High - Low)) / (High - Low) : 0;

    public bool Equals(PertRange? other) => other is not null && (Low, Mode, High) == (other.Low, other.Mode, other.High);
    public override int GetHashCode() => HashCode.Combine(Low, Mode, High);
    public override string ToString() => $"pert {Low}, {Mode}, {High}";

    private static double A(double low, double mode, double high) => 1 + 4 * (mode - low) / (high - low);
    private static double B(double low, double mode, double high) => 1 + 4 * (high - mode) / (high - low);

    private static double[] Tabulate(double low, double mode, double high)
    {
        var table = new double[TableSize + 1];
        if (high == low) { Array.Fill(table, low); return table; }
        double a = A(low, mode, high), b = B(low, mode, high);
        table[0] = low;
        table[TableSize] = high;
        for (int i = 1; i < TableSize; i++) table[i] = low + (high - low) * Beta.InvCDF(a, b, (double)i / TableSize);
        return table;
    }
}

public sealed record NormalSpread(double Mean, double Deviation) : DriverDistribution
{
    public override double Quantile(double p) => Mean + Deviation * Normal.InvCDF(0, 1, p);
    public override double Density(double x) => Normal.PDF(Mean, Deviation, x);
    public override string ToString() => $"normal {Mean}, {Deviation}";
}

/// <summary>Two thirds of the cases lie between median / factor and median x factor.</summary>
public sealed record LogNormalSpread(double Middle, double Factor) : DriverDistribution
{
    public override double Quantile(double p) => Middle * Math.Pow(Factor, Normal.InvCDF(0, 1, p));
    public override double Density(double x) => x > 0 ? LogNormal.PDF(Math.Log(Middle), Math.Log(Factor), x) : 0;
    public override string ToString() => $"lognormal {Middle}, {Factor}";
}
