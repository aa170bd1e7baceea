using System.Collections.Immutable;
using MathNet.Numerics.LinearAlgebra;

namespace Qanat.Outlook;

/// <summary>Samples of a target over a set of points, and what they say.</summary>
public sealed record SetDistribution(ImmutableArray<double> Sorted)
{
    public double Quantile(double p)
    {
        if (Sorted.IsEmpty) return double.NaN;
        double at = p * (Sorted.Length - 1);
        int below = (int)Math.Floor(at), above = Math.Min(below + 1, Sorted.Length - 1);
        return Sorted[below] + (Sorted[above] - Sorted[below]) * (at - below);
    }
}

/// <summary>
/// Uniform samples from the points that a system allows, by hit-and-run (Smith 1984): from a point, a random direction, a uniform point on the chord.
/// The set is thin in most directions (an interval from rounding) and wide in few, so directions are drawn in coordinates in which a cloud of extreme points is round;
/// equalities are the directions in which that cloud has no extent, and are never left.
/// </summary>
public sealed class HitAndRun
{
    private const double Flat = 1e-10;
    private readonly double[] _centre;
    private readonly double[,] _shape;
    private readonly double[][] _rows;
    private readonly double[] _low, _high;

    private HitAndRun(double[] centre, double[,] shape, double[][] rows, double[] low, double[] high)
    {
        _centre = centre;
        _shape = shape;
        _rows = rows;
        _low = low;
        _high = high;
    }

    /// <summary>How many directions the set extends in.</summary>
    public int Dimensions => _shape.GetLength(1);

    /// <summary>Prepares a bounded system; null if it is unbounded in some direction.</summary>
    /// <param name="variables">The unknowns to sample; all others must not appear in the rows.</param>
    public static HitAndRun? Prepare(LinearSystem system, ImmutableArray<int> variables, ulong seed)
    {
        var random = new SeededRandom(seed);
        using var solver = new RangeSolver(system);
        var corners = new List<double[]>();
        double[] scale = new double[variables.Length];
        for (int j = 0; j < variables.Length; j++)
        {
            Interval range = solver.Range(new Objective(new LinearForm([new FormTerm(variables[j], 1)], 0), LinearForm.One));
            if (!range.IsBounded) return null;
            scale[j] = Math.Max(range.Width, 1e-12);
        }
        for (int i = 0; i < 4 * variables.Length + 8; i++)
        {
            var form = new LinearForm([.. variables.Select((v, j) => new FormTerm(v, random.NextNormal() / scale[j]))], 0);
            RangeEnd end = solver.Least(new Objective(form, LinearForm.One));
            if (end.Status == EndStatus.Attained) corners.Add([.. variables.Select(v => end.Point[v])]);
        }
        return corners.Count == 0 ? null : Round(system, variables, corners, scale);
    }

    /// <summary>Values of several targets at points drawn uniformly, or with a density: one chain, started at the centre, thinned by the number of dimensions. With a density a move is taken by the
    /// rule of Metropolis (1953): always to where it is higher, else with the ratio as its probability.</summary>
    /// <param name="density">Relative to the uniform distribution on the set, up to a factor; null: uniform.</param>
    public ImmutableArray<SetDistribution> Sample(IReadOnlyList<Func<IReadOnlyList<double>, double>> targets, int count, ulong seed, Func<IReadOnlyList<double>, double>? density = null)
    {
        var random = new SeededRandom(seed);
        int n = Dimensions;
        double[] w = new double[n], direction = new double[n], point = new double[_centre.Length];
        double[][] values = [.. targets.Select(_ => new double[count])];
        int warmUp = 50 * Math.Max(1, n), thin = Math.Max(1, n) * (density is null ? 1 : 2);
        double[] before = new double[n];
        Locate(w, point);
        double here = density?.Invoke(point) ?? 1;
        for (int step = -warmUp; step < count * thin; step++)
        {
            if (n > 0)
            {
                w.CopyTo(before, 0);
                Move(random, w, direction);
            }
            if (density is not null)
            {
                Locate(w, point);
                double there = density(point);
                if (there < here && random.NextDouble() * here >= there) before.CopyTo(w, 0); else here = there;
            }
            if (step < 0 || step % thin != 0) continue;
            Locate(w, point);
            for (int k = 0; k < values.Length; k++) values[k][step / thin] = targets[k](point);
        }
        foreach (double[] sample in values) Array.Sort(sample);
        return [.. values.Select(v => new SetDistribution([.. v]))];
    }

    /// <summary>The centre plus the shape times w.</summary>
    private void Locate(double[] w, double[] point)
    {
        for (int a = 0; a < point.Length; a++)
        {
            double at = _centre[a];
            for (int j = 0; j < w.Length; j++) at += _shape[a, j] * w[j];
            point[a] = at;
        }
    }

    private void Move(SeededRandom random, double[] w, double[] direction)
    {
        for (int j = 0; j < direction.Length; j++) direction[j] = random.NextNormal();
        double from = double.NegativeInfinity, to = double.PositiveInfinity;
        for (int i = 0; i < _rows.Length; i++)
        {
            double p = 0, s = 0;
            for (int j = 0; j < w.Length; j++)
            {
                p += _rows[i][j] * w[j];
                s += _rows[i][j] * direction[j];
            }
            if (Math.Abs(s) < 1e-14) continue;
            double a = (_low[i] - p) / s, b = (_high[i] - p) / s;
            from = Math.Max(from, Math.Min(a, b));
            to = Math.Min(to, Math.Max(a, b));
        }
        if (!(from <= to) || double.IsInfinity(to - from)) return;
        double along = from + (to - from) * random.NextDouble();
        for (int j = 0; j < w.Length; j++) w[j] += along * direction[j];
    }

    private static HitAndRun Round(LinearSystem system, ImmutableArray<int> variables, List<double[]> corners, double[] scale)
    {
        int n = variables.Length;
        double[] mean = [.. Enumerable.Range(0, n).Select(j => corners.Average(c => c[j]))];
        var covariance = Matrix<double>.Build.Dense(n, n, (a, b) => corners.Average(c => (c[a] - mean[a]) / scale[a] * ((c[b] - mean[b]) / scale[b])));
        var eigen = covariance.Evd(Symmetricity.Symmetric);
        int[] wide = [.. Enumerable.Range(0, n).Where(j => eigen.EigenValues[j].Real > Flat)];
        var shape = Matrix<double>.Build.Dense(n, wide.Length, (a, j) => scale[a] * eigen.EigenVectors[a, wide[j]] * Math.Sqrt(eigen.EigenValues[wide[j]].Real));

        var rows = new List<double[]>();
        List<double> low = [], high = [];
        var place = variables.Select((v, j) => (v, j)).ToDictionary(p => p.v, p => p.j);
        void AddRow(IEnumerable<FormTerm> terms, Interval range)
        {
            double[] direction = new double[wide.Length];
            double at = 0, size = 0;
            foreach (FormTerm term in terms)
            {
                int a = place[term.Variable];
                at += term.Factor * mean[a];
                size = Math.Max(size, Math.Abs(term.Factor) * scale[a]);
                for (int j = 0; j < wide.Length; j++) direction[j] += term.Factor * shape[a, j];
            }
            // A row that no wide direction moves is an equality, or one in effect.
            if (direction.All(d => Math.Abs(d) <= size * 1e-9)) return;
            rows.Add(direction);
            low.Add(range.Low - at);
            high.Add(range.High - at);
        }
        foreach (SystemRow row in system.Rows) AddRow(row.Terms, row.Range);
        foreach (int v in variables.Where(v => system.Variables[v].Line.Sign == LineSign.Positive)) AddRow([new FormTerm(v, 1)], Interval.AtLeast(0));
        return new HitAndRun(mean, shape.ToArray(), [.. rows], [.. low], [.. high]);
    }
}
