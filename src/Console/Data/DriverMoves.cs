using System.Collections.Immutable;
using System.Globalization;
using Qanat.Outlook;

namespace Qanat.Console;

/// <summary>Drivers of an investment that are held at a value on a page, as its address and its files name them: "price_realised=0.4".</summary>
public static class DriverMoves
{
    public static ImmutableDictionary<Driver, double> Read(IEnumerable<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        var held = ImmutableDictionary.CreateBuilder<Driver, double>();
        foreach (string text in texts)
        {
            Driver[] named = text.Split('=') is [var name, _] ? [.. Enum.GetValues<Driver>().Where(each => InvestmentText.NameOf(each) == name)] : [];
            if (named.Length != 1 || !double.TryParse(text[(text.IndexOf('=', StringComparison.Ordinal) + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out double value) || !double.IsFinite(value))
                throw new OutlookDataException(new Fault(new Place("set", 0), $"'{text}' sets nothing: write a driver's name, =, and a number."));
            held[named[0]] = value;
        }
        return held.ToImmutable();
    }

    public static IEnumerable<string> Write(ImmutableDictionary<Driver, double> held)
    {
        ArgumentNullException.ThrowIfNull(held);
        return held.OrderBy(each => each.Key).Select(each => string.Create(CultureInfo.InvariantCulture, $"{InvestmentText.NameOf(each.Key)}={each.Value:R}"));
    }

    public static Investment Apply(Investment investment, ImmutableDictionary<Driver, double> held)
    {
        ArgumentNullException.ThrowIfNull(held);
        return held.Aggregate(investment, (moved, each) => moved.With(each.Key, each.Value));
    }
}
