using System.Runtime.CompilerServices;

namespace Qanat.Models;

/// <summary>One rendering: variables, the text so far, and the bounds that keep a bad template from running for ever or filling the memory.</summary>
internal sealed class JinjaRun(JinjaLimits limits)
{
    /// <summary>How deeply calls of macros, expressions and values may be nested.</summary>
    public const int DepthMax = 100;

    private int _steps;
    private long _characters;
    private int _calls;

    public JinjaScope Scope { get; private set; } = new(parent: null);
    public JinjaText.Builder Output { get; private set; } = new();

    /// <summary>Counts what is done.</summary>
    public void Step(int line, int steps = 1)
    {
        if ((_steps += steps) > limits.StepsMax) throw new JinjaException(line, $"more than {limits.StepsMax} steps");
    }

    /// <summary>Counts a text that was made.</summary>
    public JinjaText Made(int line, JinjaText text)
    {
        if ((_characters += text.Length) > limits.CharactersMax) throw new JinjaException(line, $"more than {limits.CharactersMax} characters are made");
        return text;
    }

    public void Write(int line, JinjaText text) => Output.Add(Made(line, text));

    /// <summary>Runs in a scope of its own.</summary>
    public void Within(JinjaScope scope, Action run)
    {
        JinjaScope outer = Scope;
        Scope = scope;
        try
        {
            run();
        }
        finally
        {
            Scope = outer;
        }
    }

    /// <summary>What is written meanwhile, instead of writing it.</summary>
    public JinjaText Capture(Action run)
    {
        JinjaText.Builder outer = Output;
        Output = new JinjaText.Builder();
        try
        {
            run();
            return Output.Finish();
        }
        finally
        {
            Output = outer;
        }
    }

    /// <summary>The text that a macro writes.</summary>
    public JinjaText CallMacro(int line, JinjaScope scope, Action run)
    {
        if (++_calls > DepthMax || !RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new JinjaException(line, "macros call each other too deeply");
        try
        {
            JinjaText text = JinjaText.Empty;
            Within(scope, () => text = Capture(run));
            return text;
        }
        finally
        {
            _calls--;
        }
    }
}

/// <param name="StepsMax">Expressions and statements.</param>
/// <param name="CharactersMax">Of all texts made on the way, in UTF-16 units.</param>
internal sealed record JinjaLimits(int StepsMax, long CharactersMax)
{
    public static readonly JinjaLimits Default = new(5_000_000, 256L << 20);
}

/// <summary>Variables: a loop's and a macro's are its own.</summary>
internal sealed class JinjaScope(JinjaScope? parent)
{
    private readonly Dictionary<string, JinjaValue> _values = new(StringComparer.Ordinal);

    public void Set(string name, JinjaValue value) => _values[name] = value;

    public JinjaValue? Find(string name)
    {
        for (JinjaScope? scope = this; scope is not null; scope = scope.Parent)
            if (scope._values.TryGetValue(name, out JinjaValue? value)) return value;
        return null;
    }

    private JinjaScope? Parent => parent;
}
