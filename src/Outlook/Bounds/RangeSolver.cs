using System.Collections.Immutable;
using Google.OrTools.LinearSolver;

namespace Qanat.Outlook;

public enum RowState { Counted, LeftOut }

public enum EndStatus
{
    /// <summary>A point of the set reaches it.</summary>
    Attained,
    /// <summary>Points of the set come as near as one likes.</summary>
    Approached,
    /// <summary>Nothing limits it.</summary>
    Unbounded,
}

/// <summary>One end of a range: its value, a point where it is reached, and the multipliers that prove it.</summary>
/// <param name="Point">Values of the unknowns; empty unless the end is attained.</param>
/// <param name="Multipliers">One per row: numerator - value x denominator is the multiplied sum of the rows, up to unknowns that cannot be negative.</param>
public sealed record RangeEnd(EndStatus Status, double Value, ImmutableArray<double> Point, ImmutableArray<double> Multipliers);

/// <summary>
/// The smallest and largest value of a linear function, or of a quotient of two, over all that a system allows; exact up to the solver's tolerance.
/// Quotients by the transformation of Charnes and Cooper (1962): with t = 1 / denominator and X = t x the problem min n(x)/d(x) becomes the linear problem
/// min n(X, t) subject to the rows times t and d(X, t) = 1. A plain sum is the special case d = 1. One GLOP model serves every objective, so its basis stays warm.
/// The denominator must not become negative within the system.
/// </summary>
public sealed class RangeSolver : IDisposable
{
    private readonly LinearSystem _system;
    private readonly Solver _solver;
    private readonly Variable?[] _x;
    private readonly Variable _t;
    private readonly double _scale;
    private readonly Constraint _norm;
    private readonly List<Constraint?> _low = [], _high = [];
    private readonly List<SystemRow> _rows = [];
    private readonly HashSet<int> _normTerms = [];
    private readonly MPSolverParameters _parameters = new();
    private bool? _feasible;

    public RangeSolver(LinearSystem system)
    {
        _system = system;
        _solver = Solver.CreateSolver("GLOP") ?? throw new InvalidOperationException("The linear solver GLOP could not be created: is the native library of Google.OrTools for this platform there?");
        // Money is in millions and t is one over money: measured in units of the largest number, both are near one.
        _scale = Math.Max(1, system.Rows.SelectMany(r => new[] { r.Range.Low, r.Range.High }).Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(1).Max() / 10);
        // Only unknowns that a row or an objective speaks of become columns: a part of a large system is a small problem.
        _x = new Variable?[system.Variables.Length];
        _t = _solver.MakeNumVar(0, double.PositiveInfinity, "");
        _norm = _solver.MakeConstraint(1, 1);
        // The next objective starts from the last one's basis; presolving would throw it away.
        _parameters.SetIntegerParam(MPSolverParameters.IntegerParam.PRESOLVE, (int)MPSolverParameters.PresolveValues.PRESOLVE_OFF);
        foreach (SystemRow row in system.Rows) AddRow(row);
    }

    public bool IsFeasible => _feasible ??= Feasible();

    /// <summary>Both ends; an empty system has none. Without points and multipliers, which cost as much again to fetch.</summary>
    /// <exception cref="InvalidOperationException">The system has no solution: find the conflict first.</exception>
    public Interval Range(Objective objective) => Between(Value(objective, 1), Value(objective, -1));

    /// <summary>Both ends, or null if the system is empty.</summary>
    public Interval? TryRange(Objective objective)
    {
        try
        {
            return Range(objective);
        }
        catch (InvalidOperationException) when (!IsFeasible)
        {
            return null;
        }
    }

    /// <summary>The two ends of a range that is a point may cross by the solver's tolerance.</summary>
    internal static Interval Between(double low, double high) => low <= high ? new Interval(low, high) : Interval.At((low + high) / 2);

    public RangeEnd Least(Objective objective) => Solve(objective, 1);

    public RangeEnd Most(Objective objective) => Solve(objective, -1);

    /// <summary>Adds a row after the others; <see cref="Replace"/> may change it later.</summary>
    public void AddRow(SystemRow row)
    {
        _rows.Add(row);
        bool equal = row.Range.IsPoint;
        _low.Add(double.IsFinite(row.Range.Low) ? Write(row, row.Range.Low, 0, equal ? 0 : double.PositiveInfinity) : null);
        _high.Add(double.IsFinite(row.Range.High) && !equal ? Write(row, row.Range.High, double.NegativeInfinity, 0) : null);
        _feasible = null;
    }

    /// <summary>Another row in the place of one that has the same finite ends.</summary>
    public void Replace(int index, SystemRow row)
    {
        foreach (Constraint? end in new[] { _low[index], _high[index] })
            foreach (FormTerm stale in _rows[index].Terms) end?.SetCoefficient(X(stale.Variable), 0);
        _rows[index] = row;
        if (_low[index] is { } low) Fill(low, row, row.Range.Low);
        if (_high[index] is { } high) Fill(high, row, row.Range.High);
        _feasible = null;
    }

    /// <summary>Takes a row out, or puts it back.</summary>
    public void Count(int index, RowState state)
    {
        bool counts = state == RowState.Counted;
        _low[index]?.SetBounds(counts ? 0 : double.NegativeInfinity, counts && _rows[index].Range.IsPoint ? 0 : double.PositiveInfinity);
        _high[index]?.SetBounds(double.NegativeInfinity, counts ? 0 : double.PositiveInfinity);
        _feasible = null;
    }

    public void Dispose()
    {
        _parameters.Dispose();
        _solver.Dispose();
    }

    private bool Feasible()
    {
        Normalise(LinearForm.One);
        _solver.Objective().Clear();
        _solver.Objective().SetMinimization();
        return IsSolved();
    }

    /// <summary>
    /// A ray without end is proven from a point of the system and needs no second look. For the rest a basis from another objective may mislead the solver in a degenerate corner:
    /// what it gives up on is tried once more from nothing, and presolved if it cannot say why.
    /// </summary>
    private bool IsSolved()
    {
        switch (_solver.Solve(_parameters))
        {
            case Solver.ResultStatus.OPTIMAL: return true;
            case Solver.ResultStatus.UNBOUNDED: _feasible = true; return false;
        }
        _solver.Reset();
        return _solver.Solve(_parameters) switch
        {
            Solver.ResultStatus.OPTIMAL => true,
            Solver.ResultStatus.UNBOUNDED or Solver.ResultStatus.INFEASIBLE => false,
            _ => _solver.Solve() == Solver.ResultStatus.OPTIMAL,
        };
    }

    private RangeEnd Solve(Objective objective, int sign)
    {
        double value = Value(objective, sign);
        if (double.IsInfinity(value)) return new RangeEnd(EndStatus.Unbounded, value, [], []);
        double t = _t.SolutionValue() / _scale;
        var multipliers = ImmutableArray.CreateBuilder<double>(_rows.Count);
        for (int i = 0; i < _rows.Count; i++) multipliers.Add(sign * ((_low[i]?.DualValue() ?? 0) + (_high[i]?.DualValue() ?? 0)));
        if (t * _scale < 1e-12) return new RangeEnd(EndStatus.Approached, value, [], multipliers.MoveToImmutable());
        return new RangeEnd(EndStatus.Attained, value, [.. _x.Select(x => x is null ? 0 : x.SolutionValue() / t)], multipliers.MoveToImmutable());
    }

    /// <summary>The least (sign 1) or the largest (-1) value; infinite if nothing limits it.</summary>
    private double Value(Objective objective, int sign)
    {
        Normalise(objective.Denominator);
        Google.OrTools.LinearSolver.Objective goal = _solver.Objective();
        goal.Clear();
        foreach (FormTerm term in objective.Numerator.Terms) goal.SetCoefficient(X(term.Variable), sign * term.Factor);
        goal.SetCoefficient(_t, sign * objective.Numerator.Constant / _scale);
        goal.SetMinimization();
        if (IsSolved()) return sign * goal.Value();
        // In a feasible system nothing but unboundedness is left; a denominator that is zero throughout limits nothing either.
        if (!IsFeasible) throw new InvalidOperationException("The system has no solution: its sources contradict each other.");
        return sign > 0 ? double.NegativeInfinity : double.PositiveInfinity;
    }

    private Variable X(int variable) =>
        _x[variable] ??= _solver.MakeNumVar(_system.Variables[variable].Line.Sign == LineSign.Positive ? 0 : double.NegativeInfinity, double.PositiveInfinity, "");

    /// <summary>Denominator = 1 in the transformed unknowns.</summary>
    private void Normalise(LinearForm denominator)
    {
        foreach (int stale in _normTerms) _norm.SetCoefficient(X(stale), 0);
        _normTerms.Clear();
        foreach (FormTerm term in denominator.Terms)
        {
            _norm.SetCoefficient(X(term.Variable), term.Factor);
            _normTerms.Add(term.Variable);
        }
        // A constant that is only rounding error beside the factors is none.
        double largest = denominator.Terms.Select(t => Math.Abs(t.Factor)).DefaultIfEmpty(0).Max();
        _norm.SetCoefficient(_t, Math.Abs(denominator.Constant) < 1e-12 * largest ? 0 : denominator.Constant / _scale);
    }

    private Constraint Write(SystemRow row, double end, double low, double high)
    {
        Constraint constraint = _solver.MakeConstraint(low, high);
        Fill(constraint, row, end);
        return constraint;
    }

    private void Fill(Constraint constraint, SystemRow row, double end)
    {
        foreach (FormTerm term in row.Terms) constraint.SetCoefficient(X(term.Variable), term.Factor);
        constraint.SetCoefficient(_t, -end / _scale);
    }
}
