using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Outlook;

/// <summary>Reads a file of disclosed numbers: a CSV with one row per number and its source. Refuses, with the line and the reason, a number without a source, a percentage
/// without a basis, units that mix, and whatever cannot be read.</summary>
public static class FactFile
{
    private static readonly string[] Required = ["company", "fiscal_period", "period_end", "metric", "segment", "value", "unit", "tier", "source_url"];
    private static readonly string[] Optional = ["definition", "rounding", "of", "formula", "note"];

    /// <exception cref="OutlookDataException">Every fault found in the file.</exception>
    public static ImmutableArray<Fact> Read(string text, string file)
    {
        var faults = new List<Fault>();
        ImmutableArray<Fact> facts = Read(text, file, faults);
        return faults.Count == 0 ? facts : throw new OutlookDataException([.. faults]);
    }

    /// <summary>Reads what can be read and adds the faults of the rest.</summary>
    public static ImmutableArray<Fact> Read(string text, string file, List<Fault> faults)
    {
        List<CsvRow> rows = [.. Csv.Read(text.TrimStart('\uFEFF'), file)];
        if (rows.Count == 0)
        {
            faults.Add(new Fault(new Place(file, 1), $"the file is empty: its first line must name the columns {string.Join(',', Required)}."));
            return [];
        }
        var columns = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < rows[0].Cells.Count; i++)
            if (!columns.TryAdd(rows[0].Cells[i], i)) faults.Add(new Fault(new Place(file, 1), $"the column '{rows[0].Cells[i]}' is named twice."));
        foreach (string name in columns.Keys.Where(n => !Required.Contains(n) && !Optional.Contains(n)))
            faults.Add(new Fault(new Place(file, 1), $"'{name}' is not a column of a fact file: use {string.Join(", ", [.. Required, .. Optional])}."));
        foreach (string name in Required.Where(n => !columns.ContainsKey(n)))
            faults.Add(new Fault(new Place(file, 1), $"the column '{name}' is missing."));
        if (faults.Count > 0) return [];

        var facts = ImmutableArray.CreateBuilder<Fact>();
        foreach (CsvRow row in rows.Skip(1))
            if (new FactRow(file, columns, row, faults).Read() is { } fact) facts.Add(fact);
        ImmutableArray<Fact> derived = FactFormula.Derive(facts.ToImmutable(), faults);
        Compare(derived, faults);
        return derived;
    }

    /// <summary>What one row cannot show: the same measure in two units, one period with two ends, and two rows that print different numbers for the same thing.</summary>
    private static void Compare(ImmutableArray<Fact> facts, List<Fault> faults)
    {
        var units = new Dictionary<(string, Measure), Fact>();
        var ends = new Dictionary<(string, string), Fact>();
        var seen = new Dictionary<(string, string, Measure, string), Fact>();
        foreach (Fact fact in facts)
        {
            if (fact.Unit != "text" && !units.TryAdd((fact.Company, fact.Measure), fact) && units[(fact.Company, fact.Measure)] is var first && first.Unit != fact.Unit)
                faults.Add(new Fault(fact.Place, $"units are mixed: {fact.Measure} is in {fact.Unit} here and in {first.Unit} on line {first.Place.Line}."));
            if (!ends.TryAdd((fact.Company, fact.FiscalPeriod), fact) && ends[(fact.Company, fact.FiscalPeriod)] is var other && other.PeriodEnd != fact.PeriodEnd && fact.Span != Span.Moment)
                faults.Add(new Fault(fact.Place, $"{fact.FiscalPeriod} ends on {fact.PeriodEnd:yyyy-MM-dd} here and on {other.PeriodEnd:yyyy-MM-dd} on line {other.Place.Line}."));
            if (fact.Value is not { } value || fact.Span == Span.Moment) continue;
            var key = (fact.Company, fact.FiscalPeriod, fact.Measure, fact.Definition);
            if (!seen.TryAdd(key, fact) && seen[key].Value is { } before && !before.Meets(value))
                faults.Add(new Fault(fact.Place, $"contradicts line {seen[key].Place.Line}: {fact.Measure} in {fact.FiscalPeriod} cannot be both {seen[key].Printed} and {fact.Printed}."));
        }
    }

    /// <summary>Reads one row.</summary>
    private sealed class FactRow(string file, Dictionary<string, int> columns, CsvRow row, List<Fault> faults)
    {
        private static readonly string[] Scales = ["", " million", " million annualised", " billion"];
        private int _faults;

        private string this[string column] => columns.TryGetValue(column, out int i) && i < row.Cells.Count ? row.Cells[i] : "";

        public Fact? Read()
        {
            if (row.Cells.Count != columns.Count) Refuse($"has {row.Cells.Count} cells where the header names {columns.Count}: quote a cell that holds a comma.");
            foreach (string name in Required.Where(n => n != "source_url" && this[n].Length == 0)) Refuse($"'{name}' is empty.");
            if (!DateOnly.TryParseExact(this["period_end"], "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly end))
                Refuse($"'{this["period_end"]}' is not a date: write it as 2026-06-30.");
            if (!Uri.TryCreate(this["source_url"], UriKind.Absolute, out Uri? source) || (source.Scheme is not ("https" or "http")))
                Refuse(this["source_url"].Length == 0 ? "a number without a source: give the address of the text that prints it." : $"'{this["source_url"]}' is not the address of a source.");
            string unit = this["unit"], of = this["of"];
            if (!IsUnit(unit)) Refuse($"'{unit}' is not a unit: use a currency with its scale (RMB million), percent, years, count or text.");
            if (unit == "percent" && of.Length == 0) Refuse("a percentage without a basis: say in the column 'of' what it is a percentage of.");
            Tier tier = ReadTier();
            Interval? value = unit == "text" ? null : ReadValue();
            if (_faults > 0) return null;
            return new Fact
            {
                Place = new Place(file, row.Line),
                Company = this["company"],
                FiscalPeriod = this["fiscal_period"],
                PeriodEnd = end,
                Span = SpanOf(this["fiscal_period"]),
                Measure = new Measure(this["metric"], this["segment"]),
                Definition = this["definition"],
                Printed = this["value"],
                Unit = unit,
                Of = of,
                Tier = tier,
                Source = source!,
                Note = this["note"],
                Formula = this["formula"],
                Value = value,
            };
        }

        private Tier ReadTier()
        {
            string text = this["tier"];
            if (text == "D")
            {
                if (columns.ContainsKey("formula") && this["formula"].Length == 0) Refuse("a derived number (tier D) must give its formula.");
                return Tier.T1; // the worst tier of its inputs replaces this when the formula is evaluated
            }
            if (Enum.TryParse(text, ignoreCase: false, out Tier tier) && Enum.IsDefined(tier) && text[0] == 'T') return tier;
            Refuse($"'{text}' is not a tier: T1 issuer text, T2 quotes a named filing, T3 press or call, D derived.");
            return Tier.T3;
        }

        private Interval? ReadValue()
        {
            string text = this["value"], rounding = this["rounding"];
            double scale = this["unit"] == "percent" ? 0.01 : 1;
            if (text.Split("..") is [var from, var to] && Number(from) is { } low && Number(to) is { } high)
            {
                if (low <= high) return new Interval(low * scale, high * scale);
                Refuse($"'{text}' runs backwards.");
                return null;
            }
            char relation = text.Length > 0 && text[0] is '>' or '<' ? text[0] : '=';
            if (Number(relation == '=' ? text : text[1..]) is not { } number)
            {
                if (text.Length > 0) Refuse($"'{text}' is not a number: write 12376, 0.5, >20, <6188 or 2..6 (no thousands separators).");
                return null;
            }
            if (relation == '>') return Interval.AtLeast(number * scale);
            if (relation == '<') return Interval.AtMost(number * scale);
            if (this["tier"] == "D" || (this["unit"] == "count" && rounding.Length == 0)) return Interval.At(number * scale);
            if (rounding.Length == 0 && !columns.ContainsKey("rounding")) return Interval.Rounded(number * scale, LastPlace(text) * scale);
            if (Number(rounding) is { } place && place > 0) return Interval.Rounded(number * scale, place * scale);
            Refuse("a number without its rounding: say in the column 'rounding' what the last printed place is worth (1, 10, 0.1).");
            return null;
        }

        private void Refuse(string reason)
        {
            _faults++;
            faults.Add(new Fault(new Place(file, row.Line), reason));
        }

        private static bool IsUnit(string unit) => unit is "percent" or "years" or "count" or "text"
            || (unit.Length >= 3 && unit[..3].All(char.IsAsciiLetterUpper) && Scales.Contains(unit[3..]));

        private static double? Number(string text) =>
            double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number) ? number : null;

        private static double LastPlace(string text) => text.IndexOf('.', StringComparison.Ordinal) is var point and >= 0 ? Math.Pow(10, -(text.Length - point - 1)) : 1;

        private static Span SpanOf(string period)
        {
            string tail = period.StartsWith("FY", StringComparison.Ordinal) ? period[2..] : period;
            if (tail.Length >= 6 && tail[..4].All(char.IsAsciiDigit) && tail[4] == 'Q') return Span.Quarter;
            if (tail.Length >= 6 && tail[..4].All(char.IsAsciiDigit) && tail[4] == 'H') return Span.Half;
            return tail.Length is 4 or 5 && tail[..4].All(char.IsAsciiDigit) ? Span.Year : Span.Moment;
        }
    }
}
