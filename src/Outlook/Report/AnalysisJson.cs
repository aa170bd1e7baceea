using System.Text;
using System.Text.Json;

namespace Qanat.Outlook;

/// <summary>An analysis as JSON. Ratios are fractions (0.36 is 36 %), money is in the company's unit, an end that nothing limits is null.</summary>
public static class AnalysisJson
{
    public static string Write(CompanyAnalysis analysis)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("company", analysis.Model.Key);
            json.WriteString("quarter", analysis.Quarter.ToString());
            json.WriteString("unit", analysis.Model.Unit);
            json.WriteString("definition", analysis.Definition);
            json.WriteStartArray("bounds");
            foreach (Bound bound in analysis.Bounds) WriteBound(json, bound);
            json.WriteEndArray();
            WriteDisclosures(json, analysis);
            WriteSensitivities(json, analysis);
            WriteCapital(json, analysis);
            WriteFacts(json, analysis);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void WriteBound(Utf8JsonWriter json, Bound bound)
    {
        json.WriteStartObject();
        json.WriteString("layer", bound.Layer);
        json.WriteString("target", bound.Target.Name);
        json.WriteString("label", bound.Target.Label);
        json.WriteString("basis", bound.Target.Basis);
        WriteEnd(json, "low", bound.Range.Low);
        WriteEnd(json, "high", bound.Range.High);
        json.WriteBoolean("outer", bound.IsOuter);
        json.WriteStartArray("binding");
        WriteBindings(json, "low", bound.LowCertificate);
        WriteBindings(json, "high", bound.HighCertificate);
        json.WriteEndArray();
        json.WriteString("tier", bound.Tier.ToString());
        json.WriteEndObject();
    }

    private static void WriteBindings(Utf8JsonWriter json, string end, Certificate? certificate)
    {
        foreach (Binding binding in certificate?.Bindings ?? [])
        {
            json.WriteStartObject();
            json.WriteString("end", end);
            json.WriteString("kind", KindName(binding.Row.Kind));
            json.WriteString("words", binding.Row.Words);
            json.WriteNumber("multiplier", binding.Multiplier);
            WriteEnd(json, "slope", binding.Slope);
            json.WriteString("place", binding.Row.Place.ToString());
            json.WriteStartArray("sources");
            foreach (Fact fact in binding.Row.Facts) json.WriteStringValue(fact.Source.OriginalString);
            json.WriteEndArray();
            json.WriteEndObject();
        }
    }

    private static void WriteDisclosures(Utf8JsonWriter json, CompanyAnalysis analysis)
    {
        json.WriteStartArray("disclosures");
        foreach (DisclosureValue value in analysis.Disclosures)
        {
            json.WriteStartObject();
            json.WriteString("layer", value.Layer);
            json.WriteString("target", value.Target.Name);
            json.WriteString("line", value.Line.Name);
            json.WriteString("label", value.Line.Label);
            WriteEnd(json, "low", value.LineRange.Low);
            WriteEnd(json, "high", value.LineRange.High);
            WriteEnd(json, "width", value.Before);
            WriteEnd(json, "removed_at_least", value.Guaranteed);
            WriteEnd(json, "removed_at_middle", value.Expected);
            WriteRows(json, value.Rows);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>Where figures come from: places in the fact file and in the model, and the sources' addresses.</summary>
    private static void WriteRows(Utf8JsonWriter json, IReadOnlyCollection<SystemRow> rows)
    {
        Fact[] facts = [.. rows.SelectMany(r => r.Facts).DistinctBy(f => f.Place)];
        json.WriteStartArray("rests_on");
        foreach (Place place in rows.Where(r => r.Kind == RowKind.Assumption).Select(r => r.Place).Concat(facts.Select(f => f.Place)).Distinct()) json.WriteStringValue(place.ToString());
        json.WriteEndArray();
        json.WriteStartArray("sources");
        foreach (string source in facts.Select(f => f.Source.OriginalString).Distinct(StringComparer.Ordinal)) json.WriteStringValue(source);
        json.WriteEndArray();
    }

    private static void WriteSensitivities(Utf8JsonWriter json, CompanyAnalysis analysis)
    {
        json.WriteStartArray("sensitivities");
        foreach (Tornado tornado in analysis.Tornadoes)
            foreach (TornadoBar bar in tornado.Bars)
            {
                json.WriteStartObject();
                json.WriteString("layer", tornado.Layer);
                json.WriteString("target", tornado.Target.Name);
                json.WriteString("input", bar.Label);
                WriteEnd(json, "input_low", bar.Input.Low);
                WriteEnd(json, "input_high", bar.Input.High);
                WriteEnd(json, "at_low", bar.AtLow);
                WriteEnd(json, "at_high", bar.AtHigh);
                WriteEnd(json, "share_of_width", bar.Share);
                WriteRows(json, bar.Rows);
                json.WriteEndObject();
            }
        json.WriteEndArray();
        json.WriteStartArray("distributions");
        foreach (TargetDistribution distribution in analysis.Distributions)
        {
            json.WriteStartObject();
            json.WriteString("layer", distribution.Layer);
            json.WriteString("target", distribution.Target.Name);
            json.WriteString("assumption", distribution.Assumption);
            foreach (int p in new[] { 5, 10, 50, 90, 95 }) WriteEnd(json, $"p{p}", distribution.Distribution.Quantile(p / 100.0));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteCapital(Utf8JsonWriter json, CompanyAnalysis analysis)
    {
        if (analysis.Payback is not { } payback) return;
        json.WriteStartObject("payback");
        json.WriteNumber("years_asked", payback.Setting.Years);
        WriteRange(json, "revenue_per_year", payback.RevenuePerYear);
        WriteRange(json, "capital", payback.Capital);
        WriteRange(json, "static_years", payback.StaticYears);
        json.WriteStartArray("growth_path");
        foreach (PaybackRow row in payback.Rows)
        {
            json.WriteStartObject();
            json.WriteNumber("growth", row.Growth);
            WriteRange(json, "years", row.Years);
            WriteRange(json, "years_reinvesting", row.YearsReinvesting);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("growth_needed");
        foreach (GrowthNeed need in payback.Needs)
        {
            json.WriteStartObject();
            json.WriteNumber("cash_margin", need.Cash);
            json.WriteNumber("share_of_capital", need.Share);
            WriteEnd(json, "growth", need.Growth);
            WriteEnd(json, "reinvested_most", need.ReinvestedMost);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteFacts(Utf8JsonWriter json, CompanyAnalysis analysis)
    {
        json.WriteStartArray("facts");
        foreach (Fact fact in analysis.Book.Facts.Where(f => f.Quarter == analysis.Quarter && f.Value is not null))
        {
            json.WriteStartObject();
            json.WriteString("place", fact.Place.ToString());
            json.WriteString("period", fact.FiscalPeriod);
            json.WriteString("metric", fact.Measure.Metric);
            json.WriteString("segment", fact.Measure.Segment);
            json.WriteString("definition", fact.Definition);
            json.WriteString("unit", fact.Unit);
            WriteEnd(json, "low", fact.Value!.Value.Low);
            WriteEnd(json, "high", fact.Value.Value.High);
            json.WriteString("tier", fact.IsDerived ? $"D ({fact.Tier})" : fact.Tier.ToString());
            json.WriteString("source", fact.Source.OriginalString);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    internal static string KindName(RowKind kind) => kind switch
    {
        RowKind.Identity => "identity",
        RowKind.Reported => "published",
        RowKind.Soft => "said",
        RowKind.Product => "envelope",
        RowKind.Assumption => "assumed",
        _ => "supposed",
    };

    private static void WriteRange(Utf8JsonWriter json, string name, Interval range)
    {
        json.WriteStartObject(name);
        WriteEnd(json, "low", range.Low);
        WriteEnd(json, "high", range.High);
        json.WriteEndObject();
    }

    private static void WriteEnd(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value)) json.WriteNumber(name, value);
        else json.WriteNull(name);
    }
}
