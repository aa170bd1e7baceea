using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>The unknowns of one quarter that a target depends on, cut out of the whole system: its own rows, and for each unknown the range that all other quarters leave it.
/// An outer picture of the set, in few dimensions.</summary>
public sealed record QuarterSystem(LinearSystem System, ImmutableArray<int> Variables)
{
    /// <param name="starts">The unknowns of the targets.</param>
    public static QuarterSystem Cut(LinearSystem whole, IReadOnlyCollection<int> starts, Quarter quarter, string definition)
    {
        bool Own(int v) => whole.Variables[v].Quarter == quarter && (whole.Variables[v].Line.IsShared || whole.Variables[v].Definition == definition);
        LinearSystem own = whole with { Rows = [.. whole.Rows.Where(r => r.Terms.All(t => Own(t.Variable)))] };
        LinearSystem near = own.ConnectedTo(starts);
        ImmutableArray<int> variables = [.. near.Rows.SelectMany(r => r.Terms).Select(t => t.Variable).Concat(starts).Distinct().Order()];
        // Only an unknown that rows of other quarters speak of can be narrower than its own quarter leaves it.
        HashSet<int> linked = [.. whole.Rows.Where(r => !r.Terms.All(t => Own(t.Variable))).SelectMany(r => r.Terms).Select(t => t.Variable)];
        LinearSystem reach = whole.ConnectedTo(starts);
        using var solver = new RangeSolver(reach);
        using var local = new RangeSolver(near);
        var rows = ImmutableArray.CreateBuilder<SystemRow>();
        foreach (int v in variables.Where(linked.Contains))
        {
            var alone = new Objective(new LinearForm([new FormTerm(v, 1)], 0), LinearForm.One);
            RangeEnd least = solver.Least(alone), most = solver.Most(alone);
            Interval range = RangeSolver.Between(least.Value, most.Value), here = local.Range(alone);
            double slack = 1e-7 * Math.Max(1, Math.Abs(range.Middle));
            if (range.Low <= here.Low + slack && range.High >= here.High - slack) continue;
            SystemVariable variable = whole.Variables[v];
            // Whoever follows a figure to its sources must not end at a row that has none: the range comes from those that bind it.
            ImmutableArray<Fact> facts = Certificate.FactsOf(reach, alone, least, most);
            rows.Add(new SystemRow($"linked:{v}", $"other quarters leave {variable.Label} this range", RowKind.Identity, [new FormTerm(v, 1)], range, null, facts, "", variable.Line.Place));
        }
        return new QuarterSystem(near.With(rows), variables);
    }
}
