using System.Runtime.CompilerServices;

namespace Qanat.Models;

/// <summary>Part of a template that has a value.</summary>
internal abstract class JinjaExpression(int line)
{
    public int Line => line;

    public JinjaValue Evaluate(JinjaRun run)
    {
        run.Step(line);
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new JinjaException(line, "an expression is nested too deeply");
        return Value(run);
    }

    protected abstract JinjaValue Value(JinjaRun run);
}

internal sealed class LiteralExpression(int line, JinjaValue value) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => value;
}

internal sealed class NameExpression(int line, string name) : JinjaExpression(line)
{
    public string Name => name;
    protected override JinjaValue Value(JinjaRun run) => run.Scope.Find(name) ?? new UndefinedValue(name);
}

internal sealed class ListExpression(int line, IReadOnlyList<JinjaExpression> items) : JinjaExpression(line)
{
    public IReadOnlyList<JinjaExpression> Items => items;
    protected override JinjaValue Value(JinjaRun run) => new ListValue([.. items.Select(item => item.Evaluate(run))]);
}

internal sealed class MapExpression(int line, IReadOnlyList<KeyValuePair<JinjaExpression, JinjaExpression>> members) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run)
    {
        var map = new MapValue();
        foreach (KeyValuePair<JinjaExpression, JinjaExpression> member in members) map.Set(member.Key.Evaluate(run).Written().Value, member.Value.Evaluate(run));
        return map;
    }
}

internal sealed class AttributeExpression(int line, JinjaExpression target, string name) : JinjaExpression(line)
{
    public JinjaExpression Target => target;
    public string Name => name;

    protected override JinjaValue Value(JinjaRun run)
    {
        JinjaValue owner = target.Evaluate(run);
        if (owner is UndefinedValue missing) throw new JinjaException(Line, $"{missing.Name} is not there, so it has no {name}");
        return owner.Attribute(name) ?? new UndefinedValue(name);
    }
}

internal sealed class ItemExpression(int line, JinjaExpression target, JinjaExpression index) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run)
    {
        JinjaValue owner = target.Evaluate(run), key = index.Evaluate(run);
        if (owner is UndefinedValue missing) throw new JinjaException(Line, $"{missing.Name} is not there, so it has no items");
        return key switch
        {
            TextValue name => (owner is MapValue map ? map.Member(name.Text.Value) : null) ?? owner.Attribute(name.Text.Value) ?? new UndefinedValue(name.Text.Value),
            IntegerValue place when owner is ListValue or TextValue => At(owner.Items!, place.Value) ?? new UndefinedValue("item"),
            _ => new UndefinedValue("item"),
        };
    }

    private static JinjaValue? At(IReadOnlyList<JinjaValue> items, long place) => (place < 0 ? place + items.Count : place) is var index && index >= 0 && index < items.Count ? items[(int)index] : null;
}

internal sealed class SliceExpression(int line, JinjaExpression target, JinjaExpression? start, JinjaExpression? stop, JinjaExpression? step) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run)
    {
        JinjaValue owner = target.Evaluate(run);
        IReadOnlyList<JinjaValue> items = owner is ListValue or TextValue or UndefinedValue ? owner.Items! : throw new JinjaException(Line, $"{owner.Kind} cannot be cut");
        int by = Bound(run, step) ?? 1;
        if (by == 0) throw new JinjaException(Line, "a step of 0 leads nowhere");
        int first = Clamp(Bound(run, start), by > 0 ? 0 : items.Count - 1, items.Count, by);
        int last = Clamp(Bound(run, stop), by > 0 ? items.Count : -1, items.Count, by);
        var taken = new List<JinjaValue>();
        for (long at = first; by > 0 ? at < last : at > last; at += by) taken.Add(items[(int)at]);
        run.Step(Line, taken.Count);
        if (owner is not TextValue) return new ListValue(taken);
        var text = new JinjaText.Builder();
        foreach (JinjaValue character in taken) text.Add(character.Written());
        return new TextValue(run.Made(Line, text.Finish()));
    }

    private int? Bound(JinjaRun run, JinjaExpression? bound) => bound?.Evaluate(run) switch
    {
        null or NoneValue => null,
        IntegerValue whole => (int)Math.Clamp(whole.Value, -int.MaxValue, int.MaxValue),
        { } other => throw new JinjaException(Line, $"{other.Kind} is no place to cut"),
    };

    private static int Clamp(int? given, int absent, int count, int step)
    {
        if (given is not { } place) return absent;
        return Math.Clamp(place < 0 ? place + count : place, step > 0 ? 0 : -1, step > 0 ? count : count - 1);
    }
}

/// <summary>Arguments as they are written.</summary>
internal sealed record ArgumentList(IReadOnlyList<JinjaExpression> Positional, IReadOnlyList<KeyValuePair<string, JinjaExpression>> Named)
{
    public static readonly ArgumentList None = new([], []);

    public JinjaArguments Evaluate(JinjaRun run, int line) => Positional.Count + Named.Count == 0
        ? JinjaArguments.None(line)
        : new JinjaArguments(line, [.. Positional.Select(argument => argument.Evaluate(run))], Named.ToDictionary(argument => argument.Key, argument => argument.Value.Evaluate(run), StringComparer.Ordinal));
}

internal sealed class CallExpression(int line, JinjaExpression target, ArgumentList arguments) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => target.Evaluate(run) switch
    {
        FunctionValue function => function.Call(run, arguments.Evaluate(run, Line)),
        UndefinedValue missing => throw new JinjaException(Line, $"there is no function {missing.Name}"),
        { } other => throw new JinjaException(Line, $"{other.Kind} cannot be called"),
    };
}

internal sealed class FilterExpression(int line, JinjaExpression value, string name, ArgumentList arguments) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => JinjaFilters.Apply(run, name, value.Evaluate(run), arguments.Evaluate(run, Line));
}

internal sealed class TestExpression(int line, JinjaExpression value, string name, ArgumentList arguments, bool isNegated) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => JinjaValue.Of(JinjaTests.Holds(name, value.Evaluate(run), arguments.Evaluate(run, Line)) != isNegated);
}

internal sealed class NotExpression(int line, JinjaExpression value) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => JinjaValue.Of(!value.Evaluate(run).IsTrue);
}

/// <summary>Gives one of its sides, as Python does.</summary>
internal sealed class LogicExpression(int line, bool isAnd, JinjaExpression left, JinjaExpression right) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => left.Evaluate(run) is var first && first.IsTrue == isAnd ? right.Evaluate(run) : first;
}

internal sealed class ChoiceExpression(int line, JinjaExpression condition, JinjaExpression chosen, JinjaExpression? otherwise) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => condition.Evaluate(run).IsTrue ? chosen.Evaluate(run) : otherwise?.Evaluate(run) ?? new UndefinedValue("else");
}

internal sealed class NegativeExpression(int line, JinjaExpression value) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run) => JinjaArithmetic.Of(Line, "-", new IntegerValue(0), value.Evaluate(run));
}

internal sealed class ArithmeticExpression(int line, string operation, JinjaExpression left, JinjaExpression right) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run)
    {
        JinjaValue result = JinjaArithmetic.Of(Line, operation, left.Evaluate(run), right.Evaluate(run));
        if (result is TextValue text) run.Made(Line, text.Text);
        if (result is ListValue list) run.Step(Line, list.Items.Count);
        return result;
    }
}

/// <summary>Joins whatever it is given as text.</summary>
internal sealed class ConcatExpression(int line, JinjaExpression left, JinjaExpression right) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run)
    {
        var joined = new JinjaText.Builder();
        joined.Add(left.Evaluate(run).Written());
        joined.Add(right.Evaluate(run).Written());
        return new TextValue(run.Made(Line, joined.Finish()));
    }
}

/// <summary>Comparisons in a row: each with its neighbour.</summary>
internal sealed class ComparisonExpression(int line, JinjaExpression first, IReadOnlyList<KeyValuePair<string, JinjaExpression>> others) : JinjaExpression(line)
{
    protected override JinjaValue Value(JinjaRun run)
    {
        JinjaValue left = first.Evaluate(run);
        foreach ((string operation, JinjaExpression expression) in others)
        {
            JinjaValue right = expression.Evaluate(run);
            if (!Holds(operation, left, right)) return JinjaValue.False;
            left = right;
        }
        return JinjaValue.True;
    }

    private bool Holds(string operation, JinjaValue left, JinjaValue right) => operation switch
    {
        "==" => JinjaCompare.AreEqual(left, right),
        "!=" => !JinjaCompare.AreEqual(left, right),
        "in" => JinjaCompare.IsIn(Line, left, right),
        "not in" => !JinjaCompare.IsIn(Line, left, right),
        "<" => JinjaCompare.Order(Line, left, right) < 0,
        "<=" => JinjaCompare.Order(Line, left, right) <= 0,
        ">" => JinjaCompare.Order(Line, left, right) > 0,
        _ => JinjaCompare.Order(Line, left, right) >= 0,
    };
}
