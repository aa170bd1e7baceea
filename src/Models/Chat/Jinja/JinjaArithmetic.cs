namespace Qanat.Models;

/// <summary>Adding, multiplying and the rest, as Python does them.</summary>
internal static class JinjaArithmetic
{
    public static JinjaValue Of(int line, string operation, JinjaValue left, JinjaValue right)
    {
        switch (left, right)
        {
            case (TextValue a, TextValue b) when operation == "+":
                var joined = new JinjaText.Builder();
                joined.Add(a.Text);
                joined.Add(b.Text);
                return new TextValue(joined.Finish());
            case (ListValue a, ListValue b) when operation == "+":
                return new ListValue([.. a.Items, .. b.Items]);
            case (IntegerValue a, IntegerValue b) when operation is not "/":
                return Whole(line, operation, a.Value, b.Value);
        }
        return JinjaCompare.Number(left) is { } first && JinjaCompare.Number(right) is { } second
            ? Number(line, operation, first, second)
            : throw new JinjaException(line, $"{left.Kind} {operation} {right.Kind} has no meaning{Name(left)}{Name(right)}");
    }

    private static string Name(JinjaValue value) => value is UndefinedValue missing ? $" ({missing.Name} is not there)" : "";

    private static JinjaValue Whole(int line, string operation, long left, long right)
    {
        try
        {
            return operation switch
            {
                "+" => new IntegerValue(checked(left + right)),
                "-" => new IntegerValue(checked(left - right)),
                "*" => new IntegerValue(checked(left * right)),
                "//" => new IntegerValue(checked((left / right) - ((left % right != 0) && ((left < 0) != (right < 0)) ? 1 : 0))),
                // The sign is the divisor's.
                "%" => new IntegerValue(right is -1 ? 0 : left % right is var rest && rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest),
                _ => Number(line, operation, left, right),
            };
        }
        catch (Exception error) when (error is OverflowException or DivideByZeroException)
        {
            throw new JinjaException(line, $"{left} {operation} {right} has no result");
        }
    }

    private static JinjaValue Number(int line, string operation, double left, double right)
    {
        if (right == 0 && operation is ("/" or "//" or "%")) throw new JinjaException(line, "a number is divided by zero");
        double result = operation switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            "//" => Math.Floor(left / right),
            "%" => left - (right * Math.Floor(left / right)),
            _ => Math.Pow(left, right),
        };
        return operation == "**" && double.IsInteger(left) && double.IsInteger(right) && right >= 0 && Math.Abs(result) < 1L << 53 ? new IntegerValue((long)result) : new FloatValue(result);
    }
}
