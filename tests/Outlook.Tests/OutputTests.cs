using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Qanat.Outlook;

namespace Qanat.Outlook.Tests;

/// <summary>The report stands alone and leads to its sources; the workbook recomputes to the same figures; the loaders read what issuers publish.</summary>
public partial class OutputTests
{
    private static readonly CompanyCommandResult Alibaba = OutlookCommands.Company(new CompanyCommandOptions("alibaba", "2026Q2", null, [], null));

    [Fact]
    public void The_report_loads_nothing_from_anywhere_and_every_link_to_a_row_arrives()
    {
        string html = Alibaba.Html;
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<link", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("src=", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("url(", html, StringComparison.OrdinalIgnoreCase);
        HashSet<string> ids = [.. Ids().Matches(html).Select(m => m.Groups["id"].Value)];
        string[] links = [.. Links().Matches(html).Select(m => m.Groups["id"].Value)];
        Assert.True(links.Length > 100);
        Assert.All(links, l => Assert.Contains(l, ids));
        // Every row of the facts is there, with the source it came from.
        Assert.All(Alibaba.Analysis.Book.Facts, f => Assert.Contains($"id=\"{f.Id}\"", html, StringComparison.Ordinal));
        Assert.Contains("−3\u00A0% to 36\u00A0%", System.Net.WebUtility.HtmlDecode(html), StringComparison.Ordinal);
        Assert.Contains("Adjusted EBITA of AI-related products", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Reports_of_all_companies_and_investments_can_be_written()
    {
        foreach (string company in OutlookCommands.Companies(null))
        {
            CompanyCommandResult result = OutlookCommands.Company(new CompanyCommandOptions(company, null, null, [], null));
            Assert.StartsWith("<!DOCTYPE html>", result.Html, StringComparison.Ordinal);
            Assert.DoesNotContain("NaN", result.Html, StringComparison.Ordinal);
            Assert.NotEmpty(result.Workbook);
            Assert.NotEmpty(result.Tables);
        }
        foreach (string name in OutlookCommands.Investments(null))
        {
            InvestCommandResult result = OutlookCommands.Invest(new InvestCommandOptions(OutlookCommands.InvestmentTextOf(name, null), name, [], Paths: 500));
            Assert.StartsWith("<!DOCTYPE html>", result.Html, StringComparison.Ordinal);
            Assert.DoesNotContain("NaN", result.Html, StringComparison.Ordinal);
            Assert.Contains("\"net_present_value\"", result.Json, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_workbook_has_blue_inputs_and_black_formulas_that_reach_them()
    {
        using var zip = new ZipArchive(new MemoryStream(Alibaba.Workbook));
        XNamespace ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        XDocument Sheet(int n) => XDocument.Load(zip.GetEntry($"xl/worksheets/sheet{n}.xml")!.Open());
        XElement[] inputs = [.. Sheet(2).Descendants(ns + "c")];
        // Styles 3 and 4 are the blue ones: no formula may wear them, and the two margins of the peers' layer do.
        Assert.DoesNotContain(inputs, c => c.Element(ns + "f") is not null && c.Attribute("s")!.Value is "3" or "4" && c.Element(ns + "f") is not null);
        Assert.True(inputs.Count(c => c.Attribute("s")!.Value is "3" or "4") >= 16);
        string[] steps = [.. Sheet(4).Descendants(ns + "f").Select(f => f.Value)];
        Assert.Contains(steps, f => f.Contains("'Inputs'!$F$", StringComparison.Ordinal));
        Assert.Contains(steps, f => f.Contains("'Inputs'!$G$", StringComparison.Ordinal));
        string[] bounds = [.. Sheet(3).Descendants(ns + "f").Select(f => f.Value)];
        Assert.Equal(12, bounds.Count(f => f.StartsWith("'Steps'!", StringComparison.Ordinal)));
    }

    [Fact]
    public void An_independent_spreadsheet_recomputes_the_same_bounds_and_follows_a_moved_input()
    {
        using var folder = new InputTests.Folder();
        double[] as_is = Recalculate(folder, Alibaba.Workbook, "as-is");
        Assert.Equal(0.364, as_is[1], 3);
        Assert.Equal(-0.027, as_is[0], 3);
        // Move the peers' ceiling for other external cloud from 20 % to 10 %: the workbook must follow to what the solver says.
        byte[] moved = MoveInput(Alibaba.Workbook, "0.2", "0.1");
        Bound solver = OutlookCommands.WhatIf(new CompanyCommandOptions("alibaba", "2026Q2", "peers", ["other_margin_peers=5%..10%"], null)).Analysis.Bound("peers", "ai_margin")!;
        Assert.Equal(solver.Range.Low, Recalculate(folder, moved, "moved")[0], 6);
    }

    /// <summary>Low and high of the AI margin after the peers' layer, as LibreOffice computes them.</summary>
    private static double[] Recalculate(InputTests.Folder folder, byte[] workbook, string name)
    {
        CsvRow row = Spreadsheet.Recompute(folder, workbook, name, 3, "Bounds").Single(r => r.Cells[0] == "Margin of AI-related products" && r.Cells[1] == "Peers");
        return [Spreadsheet.Value(row.Cells[2]), Spreadsheet.Value(row.Cells[3])];
    }

    private static byte[] MoveInput(byte[] workbook, string from, string to) => Spreadsheet.Rewrite(workbook, "xl/worksheets/sheet2.xml", xml =>
    {
        int row = xml.LastIndexOf("Margin of other external cloud", StringComparison.Ordinal), at = xml.IndexOf($"<v>{from}</v>", row, StringComparison.Ordinal);
        Assert.True(at > row);
        return xml[..at] + $"<v>{to}</v>" + xml[(at + $"<v>{from}</v>".Length)..];
    });

    [Fact]
    public void Company_facts_of_the_SEC_become_facts_with_inferred_rounding_and_noted_restatements()
    {
        const string Json = """
            {"cik":1577552,"entityName":"X","facts":{"us-gaap":{"Revenues":{"label":"Revenues","units":{"CNY":[
            {"start":"2024-04-01","end":"2025-03-31","val":996347000000,"accn":"0001193125-25-000001","fy":2025,"fp":"FY","form":"20-F","filed":"2025-06-20"},
            {"start":"2024-04-01","end":"2025-03-31","val":996340000000,"accn":"0001193125-26-000002","fy":2026,"fp":"FY","form":"20-F","filed":"2026-06-20"},
            {"start":"2025-01-01","end":"2025-03-31","val":236454000000,"accn":"0001193125-25-000001","fy":2025,"fp":"Q4","form":"6-K","filed":"2025-05-20"},
            {"start":"2024-07-01","end":"2025-03-31","val":1,"accn":"0001193125-25-000001","fy":2025,"fp":"Q3","form":"6-K","filed":"2025-05-20"}]}},
            "PropertyPlantAndEquipmentNet":{"units":{"CNY":[{"end":"2025-03-31","val":203348000000,"accn":"0001193125-25-000001","filed":"2025-06-20"}]}}}}}
            """;
        var facts = CompanyFacts.Read(Json, "cf.json", "X", [new ConceptMapping("us-gaap:Revenues", new Measure("revenue", "Group")), new ConceptMapping("us-gaap:PropertyPlantAndEquipmentNet", new Measure("PPE_net", "Group"))]);
        Assert.Equal(3, facts.Length);
        Fact year = facts.Single(f => f.Span == Span.Year);
        Assert.Equal(new Interval(996339.5, 996340.5), year.Value);
        Assert.Contains("restated; before: 996,347 million", year.Note, StringComparison.Ordinal);
        Assert.Equal("https://www.sec.gov/Archives/edgar/data/1577552/000119312526000002/", year.Source.OriginalString);
        Assert.Equal("RMB million", year.Unit);
        Assert.Equal("2025Q1", facts.Single(f => f.Span == Span.Quarter).FiscalPeriod);
        Assert.Throws<OutlookDataException>(() => CompanyFacts.Read(Json, "cf.json", "X", [new ConceptMapping("us-gaap:Nothing", new Measure("n", "Group"))]));
        Assert.Throws<OutlookDataException>(() => CompanyFacts.Read("{}", "cf.json", "X", []));
        // What was read can be written as a fact file and read again.
        Assert.Equal(year.Value, FactFile.Read(OutlookCommands.FactFileOf([year]), "again.csv")[0].Value);
    }

    private const string Exhibit = """
        <html><body>
        <table><tr><td></td><td colspan="7">Three months ended June 30,</td></tr>
        <tr><td></td><td colspan="2">2025</td><td></td><td colspan="4">2026</td></tr>
        <tr><td></td><td colspan="2">RMB</td><td></td><td colspan="2">RMB</td><td colspan="2">US$</td></tr>
        <tr><td></td><td colspan="7">(in millions)</td></tr>
        <tr><td>AI Cloud and Compute Services (1)</td><td></td><td>33,418</td><td></td><td></td><td>48,437</td><td>$</td><td>6,762</td></tr>
        <tr><td>Income (loss)</td><td>(</td><td>(1,234</td><td>)</td><td></td><td>(13,860)</td><td>$</td><td>(1,935)</td></tr>
        <tr><td>Nothing</td><td></td><td>&#8212;</td><td></td><td></td><td>&#8212;</td><td></td><td></td></tr>
        </table></body></html>
        """;

    private static ExhibitMapping Map(string label, params string[] column) =>
        new(label, [.. column], new Measure("segment_revenue", "AI Cloud and Compute Services"), "FY2027Q1", new DateOnly(2026, 6, 30), Span.Quarter, "new", "RMB million", "", 1);

    [Fact]
    public void Tables_of_an_exhibit_are_read_through_spans_brackets_and_footnotes()
    {
        var facts = ExhibitTables.Facts(Exhibit, "ex99-1.htm", "Alibaba", new Uri("https://example.org/ex99-1.htm"), Tier.T1,
            [Map("AI Cloud and Compute Services", "2026", "RMB"), Map("AI Cloud and Compute Services", "2025"), Map("Income (loss)", "2026", "RMB"), Map("Income (loss)", "2025")]);
        Assert.Equal(["48437", "33418", "-13860", "-1234"], facts.Select(f => f.Printed));
        Assert.Equal(new Interval(48436.5, 48437.5), facts[0].Value);
        Assert.True(facts[0].Place.Line >= 2);
    }

    [Fact]
    public void An_exhibit_is_imported_by_a_map_and_reads_back_as_facts()
    {
        const string Wanted = "row,column,metric,segment,fiscal_period,period_end,unit,rounding,definition\nAI Cloud and Compute Services,2026 RMB,segment_revenue,AI Cloud and Compute Services,FY2027Q1,2026-06-30,RMB million,1,new\n";
        string rows = OutlookCommands.ImportExhibit(new ExhibitImport(Exhibit, "ex99-1.htm", "Alibaba", new Uri("https://example.org/ex99-1.htm"), Tier.T1, Wanted, "wanted.csv"));
        Fact fact = FactFile.Read(rows, "again.csv").Single();
        Assert.Equal(new Interval(48436.5, 48437.5), fact.Value);
        Assert.Equal("https://example.org/ex99-1.htm", fact.Source.OriginalString);
    }

    [Theory]
    [InlineData("row,column\na,b", "wanted.csv:1", "names the columns")]
    [InlineData("row,column,metric,segment,fiscal_period,period_end,unit,rounding\na,b,c,d,e,June 2026,RMB million,1", "wanted.csv:2", "is not a date")]
    [InlineData("row,column,metric,segment,fiscal_period,period_end,unit,rounding\na,b,c,d,e,2026-06-30,RMB million,0", "wanted.csv:2", "is not a rounding")]
    [InlineData("row,column,metric,segment,fiscal_period,period_end,unit,rounding\na,b,c,,e,2026-06-30,RMB million,1", "wanted.csv:2", "'segment' is empty")]
    public void A_map_of_an_exhibit_with_a_fault_is_refused_with_its_line(string map, string place, string reason)
    {
        OutlookDataException refused = Assert.Throws<OutlookDataException>(() => OutlookCommands.ImportExhibit(new ExhibitImport(Exhibit, "ex99-1.htm", "Alibaba", new Uri("https://example.org/"), Tier.T1, map, "wanted.csv")));
        Assert.Contains(place, refused.Message, StringComparison.Ordinal);
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"cik\":1,\"facts\":{\"us-gaap\":{\"Revenues\":{}}}}")]
    [InlineData("{\"cik\":1,\"facts\":{\"us-gaap\":{\"Revenues\":{\"units\":{\"USD\":[{\"end\":\"soon\",\"val\":1,\"accn\":\"a\",\"filed\":\"b\"}]}}}}}")]
    [InlineData("{\"cik\":1,\"facts\":{\"us-gaap\":{\"Revenues\":{\"units\":{\"USD\":[{\"end\":\"2026-03-31\",\"val\":\"many\",\"accn\":\"a\",\"filed\":\"b\"}]}}}}}")]
    public void Company_facts_of_another_shape_are_refused_in_words(string json) =>
        Assert.Contains("cf.json", Assert.Throws<OutlookDataException>(() => CompanyFacts.Read(json, "cf.json", "X", [new ConceptMapping("us-gaap:Revenues", new Measure("revenue", "Group"))])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("AI Cloud and Compute Services", "2026", "is printed as")]
    [InlineData("Nothing", "2026", "no table has a number")]
    [InlineData("Absent", "2026", "no table has a number")]
    public void A_cell_that_is_not_there_or_not_unique_is_refused(string label, string column, string reason)
    {
        OutlookDataException e = Assert.Throws<OutlookDataException>(() =>
            ExhibitTables.Facts(Exhibit, "ex99-1.htm", "Alibaba", new Uri("https://example.org/ex99-1.htm"), Tier.T1, [Map(label, column)]));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    [GeneratedRegex("id=\"(?<id>[a-z0-9]+)\"", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Ids();

    [GeneratedRegex("href=\"#(?<id>[a-z0-9]+)\"", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Links();
}
