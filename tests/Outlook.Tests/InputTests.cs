using Qanat.Outlook;

namespace Qanat.Outlook.Tests;

/// <summary>Bad input is refused with the line and the reason.</summary>
public class InputTests
{
    private const string Header = "company,fiscal_period,period_end,metric,segment,definition,value,unit,rounding,of,tier,source_url,formula,note\n";

    private static Fault Refused(string rows)
    {
        OutlookDataException e = Assert.Throws<OutlookDataException>(() => FactFile.Read(Header + rows, "x.facts.csv"));
        return Assert.Single(e.Faults);
    }

    private const string Good = "X,FY2026Q1,2026-03-31,revenue,Group,,100,USD million,1,,T1,https://example.org/a,,\n";

    [Theory]
    [InlineData("X,FY2026Q2,2026-06-30,revenue,Group,,100,USD million,1,,T1,,,\n", "without a source")]
    [InlineData("X,FY2026Q2,2026-06-30,revenue,Group,,100,USD million,1,,T1,a table,,\n", "not the address of a source")]
    [InlineData("X,FY2026Q2,2026-06-30,share,Cloud,,35,percent,1,,T1,https://example.org/a,,\n", "percentage without a basis")]
    [InlineData("X,FY2026Q2,2026-06-30,revenue,Group,,100,RMB million,1,,T1,https://example.org/a,,\n", "units are mixed")]
    [InlineData("X,FY2026Q2,2026-06-30,revenue,Group,,100,USD million,,,T1,https://example.org/a,,\n", "without its rounding")]
    [InlineData("X,FY2026Q2,2026-06-30,revenue,Group,,1e5,USD million,1,,T1,https://example.org/a,,\n", "is not a number")]
    [InlineData("X,FY2026Q2,2026-06-30,revenue,Group,,100,USD million,1,,T4,https://example.org/a,,\n", "is not a tier")]
    [InlineData("X,FY2026Q2,2026-06-30,revenue,Group,,100,USD million,,,D,https://example.org/a,,\n", "must give its formula")]
    [InlineData("X,FY2026Q2,30 June 2026,revenue,Group,,100,USD million,1,,T1,https://example.org/a,,\n", "is not a date")]
    [InlineData("X,FY2026Q1,2026-03-31,revenue,Group,,102,USD million,1,,T2,https://example.org/b,,\n", "contradicts line 2")]
    [InlineData("X,FY2026Q2,2026-06-30,profit,Group,,7,USD million,,,D,https://example.org/a,{revenue|Group|FY2026Q1} / 2,\n", "is not the printed 7")]
    [InlineData("X,FY2026Q2,2026-06-30,profit,Group,,7,USD million,,,D,https://example.org/a,{sales|Group|FY2026Q1},\n", "no row gives")]
    public void A_bad_row_is_refused_with_its_line(string row, string reason)
    {
        Fault fault = Refused(Good + row);
        Assert.Equal(3, fault.Place.Line);
        Assert.Contains(reason, fault.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Printed_numbers_become_the_intervals_of_their_rounding()
    {
        Fact[] facts = [.. FactFile.Read(Header
            + "X,FY2026Q1,2026-03-31,a,Group,,12376,RMB million,1,,T1,https://example.org/a,,\n"
            + "X,FY2026Q1,2026-03-31,b,Group,,-13860,RMB million,10,,T1,https://example.org/a,,\n"
            + "X,FY2026Q1,2026-03-31,c,Group,,35,percent,1,of external revenue,T1,https://example.org/a,,\n"
            + "X,FY2026Q1,2026-03-31,d,Group,,>20,percent,,of external revenue,T3,https://example.org/a,,\n"
            + "X,FY2026Q1,2026-03-31,e,Group,,2..6,years,,,T1,https://example.org/a,,\n"
            + "X,FY2026Q1,2026-03-31,f,Group,,6188,RMB million,,,D,https://example.org/a,{a|FY2026Q1} / 2,\n", "x.facts.csv")];
        Assert.Equal([new Interval(12375.5, 12376.5), new Interval(-13865, -13855), new Interval(0.345, 0.355)], facts.Take(3).Select(f => f.Value!.Value), new Near());
        Assert.Equal(0.2, facts[3].Value!.Value.Low, 12);
        Assert.Equal(double.PositiveInfinity, facts[3].Value!.Value.High);
        Assert.Equal(new Interval(2, 6), facts[4].Value!.Value);
        Assert.Equal(new Interval(6187.75, 6188.25), facts[5].Value!.Value);
        Assert.True(facts[5].RestsOn(facts[0]));
    }

    private sealed class Near : IEqualityComparer<Interval>
    {
        public bool Equals(Interval x, Interval y) => Math.Abs(x.Low - y.Low) < 1e-9 && Math.Abs(x.High - y.High) < 1e-9;
        public int GetHashCode(Interval obj) => 0;
    }

    private const string Model = """
        company x "X"
        facts x.facts.csv
        unit "USD million"
        quarters 2025Q1 to 2026Q2
        definition old until 2026-03-31
        definition new since 2026-04-01
        segment "Cloud" is old
        segment "AI Cloud" is new
        line revenue "Revenue" positive
          fact revenue of "Cloud"
        line life "Life" unit "years"

        """;

    [Theory]
    [InlineData("identity a: revenue = revnue", "did you mean 'revenue'")]
    [InlineData("identity a: revenue = life", "units are mixed")]
    [InlineData("identity a: revenue + 5% = revenue", "mixes units")]
    [InlineData("identity a: revenue@new = revenue@old", "splices segment definitions")]
    [InlineData("target t \"T\" of \"x\": revenue[1]", "a lag of 1")]
    [InlineData("assume a \"A\": revenue in 20% .. 5%", "under no layer")]
    [InlineData("line revenue \"Again\"", "declared twice")]
    [InlineData("idenity a: revenue = revenue", "begins no statement")]
    [InlineData("ratio a: revenue / = m of \"s\"", "a line was expected")]
    [InlineData("line b \"open quote", "never closed")]
    public void A_bad_statement_is_refused_with_its_line(string statement, string reason)
    {
        OutlookDataException e = Assert.Throws<OutlookDataException>(() => ModelText.Read(Model + statement, "x.model"));
        Assert.Contains(e.Faults, f => f.Place.Line == 12 && f.Reason.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public void A_row_under_the_wrong_definition_of_segments_is_refused()
    {
        using var folder = new Folder();
        folder.Write("x.model", Model);
        folder.Write("x.facts.csv", Header
            + "X,FY2025Q4,2025-12-31,revenue,Cloud,old,100,USD million,1,,T1,https://example.org/a,,\n"
            + "X,FY2026Q2,2026-06-30,revenue,Cloud,old,110,USD million,1,,T1,https://example.org/a,,\n");
        OutlookDataException e = Assert.Throws<OutlookDataException>(() => OutlookCommands.Company(new CompanyCommandOptions("x", null, null, [], folder.Path)));
        Fault fault = Assert.Single(e.Faults);
        Assert.Equal(3, fault.Place.Line);
        Assert.Contains("segment versions are spliced", fault.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_contradiction_between_sources_names_the_smallest_set_of_them()
    {
        using var folder = new Folder();
        folder.Write("y.model", """
            company y "Y"
            facts y.facts.csv
            unit "USD million"
            quarters 2026Q1 to 2026Q1
            line total "Total" positive
              fact total of "Y"
            line part "Part" positive
              fact part of "Y"
            line rest "Rest" positive
              fact rest of "Y"
            line other "Other" positive
              fact other of "Y"
            identity sum: total = part + rest because "the parts make the total"
            target part "Part" of "USD million": part
            """);
        string Row(string metric, string value, string path) => $"Y,2026Q1,2026-03-31,{metric},Y,,{value},USD million,1,,T1,https://example.org/{path},,\n";
        folder.Write("y.facts.csv", Header + Row("total", "100", "filing") + Row("part", "60", "call") + Row("rest", "50", "press") + Row("other", "7", "note"));
        OutlookDataException e = Assert.Throws<OutlookDataException>(() => OutlookCommands.Company(new CompanyCommandOptions("y", null, null, [], folder.Path)));
        Assert.Contains("contradict", e.Message, StringComparison.Ordinal);
        Assert.Contains("https://example.org/filing", e.Message, StringComparison.Ordinal);
        Assert.Contains("https://example.org/call", e.Message, StringComparison.Ordinal);
        Assert.Contains("https://example.org/press", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("https://example.org/note", e.Message, StringComparison.Ordinal);
        Assert.False(OutlookCommands.Check("y", folder.Path).IsSound);
    }

    [Fact]
    public void A_tie_out_that_fails_is_refused_with_its_rows()
    {
        using var folder = new Folder();
        folder.Write("z.model", "company z \"Z\"\nfacts z.facts.csv\nunit \"USD million\"\nquarters 2025Q1 to 2025Q4\nline r \"R\"\n  fact r of \"Z\"\ntieout r of \"Z\" in FY2025\n");
        string Row(string period, string end, int value) => $"Z,{period},{end},r,Z,,{value},USD million,1,,T1,https://example.org/a,,\n";
        folder.Write("z.facts.csv", Header + Row("FY2025Q1", "2025-03-31", 10) + Row("FY2025Q2", "2025-06-30", 10) + Row("FY2025Q3", "2025-09-30", 10) + Row("FY2025Q4", "2025-12-31", 10) + Row("FY2025", "2025-12-31", 41));
        CheckLine line = Assert.Single(OutlookCommands.Check("z", folder.Path).Lines, l => l.State == CheckState.Refused);
        Assert.Contains("z.facts.csv:6", line.Details, StringComparison.Ordinal);
    }

    [Fact]
    public void Everything_that_comes_with_the_product_is_sound()
    {
        CheckCommandResult check = OutlookCommands.Check(null, null);
        Assert.True(check.IsSound, string.Join('\n', check.Lines.Where(l => l.State == CheckState.Refused)));
        Assert.Equal(11, check.Lines.Count(l => l.What.Contains(" in FY", StringComparison.Ordinal) && l.State == CheckState.Holds));
        Assert.Equal(["alibaba", "aws", "baidu", "google-cloud", "microsoft", "oracle", "tencent"], OutlookCommands.Companies(null));
    }

    [Theory]
    [InlineData("nosuch", null, null, "no company is called")]
    [InlineData("alibaba", "2026-Q2", null, "not a calendar quarter")]
    [InlineData("alibaba", "2030Q1", null, "is not covered")]
    [InlineData("alibaba", "2026Q2", "margin=5%..20%", "no assumption is called")]
    [InlineData("alibaba", "2026Q2", "other_margin_peers", "sets nothing")]
    public void A_question_that_cannot_be_asked_says_what_can(string company, string? quarter, string? set, string reason)
    {
        OutlookDataException e = Assert.Throws<OutlookDataException>(() => OutlookCommands.WhatIf(new CompanyCommandOptions(company, quarter, null, set is null ? [] : [set], null)));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    internal sealed class Folder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("qanat-outlook").FullName;
        public void Write(string name, string text) => File.WriteAllText(System.IO.Path.Combine(Path, name), text);
        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
