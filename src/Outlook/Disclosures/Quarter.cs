using System.Globalization;

namespace Qanat.Outlook;

/// <summary>A calendar quarter. 2026Q2 is the quarter in which 30 June 2026 falls, whatever the issuer calls it (Alibaba: June quarter 2026, first quarter of fiscal year 2027).</summary>
public readonly record struct Quarter : IComparable<Quarter>
{
    // Quarters since year 0, so that steps are plain sums.
    private readonly int _index;

    public Quarter(int year, int number)
    {
        if (year is < 1900 or > 2200 || number is < 1 or > 4)
            throw new ArgumentException($"{year}Q{number} is not a calendar quarter: write e.g. 2026Q2.");
        _index = year * 4 + number - 1;
    }

    private Quarter(int index) => _index = index;

    public int Year => _index / 4;
    public int Number => _index % 4 + 1;
    public DateOnly End => new DateOnly(Year, Number * 3, 1).AddMonths(1).AddDays(-1);

    public static Quarter Of(DateOnly date) => new(date.Year, (date.Month - 1) / 3 + 1);

    public Quarter Plus(int quarters) => new(_index + quarters);

    public static bool TryParse(string text, out Quarter quarter)
    {
        quarter = default;
        if (text.Length != 6 || (text[4] is not ('Q' or 'q')) || text[5] is < '1' or > '4') return false;
        if (!int.TryParse(text.AsSpan(0, 4), NumberStyles.None, CultureInfo.InvariantCulture, out int year) || year is < 1900 or > 2200) return false;
        quarter = new Quarter(year, text[5] - '0');
        return true;
    }

    /// <exception cref="FormatException">Not written like 2026Q2.</exception>
    public static Quarter Parse(string text) => TryParse(text, out Quarter quarter)
        ? quarter
        : throw new FormatException($"'{text}' is not a calendar quarter: write it as 2026Q2, the quarter that ended 30 June 2026.");

    public int CompareTo(Quarter other) => _index.CompareTo(other._index);
    public static bool operator <(Quarter left, Quarter right) => left._index < right._index;
    public static bool operator >(Quarter left, Quarter right) => left._index > right._index;
    public static bool operator <=(Quarter left, Quarter right) => left._index <= right._index;
    public static bool operator >=(Quarter left, Quarter right) => left._index >= right._index;
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Year}Q{Number}");
}
