namespace Qanat.Outlook.Tests;

/// <summary>The workbook of an investment: what its formulas give is what the program gives, also after an input was moved and with months the books have closed.</summary>
public sealed class InvestmentWorkbookTests
{
    [Theory]
    [InlineData("deepseek", "")]
    [InlineData("deepseek", "actual 2025-03 revenue 9_000_000.25 cost 1_400_000.5 capital 83_400_000\nactual 2025-04 revenue 9_100_000 cost 1_450_000")]
    [InlineData("deepseek", "driver demand_start = 20_000_000\ndriver demand_growth = 30%\ndriver unit_cost = 0.01\ntraining \"Post-training\" cost 5_000_000 in 2025-09\ntraining \"Again\" cost 3_000_000 in 2026-02")]
    public void Another_program_computes_the_same_measures_from_the_formulas(string name, string more)
    {
        using var folder = new InputTests.Folder();
        string text = OutlookCommands.InvestmentTextOf(name, null).Replace("tax 0%", "tax 21%", StringComparison.Ordinal) + "\n" + more;
        InvestCommandResult result = OutlookCommands.Invest(new InvestCommandOptions(text, "x.invest", [], Paths: 200));

        CsvRow[] rows = [.. Spreadsheet.Recompute(folder, result.Workbook, "case", 4, "Results").Skip(1)];

        Assert.Equal(9, rows.Length);
        Assert.All(rows, row => Assert.Equal("same", row.Cells[3]));
    }

    [Fact]
    public void A_moved_input_moves_the_measures_as_the_program_would()
    {
        using var folder = new InputTests.Folder();
        string text = OutlookCommands.InvestmentTextOf("deepseek", null);
        InvestCommandResult before = OutlookCommands.Invest(new InvestCommandOptions(text, "x.invest", [], Paths: 200));
        InvestmentAnalysis after = InvestmentAnalysis.Run(before.Analysis.Investment.With(Driver.RampMonths, 30), 200, 1);
        byte[] moved = Spreadsheet.Rewrite(before.Workbook, "xl/worksheets/sheet2.xml", xml =>
        {
            int row = xml.IndexOf("Months of ramp", StringComparison.Ordinal), at = xml.IndexOf("<v>12</v>", row, StringComparison.Ordinal);
            Assert.True(at > row && row > 0);
            return xml[..at] + "<v>30</v>" + xml[(at + "<v>12</v>".Length)..];
        });

        CsvRow worth = Spreadsheet.Recompute(folder, moved, "moved", 4, "Results").First(row => row.Cells[0].StartsWith("Net present value", StringComparison.Ordinal));

        Assert.Equal("moved", worth.Cells[3]);
        Assert.Equal(after.Base.NetPresentValue, Spreadsheet.Value(worth.Cells[1]), Math.Abs(after.Base.NetPresentValue) * 1e-9);
    }

    [Fact]
    public void Inputs_are_blue_and_formulas_are_not()
    {
        InvestCommandResult result = OutlookCommands.Invest(new InvestCommandOptions(OutlookCommands.InvestmentTextOf("deepseek", null), "x.invest", [], Paths: 200));
        System.Xml.Linq.XNamespace ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        using var zip = new System.IO.Compression.ZipArchive(new MemoryStream(result.Workbook));
        foreach (int sheet in new[] { 2, 3, 4 })
        {
            using Stream part = zip.GetEntry($"xl/worksheets/sheet{sheet}.xml")!.Open();
            System.Xml.Linq.XElement[] cells = [.. System.Xml.Linq.XDocument.Load(part).Descendants(ns + "c")];
            Assert.DoesNotContain(cells, cell => cell.Element(ns + "f") is not null && cell.Attribute("s")!.Value is "3" or "4" && cell.Element(ns + "f") is not null);
            if (sheet == 2) Assert.True(cells.Count(cell => cell.Attribute("s")!.Value is "3" or "4") >= 20);
            if (sheet == 3) Assert.True(cells.Count(cell => cell.Element(ns + "f") is not null) >= 60 * 24);
        }
    }
}
