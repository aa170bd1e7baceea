using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>qanat outlook invest: what is asked.</summary>
/// <param name="Text">The text of the investment.</param> <param name="File">Its name, for messages.</param>
/// <param name="Actuals">Months that Books has closed; they replace months of the text.</param>
public sealed record InvestCommandOptions(string Text, string File, ImmutableArray<ActualCashFlow> Actuals, int Paths = MonteCarlo.PathsDefault, ulong Seed = 1);

/// <summary>What can be handed out about an investment.</summary>
public sealed record InvestCommandResult(InvestmentAnalysis Analysis)
{
    public ImmutableArray<ReportTable> Tables => InvestmentTables.Of(Analysis);
    public string Json => InvestmentJson.Write(Analysis);
    public string Html => InvestmentReport.Write(Analysis);
    /// <summary>The bytes of an XLSX file: the base case with live formulas.</summary>
    public byte[] Workbook => InvestmentWorkbook.Write(Analysis);
}

public static partial class OutlookCommands
{
    public static InvestCommandResult Invest(InvestCommandOptions options)
    {
        Investment investment = InvestmentText.Read(options.Text, options.File);
        return Invest(options, investment);
    }

    /// <summary>The same for a text that was read already, e.g. to ask the books for its months.</summary>
    public static InvestCommandResult Invest(InvestCommandOptions options, Investment investment)
    {
        if (options.Actuals.Any(a => a.Revenue.Currency != investment.Currency || a.OperatingCost.Currency != investment.Currency || a.CapitalSpent.Currency != investment.Currency))
            throw new OutlookDataException(new Fault(new Place(options.File, 1), $"units are mixed: the investment is in {investment.Currency} and the books are not; convert them at dated rates first."));
        ImmutableArray<ActualCashFlow> actuals = [.. options.Actuals, .. investment.Actuals.Where(a => options.Actuals.All(b => b.Month != a.Month))];
        return new InvestCommandResult(InvestmentAnalysis.Run(investment with { Actuals = [.. actuals.OrderBy(a => a.Month)] }, options.Paths, options.Seed));
    }

    /// <summary>The text of an investment that comes with Qanat, such as deepseek.</summary>
    public static string InvestmentTextOf(string name, string? dataFolder) => DataAt(dataFolder).Read($"{name}.invest");

    public static ImmutableArray<string> Investments(string? dataFolder) => [.. DataAt(dataFolder).Names(".invest").Select(n => n[..^".invest".Length])];
}
