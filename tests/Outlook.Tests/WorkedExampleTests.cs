using System.Text.Json;
using Qanat.Outlook;

namespace Qanat.Outlook.Tests;

/// <summary>The worked example of the guide: Alibaba, quarter ended 30 June 2026, to the printed digit.</summary>
public class WorkedExampleTests
{
    private static readonly CompanyAnalysis Analysis = OutlookCommands.WhatIf(new CompanyCommandOptions("alibaba", "2026Q2", null, [], null)).Analysis;

    [Theory]
    [InlineData("accounting", -188, 337, -236, 177)]
    [InlineData("ranges", -32, 56, -113, -44)]
    [InlineData("peers", -3, 36, -90, -60)]
    public void The_june_2026_quarter_reproduces_to_the_printed_digit(string layer, int low, int high, int loadedLow, int loadedHigh)
    {
        Bound margin = Analysis.Bound(layer, "ai_margin")!, loaded = Analysis.Bound(layer, "loaded_ai_margin")!;
        Assert.Equal(low, Math.Round(margin.Range.Low * 100));
        Assert.Equal(high, Math.Round(margin.Range.High * 100));
        Assert.Equal(loadedLow, Math.Round(loaded.Range.Low * 100));
        Assert.Equal(loadedHigh, Math.Round(loaded.Range.High * 100));
        Assert.False(margin.IsOuter);
        Assert.Equal(Tier.T2, margin.Tier);
    }

    [Fact]
    public void Without_any_assumption_nothing_limits_the_margin()
    {
        Assert.Equal(Interval.Everything, Analysis.Bound(LayerSystems.Published, "ai_margin")!.Range);
    }

    [Fact]
    public void Each_layer_only_narrows_what_the_layer_before_left()
    {
        foreach (Target target in Analysis.Model.Targets)
        {
            Interval before = Interval.Everything;
            foreach (LayerSystem layer in Analysis.Systems.Layers)
            {
                Interval range = Analysis.Bound(layer.Name, target.Name)!.Range;
                Assert.True(range.Low >= before.Low - 1e-6 && range.High <= before.High + 1e-6, $"{target.Name} in {layer.Name}: {range} is not inside {before}");
                before = range;
            }
        }
    }

    [Fact]
    public void Json_has_the_agreed_shape_with_fractions_and_the_calendar_quarter()
    {
        using JsonDocument json = JsonDocument.Parse(AnalysisJson.Write(Analysis));
        Assert.Equal("alibaba", json.RootElement.GetProperty("company").GetString());
        Assert.Equal("2026Q2", json.RootElement.GetProperty("quarter").GetString());
        JsonElement bound = json.RootElement.GetProperty("bounds").EnumerateArray()
            .Single(b => b.GetProperty("layer").GetString() == "peers" && b.GetProperty("target").GetString() == "ai_margin");
        Assert.Equal(0.364, bound.GetProperty("high").GetDouble(), 3);
        Assert.Equal(-0.027, bound.GetProperty("low").GetDouble(), 3);
        Assert.False(bound.GetProperty("outer").GetBoolean());
        Assert.Equal("T2", bound.GetProperty("tier").GetString());
        Assert.NotEmpty(bound.GetProperty("binding").EnumerateArray());
        JsonElement open = json.RootElement.GetProperty("bounds").EnumerateArray()
            .Single(b => b.GetProperty("layer").GetString() == "published" && b.GetProperty("target").GetString() == "ai_margin");
        Assert.Equal(JsonValueKind.Null, open.GetProperty("low").ValueKind);
    }

    [Fact]
    public void The_eleven_tie_outs_hold_exactly()
    {
        TieOutResult[] results = [.. TieOutResult.Check(Analysis.Book)];
        Assert.Equal(11, results.Length);
        Assert.All(results, t => Assert.True(t.Holds, $"{t.Measure} {t.Year}: {t.Difference} {t.Refused}"));
    }

    [Fact]
    public void The_annual_rate_of_ai_revenue_is_the_one_the_issuer_gave()
    {
        Fact quarter = Analysis.Book.Facts.Single(f => f.Measure.Metric == "AI_related_product_revenue" && f.FiscalPeriod == "FY2026Q4");
        Assert.Equal(35_884, quarter.Value!.Value.Middle * 4);
    }
}
