namespace Qanat.Models;

/// <summary>Part of a template that writes or changes something.</summary>
internal abstract class JinjaStatement(int line)
{
    public int Line => line;

    /// <returns>How the loop around it goes on.</returns>
    public abstract JinjaFlow Execute(JinjaRun run);

    public static JinjaFlow ExecuteAll(JinjaRun run, IReadOnlyList<JinjaStatement> statements)
    {
        foreach (JinjaStatement statement in statements)
        {
            run.Step(statement.Line);
            JinjaFlow flow = statement.Execute(run);
            if (flow != JinjaFlow.On) return flow;
        }
        return JinjaFlow.On;
    }
}

internal enum JinjaFlow { On, NextItem, LeaveLoop }

internal sealed class TextStatement(int line, string text) : JinjaStatement(line)
{
    private readonly JinjaText _text = JinjaText.Own(text);

    public override JinjaFlow Execute(JinjaRun run)
    {
        run.Write(Line, _text);
        return JinjaFlow.On;
    }
}

internal sealed class OutputStatement(int line, JinjaExpression value) : JinjaStatement(line)
{
    public override JinjaFlow Execute(JinjaRun run)
    {
        run.Write(Line, value.Evaluate(run).Written());
        return JinjaFlow.On;
    }
}

internal sealed class IfStatement(int line, JinjaExpression condition, IReadOnlyList<JinjaStatement> body, IReadOnlyList<JinjaStatement> otherwise) : JinjaStatement(line)
{
    public override JinjaFlow Execute(JinjaRun run) => ExecuteAll(run, condition.Evaluate(run).IsTrue ? body : otherwise);
}

internal sealed class FlowStatement(int line, JinjaFlow flow) : JinjaStatement(line)
{
    public override JinjaFlow Execute(JinjaRun run) => flow;
}

/// <summary>What a value is given to: a name, several, or a member of a namespace.</summary>
internal static class JinjaTarget
{
    public static void Assign(JinjaRun run, JinjaExpression target, JinjaValue value)
    {
        switch (target)
        {
            case NameExpression name:
                run.Scope.Set(name.Name, value);
                break;
            case ListExpression several when value.Items is { } items && items.Count == several.Items.Count:
                for (int i = 0; i < items.Count; i++) Assign(run, several.Items[i], items[i]);
                break;
            case AttributeExpression member when member.Target.Evaluate(run) is NamespaceValue owner:
                owner.Members[member.Name] = value;
                break;
            default: throw new JinjaException(target.Line, $"{value.Kind} cannot be assigned here");
        }
    }
}

internal sealed class SetStatement(int line, JinjaExpression target, JinjaExpression value) : JinjaStatement(line)
{
    public override JinjaFlow Execute(JinjaRun run)
    {
        JinjaTarget.Assign(run, target, value.Evaluate(run));
        return JinjaFlow.On;
    }
}

/// <summary>Assigns what its body writes, or writes it, after a filter.</summary>
/// <param name="target">Null: it is written.</param>
/// <param name="filter">The value of the body is given to it; null: none.</param>
internal sealed class BlockStatement(int line, JinjaExpression? target, Func<JinjaExpression, JinjaExpression>? filter, IReadOnlyList<JinjaStatement> body) : JinjaStatement(line)
{
    public override JinjaFlow Execute(JinjaRun run)
    {
        JinjaText text = JinjaText.Empty;
        run.Within(new JinjaScope(run.Scope), () => text = run.Capture(() => ExecuteAll(run, body)));
        JinjaValue value = new TextValue(text);
        if (filter is not null) value = filter(new LiteralExpression(Line, value)).Evaluate(run);
        if (target is null) run.Write(Line, value.Written());
        else JinjaTarget.Assign(run, target, value);
        return JinjaFlow.On;
    }
}

internal sealed class ForStatement(int line, JinjaExpression target, JinjaExpression items, JinjaExpression? condition, IReadOnlyList<JinjaStatement> body, IReadOnlyList<JinjaStatement> otherwise) : JinjaStatement(line)
{
    public override JinjaFlow Execute(JinjaRun run)
    {
        JinjaValue source = items.Evaluate(run);
        IReadOnlyList<JinjaValue> all = source.Items ?? throw new JinjaException(Line, $"{source.Kind} has no items to go through");
        IReadOnlyList<JinjaValue> chosen = condition is null ? all : Chosen(run, all);
        if (chosen.Count == 0) return ExecuteAll(run, otherwise);
        for (int i = 0; i < chosen.Count; i++)
        {
            run.Step(Line);
            var scope = new JinjaScope(run.Scope);
            scope.Set("loop", new LoopValue(chosen, i));
            JinjaFlow flow = JinjaFlow.On;
            run.Within(scope, () =>
            {
                JinjaTarget.Assign(run, target, chosen[i]);
                flow = ExecuteAll(run, body);
            });
            if (flow == JinjaFlow.LeaveLoop) break;
        }
        return JinjaFlow.On;
    }

    private List<JinjaValue> Chosen(JinjaRun run, IReadOnlyList<JinjaValue> all)
    {
        var chosen = new List<JinjaValue>();
        run.Within(new JinjaScope(run.Scope), () =>
        {
            foreach (JinjaValue item in all)
            {
                run.Step(Line);
                JinjaTarget.Assign(run, target, item);
                if (condition!.Evaluate(run).IsTrue) chosen.Add(item);
            }
        });
        return chosen;
    }
}

/// <summary>Where a loop is.</summary>
internal sealed class LoopValue(IReadOnlyList<JinjaValue> items, int index) : JinjaValue
{
    public override string Kind => "loop";
    public override bool IsTrue => true;
    public override string Repr() => "<loop>";

    public override JinjaValue? Attribute(string name) => name switch
    {
        "index" => new IntegerValue(index + 1),
        "index0" => new IntegerValue(index),
        "revindex" => new IntegerValue(items.Count - index),
        "revindex0" => new IntegerValue(items.Count - index - 1),
        "first" => Of(index == 0),
        "last" => Of(index == items.Count - 1),
        "length" => new IntegerValue(items.Count),
        "previtem" => index > 0 ? items[index - 1] : null,
        "nextitem" => index + 1 < items.Count ? items[index + 1] : null,
        "cycle" => new FunctionValue(name, (_, arguments) => arguments.Positional.Count > 0 ? arguments.Positional[index % arguments.Positional.Count] : None),
        _ => null,
    };
}

/// <param name="Default">Null: what is not given is not there.</param>
internal sealed record MacroParameter(string Name, JinjaExpression? Default);

internal sealed class MacroStatement(int line, string name, IReadOnlyList<MacroParameter> parameters, IReadOnlyList<JinjaStatement> body) : JinjaStatement(line)
{
    public override JinjaFlow Execute(JinjaRun run)
    {
        JinjaScope outer = run.Scope;
        outer.Set(name, new FunctionValue(name, (caller, arguments) => Call(caller, outer, arguments)));
        return JinjaFlow.On;
    }

    private TextValue Call(JinjaRun run, JinjaScope outer, JinjaArguments arguments)
    {
        if (arguments.Positional.Count > parameters.Count || arguments.Named.Keys.Any(given => parameters.All(parameter => parameter.Name != given)))
            throw new JinjaException(arguments.Line, $"{name} does not take these arguments");
        var scope = new JinjaScope(outer);
        return new TextValue(run.CallMacro(arguments.Line, scope, () =>
        {
            for (int i = 0; i < parameters.Count; i++)
                scope.Set(parameters[i].Name, arguments.Find(i, parameters[i].Name) ?? parameters[i].Default?.Evaluate(run) ?? new UndefinedValue(parameters[i].Name));
            ExecuteAll(run, body);
        }));
    }
}
