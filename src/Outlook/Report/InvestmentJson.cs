using System.Text;
using System.Text.Json;

namespace Qanat.Outlook;

/// <summary>An investment as JSON. Rates are fractions, payback is in months (null: never).</summary>
public static class InvestmentJson
{
    public static string Write(InvestmentAnalysis analysis)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            Investment investment = analysis.Investment;
            MonteCarloResult drawn = analysis.MonteCarlo;
            json.WriteStartObject();
            json.WriteString("investment", investment.Key);
            json.WriteString("currency", investment.Currency.Code);
            json.WriteString("start", investment.Start.ToString());
            json.WriteNumber("discount_rate", investment.DiscountRate);
            json.WriteStartArray("scenarios");
            foreach (Scenario scenario in analysis.Scenarios) WriteScenario(json, scenario);
            json.WriteEndArray();
            json.WriteStartObject("cases");
            json.WriteNumber("paths", drawn.Paths);
            json.WriteNumber("seed", drawn.Seed);
            Write(json, "net_present_value", drawn.NetPresentValue);
            Write(json, "payback_months", drawn.PaybackMonths);
            Write(json, "internal_rate", drawn.InternalRate);
            Write(json, "return_on_investment", drawn.ReturnOnInvestment);
            Number(json, "probability_of_payback_in_life", drawn.ProbabilityOfPayback);
            Number(json, "probability_of_gain", drawn.ProbabilityOfGain);
            json.WriteEndObject();
            json.WriteStartArray("fan");
            foreach (FanPoint point in drawn.Fan)
            {
                json.WriteStartObject();
                json.WriteString("month", point.Month.ToString());
                Write(json, "cumulated", point.Cumulated);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            WriteDrivers(json, analysis);
            if (analysis.Backtest is { } score)
            {
                json.WriteStartObject("backtest");
                json.WriteNumber("months", score.Months.Length);
                Number(json, "mean_score", score.MeanScore);
                Number(json, "mean_absolute_actual", score.MeanAbsoluteActual);
                Number(json, "coverage_of_80_percent_range", score.Coverage80);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void WriteScenario(Utf8JsonWriter json, Scenario scenario)
    {
        InvestmentMeasures m = scenario.Measures;
        json.WriteStartObject();
        json.WriteString("name", scenario.Name.Split(':')[0]);
        Number(json, "net_present_value", m.NetPresentValue);
        Number(json, "payback_months", m.PaybackMonths);
        Number(json, "discounted_payback_months", m.DiscountedPaybackMonths);
        json.WriteStartArray("internal_rates");
        foreach (double rate in m.InternalRates) json.WriteNumberValue(rate);
        json.WriteEndArray();
        Number(json, "modified_internal_rate", m.ModifiedInternalRate);
        Number(json, "return_on_investment", m.ReturnOnInvestment);
        Number(json, "return_on_capital", m.ReturnOnCapital);
        Number(json, "economic_value_added", m.EconomicValue);
        Number(json, "outlays", m.Outlays);
        json.WriteNumber("life_months", m.LifeMonths);
        json.WriteEndObject();
    }

    private static void WriteDrivers(Utf8JsonWriter json, InvestmentAnalysis analysis)
    {
        json.WriteStartArray("drivers");
        foreach (DriverSetting setting in analysis.Investment.Drivers)
        {
            json.WriteStartObject();
            json.WriteString("driver", InvestmentText.NameOf(setting.Driver));
            json.WriteString("label", setting.Label);
            json.WriteString("distribution", setting.Distribution.ToString());
            json.WriteString("because", setting.Because);
            json.WriteString("place", setting.Place.ToString());
            if (analysis.Tornado.FirstOrDefault(b => b.Setting == setting) is { } bar)
            {
                Number(json, "value_at_p10", bar.ValueAtP10);
                Number(json, "value_at_p90", bar.ValueAtP90);
            }
            if (analysis.BreakEvens.FirstOrDefault(b => b.Setting == setting) is { Value: { } even }) Number(json, "break_even", even);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, string name, Percentiles p)
    {
        json.WriteStartObject(name);
        Number(json, "p5", p.P5);
        Number(json, "p10", p.P10);
        Number(json, "p25", p.P25);
        Number(json, "p50", p.P50);
        Number(json, "p75", p.P75);
        Number(json, "p90", p.P90);
        Number(json, "p95", p.P95);
        json.WriteEndObject();
    }

    private static void Number(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value)) json.WriteNumber(name, value);
        else json.WriteNull(name);
    }
}
