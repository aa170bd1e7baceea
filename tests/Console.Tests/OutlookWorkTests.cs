using Qanat.Outlook;

namespace Qanat.Console.Tests;

/// <summary>What a page shows while assumptions are moved.</summary>
public sealed class OutlookWorkTests
{
    private static OutlookWork June2026() => new(OutlookSession.Open("alibaba"), Quarter.Parse("2026Q2"));

    private static string Text(OutlookWork work, string section) => string.Concat(work.Sections.Single(each => each.Id == section).Parts.Select(part => part.Summary + part.Html));

    [Fact]
    public void Moving_an_assumption_moves_the_short_answer_the_bars_and_the_certificates_at_once()
    {
        OutlookWork work = June2026();
        work.Follow();
        Assert.Contains("−3\u00A0% to 36\u00A0%", System.Net.WebUtility.HtmlDecode(Text(work, "findings")), StringComparison.Ordinal);
        Assumption ceiling = work.Assumptions.Single(each => each.Assumption.Name == "other_margin_peers").Assumption;

        work.Move(ceiling, new Interval(0.05, 0.10));
        work.Follow();

        Bound solver = OutlookCommands.WhatIf(new CompanyCommandOptions("alibaba", "2026Q2", "peers", ["other_margin_peers=5%..10%"], null)).Analysis.Bound("peers", "ai_margin")!;
        string expected = Texts.Range(solver.Range, percent: true, 0);
        Assert.Contains(expected, System.Net.WebUtility.HtmlDecode(Text(work, "findings")), StringComparison.Ordinal);
        Assert.Contains(Texts.Percent(solver.Range.Low), System.Net.WebUtility.HtmlDecode(Text(work, "ranges")), StringComparison.Ordinal);
        Assert.Contains(Texts.Percent(solver.Range.Low, 1), System.Net.WebUtility.HtmlDecode(Text(work, "certificates")), StringComparison.Ordinal);
        Assert.False(work.IsWhole);
    }

    [Fact]
    public void What_takes_longer_stays_as_it_was_and_is_marked_until_it_follows()
    {
        OutlookWork work = June2026();
        work.Complete();
        Assert.True(work.IsWhole);
        string before = Text(work, "disclosure");
        work.Move(work.Assumptions.Single(each => each.Assumption.Name == "internal_margin_peers").Assumption, new Interval(0, 0.02));
        work.Follow();
        ReportSection behind = work.Sections.Single(each => each.Id == "disclosure");
        Assert.True(work.IsBehind(behind));
        Assert.False(work.IsBehind(work.Sections.Single(each => each.Id == "ranges")));
        Assert.Equal(before, Text(work, "disclosure"));
        work.Complete();
        Assert.NotEqual(before, Text(work, "disclosure"));
        Assert.False(work.IsBehind(behind));
    }

    [Fact]
    public void A_move_that_contradicts_the_published_figures_is_said_and_changes_no_figure()
    {
        OutlookWork work = June2026();
        work.Follow();
        string before = Text(work, "findings");
        Assumption segment = work.Assumptions.Single(each => each.Assumption.Name == "cloud_margin_peers").Assumption;
        work.Move(segment, new Interval(0.4, 0.5));
        work.Follow();
        Assert.Contains("contradict", work.Refused, StringComparison.Ordinal);
        Assert.Equal(before, Text(work, "findings"));
        work.Reset();
        work.Follow();
        Assert.Null(work.Refused);
    }

    [Fact]
    public void The_assumptions_that_hold_an_end_of_the_headline_are_told_apart()
    {
        OutlookWork work = June2026();
        work.Follow();
        Assert.Equal(["other_margin", "internal_margin", "other_margin_range", "internal_margin_range", "other_margin_peers", "internal_margin_peers"], work.Assumptions.Where(each => each.Binds).Select(each => each.Assumption.Name));
        Assert.Contains(work.Assumptions, each => !each.Binds);
    }

    [Fact]
    public void Held_drivers_are_written_and_read_alike_and_change_what_an_investment_is_worth()
    {
        Investment investment = InvestmentText.Read(OutlookCommands.InvestmentTextOf("deepseek", null), "deepseek.invest");
        var held = DriverMoves.Read(["price_realised=0.4", "useful_life=3"]);
        Assert.Equal(held, DriverMoves.Read(DriverMoves.Write(held)));
        Investment moved = DriverMoves.Apply(investment, held);
        Assert.Equal(0.4, moved[Driver.PriceRealised].Median);
        Assert.True(moved[Driver.UsefulLife].IsCertain);
        Assert.Throws<OutlookDataException>(() => DriverMoves.Read(["nothing=1"]));
        Assert.Throws<OutlookDataException>(() => DriverMoves.Read(["price_realised=much"]));
    }
}
