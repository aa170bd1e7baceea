using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>An unknown: a line of the model in one quarter, under one definition of segments.</summary>
public sealed record SystemVariable(int Index, ModelLine Line, Quarter Quarter, string Definition)
{
    public string Label => Definition.Length == 0 ? $"{Line.Label}, {Quarter}" : $"{Line.Label}, {Quarter} ({Definition} segments)";
}

public readonly record struct FormTerm(int Variable, double Factor);

/// <summary>A linear function of the unknowns.</summary>
public sealed record LinearForm(ImmutableArray<FormTerm> Terms, double Constant)
{
    public static readonly LinearForm One = new([], 1);

    public double At(IReadOnlyList<double> point) => Terms.Sum(t => t.Factor * point[t.Variable]) + Constant;

    public LinearForm Minus(LinearForm other, double factor) => new(Merge([.. Terms, .. other.Terms.Select(t => t with { Factor = -factor * t.Factor })]), Constant - factor * other.Constant);

    public static ImmutableArray<FormTerm> Merge(IEnumerable<FormTerm> terms) =>
        [.. terms.GroupBy(t => t.Variable).Select(g => new FormTerm(g.Key, g.Sum(t => t.Factor))).Where(t => t.Factor != 0).OrderBy(t => t.Variable)];
}

/// <summary>Why a row holds, most credible first.</summary>
public enum RowKind { Identity, Reported, Soft, Product, Assumption, Supposed }

/// <summary>A quotient that is held at one end of a range: numerator - level x denominator, compared with 0.</summary>
public sealed record RatioEnd(LinearForm Numerator, LinearForm Denominator, double Level);

/// <summary>One linear restriction: the sum of the terms lies in the range.</summary>
/// <param name="Group">Rows that stand or fall together: both ends of one published number.</param>
/// <param name="Words">What it says, in plain words.</param>
public sealed record SystemRow(string Group, string Words, RowKind Kind, ImmutableArray<FormTerm> Terms, Interval Range, RatioEnd? Ratio, ImmutableArray<Fact> Facts, string Layer, Place Place);

/// <summary>All that is known and assumed, as linear restrictions on the unknowns.</summary>
public sealed record LinearSystem(ImmutableArray<SystemVariable> Variables, ImmutableArray<SystemRow> Rows, ImmutableArray<ProductTriple> Products)
{
    public SystemVariable? Find(string line, Quarter quarter, string definition) =>
        Variables.FirstOrDefault(v => v.Line.Name == line && v.Quarter == quarter && (v.Line.IsShared || v.Definition == definition));

    public LinearSystem With(IEnumerable<SystemRow> rows) => this with { Rows = [.. Rows, .. rows] };

    /// <summary>The rows that can have a say in these unknowns: those that share unknowns with them, directly or through other rows. The unknowns keep their numbers.</summary>
    public LinearSystem ConnectedTo(IEnumerable<int> variables)
    {
        var reached = new bool[Variables.Length];
        var queue = new Queue<int>(variables);
        var rowsOf = new List<int>[Variables.Length];
        for (int i = 0; i < Rows.Length; i++)
            foreach (FormTerm term in Rows[i].Terms) (rowsOf[term.Variable] ??= []).Add(i);
        var kept = new bool[Rows.Length];
        while (queue.TryDequeue(out int variable))
        {
            if (reached[variable]) continue;
            reached[variable] = true;
            foreach (int row in rowsOf[variable] ?? [])
            {
                if (kept[row]) continue;
                kept[row] = true;
                foreach (FormTerm term in Rows[row].Terms) queue.Enqueue(term.Variable);
            }
        }
        return this with { Rows = [.. Rows.Where((_, i) => kept[i])] };
    }
}

/// <summary>Product = Left x Right, which the rows only envelop.</summary>
public readonly record struct ProductTriple(int Product, int Left, int Right);

/// <summary>Numerator over denominator (1 for a plain sum) as linear functions of the unknowns.</summary>
public sealed record Objective(LinearForm Numerator, LinearForm Denominator)
{
    public bool IsRatio => Denominator.Terms.Length > 0;
    public double At(IReadOnlyList<double> point) => Numerator.At(point) / Denominator.At(point);
}
