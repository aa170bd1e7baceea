using System.Collections.Immutable;
using Qanat.Outlook;

namespace Qanat.Outlook.Tests;

/// <summary>What is said beyond the bounds: hidden lines, disclosure values, shares of the width, products, capital.</summary>
public class DisclosureTests
{
    [Theory]
    [InlineData("alibaba", "2026Q2", 24)]
    [InlineData("aws", "2025Q4", 5)]
    [InlineData("aws", "2026Q2", 4)]
    public void Hiding_any_published_line_the_others_cover_it(string company, string quarter, int lines)
    {
        CompanyBook book = CompanyBook.Read(OutlookData.BuiltIn, company);
        foreach (string? layer in book.Model.Layers.Select(l => (string?)l.Name).Prepend(null))
        {
            ImmutableArray<HiddenLine> hidden = HiddenLineTest.Run(book, Quarter.Parse(quarter), layer);
            Assert.True(hidden.Length >= lines, $"only {hidden.Length} lines of {quarter} were hidden");
            Assert.All(hidden, h => Assert.True(h.IsCovered, $"{h.Fact.Place} {h.Quantity}: {h.Truth} is outside {h.Range} in {layer}"));
        }
    }

    [Fact]
    public void A_hidden_line_that_the_rest_contradicts_is_not_covered()
    {
        CompanyBook book = CompanyBook.Read(OutlookData.BuiltIn, "aws");
        Fact margin = book.Facts.Single(f => f.Measure.Metric == "segment_operating_margin");
        CompanyBook bent = book with { Facts = [.. book.Facts.Select(f => f == margin ? f with { Value = Interval.Rounded(0.45, 0.001) } : f)] };
        Assert.False(HiddenLineTest.Run(bent, Quarter.Parse("2026Q2"), null).Single(h => h.Fact.Place == margin.Place).IsCovered);
    }

    [Fact]
    public void The_june_2026_quarter_ranks_the_lines_that_are_missing()
    {
        CompanyAnalysis analysis = OutlookCommands.Company(new CompanyCommandOptions("alibaba", "2026Q2", "peers", [], null)).Analysis;
        DisclosureValue[] ranked = [.. analysis.Disclosures.Where(d => d.Target.Name == "ai_margin")];
        Assert.Equal(["ai_profit", "other_margin"], ranked.Take(2).Select(d => d.Line.Name));
        // The segment's own result of AI leaves only rounding; the margin of other external cloud leaves 1,257 for internal cloud over 12,376, and its own rounding of one point.
        Assert.Equal(0.390, ranked[0].Before, 3);
        Assert.InRange(ranked[0].Worst, 0, 0.001);
        Assert.InRange(ranked[1].Worst, 0.12, 0.14);
        Assert.Equal("other_margin", analysis.Tornadoes.First(t => t.Target.Name == "ai_margin").Bars[0].Label == "Margin of other external cloud" ? "other_margin" : "");
    }

    [Fact]
    public void Shares_of_the_width_sum_to_the_width()
    {
        CompanyAnalysis analysis = OutlookCommands.Company(new CompanyCommandOptions("alibaba", "2026Q2", "ranges", [], null)).Analysis;
        Assert.NotEmpty(analysis.Tornadoes);
        Assert.All(analysis.Tornadoes, t => Assert.Equal(t.Width, t.Bars.Sum(b => b.Share), 9));
        Assert.All(analysis.Distributions, d =>
        {
            Interval range = analysis.Bound(d.Layer, d.Target.Name)!.Range;
            Assert.InRange(d.Distribution.Quantile(0), range.Low - 1e-6, range.High);
            Assert.InRange(d.Distribution.Quantile(1), range.Low, range.High + 1e-6);
        });
    }

    [Fact]
    public void Every_derivation_ends_at_the_bound_it_explains()
    {
        CompanyAnalysis analysis = OutlookCommands.Company(new CompanyCommandOptions("alibaba", "2026Q2", null, [], null)).Analysis;
        Assert.Equal(12, analysis.Derivations.Length);
        foreach (Derivation derivation in analysis.Derivations)
            foreach (DerivationStep step in derivation.Steps.Where(s => s.Row is not null))
            {
                // Each step's row, with the values before it, gives the step's value.
                double rest = step.Row!.Terms.Where(t => t.Variable != step.Variable.Index).Sum(t => t.Factor * derivation.Steps.First(s => s.Variable.Index == t.Variable).Value);
                double own = step.Row.Terms.First(t => t.Variable == step.Variable.Index).Factor;
                Assert.Equal(step.Value, (step.End - rest) / own, 3);
            }
    }

    [Fact]
    public void Internal_growth_follows_from_total_and_external_growth()
    {
        // Quarter ended 30 September 2025: total +34 %, external +29 %, internal +53 % published; the last is hidden and must come out.
        CompanyBook book = CompanyBook.Read(OutlookData.BuiltIn, "alibaba");
        Fact published = book.Facts.Single(f => f.Measure.Metric == "internal_revenue_growth_yoy");
        LinearSystem system = book.System(SystemScope.Published with { Hidden = [published] });
        using var solver = new RangeSolver(system);
        Quarter quarter = Quarter.Parse("2025Q3");
        Interval range = solver.Range(SystemBuilder.ObjectiveOf(system, book.Model.TargetOrNull("internal_growth")!.Quantity, quarter, "old")!);
        Assert.True(range.Meets(published.Value!.Value), $"{range}");
    }

    [Fact]
    public void A_product_of_unknowns_is_enveloped_and_said_to_be_an_outer_bound()
    {
        using var folder = new InputTests.Folder();
        folder.Write("p.model", """
            company p "P"
            facts p.facts.csv
            unit "USD million"
            quarters 2026Q1 to 2026Q1
            line a "A" positive
            line b "B" positive
            line w "W" positive
            line known "K" positive
              fact k of "P"
            product ab: w = a * b
            layer accounting "Accounting"
              assume a_range "A": a in 1 .. 3
              assume b_range "B": b in 2 .. 5
              assume sum_range "A + B": a + b in 6 .. 6
            target w "W" of "USD million": w
            """);
        folder.Write("p.facts.csv", "company,fiscal_period,period_end,metric,segment,value,unit,tier,source_url\nP,2026Q1,2026-03-31,k,P,1,USD million,T1,https://example.org/a\n");
        Bound bound = OutlookCommands.WhatIf(new CompanyCommandOptions("p", null, "accounting", [], null) with { DataFolder = folder.Path }).Analysis.Bounds.Single();
        Assert.True(bound.IsOuter);
        // On the line a + b = 6 with a in [1, 3] the product runs from 5 to 9.
        for (int i = 0; i <= 100; i++)
        {
            double a = 1 + 2.0 * i / 100;
            Assert.True(bound.Range.Contains(a * (6 - a), 1e-6));
        }
        Assert.True(bound.Range.High < 3 * 5);
    }

    [Fact]
    public void A_point_identified_loss_is_as_wide_as_its_rounding()
    {
        CompanyAnalysis tencent = OutlookCommands.WhatIf(new CompanyCommandOptions("tencent", "2026Q1", null, [], null)).Analysis;
        Interval loss = tencent.Bound(LayerSystems.Published, "ai_profit")!.Range;
        Assert.Equal(-8900, loss.Low, 6);
        Assert.Equal(-8700, loss.High, 6);
    }

    [Theory]
    [InlineData(100, 50, 0.5, 0, 0, 4)]
    [InlineData(100, 100, 0.5, 1, 0, 1.2548)]
    [InlineData(100, 100, 0.5, 0.5, 0.5, 2.1219)]
    public void Payback_on_a_growth_path_has_a_closed_form(double capital, double revenue, double cash, double growth, double reinvested, double years)
    {
        double log = Math.Log(1 + growth), closed = growth == 0 ? capital / (revenue * cash) : Math.Log(1 + capital / (revenue * (cash / log - reinvested))) / log;
        Assert.Equal(closed, GrowthPath.Years(capital, revenue, cash, growth, reinvested), 6);
        Assert.Equal(years, closed, 3);
        if (growth > 0 && reinvested == 0) Assert.Equal(growth, GrowthPath.RequiredGrowth(capital, revenue, cash, reinvested, closed), 4);
    }

    [Fact]
    public void Growth_that_takes_more_capital_than_it_brings_never_pays_back()
    {
        Assert.Equal(double.PositiveInfinity, GrowthPath.Years(100, 100, 0.3, 1, 1));
        Assert.True(double.IsNaN(GrowthPath.RequiredGrowth(1000, 1, 0.01, 0, 1)));
        double most = GrowthPath.ReinvestedMost(100, 50, 0.5, 3);
        Assert.True(double.IsNaN(GrowthPath.RequiredGrowth(100, 50, 0.5, most + 0.01, 3)));
        Assert.False(double.IsNaN(GrowthPath.RequiredGrowth(100, 50, 0.5, most - 0.01, 3)));
    }

    [Fact]
    public void The_glide_writes_off_what_was_spent_and_no_more()
    {
        var spent = new Dictionary<Quarter, double> { [new Quarter(2024, 1)] = 100, [new Quarter(2024, 3)] = 60 };
        double total = Enumerable.Range(0, 60).Sum(i => GlideResult.Depreciation(spent, new Quarter(2024, 1).Plus(i), new GlideCorner(4.3, 1.5, 0.9)));
        Assert.Equal(0.9 * 160, total, 9);
        Assert.Equal(0, GlideResult.Depreciation(spent, new Quarter(2024, 1), new GlideCorner(4, 1, 1)));
    }

    [Fact]
    public void The_restatement_of_the_cloud_segment_is_on_record()
    {
        Restatement restatement = Assert.Single(Restatement.Find(CompanyBook.Read(OutlookData.BuiltIn, "alibaba")));
        Assert.Equal(("33398", "33418", "2025Q2"), (restatement.Before.Printed, restatement.After.Printed, restatement.Quarter.ToString()));
    }

    [Fact]
    public void Every_disclosure_value_and_every_input_that_moves_a_target_leads_to_its_sources()
    {
        CompanyAnalysis analysis = OutlookCommands.Company(new CompanyCommandOptions("alibaba", "2026Q2", null, [], null)).Analysis;
        Assert.All(analysis.Disclosures.Where(d => d.LineRange.IsBounded), d => Assert.True(d.Facts.Length > 0, $"{d.Line.Name} in {d.Layer} rests on nothing"));
        Assert.All(analysis.Tornadoes.SelectMany(t => t.Bars), b => Assert.True(b.Facts.Length > 0 || b.Rows.Any(r => r.Kind == RowKind.Assumption), $"{b.Label} rests on nothing"));
        // The margin of other external cloud is bound by its own assumption and by nothing that is published.
        TornadoBar margin = analysis.Tornadoes.Last(t => t.Target.Name == "ai_margin").Bars.First(b => b.Label.StartsWith("Margin of other external cloud", StringComparison.Ordinal));
        Assert.Contains(margin.Rows, r => r.Kind == RowKind.Assumption && r.Place.File == "alibaba.model");
        string html = CompanyReport.Write(analysis);
        Assert.Contains("alibaba.model:", html, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prior_weighs_the_inside_of_a_range_and_moves_no_bound()
    {
        CompanyAnalysis analysis = OutlookCommands.Company(new CompanyCommandOptions("alibaba", "2026Q2", "peers", [], null)).Analysis;
        TargetDistribution[] both = [.. analysis.Distributions.Where(d => d.Target.Name == "ai_margin")];
        Assert.Equal([0, 2], both.Select(d => d.Priors.Length));
        Interval range = analysis.Bound("peers", "ai_margin")!.Range;
        Assert.All(both, d => Assert.InRange(d.Distribution.Quantile(0.5), range.Low, range.High));
        // Other external cloud is believed to lie nearer its low end than its middle, so more of the profit is left for AI; and the belief is narrower than none.
        Assert.True(both[1].Distribution.Quantile(0.5) > both[0].Distribution.Quantile(0.5));
        double Spread(TargetDistribution d) => d.Distribution.Quantile(0.95) - d.Distribution.Quantile(0.05);
        Assert.True(Spread(both[1]) < Spread(both[0]));
    }

    [Fact]
    public void Sampling_with_a_density_gives_that_density()
    {
        // One unknown in [0, 1] under a triangle that peaks at 0.2: its quantiles are known in closed form.
        CompanyModel model = ModelText.Read("""
            company one "One"
            facts one.facts.csv
            unit "USD million"
            quarters 2026Q1 to 2026Q1
            line x "X" positive
            layer only "Only" because "a test"
              assume x_range "X": x in 0 .. 1
              prior x_range = triangular 0, 0.2, 1 because "a test"
            target x "X" of "USD million": x
            """, "one.model");
        LinearSystem system = SystemBuilder.Build(model, [], SystemScope.Published with { Layer = "only" });
        HitAndRun chain = HitAndRun.Prepare(system, [0], 3)!;
        var triangle = new TriangularRange(0, 0.2, 1);
        SetDistribution drawn = chain.Sample([point => point[0]], 40_000, 3, point => triangle.Density(point[0])).Single();
        Assert.All(new[] { 0.1, 0.25, 0.5, 0.75, 0.9 }, p => Assert.Equal(triangle.Quantile(p), drawn.Quantile(p), 0.02));
    }

    [Theory]
    [InlineData("prior nothing = pert 0, 1, 2 because \"x\"", "is not an assumption of the layer")]
    [InlineData("prior x_range = pert 0, 1, 2", "'because'")]
    [InlineData("prior x_range = 1 because \"x\"", "some width")]
    [InlineData("prior x_range = beta 1, 2 because \"x\"", "is not a distribution")]
    public void A_prior_that_says_nothing_is_refused(string line, string reason)
    {
        string text = $"company one \"One\"\nfacts one.facts.csv\nunit \"USD million\"\nquarters 2026Q1 to 2026Q1\nline x \"X\" positive\nlayer only \"Only\" because \"a test\"\nassume x_range \"X\": x in 0 .. 1\n{line}";
        OutlookDataException refused = Assert.Throws<OutlookDataException>(() => ModelText.Read(text, "one.model"));
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.Contains("one.model:8", refused.Message, StringComparison.Ordinal);
    }
}
