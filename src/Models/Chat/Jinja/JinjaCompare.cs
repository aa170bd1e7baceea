namespace Qanat.Models;

/// <summary>When values are equal, which comes first, and what is in what.</summary>
internal static class JinjaCompare
{
    public static bool AreEqual(JinjaValue left, JinjaValue right) => (left, right) switch
    {
        (TextValue a, TextValue b) => a.Text.Value == b.Text.Value,
        (NoneValue, NoneValue) or (UndefinedValue, UndefinedValue) => true,
        (ListValue a, ListValue b) => a.Items.Count == b.Items.Count && a.Items.Zip(b.Items).All(pair => AreEqual(pair.First, pair.Second)),
        (MapValue a, MapValue b) => a.Members.Count == b.Members.Count && a.Members.All(member => b.Member(member.Key) is { } other && AreEqual(member.Value, other)),
        (IntegerValue a, IntegerValue b) => a.Value == b.Value,
        _ => Number(left) is { } first && Number(right) is { } second ? first.Equals(second) : ReferenceEquals(left, right),
    };

    /// <summary>Numbers with numbers, texts with texts.</summary>
    public static int Order(int line, JinjaValue left, JinjaValue right) => (left, right) switch
    {
        (IntegerValue a, IntegerValue b) => a.Value.CompareTo(b.Value),
        (TextValue a, TextValue b) => string.CompareOrdinal(a.Text.Value, b.Text.Value),
        _ => Number(left) is { } first && Number(right) is { } second ? first.CompareTo(second) : throw new JinjaException(line, $"{left.Kind} and {right.Kind} have no order"),
    };

    public static bool IsIn(int line, JinjaValue item, JinjaValue container) => (item, container) switch
    {
        (TextValue part, TextValue whole) => whole.Text.Value.Contains(part.Text.Value, StringComparison.Ordinal),
        (_, MapValue map) => item is TextValue name && map.Member(name.Text.Value) is not null,
        (_, ListValue or UndefinedValue) => container.Items!.Any(each => AreEqual(each, item)),
        _ => throw new JinjaException(line, $"{item.Kind} cannot be in {container.Kind}"),
    };

    /// <summary>True and false are 1 and 0; null: no number.</summary>
    public static double? Number(JinjaValue value) => value switch
    {
        IntegerValue whole => whole.Value,
        FloatValue number => number.Value,
        BooleanValue flag => flag.IsTrue ? 1 : 0,
        _ => null,
    };
}
