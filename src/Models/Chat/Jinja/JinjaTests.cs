namespace Qanat.Models;

/// <summary>What stands behind "is".</summary>
internal static class JinjaTests
{
    private static readonly Dictionary<string, Func<JinjaValue, JinjaArguments, bool>> s_tests = new(StringComparer.Ordinal)
    {
        ["defined"] = (value, _) => value is not UndefinedValue,
        ["undefined"] = (value, _) => value is UndefinedValue,
        ["none"] = (value, _) => value is NoneValue,
        ["string"] = (value, _) => value is TextValue,
        ["mapping"] = (value, _) => value is MapValue,
        ["sequence"] = (value, _) => value is ListValue or TextValue or MapValue or UndefinedValue,
        ["iterable"] = (value, _) => value.Items is not null,
        ["callable"] = (value, _) => value is FunctionValue,
        ["boolean"] = (value, _) => value is BooleanValue,
        ["true"] = (value, _) => value is BooleanValue { IsTrue: true },
        ["false"] = (value, _) => value is BooleanValue { IsTrue: false },
        ["integer"] = (value, _) => value is IntegerValue,
        ["float"] = (value, _) => value is FloatValue,
        ["number"] = (value, _) => JinjaCompare.Number(value) is not null,
        ["odd"] = (value, arguments) => Whole(value, arguments) % 2 != 0,
        ["even"] = (value, arguments) => Whole(value, arguments) % 2 == 0,
        ["divisibleby"] = (value, arguments) => IsMultiple(Whole(value, arguments), Whole(arguments.Need(0, "num"), arguments)),
        ["lower"] = (value, _) => value.Written().Value is var text && !text.Any(char.IsUpper) && text.Any(char.IsLower),
        ["upper"] = (value, _) => value.Written().Value is var text && !text.Any(char.IsLower) && text.Any(char.IsUpper),
        ["in"] = (value, arguments) => JinjaCompare.IsIn(arguments.Line, value, arguments.Need(0, "seq")),
        ["eq"] = (value, arguments) => JinjaCompare.AreEqual(value, arguments.Need(0, "other")),
        ["equalto"] = (value, arguments) => JinjaCompare.AreEqual(value, arguments.Need(0, "other")),
        ["sameas"] = (value, arguments) => value.Kind == arguments.Need(0, "other").Kind && JinjaCompare.AreEqual(value, arguments.Need(0, "other")),
        ["ne"] = (value, arguments) => !JinjaCompare.AreEqual(value, arguments.Need(0, "other")),
        ["gt"] = (value, arguments) => JinjaCompare.Order(arguments.Line, value, arguments.Need(0, "other")) > 0,
        ["ge"] = (value, arguments) => JinjaCompare.Order(arguments.Line, value, arguments.Need(0, "other")) >= 0,
        ["lt"] = (value, arguments) => JinjaCompare.Order(arguments.Line, value, arguments.Need(0, "other")) < 0,
        ["le"] = (value, arguments) => JinjaCompare.Order(arguments.Line, value, arguments.Need(0, "other")) <= 0,
    };

    public static bool Has(string name) => s_tests.ContainsKey(name);

    public static bool Holds(string name, JinjaValue value, JinjaArguments arguments) =>
        s_tests.TryGetValue(name, out Func<JinjaValue, JinjaArguments, bool>? test) ? test(value, arguments) : throw new JinjaException(arguments.Line, $"there is no test {name}");

    private static bool IsMultiple(long value, long divisor) => divisor is -1 || (divisor != 0 && value % divisor == 0);

    private static long Whole(JinjaValue value, JinjaArguments arguments) => value is IntegerValue whole ? whole.Value : throw new JinjaException(arguments.Line, $"{value.Kind} is no whole number");
}
