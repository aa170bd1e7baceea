namespace Qanat.Models;

/// <summary>What a function, filter or test was given.</summary>
internal sealed class JinjaArguments(int line, IReadOnlyList<JinjaValue> positional, IReadOnlyDictionary<string, JinjaValue> named)
{
    public static JinjaArguments None(int line) => new(line, [], new Dictionary<string, JinjaValue>());

    /// <summary>Where it was called.</summary>
    public int Line => line;

    public IReadOnlyList<JinjaValue> Positional => positional;
    public IReadOnlyDictionary<string, JinjaValue> Named => named;

    /// <summary>By place or by name; null: not given.</summary>
    public JinjaValue? Find(int index, string name) => index < positional.Count ? positional[index] : named.GetValueOrDefault(name);

    public JinjaValue Need(int index, string name) => Find(index, name) ?? throw new JinjaException(line, $"the argument {name} is missing");

    public bool Flag(int index, string name) => Find(index, name)?.IsTrue ?? false;

    public int? Integer(int index, string name) => Find(index, name) switch
    {
        null or NoneValue => null,
        IntegerValue whole when whole.Value is >= int.MinValue and <= int.MaxValue => (int)whole.Value,
        { } other => throw new JinjaException(line, $"{name} is {other.Kind}, not a whole number"),
    };

    public string? Text(int index, string name) => Find(index, name) switch
    {
        null or NoneValue => null,
        TextValue text => text.Text.Value,
        { } other => throw new JinjaException(line, $"{name} is {other.Kind}, not a string"),
    };

    public JinjaArguments Without(int first) => new(line, [.. positional.Skip(first)], named);
}
