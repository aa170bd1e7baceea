using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Outlook;

/// <summary>Evaluates how a derived number follows from other rows: sums, differences, products and quotients of numbers and references {metric|segment|period}, where metric and
/// segment may be left out if they are the row's own. Interval arithmetic: the derived row means all that its inputs allow.</summary>
public sealed class FactFormula
{
    private const int DepthMax = 16;
    private readonly ImmutableArray<Fact> _facts;
    private readonly Fact _row;
    private readonly List<Fact> _inputs = [];
    private readonly int _depth;
    private int _at;

    private FactFormula(ImmutableArray<Fact> facts, Fact row, int depth)
    {
        _facts = facts;
        _row = row;
        _depth = depth;
    }

    /// <summary>Gives every derived row its interval, its inputs and the worst tier among them; adds a fault where a formula cannot be evaluated or disagrees with the printed number.</summary>
    public static ImmutableArray<Fact> Derive(ImmutableArray<Fact> facts, List<Fault> faults)
    {
        var result = facts.ToBuilder();
        for (int i = 0; i < facts.Length; i++)
        {
            if (!facts[i].IsDerived) continue;
            try
            {
                result[i] = Evaluate(facts, facts[i], 0);
            }
            catch (FormatException e)
            {
                faults.Add(new Fault(facts[i].Place, $"its formula {e.Message}"));
            }
        }
        return result.ToImmutable();
    }

    private static Fact Evaluate(ImmutableArray<Fact> facts, Fact row, int depth)
    {
        if (depth > DepthMax) throw new FormatException("refers to itself.");
        var formula = new FactFormula(facts, row, depth);
        Interval value;
        try
        {
            value = formula.Sum();
        }
        catch (DivideByZeroException e)
        {
            throw new FormatException("divides by what may be zero.", e);
        }
        if (formula.Peek() != '\0') throw new FormatException($"has '{row.Formula[formula._at..]}' too much.");
        Interval printed = row.Value!.Value;
        // A derived row prints its middle to the unit, or one end when it is a bound.
        double slack = Math.Max(1, value.Width) * (row.IsPercent ? 0.01 : 1);
        bool agrees = printed.IsPoint ? value.Contains(printed.Low, slack) : printed.Low == double.NegativeInfinity ? Math.Abs(printed.High - value.Middle) <= slack : Math.Abs(printed.Low - value.Middle) <= slack;
        if (!agrees) throw new FormatException($"gives {value}, which is not the printed {row.Printed}.");
        Interval kept = printed.IsPoint ? value : printed.Low == double.NegativeInfinity ? Interval.AtMost(value.High) : Interval.AtLeast(value.Low);
        return row with { Value = kept, Inputs = [.. formula._inputs], Tier = formula._inputs.Select(f => f.Tier).Append(Tier.T1).Max() };
    }

    private Interval Sum()
    {
        Interval total = Product();
        while (Peek() is '+' or '-')
            total = _row.Formula[_at++] == '+' ? total + Product() : total - Product();
        return total;
    }

    private Interval Product()
    {
        Interval total = Part();
        while (Peek() is '*' or '/')
            total = _row.Formula[_at++] == '*' ? total * Part() : total / Part();
        return total;
    }

    private Interval Part()
    {
        switch (Peek())
        {
            case '(':
                _at++;
                Interval inner = Sum();
                if (Peek() != ')') throw new FormatException("leaves a bracket open.");
                _at++;
                return inner;
            case '{':
                int close = _row.Formula.IndexOf('}', _at);
                if (close < 0) throw new FormatException("leaves a { open.");
                string reference = _row.Formula[(_at + 1)..close];
                _at = close + 1;
                return Look(reference);
            default:
                int start = _at;
                while (_at < _row.Formula.Length && (char.IsAsciiDigit(_row.Formula[_at]) || _row.Formula[_at] == '.')) _at++;
                return double.TryParse(_row.Formula.AsSpan(start, _at - start), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
                    ? Interval.At(number)
                    : throw new FormatException($"cannot be read at '{_row.Formula[start..]}'.");
        }
    }

    private Interval Look(string reference)
    {
        string[] parts = [.. reference.Split('|').Select(p => p.Trim())];
        string metric = parts.Length > 1 ? parts[0] : _row.Measure.Metric, segment = parts.Length > 2 ? parts[1] : _row.Measure.Segment, period = parts[^1];
        Measure measure = new(metric, segment);
        // A reference that names only a metric may mean the one segment that has it in that period.
        Fact[] found = [.. _facts.Where(f => f.Measure == measure && f.FiscalPeriod == period && f.Company == _row.Company)];
        if (found.Length == 0 && parts.Length == 2) found = [.. _facts.Where(f => f.Measure.Metric == metric && f.FiscalPeriod == period && f.Company == _row.Company)];
        if (found.Length != 1)
            throw new FormatException($"refers to {{{reference}}}, which {(found.Length == 0 ? "no row" : "more than one row")} gives.");
        Fact fact = found[0].IsDerived ? Evaluate(_facts, found[0], _depth + 1) : found[0];
        _inputs.Add(fact);
        return fact.Value ?? throw new FormatException($"refers to {{{reference}}}, which is words.");
    }

    private char Peek()
    {
        while (_at < _row.Formula.Length && _row.Formula[_at] == ' ') _at++;
        return _at < _row.Formula.Length ? _row.Formula[_at] : '\0';
    }
}
