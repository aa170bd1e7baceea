namespace Qanat.Models;

/// <summary>Reads the statements of a template.</summary>
internal sealed class JinjaParser
{
    private readonly JinjaTokens _tokens;
    private readonly ExpressionParser _expressions;
    private int _depth;

    private JinjaParser(JinjaTokens tokens)
    {
        _tokens = tokens;
        _expressions = new ExpressionParser(tokens);
    }

    /// <exception cref="JinjaException">It is no template, or uses a part of the language that no model's template does.</exception>
    public static IReadOnlyList<JinjaStatement> Parse(string source)
    {
        var parser = new JinjaParser(new JinjaTokens(JinjaLexer.Cut(source)));
        IReadOnlyList<JinjaStatement> all = parser.Body(out string? end);
        return end is null ? all : throw new JinjaException(parser._tokens.Line, $"{end} ends nothing");
    }

    /// <summary>Statements up to a tag that is not one of their own.</summary>
    /// <param name="end">The name of that tag, which has been read; null: the template has ended.</param>
    private List<JinjaStatement> Body(out string? end)
    {
        if (++_depth > JinjaRun.DepthMax) throw new JinjaException(_tokens.Line, "tags are nested too deeply");
        var statements = new List<JinjaStatement>();
        while (true)
        {
            JinjaToken token = _tokens.Take();
            switch (token.Kind)
            {
                case JinjaTokenKind.Text:
                    statements.Add(new TextStatement(token.Line, token.Value));
                    break;
                case JinjaTokenKind.OutputStart:
                    statements.Add(new OutputStatement(token.Line, _expressions.Tuple()));
                    _tokens.Need(JinjaTokenKind.OutputEnd);
                    break;
                case JinjaTokenKind.BlockStart:
                    string name = _tokens.Need(JinjaTokenKind.Name).Value;
                    if (name.StartsWith("end", StringComparison.Ordinal) || name is "else" or "elif")
                    {
                        end = name;
                        _depth--;
                        return statements;
                    }
                    statements.AddRange(Statement(name, token.Line));
                    break;
                default:
                    end = null;
                    _depth--;
                    return statements;
            }
        }
    }

    private List<JinjaStatement> BodyUpTo(string end)
    {
        List<JinjaStatement> body = Body(out string? found);
        if (found != end) throw new JinjaException(_tokens.Line, $"{end} is missing");
        EndTag();
        return body;
    }

    private IEnumerable<JinjaStatement> Statement(string name, int line)
    {
        switch (name)
        {
            case "if": return [If(line)];
            case "for": return [For(line)];
            case "set": return [Set(line)];
            case "macro": return [Macro(line)];
            case "filter": return [Filtered(line)];
            case "break": return [Flow(line, JinjaFlow.LeaveLoop)];
            case "continue": return [Flow(line, JinjaFlow.NextItem)];
            // Marks what a model is trained to say; it writes nothing.
            case "generation":
                EndTag();
                return BodyUpTo("endgeneration");
            default: throw new JinjaException(line, $"the tag {name} is not known");
        }
    }

    private IfStatement If(int line)
    {
        JinjaExpression condition = _expressions.Tuple();
        EndTag();
        List<JinjaStatement> body = Body(out string? end);
        switch (end)
        {
            case "elif":
                if (++_depth > JinjaRun.DepthMax) throw new JinjaException(_tokens.Line, "there are too many branches");
                IfStatement otherwise = If(_tokens.Line);
                _depth--;
                return new IfStatement(line, condition, body, [otherwise]);
            case "else":
                EndTag();
                return new IfStatement(line, condition, body, BodyUpTo("endif"));
            case "endif":
                EndTag();
                return new IfStatement(line, condition, body, []);
            default: throw new JinjaException(line, "endif is missing");
        }
    }

    private ForStatement For(int line)
    {
        JinjaExpression target = _expressions.Targets();
        _tokens.NeedName("in");
        JinjaExpression items = _expressions.WithoutChoice();
        JinjaExpression? condition = _tokens.TryTakeName("if") ? _expressions.Expression() : null;
        if (_tokens.TryTakeName("recursive")) throw new JinjaException(line, "recursive loops are not known");
        EndTag();
        List<JinjaStatement> body = Body(out string? end);
        if (end is not ("else" or "endfor")) throw new JinjaException(line, "endfor is missing");
        EndTag();
        return new ForStatement(line, target, items, condition, body, end == "else" ? BodyUpTo("endfor") : []);
    }

    private JinjaStatement Set(int line)
    {
        JinjaExpression target = _expressions.Targets();
        if (_tokens.TryTakeOperator("="))
        {
            JinjaExpression value = _expressions.Tuple();
            EndTag();
            return new SetStatement(line, target, value);
        }
        Func<JinjaExpression, JinjaExpression>? filter = _tokens.IsOperator("|") ? _expressions.FilterChain() : null;
        EndTag();
        return new BlockStatement(line, target, filter, BodyUpTo("endset"));
    }

    private BlockStatement Filtered(int line)
    {
        Func<JinjaExpression, JinjaExpression> filter = _expressions.FilterChain(hasBar: false);
        EndTag();
        return new BlockStatement(line, target: null, filter, BodyUpTo("endfilter"));
    }

    private MacroStatement Macro(int line)
    {
        string name = _tokens.Need(JinjaTokenKind.Name).Value;
        _tokens.NeedOperator("(");
        var parameters = new List<MacroParameter>();
        while (!_tokens.TryTakeOperator(")"))
        {
            if (parameters.Count > 0) _tokens.NeedOperator(",");
            string parameter = _tokens.Need(JinjaTokenKind.Name).Value;
            parameters.Add(new MacroParameter(parameter, _tokens.TryTakeOperator("=") ? _expressions.Expression() : null));
        }
        EndTag();
        return new MacroStatement(line, name, parameters, BodyUpTo("endmacro"));
    }

    private FlowStatement Flow(int line, JinjaFlow flow)
    {
        EndTag();
        return new FlowStatement(line, flow);
    }

    private void EndTag() => _tokens.Need(JinjaTokenKind.BlockEnd);
}

/// <summary>The tokens of a template and how far they have been read.</summary>
internal sealed class JinjaTokens(List<JinjaToken> tokens)
{
    private int _at;

    public JinjaToken Next => tokens[_at];
    public int Line => Next.Line;

    public JinjaToken Take() => Next.Kind == JinjaTokenKind.End ? Next : tokens[_at++];

    public bool IsOperator(string value) => Next.Kind == JinjaTokenKind.Operator && Next.Value == value;

    public bool IsName(string value) => Next.Kind == JinjaTokenKind.Name && Next.Value == value;

    /// <summary>Whether the token after the next is this name.</summary>
    public bool IsNameAfter(string value) => _at + 1 < tokens.Count && tokens[_at + 1].Kind == JinjaTokenKind.Name && tokens[_at + 1].Value == value;

    public bool IsOperatorAfter(string value) => _at + 1 < tokens.Count && tokens[_at + 1].Kind == JinjaTokenKind.Operator && tokens[_at + 1].Value == value;

    public bool TryTakeOperator(string value) => TryTake(IsOperator(value));

    public bool TryTakeName(string value) => TryTake(IsName(value));

    public JinjaToken Need(JinjaTokenKind kind) => Next.Kind == kind ? Take() : throw Unexpected(kind.ToString());

    public void NeedOperator(string value)
    {
        if (!TryTakeOperator(value)) throw Unexpected(value);
    }

    public void NeedName(string value)
    {
        if (!TryTakeName(value)) throw Unexpected(value);
    }

    public JinjaException Unexpected(string wanted) => new(Line, $"{wanted} is expected, not {(Next.Value.Length > 0 ? Next.Value : Next.Kind)}");

    private bool TryTake(bool isIt)
    {
        if (isIt) _at++;
        return isIt;
    }
}
