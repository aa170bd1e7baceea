using System.Globalization;

namespace Qanat.Models;

/// <summary>Reads expressions, from the loosest binding (if and else) to the tightest (names, calls, filters).</summary>
internal sealed class ExpressionParser(JinjaTokens tokens)
{
    private static readonly string[] s_comparisons = ["==", "!=", "<", "<=", ">", ">="];
    private int _depth;

    /// <summary>One expression, or several with commas between, which are a list.</summary>
    public JinjaExpression Tuple() => Several(Expression, isEnd: () => false);

    /// <summary>What a loop or an assignment gives values to.</summary>
    public JinjaExpression Targets() => Several(Target, isEnd: () => tokens.IsName("in") || tokens.IsOperator("="));

    public JinjaExpression Expression()
    {
        Deepen();
        JinjaExpression value = Or();
        while (tokens.IsName("if"))
        {
            int line = tokens.Take().Line;
            JinjaExpression condition = Or();
            value = new ChoiceExpression(line, condition, value, tokens.TryTakeName("else") ? Expression() : null);
        }
        _depth--;
        return value;
    }

    /// <summary>As what a loop goes through, where "if" begins its condition.</summary>
    public JinjaExpression WithoutChoice() => Several(Or, isEnd: () => tokens.IsName("if"));

    /// <summary>Filters one after the other.</summary>
    /// <param name="hasBar">The first has a bar before it, too.</param>
    public Func<JinjaExpression, JinjaExpression> FilterChain(bool hasBar = true)
    {
        var filters = new List<FilterCall>();
        while (!hasBar || tokens.TryTakeOperator("|"))
        {
            hasBar = true;
            (int line, string name) = (tokens.Line, tokens.Need(JinjaTokenKind.Name).Value);
            if (!JinjaFilters.Has(name)) throw new JinjaException(line, $"there is no filter {name}");
            filters.Add(new FilterCall(line, name, tokens.TryTakeOperator("(") ? Arguments() : ArgumentList.None));
        }
        return value => filters.Aggregate(value, (before, filter) => new FilterExpression(filter.Line, before, filter.Name, filter.Arguments));
    }

    private sealed record FilterCall(int Line, string Name, ArgumentList Arguments);

    private JinjaExpression Several(Func<JinjaExpression> one, Func<bool> isEnd)
    {
        int line = tokens.Line;
        JinjaExpression first = one();
        if (!tokens.IsOperator(",")) return first;
        var items = new List<JinjaExpression> { first };
        while (tokens.TryTakeOperator(",") && !isEnd() && !IsEndOfTag()) items.Add(one());
        return new ListExpression(line, items);
    }

    private bool IsEndOfTag() => tokens.Next.Kind is JinjaTokenKind.BlockEnd or JinjaTokenKind.OutputEnd || tokens.IsOperator(")");

    private JinjaExpression Target()
    {
        if (tokens.TryTakeOperator("("))
        {
            JinjaExpression inner = Targets();
            tokens.NeedOperator(")");
            return inner;
        }
        JinjaToken name = tokens.Need(JinjaTokenKind.Name);
        JinjaExpression target = new NameExpression(name.Line, name.Value);
        return tokens.TryTakeOperator(".") ? new AttributeExpression(name.Line, target, tokens.Need(JinjaTokenKind.Name).Value) : target;
    }

    private JinjaExpression Or()
    {
        JinjaExpression left = And();
        while (tokens.IsName("or")) left = new LogicExpression(tokens.Take().Line, isAnd: false, left, And());
        return left;
    }

    private JinjaExpression And()
    {
        JinjaExpression left = Not();
        while (tokens.IsName("and")) left = new LogicExpression(tokens.Take().Line, isAnd: true, left, Not());
        return left;
    }

    private JinjaExpression Not()
    {
        if (!tokens.IsName("not")) return Comparison();
        Deepen();
        var negated = new NotExpression(tokens.Take().Line, Not());
        _depth--;
        return negated;
    }

    private JinjaExpression Comparison()
    {
        int line = tokens.Line;
        JinjaExpression first = Sum();
        var others = new List<KeyValuePair<string, JinjaExpression>>();
        while (TryTakeComparison() is { } operation) others.Add(new(operation, Sum()));
        return others.Count == 0 ? first : new ComparisonExpression(line, first, others);
    }

    private string? TryTakeComparison()
    {
        if (tokens.TryTakeName("in")) return "in";
        if (tokens.IsName("not") && tokens.IsNameAfter("in"))
        {
            tokens.Take();
            tokens.Take();
            return "not in";
        }
        return tokens.Next.Kind == JinjaTokenKind.Operator && s_comparisons.Contains(tokens.Next.Value) ? tokens.Take().Value : null;
    }

    private JinjaExpression Sum() => Left(Concatenation, "+", "-");

    private JinjaExpression Concatenation()
    {
        JinjaExpression left = Product();
        while (tokens.IsOperator("~")) left = new ConcatExpression(tokens.Take().Line, left, Product());
        return left;
    }

    private JinjaExpression Product() => Left(Power, "*", "/", "//", "%");

    private JinjaExpression Power() => Left(() => Signed(withFilters: true), "**");

    private JinjaExpression Left(Func<JinjaExpression> operand, params string[] operations)
    {
        JinjaExpression left = operand();
        while (tokens.Next.Kind == JinjaTokenKind.Operator && operations.Contains(tokens.Next.Value))
        {
            JinjaToken operation = tokens.Take();
            left = new ArithmeticExpression(operation.Line, operation.Value, left, operand());
        }
        return left;
    }

    private JinjaExpression Signed(bool withFilters)
    {
        JinjaExpression value;
        if (tokens.IsOperator("-") || tokens.IsOperator("+"))
        {
            Deepen();
            JinjaToken sign = tokens.Take();
            JinjaExpression number = Signed(withFilters: false);
            value = sign.Value == "-" ? new NegativeExpression(sign.Line, number) : number;
            _depth--;
        }
        else
        {
            value = Postfix(Primary());
        }
        return withFilters ? FiltersAndTests(value) : value;
    }

    private JinjaExpression FiltersAndTests(JinjaExpression value)
    {
        while (true)
        {
            if (tokens.IsOperator("|")) value = FilterChain()(value);
            else if (tokens.IsName("is")) value = Test(value);
            else if (tokens.IsOperator("(")) value = Postfix(value);
            else return value;
        }
    }

    private TestExpression Test(JinjaExpression value)
    {
        int line = tokens.Take().Line;
        bool isNegated = tokens.TryTakeName("not");
        string name = tokens.IsOperator("==") ? tokens.Take().Value.Replace("==", "eq", StringComparison.Ordinal) : tokens.Need(JinjaTokenKind.Name).Value.ToLowerInvariant();
        if (!JinjaTests.Has(name)) throw new JinjaException(line, $"there is no test {name}");
        ArgumentList arguments = ArgumentList.None;
        if (tokens.TryTakeOperator("(")) arguments = Arguments();
        else if (BeginsArgument()) arguments = new ArgumentList([Postfix(Primary())], []);
        return new TestExpression(line, value, name, arguments, isNegated);
    }

    private bool BeginsArgument() => tokens.Next.Kind switch
    {
        JinjaTokenKind.String or JinjaTokenKind.Integer or JinjaTokenKind.Float => true,
        JinjaTokenKind.Name => tokens.Next.Value is not ("else" or "or" or "and" or "is" or "if" or "not" or "in"),
        JinjaTokenKind.Operator => tokens.Next.Value is "[" or "{",
        _ => false,
    };

    private JinjaExpression Postfix(JinjaExpression value)
    {
        while (true)
        {
            int line = tokens.Line;
            if (tokens.TryTakeOperator(".")) value = tokens.Next.Kind == JinjaTokenKind.Integer ? new ItemExpression(line, value, Primary()) : new AttributeExpression(line, value, tokens.Need(JinjaTokenKind.Name).Value);
            else if (tokens.TryTakeOperator("[")) value = Subscript(line, value);
            else if (tokens.TryTakeOperator("(")) value = new CallExpression(line, value, Arguments());
            else return value;
        }
    }

    private JinjaExpression Subscript(int line, JinjaExpression value)
    {
        JinjaExpression? start = tokens.IsOperator(":") ? null : Expression();
        if (tokens.TryTakeOperator("]")) return new ItemExpression(line, value, start!);
        tokens.NeedOperator(":");
        JinjaExpression? stop = tokens.IsOperator(":") || tokens.IsOperator("]") ? null : Expression();
        JinjaExpression? step = tokens.TryTakeOperator(":") && !tokens.IsOperator("]") ? Expression() : null;
        tokens.NeedOperator("]");
        return new SliceExpression(line, value, start, stop, step);
    }

    /// <summary>Behind the opening bracket, up to the closing one.</summary>
    private ArgumentList Arguments()
    {
        var positional = new List<JinjaExpression>();
        var named = new List<KeyValuePair<string, JinjaExpression>>();
        while (!tokens.TryTakeOperator(")"))
        {
            if (positional.Count + named.Count > 0)
            {
                tokens.NeedOperator(",");
                if (tokens.TryTakeOperator(")")) break;
            }
            if (tokens.Next.Kind == JinjaTokenKind.Name && tokens.IsOperatorAfter("="))
            {
                string name = tokens.Take().Value;
                tokens.Take();
                if (named.Exists(argument => argument.Key == name)) throw new JinjaException(tokens.Line, $"{name} is given twice");
                named.Add(new(name, Expression()));
            }
            else if (named.Count > 0) throw tokens.Unexpected("a name");
            else positional.Add(Expression());
        }
        return new ArgumentList(positional, named);
    }

    private JinjaExpression Primary()
    {
        JinjaToken token = tokens.Take();
        switch (token.Kind)
        {
            case JinjaTokenKind.String:
                string text = token.Value;
                while (tokens.Next.Kind == JinjaTokenKind.String) text += tokens.Take().Value;
                return new LiteralExpression(token.Line, TextValue.Own(text));
            case JinjaTokenKind.Integer when long.TryParse(token.Value, NumberStyles.None, CultureInfo.InvariantCulture, out long whole):
                return new LiteralExpression(token.Line, new IntegerValue(whole));
            case JinjaTokenKind.Float:
                return new LiteralExpression(token.Line, new FloatValue(double.Parse(token.Value, CultureInfo.InvariantCulture)));
            case JinjaTokenKind.Name: return Named(token);
            case JinjaTokenKind.Operator when token.Value == "(": return Parenthesized(token.Line);
            case JinjaTokenKind.Operator when token.Value == "[": return new ListExpression(token.Line, Items("]"));
            case JinjaTokenKind.Operator when token.Value == "{": return Map(token.Line);
            default: throw new JinjaException(token.Line, $"a value is expected, not {(token.Value.Length > 0 ? token.Value : token.Kind)}");
        }
    }

    private static JinjaExpression Named(JinjaToken name) => name.Value switch
    {
        "true" or "True" => new LiteralExpression(name.Line, JinjaValue.True),
        "false" or "False" => new LiteralExpression(name.Line, JinjaValue.False),
        "none" or "None" => new LiteralExpression(name.Line, JinjaValue.None),
        _ => new NameExpression(name.Line, name.Value),
    };

    private JinjaExpression Parenthesized(int line)
    {
        if (tokens.TryTakeOperator(")")) return new ListExpression(line, []);
        JinjaExpression inner = Tuple();
        tokens.NeedOperator(")");
        return inner;
    }

    private List<JinjaExpression> Items(string end)
    {
        var items = new List<JinjaExpression>();
        while (!tokens.TryTakeOperator(end))
        {
            if (items.Count > 0)
            {
                tokens.NeedOperator(",");
                if (tokens.TryTakeOperator(end)) break;
            }
            items.Add(Expression());
        }
        return items;
    }

    private MapExpression Map(int line)
    {
        var members = new List<KeyValuePair<JinjaExpression, JinjaExpression>>();
        while (!tokens.TryTakeOperator("}"))
        {
            if (members.Count > 0)
            {
                tokens.NeedOperator(",");
                if (tokens.TryTakeOperator("}")) break;
            }
            JinjaExpression key = Expression();
            tokens.NeedOperator(":");
            members.Add(new(key, Expression()));
        }
        return new MapExpression(line, members);
    }

    private void Deepen()
    {
        if (++_depth > JinjaRun.DepthMax) throw new JinjaException(tokens.Line, "expressions are nested too deeply");
    }
}
