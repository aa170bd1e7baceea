using System.Collections.Immutable;
using CsCheck;
using Qanat.Outlook;

namespace Qanat.Outlook.Tests;

/// <summary>The bounds against slow twins that are obviously right: every vertex, a fine grid, the certificate worked out without a solver.</summary>
public class BoundTests
{
    private static readonly Place Here = new("test", 1);

    private static LinearSystem Small(LineSign sign, int variables, IEnumerable<(double[] Factors, double Low, double High)> rows)
    {
        var quarter = new Quarter(2026, 2);
        SystemVariable Variable(int i) => new(i, new ModelLine(Here, $"x{i}", $"x{i}", "USD million", sign, LineKind.Flow, null, []), quarter, "");
        return new LinearSystem([.. Enumerable.Range(0, variables).Select(Variable)],
            [.. rows.Select((r, k) => new SystemRow($"r{k}", $"row {k}", RowKind.Reported, [.. r.Factors.Select((f, i) => new FormTerm(i, f)).Where(t => t.Factor != 0)],
                new Interval(r.Low, r.High), null, [], "", Here))], []);
    }

    private static LinearForm Form(double[] factors, double constant = 0) => new([.. factors.Select((f, i) => new FormTerm(i, f)).Where(t => t.Factor != 0)], constant);

    /// <summary>All points where as many row ends as unknowns meet and every row is kept.</summary>
    private static List<double[]> Vertices(LinearSystem system)
    {
        int n = system.Variables.Length;
        var planes = new List<(double[] A, double B)>();
        foreach (SystemRow row in system.Rows)
        {
            double[] a = new double[n];
            foreach (FormTerm term in row.Terms) a[term.Variable] = term.Factor;
            if (double.IsFinite(row.Range.Low)) planes.Add((a, row.Range.Low));
            if (double.IsFinite(row.Range.High)) planes.Add((a, row.Range.High));
        }
        var vertices = new List<double[]>();
        foreach (int[] choice in Choose(planes.Count, n))
        {
            if (Gauss([.. choice.Select(c => (double[])planes[c].A.Clone())], [.. choice.Select(c => planes[c].B)]) is { } x
                && system.Rows.All(r => r.Range.Contains(r.Terms.Sum(t => t.Factor * x[t.Variable]), 1e-7)))
                vertices.Add(x);
        }
        return vertices;
    }

    private static IEnumerable<int[]> Choose(int from, int count)
    {
        if (count == 0) { yield return []; yield break; }
        for (int last = count - 1; last < from; last++)
            foreach (int[] rest in Choose(last, count - 1)) yield return [.. rest, last];
    }

    private static double[]? Gauss(double[][] a, double[] b)
    {
        int n = b.Length;
        for (int c = 0; c < n; c++)
        {
            int pivot = Enumerable.Range(c, n - c).MaxBy(r => Math.Abs(a[r][c]));
            if (Math.Abs(a[pivot][c]) < 1e-9) return null;
            (a[c], a[pivot]) = (a[pivot], a[c]);
            (b[c], b[pivot]) = (b[pivot], b[c]);
            for (int r = 0; r < n; r++)
            {
                if (r == c) continue;
                double f = a[r][c] / a[c][c];
                for (int k = c; k < n; k++) a[r][k] -= f * a[c][k];
                b[r] -= f * b[c];
            }
        }
        return [.. b.Select((v, i) => v / a[i][i])];
    }

    // Rows of whole numbers around a point inside, in a box, so that the set is bounded and not empty.
    private static readonly Gen<LinearSystem> Systems =
        from n in Gen.Int[2, 3]
        from inside in Gen.Int[-3, 5].Array[n]
        from factors in Gen.Int[-4, 4].Array[n].Array[1, 4]
        from slack in Gen.Int[0, 6].Array[8]
        select Small(LineSign.Signed, n,
            Enumerable.Range(0, n).Select(i => (Enumerable.Range(0, n).Select(k => k == i ? 1.0 : 0).ToArray(), (double)inside[i] - 5 - slack[i], (double)inside[i] + 5 + slack[i]))
                .Concat(factors.Select((f, k) =>
                {
                    double at = f.Zip(inside, (x, y) => (double)x * y).Sum();
                    return (f.Select(v => (double)v).ToArray(), at - slack[3 + k], at + slack[(4 + k) % 8]);
                })).Where(r => r.Item1.Any(v => v != 0)));

    [Fact]
    public void Linear_bounds_equal_the_best_vertex_of_random_systems()
    {
        Gen.Select(Systems, Gen.Int[-5, 5].Array[3]).Sample((system, goal) =>
        {
            LinearForm form = Form([.. goal.Take(system.Variables.Length).Select(g => (double)g)], 1);
            double[] at = [.. Vertices(system).Select(form.At)];
            using var solver = new RangeSolver(system);
            Interval range = solver.Range(new Objective(form, LinearForm.One));
            return Math.Abs(range.Low - at.Min()) < 1e-5 && Math.Abs(range.High - at.Max()) < 1e-5;
        }, iter: 300, threads: 1);
    }

    [Fact]
    public void Ratio_bounds_equal_the_best_vertex_of_random_systems()
    {
        Gen.Select(Systems, Gen.Int[-5, 5].Array[3], Gen.Int[-3, 3].Array[3]).Sample((system, goal, by) =>
        {
            int n = system.Variables.Length;
            List<double[]> vertices = Vertices(system);
            // Lift the denominator until it is positive on the whole set.
            LinearForm below = Form([.. by.Take(n).Select(g => (double)g)]);
            below = below with { Constant = 1 - vertices.Min(v => below.At(v)) };
            var ratio = new Objective(Form([.. goal.Take(n).Select(g => (double)g)], 1), below);
            double[] at = [.. vertices.Select(v => ratio.At(v))];
            using var solver = new RangeSolver(system);
            Interval range = solver.Range(ratio);
            return Math.Abs(range.Low - at.Min()) < 1e-5 && Math.Abs(range.High - at.Max()) < 1e-5;
        }, iter: 300, threads: 1);
    }

    [Fact]
    public void A_ratio_bound_equals_a_fine_grid_over_the_set()
    {
        // A share of 34.5 % to 35.5 % and two margins: the worked example in two unknowns and a ratio.
        LinearSystem system = Small(LineSign.Signed, 2, [([1, 0], 12.3, 12.5), ([0, 1], 2, 9), ([1, -0.3], 9.9, double.PositiveInfinity)]);
        var ratio = new Objective(Form([0.5, -1], 2), Form([1, 0.5], 1));
        using var solver = new RangeSolver(system);
        Interval range = solver.Range(ratio);
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        const int Steps = 400;
        for (int i = 0; i <= Steps; i++)
            for (int j = 0; j <= Steps; j++)
            {
                double[] x = [12.3 + 0.2 * i / Steps, 2 + 7.0 * j / Steps];
                if (x[0] - 0.3 * x[1] < 9.9 - 1e-12) continue;
                low = Math.Min(low, ratio.At(x));
                high = Math.Max(high, ratio.At(x));
            }
        Assert.InRange(low, range.Low - 1e-7, range.Low + 2e-3);
        Assert.InRange(high, range.High - 2e-3, range.High + 1e-7);
    }

    [Fact]
    public void Every_certificate_of_random_systems_proves_its_bound_without_the_solver()
    {
        Gen.Select(Systems, Gen.Int[-5, 5].Array[3]).Sample((system, goal) =>
        {
            var objective = new Objective(Form([.. goal.Take(system.Variables.Length).Select(g => (double)g)], 1), LinearForm.One);
            using var solver = new RangeSolver(system);
            Certificate low = Certificate.Of(system, objective, solver.Least(objective), CertificateEnd.Low)!;
            Certificate high = Certificate.Of(system, objective, solver.Most(objective), CertificateEnd.High)!;
            return CertificateCheck.Shortfall(system, objective, low, 1) < 1e-5 && CertificateCheck.Shortfall(system, objective, high, 1) < 1e-5;
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void A_certificate_does_not_prove_a_tighter_bound_and_fails_with_a_wrong_multiplier()
    {
        LinearSystem system = Small(LineSign.Positive, 2, [([1, 1], 1, 4), ([1, -1], -1, 2)]);
        var objective = new Objective(Form([2, 1]), LinearForm.One);
        using var solver = new RangeSolver(system);
        Certificate high = Certificate.Of(system, objective, solver.Most(objective), CertificateEnd.High)!;
        Assert.Equal(7, high.Level, 6);
        Assert.True(CertificateCheck.Shortfall(system, objective, high, 1) < 1e-6);
        Assert.Equal(0.5, CertificateCheck.Shortfall(system, objective, high with { Level = 6.5 }, 1), 5);
        Certificate bent = high with { Bindings = [.. high.Bindings.Select((b, i) => i == 0 ? b with { Multiplier = b.Multiplier * 0.5 } : b)] };
        Assert.Equal(double.PositiveInfinity, CertificateCheck.Shortfall(system, objective, bent, 1));
    }

    [Fact]
    public void Every_bound_of_every_company_quarter_and_layer_carries_a_proof_that_verifies()
    {
        int proofs = 0;
        foreach (string company in OutlookData.BuiltIn.Companies)
        {
            CompanyBook book = CompanyBook.Read(OutlookData.BuiltIn, company);
            LayerSystems systems = LayerSystems.Build(book, ImmutableDictionary<string, Interval>.Empty);
            for (Quarter quarter = book.Model.First; quarter <= book.Model.Last; quarter = quarter.Plus(1))
            {
                CompanyAnalysis analysis = CompanyAnalysis.Run(book, systems, AnalysisOptions.Everything with { Quarter = quarter, Depth = AnalysisDepth.Bounds });
                foreach (Bound bound in analysis.Bounds)
                {
                    LinearSystem system = systems[bound.Layer].System;
                    Objective objective = SystemBuilder.ObjectiveOf(system, bound.Target.Quantity, quarter, analysis.Definition)!;
                    double least = objective.IsRatio ? Math.Max(1, new[] { bound.Low, bound.High }.Where(e => !e.Point.IsEmpty).Select(e => objective.Denominator.At(e.Point)).DefaultIfEmpty(1).Min()) : 1;
                    foreach (Certificate proof in new[] { bound.LowCertificate, bound.HighCertificate }.OfType<Certificate>())
                    {
                        double shortfall = CertificateCheck.Shortfall(system, objective, proof, least);
                        Assert.True(shortfall <= 1e-5 * Math.Max(1, Math.Abs(proof.Level)), $"{company} {quarter} {bound.Layer} {bound.Target.Name} {proof.End}: short by {shortfall}");
                        proofs++;
                    }
                }
            }
        }
        Assert.True(proofs > 400, $"only {proofs} proofs were checked");
    }

    [Fact]
    public void An_unlimited_target_is_unbounded_and_an_empty_set_is_refused()
    {
        LinearSystem open = Small(LineSign.Signed, 2, [([1, 1], 0, 1)]);
        using var solver = new RangeSolver(open);
        Assert.Equal(Interval.Everything, solver.Range(new Objective(Form([1, 0]), LinearForm.One)));
        LinearSystem empty = Small(LineSign.Signed, 1, [([1], 0, 1), ([1], 2, 3)]);
        using var none = new RangeSolver(empty);
        Assert.False(none.IsFeasible);
        Assert.Throws<InvalidOperationException>(() => none.Range(new Objective(Form([1]), LinearForm.One)));
    }

    [Fact]
    public void The_smallest_conflicting_set_leaves_out_what_is_not_to_blame()
    {
        // Three rows contradict each other pairwise in a chain; two others contradict each other alone: the pair is smaller than any chain of three.
        LinearSystem system = Small(LineSign.Signed, 3,
            [([1, 0, 0], 0, 1), ([0, 1, 0], 0, 1), ([1, 1, 0], 5, 6), ([0, 0, 1], 0, 1), ([0, 0, 1], 3, 4), ([1, -1, 0], -9, 9)]);
        Conflict conflict = ConflictFinder.Find(system)!;
        Assert.Equal(ConflictSize.Smallest, conflict.Size);
        Assert.Equal(["r3", "r4"], conflict.Rows.Select(r => r.Group).Order());
        Assert.Null(ConflictFinder.Find(Small(LineSign.Signed, 1, [([1], 0, 1)])));
    }

    [Fact]
    public void Hit_and_run_stays_inside_and_reaches_near_both_ends()
    {
        // A thin wedge with an equality: one direction wide, one narrow, one closed.
        LinearSystem system = Small(LineSign.Signed, 3, [([1, 0, 0], 0, 1000), ([0, 1, 0], 0, 0.01), ([1, 1, -1], 0, 0), ([1, -20000, 0], -150, 900)]);
        HitAndRun chain = HitAndRun.Prepare(system, [0, 1, 2], 7)!;
        Assert.Equal(2, chain.Dimensions);
        var objective = new Objective(Form([0, 0, 1]), LinearForm.One);
        using var solver = new RangeSolver(system);
        Interval range = solver.Range(objective);
        double worst = 0;
        SetDistribution samples = chain.Sample([x =>
        {
            foreach (SystemRow row in system.Rows)
            {
                double at = row.Terms.Sum(t => t.Factor * x[t.Variable]), size = row.Terms.Max(t => Math.Abs(t.Factor)) * 1000;
                worst = Math.Max(worst, Math.Max(row.Range.Low - at, at - row.Range.High) / size);
            }
            return x[2];
        }], 5000, 7)[0];
        Assert.True(worst < 1e-9, $"a sample left the set by {worst}");
        Assert.True(samples.Quantile(0) >= range.Low - 1e-6 && samples.Quantile(1) <= range.High + 1e-6);
        Assert.True(samples.Quantile(0) < range.Low + 0.03 * range.Width, $"{samples.Quantile(0)} is not near {range.Low}");
        Assert.True(samples.Quantile(1) > range.High - 0.03 * range.Width, $"{samples.Quantile(1)} is not near {range.High}");
    }

    [Fact]
    public void Hit_and_run_is_uniform_on_a_triangle_and_repeats_with_its_seed()
    {
        LinearSystem triangle = Small(LineSign.Positive, 2, [([1, 1], double.NegativeInfinity, 1)]);
        HitAndRun chain = HitAndRun.Prepare(triangle, [0, 1], 3)!;
        ImmutableArray<SetDistribution> x = chain.Sample([p => p[0]], 20_000, 3), again = chain.Sample([p => p[0]], 20_000, 3);
        Assert.Equal(x[0].Sorted.AsEnumerable(), again[0].Sorted);
        // The median of x over the triangle x + y <= 1: 1 - sqrt(1/2).
        Assert.InRange(x[0].Quantile(0.5), 1 - Math.Sqrt(0.5) - 0.02, 1 - Math.Sqrt(0.5) + 0.02);
    }
}
