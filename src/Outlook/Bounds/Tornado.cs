using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>How far one uncertain input moves the target, the others resting in the middle of their ranges.</summary>
/// <param name="Share">The part of the whole width that this input answers for (Shapley value of the width; the shares sum to it).</param>
/// <param name="Rows">Where the input's range comes from: published rows, or the assumption itself.</param>
public sealed record TornadoBar(string Label, RowKind Kind, Interval Input, bool IsRatio, double AtLow, double AtHigh, double Share, ImmutableArray<SystemRow> Rows)
{
    /// <summary>The published rows behind the input.</summary>
    public ImmutableArray<Fact> Facts => [.. Rows.SelectMany(r => r.Facts).DistinctBy(f => f.Place)];

    public double Swing => Math.Abs(AtHigh - AtLow);
}

/// <param name="Central">The target with every input in the middle of its range.</param>
/// <param name="Width">The width of the target's range with every input free.</param>
public sealed record Tornado(string Layer, Target Target, double Central, double Width, ImmutableArray<TornadoBar> Bars);

/// <summary>Sensitivity of a target to the ranges that bind it.</summary>
public static class TornadoFinder
{
    /// <summary>Inputs beyond this many are left out, the least moving first: the shares need the width of every subset.</summary>
    public const int InputsMax = 4;
    private const double Slack = 1e-6;

    /// <summary>Null where the target is unbounded, or nothing uncertain binds it.</summary>
    public static Tornado? Find(LinearSystem system, Objective objective, Bound bound)
    {
        if (!bound.Range.IsBounded) return null;
        using var solver = new RangeSolver(system);
        ImmutableArray<Input> inputs = Inputs(system, solver, bound);
        using var pins = new PinnedSolver(system, inputs);
        inputs = pins.Independent();
        if (inputs.IsEmpty) return null;

        var widths = new double[1 << inputs.Length];
        for (int free = 0; free < widths.Length; free++)
        {
            pins.Pin([.. inputs.Where((_, i) => (free & (1 << i)) == 0)], null, 0);
            widths[free] = pins.Solver.Range(objective).Width;
        }
        pins.Pin(inputs, null, 0);
        double central = pins.Solver.Range(objective).Middle;
        var bars = ImmutableArray.CreateBuilder<TornadoBar>();
        for (int i = 0; i < inputs.Length; i++)
        {
            Input input = inputs[i];
            double At(double value)
            {
                pins.Pin(inputs, input, value);
                return pins.Solver.IsFeasible ? pins.Solver.Range(objective).Middle : double.NaN;
            }
            bars.Add(new TornadoBar(input.Label, input.Kind, input.Range, input.Quantity.IsRatio, At(input.Range.Low), At(input.Range.High), Shapley(widths, i, inputs.Length), input.Rows));
        }
        return new Tornado(bound.Layer, bound.Target, central, widths[^1] - widths[0], [.. bars.OrderByDescending(b => b.Share)]);
    }

    /// <summary>The average, over all orders in which inputs are let loose, of what this one adds to the width.</summary>
    private static double Shapley(double[] widths, int input, int count)
    {
        double[] factorial = new double[count + 1];
        factorial[0] = 1;
        for (int i = 1; i <= count; i++) factorial[i] = factorial[i - 1] * i;
        double share = 0;
        for (int set = 0; set < widths.Length; set++)
        {
            if ((set & (1 << input)) != 0) continue;
            int size = System.Numerics.BitOperations.PopCount((uint)set);
            share += factorial[size] * factorial[count - size - 1] / factorial[count] * (widths[set | (1 << input)] - widths[set]);
        }
        return share;
    }

    /// <summary>What binds and is not exact, each quantity once, with the range that the system leaves it.</summary>
    private static ImmutableArray<Input> Inputs(LinearSystem system, RangeSolver solver, Bound bound)
    {
        var inputs = new Dictionary<string, Input>(StringComparer.Ordinal);
        foreach (Binding binding in bound.Bindings)
        {
            SystemRow row = binding.Row;
            Objective quantity = row.Ratio is { } ratio ? new Objective(ratio.Numerator, ratio.Denominator) : new Objective(new LinearForm(row.Terms, 0), LinearForm.One);
            string key = string.Join(';', quantity.Numerator.Terms.Concat(quantity.Denominator.Terms).Select(t => $"{t.Variable}:{t.Factor}"));
            if (row.Kind == RowKind.Identity || inputs.ContainsKey(key)) continue;
            RangeEnd least = solver.Least(quantity), most = solver.Most(quantity);
            Interval range = RangeSolver.Between(least.Value, most.Value);
            double size = Math.Max(1e-9, Math.Max(Math.Abs(range.Low), Math.Abs(range.High)));
            if (range.IsBounded && range.Width > Slack * size)
                inputs.Add(key, new Input(Label(row), row.Kind, quantity, range, Math.Abs(binding.Slope) * range.Width, [.. Certificate.RowsOf(system, quantity, least, most).Prepend(row).Distinct()]));
        }
        return [.. inputs.Values.OrderByDescending(i => i.Move)];
    }

    private static string Label(SystemRow row) => row.Words.Split(" is ")[0];

    /// <param name="Move">How far the bound would move if the input went from one end of its range to the other, by the certificate's slope.</param>
    /// <param name="Rows">What holds its range.</param>
    private sealed record Input(string Label, RowKind Kind, Objective Quantity, Interval Range, double Move, ImmutableArray<SystemRow> Rows);

    /// <summary>A system in which inputs can be held at values.</summary>
    private sealed class PinnedSolver : IDisposable
    {
        private readonly ImmutableArray<Input> _inputs;
        private readonly int _first;

        public PinnedSolver(LinearSystem system, ImmutableArray<Input> inputs)
        {
            _inputs = [.. inputs.Take(2 * InputsMax)];
            _first = system.Rows.Length;
            Solver = new RangeSolver(system);
            foreach (Input input in _inputs) Solver.AddRow(Row(input, input.Range.Middle));
        }

        public RangeSolver Solver { get; }

        /// <summary>The most moving inputs that can rest in their middles together: one that cannot is a consequence of those before it.</summary>
        public ImmutableArray<Input> Independent()
        {
            ImmutableArray<Input> kept = [];
            foreach (Input input in _inputs)
            {
                if (kept.Length == InputsMax) break;
                Pin([.. kept, input], null, 0);
                if (Solver.IsFeasible) kept = kept.Add(input);
            }
            return kept;
        }

        /// <summary>Holds these inputs in their middles, except one at a value of its own.</summary>
        public void Pin(ImmutableArray<Input> held, Input? moved, double value)
        {
            for (int i = 0; i < _inputs.Length; i++)
            {
                bool counts = held.Contains(_inputs[i]);
                if (counts) Solver.Replace(_first + i, Row(_inputs[i], _inputs[i] == moved ? value : _inputs[i].Range.Middle));
                Solver.Count(_first + i, counts ? RowState.Counted : RowState.LeftOut);
            }
        }

        public void Dispose() => Solver.Dispose();

        private static SystemRow Row(Input input, double value)
        {
            LinearForm form = input.Quantity.Numerator.Minus(input.Quantity.Denominator, value);
            return new SystemRow("pinned", input.Label, RowKind.Supposed, form.Terms, Interval.At(-form.Constant), null, [], "", new Place("", 0));
        }
    }
}
