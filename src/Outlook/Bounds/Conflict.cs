using System.Collections.Immutable;
using Google.OrTools.LinearSolver;

namespace Qanat.Outlook;

public enum ConflictSize
{
    /// <summary>No smaller set of sources contradicts itself.</summary>
    Smallest,
    /// <summary>None of its members can be left out; a smaller set of other members may exist.</summary>
    Irreducible,
}

/// <summary>Published rows, statements and assumptions that cannot all be true.</summary>
public sealed record Conflict(ImmutableArray<SystemRow> Rows, ConflictSize Size)
{
    public IEnumerable<Fact> Facts => Rows.SelectMany(r => r.Facts).DistinctBy(f => f.Place);

    public override string ToString() => "these cannot all be true:\n" + string.Join('\n', Rows.DistinctBy(r => r.Group).Select(r =>
        $"  - {r.Words} ({(r.Facts.IsEmpty ? r.Place.ToString() : string.Join(", ", r.Facts.Select(f => $"{f.Place}, {f.Source}")))})"));
}

/// <summary>
/// Finds the smallest set of sources that contradicts itself. Identities are taken as given; everything published or assumed is under suspicion.
/// Implicit hitting sets: every maximal consistent set leaves out a set of sources of which any contradiction must contain at least one; the smallest set that hits all
/// of those found so far is either itself contradictory, and then smallest, or grows into another maximal consistent set.
/// </summary>
public sealed class ConflictFinder : IDisposable
{
    private const int RoundsMax = 200;
    private readonly LinearSystem _system;
    private readonly Solver _solver = Solver.CreateSolver("GLOP");
    private readonly MPSolverParameters _parameters = new();
    private readonly Constraint[] _constraints;
    private readonly ImmutableArray<string> _groups;
    private readonly Dictionary<string, ImmutableArray<int>> _rowsOf;

    private ConflictFinder(LinearSystem system)
    {
        _system = system;
        Variable[] x = [.. system.Variables.Select(v => _solver.MakeNumVar(v.Line.Sign == LineSign.Positive ? 0 : double.NegativeInfinity, double.PositiveInfinity, ""))];
        _constraints = [.. system.Rows.Select(_ => _solver.MakeConstraint(double.NegativeInfinity, double.PositiveInfinity))];
        for (int i = 0; i < system.Rows.Length; i++)
            foreach (FormTerm term in system.Rows[i].Terms) _constraints[i].SetCoefficient(x[term.Variable], term.Factor);
        _parameters.SetIntegerParam(MPSolverParameters.IntegerParam.PRESOLVE, (int)MPSolverParameters.PresolveValues.PRESOLVE_OFF);
        _rowsOf = system.Rows.Select((row, i) => (row, i)).Where(p => p.row.Kind is not (RowKind.Identity or RowKind.Product))
            .GroupBy(p => p.row.Group).ToDictionary(g => g.Key, g => g.Select(p => p.i).ToImmutableArray(), StringComparer.Ordinal);
        _groups = [.. _rowsOf.Keys];
    }

    /// <summary>Null if the system has a solution.</summary>
    public static Conflict? Find(LinearSystem system)
    {
        using var finder = new ConflictFinder(system);
        if (finder.Consistent(finder._groups)) return null;
        if (!finder.Consistent([])) return new Conflict([.. system.Rows.Where(r => r.Kind is RowKind.Identity or RowKind.Product)], ConflictSize.Irreducible);
        return finder.Smallest();
    }

    public void Dispose()
    {
        _parameters.Dispose();
        _solver.Dispose();
    }

    private Conflict Smallest()
    {
        var leftOut = new List<ImmutableHashSet<string>>();
        for (int round = 0; round < RoundsMax; round++)
        {
            ImmutableArray<string> hit = SmallestHit(leftOut);
            if (!Consistent(hit)) return Named(hit, ConflictSize.Smallest);
            var consistent = new List<string>(hit);
            var refused = ImmutableHashSet.CreateBuilder<string>(StringComparer.Ordinal);
            Grow(consistent, [.. _groups.Except(hit, StringComparer.Ordinal)], refused);
            leftOut.Add(refused.ToImmutable());
        }
        return Named(Irreducible(), ConflictSize.Irreducible);
    }

    /// <summary>Adds what can be added, by halves: most sources agree.</summary>
    private void Grow(List<string> consistent, ImmutableArray<string> rest, ImmutableHashSet<string>.Builder refused)
    {
        if (rest.IsEmpty) return;
        if (Consistent([.. consistent, .. rest]))
            consistent.AddRange(rest);
        else if (rest.Length == 1)
            refused.Add(rest[0]);
        else
        {
            Grow(consistent, rest[..(rest.Length / 2)], refused);
            Grow(consistent, rest[(rest.Length / 2)..], refused);
        }
    }

    private ImmutableArray<string> Irreducible()
    {
        ImmutableArray<string> kept = _groups;
        foreach (string group in _groups)
        {
            ImmutableArray<string> without = kept.Remove(group);
            if (!Consistent(without)) kept = without;
        }
        return kept;
    }

    private static ImmutableArray<string> SmallestHit(List<ImmutableHashSet<string>> sets)
    {
        if (sets.Count == 0) return [];
        using Solver solver = Solver.CreateSolver("SCIP") ?? throw new InvalidOperationException("The integer solver SCIP could not be created.");
        Dictionary<string, Variable> chosen = sets.SelectMany(s => s).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
            .ToDictionary(g => g, _ => solver.MakeBoolVar(""), StringComparer.Ordinal);
        foreach (ImmutableHashSet<string> set in sets)
        {
            Constraint constraint = solver.MakeConstraint(1, double.PositiveInfinity);
            foreach (string group in set) constraint.SetCoefficient(chosen[group], 1);
        }
        foreach (Variable variable in chosen.Values) solver.Objective().SetCoefficient(variable, 1);
        solver.Objective().SetMinimization();
        if (solver.Solve() != Solver.ResultStatus.OPTIMAL) throw new InvalidOperationException("The smallest hitting set could not be found.");
        return [.. chosen.Where(p => p.Value.SolutionValue() > 0.5).Select(p => p.Key)];
    }

    private bool Consistent(IEnumerable<string> groups)
    {
        for (int i = 0; i < _constraints.Length; i++)
        {
            bool given = _system.Rows[i].Kind is RowKind.Identity or RowKind.Product;
            _constraints[i].SetBounds(given ? _system.Rows[i].Range.Low : double.NegativeInfinity, given ? _system.Rows[i].Range.High : double.PositiveInfinity);
        }
        foreach (int i in groups.SelectMany(g => _rowsOf[g])) _constraints[i].SetBounds(_system.Rows[i].Range.Low, _system.Rows[i].Range.High);
        return _solver.Solve(_parameters) == Solver.ResultStatus.OPTIMAL;
    }

    private Conflict Named(ImmutableArray<string> groups, ConflictSize size) => new([.. _system.Rows.Where(r => groups.Contains(r.Group))], size);
}
