using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Qanat.Outlook;

/// <summary>Which XBRL concept becomes which metric.</summary>
/// <param name="Concept">Taxonomy and tag, such as us-gaap:Revenues.</param>
public sealed record ConceptMapping(string Concept, Measure Measure);

/// <summary>
/// Reads XBRL company facts as the SEC publishes them (data.sec.gov, companyfacts/CIK##########.json). Values carry no rounding there: it is inferred from the zeros that every value
/// of one filing ends in. A value that a later filing prints differently is a restatement: the latest is kept and the earlier one is noted.
/// </summary>
public static class CompanyFacts
{
    private static readonly double[] Places = [1e9, 1e6, 1e3, 1];

    /// <exception cref="OutlookDataException">The text is not company facts, or a mapped concept is not in it.</exception>
    public static ImmutableArray<Fact> Read(string json, string file, string company, ImmutableArray<ConceptMapping> mappings)
    {
        using JsonDocument document = Parse(json, file);
        if (!document.RootElement.TryGetProperty("facts", out JsonElement taxonomies) || !document.RootElement.TryGetProperty("cik", out JsonElement cik))
            throw new OutlookDataException(new Fault(new Place(file, 1), "this is not a company-facts file of the SEC: it has no 'cik' and 'facts'."));
        try
        {
            return Facts(taxonomies, cik, file, company, mappings);
        }
        catch (Exception error) when (error is InvalidOperationException or KeyNotFoundException or FormatException or ArgumentException)
        {
            throw new OutlookDataException(new Fault(new Place(file, 1), $"this is not how the SEC writes company facts: a concept needs units, and each value start, end, val, accn and filed ({error.Message.TrimEnd('.')})."));
        }
    }

    private static ImmutableArray<Fact> Facts(JsonElement taxonomies, JsonElement cik, string file, string company, ImmutableArray<ConceptMapping> mappings)
    {
        string number = cik.ValueKind == JsonValueKind.Number ? cik.GetRawText() : cik.GetString()!.TrimStart('0');
        var facts = ImmutableArray.CreateBuilder<Fact>();
        foreach (ConceptMapping mapping in mappings)
        {
            string[] name = mapping.Concept.Split(':');
            if (name.Length != 2 || !taxonomies.TryGetProperty(name[0], out JsonElement taxonomy) || !taxonomy.TryGetProperty(name[1], out JsonElement concept))
                throw new OutlookDataException(new Fault(new Place(file, 1), $"the concept {mapping.Concept} is not in this file."));
            foreach (JsonProperty unit in concept.GetProperty("units").EnumerateObject())
                foreach (IGrouping<Period, Entry> same in unit.Value.EnumerateArray().Select(Entry.Read).OfType<Entry>().GroupBy(e => e.Period))
                    facts.Add(ToFact(file, company, mapping.Measure, unit.Name, number, [.. same.OrderBy(e => e.Filed)]));
        }
        return [.. facts.OrderBy(f => f.PeriodEnd).ThenBy(f => f.Measure.Metric, StringComparer.Ordinal).Select((f, i) => f with { Place = new Place(file, i + 1) })];
    }

    private static Fact ToFact(string file, string company, Measure measure, string currency, string cik, Entry[] entries)
    {
        Entry last = entries[^1];
        Entry[] earlier = [.. entries.Where(e => e.Value != last.Value).DistinctBy(e => e.Value)];
        double place = Places.First(p => entries.All(e => e.Value % p == 0));
        string note = earlier.Length == 0 ? "" : "restated; before: " + string.Join(", ", earlier.Select(e => $"{Texts.Number(e.Value / 1e6, 3)} million in {e.Accession}"));
        return new Fact
        {
            Place = new Place(file, 1),
            Company = company,
            FiscalPeriod = last.Period.Name,
            PeriodEnd = last.Period.End,
            Span = last.Period.Span,
            Measure = measure,
            Definition = "",
            Printed = (last.Value / 1e6).ToString("0.######", CultureInfo.InvariantCulture),
            Unit = $"{(currency == "CNY" ? "RMB" : currency)} million",
            Of = "",
            Tier = Tier.T1,
            Source = new Uri($"https://www.sec.gov/Archives/edgar/data/{cik}/{last.Accession.Replace("-", "", StringComparison.Ordinal)}/"),
            Note = note,
            Formula = "",
            Value = Interval.Rounded(last.Value / 1e6, place / 1e6),
        };
    }

    private static JsonDocument Parse(string json, string file)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new OutlookDataException(new Fault(new Place(file, (int)(e.LineNumber ?? 0) + 1), "this is not JSON."));
        }
    }

    private readonly record struct Period(DateOnly? Start, DateOnly End)
    {
        public Span Span => Start is not { } start ? Span.Moment : (End.DayNumber - start.DayNumber + 1) switch { < 100 => Span.Quarter, < 200 => Span.Half, < 300 => Span.Moment, _ => Span.Year };

        public string Name => Span switch { Span.Year => $"{End.Year}", Span.Quarter => Quarter.Of(End).ToString(), Span.Half => $"{End.Year}H{(End.Month > 6 ? 2 : 1)}", _ => $"{End:yyyy-MM-dd}" };
    }

    private sealed record Entry(Period Period, double Value, string Accession, string Filed)
    {
        /// <summary>Null for spans of nine months, which nothing here uses.</summary>
        public static Entry? Read(JsonElement element)
        {
            DateOnly Date(string name) => DateOnly.ParseExact(element.GetProperty(name).GetString()!, "yyyy-MM-dd", CultureInfo.InvariantCulture);
            var period = new Period(element.TryGetProperty("start", out _) ? Date("start") : null, Date("end"));
            if (period is { Start: not null, Span: Span.Moment }) return null;
            return new Entry(period, element.GetProperty("val").GetDouble(), element.GetProperty("accn").GetString()!, element.GetProperty("filed").GetString()!);
        }
    }
}
