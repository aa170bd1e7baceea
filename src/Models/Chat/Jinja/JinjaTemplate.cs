namespace Qanat.Models;

/// <summary>
/// A template in the part of Jinja that chat templates use: if, for, set, macro, filter, break and continue; expressions with filters, tests and methods as Python has them. White space and the
/// names beyond Jinja's own (tojson, raise_exception) are those of the Transformers library. Nothing outside of its values can be reached, and time and memory are bounded. Why our own: ADR 23.
/// </summary>
internal sealed class JinjaTemplate
{
    public const int CharactersMax = 1 << 20;

    private const int RangeMax = 100_000;

    private readonly IReadOnlyList<JinjaStatement> _statements;

    private JinjaTemplate(IReadOnlyList<JinjaStatement> statements) => _statements = statements;

    /// <exception cref="JinjaException">It cannot be read.</exception>
    public static JinjaTemplate Parse(string source) => source.Length <= CharactersMax
        ? new JinjaTemplate(JinjaParser.Parse(source))
        : throw new JinjaException(1, $"a template of more than {CharactersMax} characters");

    /// <exception cref="JinjaException">It refuses these values, needs what is not there, or takes too long.</exception>
    public JinjaText Render(IEnumerable<KeyValuePair<string, JinjaValue>> values, JinjaLimits? limits = null)
    {
        var run = new JinjaRun(limits ?? JinjaLimits.Default);
        foreach (FunctionEntry function in s_functions) run.Scope.Set(function.Name, new FunctionValue(function.Name, function.Call));
        foreach ((string name, JinjaValue value) in values) run.Scope.Set(name, value);
        JinjaStatement.ExecuteAll(run, _statements);
        return run.Output.Finish();
    }

    private static readonly FunctionEntry[] s_functions =
    [
        new("namespace", (_, arguments) => Namespace(arguments)),
        new("dict", (_, arguments) => Dictionary(arguments)),
        new("range", Range),
        new("raise_exception", (_, arguments) => throw new JinjaException(arguments.Line, arguments.Need(0, "message").Written().Value, isRefusal: true)),
    ];

    private static NamespaceValue Namespace(JinjaArguments arguments)
    {
        var made = new NamespaceValue();
        foreach ((string name, JinjaValue value) in arguments.Named) made.Members[name] = value;
        return made;
    }

    private static MapValue Dictionary(JinjaArguments arguments)
    {
        var made = new MapValue();
        foreach ((string name, JinjaValue value) in arguments.Named) made.Set(name, value);
        return made;
    }

    private static ListValue Range(JinjaRun run, JinjaArguments arguments)
    {
        int first = arguments.Integer(0, "start") ?? 0;
        (int start, int stop) = arguments.Integer(1, "stop") is { } end ? (first, end) : (0, first);
        int step = arguments.Integer(2, "step") ?? 1;
        if (step == 0) throw new JinjaException(arguments.Line, "a step of 0 leads nowhere");
        var numbers = new List<JinjaValue>();
        for (long at = start; step > 0 ? at < stop : at > stop; at += step)
        {
            run.Step(arguments.Line);
            if (numbers.Count == RangeMax) throw new JinjaException(arguments.Line, $"a range of more than {RangeMax} numbers");
            numbers.Add(new IntegerValue(at));
        }
        return new ListValue(numbers);
    }

    private sealed record FunctionEntry(string Name, Func<JinjaRun, JinjaArguments, JinjaValue> Call);
}
