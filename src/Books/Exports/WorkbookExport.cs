using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books;

/// <summary>Statements as an XLSX workbook with live formulas: figures of the books are put in (blue), everything that follows from them is computed by the spreadsheet (black).
/// A spreadsheet keeps 15 digits of a number; the books' own figures keep all.</summary>
public static class WorkbookExport
{
    private static readonly ImmutableArray<Cell> ProfitHeadings =
    [
        .. ImmutableArray.Create("Currency", "Start", "Tenant", "Project", "Model", "Pool", "Requests", "Input tokens", "Output tokens", "Revenue", "Compute cost", "Gross margin", "Margin of revenue", "Training", "Contribution")
            .Select(heading => new Cell(heading, CellKind.Heading)),
    ];

    /// <summary>Profit and loss by its groups, and the trial balance. The stream stays open.</summary>
    public static void Write(ProfitAndLoss statement, TrialBalance trial, Stream stream) =>
        SheetWriter.Write(stream, [ProfitSheet(statement), .. statement.Totals.Select(TotalSheet), TrialSheet(trial)]);

    private static Sheet ProfitSheet(ProfitAndLoss statement)
    {
        var rows = ImmutableArray.CreateBuilder<ImmutableArray<Cell>>();
        rows.Add([Text($"Profit and loss from {statement.Period.From} to {statement.Period.To}")]);
        rows.Add(ProfitHeadings);
        foreach (ProfitRow row in statement.Rows)
        {
            int r = rows.Count;
            rows.Add(
            [
                Text(row.Revenue.Currency.Code), Text(row.Key.Start?.ToString()), Text(row.Key.Tenant?.ToString()), Text(row.Key.Project?.ToString()), Text(row.Key.Model?.Value), Text(row.Key.Pool?.Value),
                Number(row.Requests), Number(row.Tokens.Input), Number(row.Tokens.Output), Number(row.Revenue), Number(row.ComputeCost),
                Formula($"{At(9, r)}-{At(10, r)}"), Percent($"IF({At(9, r)}=0,\"n/a\",{At(11, r)}/{At(9, r)})"), Number(row.TrainingCost), Formula($"{At(11, r)}-{At(13, r)}"),
            ]);
        }
        foreach (Currency currency in statement.Rows.Select(r => r.Revenue.Currency).Distinct())
        {
            int r = rows.Count;
            Cell Sum(int column) => Formula($"SUMIF({At(0, 2)}:{At(0, statement.Rows.Length + 1)},\"{currency}\",{At(column, 2)}:{At(column, statement.Rows.Length + 1)})");
            rows.Add([new Cell($"Total {currency}", CellKind.Heading), default, default, default, default, default, Sum(6), Sum(7), Sum(8), Sum(9), Sum(10), Sum(11), Percent($"IF({At(9, r)}=0,\"n/a\",{At(11, r)}/{At(9, r)})"), Sum(13), Sum(14)]);
        }
        return new Sheet("Profit and loss", rows.ToImmutable());
    }

    private static Sheet TotalSheet(ProfitTotal total) => new($"Result {total.Revenue.Currency}",
    [
        [new Cell("Result", CellKind.Heading), new Cell(total.Revenue.Currency.Code, CellKind.Heading)],
        [Text("Revenue"), Number(total.Revenue)],
        [Text("Compute cost"), Number(total.ComputeCost)],
        [Text("Gross margin"), Formula("B2-B3")],
        [Text("Gross margin of revenue"), Percent("IF(B2=0,\"n/a\",B4/B2)")],
        [Text("Unused capacity"), Number(total.UnusedCapacity)],
        [Text("Other, net"), Number(total.Other)],
        [Text("Result"), Formula("B4-B6-B7")],
        [Text("Result of revenue"), Percent("IF(B2=0,\"n/a\",B8/B2)")],
        [Text("Requests without a price"), Number(total.Unpriced)],
        [Text("Requests without a cost"), Number(total.Uncosted)],
    ]);

    private static Sheet TrialSheet(TrialBalance trial)
    {
        var rows = ImmutableArray.CreateBuilder<ImmutableArray<Cell>>();
        rows.Add([new Cell("Account", CellKind.Heading), new Cell("Currency", CellKind.Heading), new Cell("Balance", CellKind.Heading)]);
        rows.AddRange(trial.Accounts.Select(a => (ImmutableArray<Cell>)[Text(a.Account.Path), Text(a.Amount.Currency.Code), Number(a.Amount)]));
        foreach (Currency currency in trial.Sums.Select(s => s.Currency))
            rows.Add([new Cell("Sum (zero)", CellKind.Heading), Text(currency.Code), Formula($"SUMIF({At(1, 1)}:{At(1, trial.Accounts.Length)},\"{currency}\",{At(2, 1)}:{At(2, trial.Accounts.Length)})")]);
        return new Sheet("Trial balance", rows.ToImmutable());
    }

    private static string At(int column, int row) => SheetWriter.Name(column, row);
    private static Cell Text(string? text) => new(text ?? "", CellKind.Text);
    private static Cell Number(Money money) => new(money.ToDecimalText(), CellKind.Number);
    private static Cell Number(long count) => new(count.ToString(CultureInfo.InvariantCulture), CellKind.Number);
    private static Cell Formula(string formula) => new(formula, CellKind.Formula);
    private static Cell Percent(string formula) => new(formula, CellKind.PercentFormula);
}
