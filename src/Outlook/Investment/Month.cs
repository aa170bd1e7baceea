using System.Globalization;

namespace Qanat.Outlook;

/// <summary>A calendar month.</summary>
public readonly record struct Month : IComparable<Month>
{
    private readonly int _index;

    public Month(int year, int number)
    {
        if (year is < 1900 or > 2300 || number is < 1 or > 12) throw new ArgumentException($"{year}-{number} is not a month.");
        _index = year * 12 + number - 1;
    }

    private Month(int index) => _index = index;

    public int Year => _index / 12;
    public int Number => _index % 12 + 1;

    public Qanat.Books.Instant FirstInstant => Qanat.Books.Instant.From(new DateTimeOffset(Year, Number, 1, 0, 0, 0, TimeSpan.Zero));

    public Month Plus(int months) => new(_index + months);
    public int Since(Month other) => _index - other._index;

    public static bool TryParse(string text, out Month month)
    {
        month = default;
        if (text.Length != 7 || text[4] != '-' || !int.TryParse(text.AsSpan(0, 4), NumberStyles.None, CultureInfo.InvariantCulture, out int year)
            || !int.TryParse(text.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int number) || year is < 1900 or > 2300 || number is < 1 or > 12) return false;
        month = new Month(year, number);
        return true;
    }

    public int CompareTo(Month other) => _index.CompareTo(other._index);
    public static bool operator <(Month left, Month right) => left._index < right._index;
    public static bool operator >(Month left, Month right) => left._index > right._index;
    public static bool operator <=(Month left, Month right) => left._index <= right._index;
    public static bool operator >=(Month left, Month right) => left._index >= right._index;
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Year:D4}-{Number:D2}");
}
