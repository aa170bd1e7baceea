using System.Globalization;

namespace Qanat.Books;

/// <summary>Journal, trial balance and profit and loss as CSV. Amounts are exact decimals; lines end with LF.</summary>
public static class CsvExport
{
    /// <summary>One row for each entry of the journal, oldest first.</summary>
    public static async Task WriteJournalAsync(IBookReader store, TextWriter writer, Period? period = null, CancellationToken cancel = default)
    {
        await WriteAsync(writer, Csv.Line("at", "transaction", "template", "memo", "account", "amount", "currency", "tenant", "project", "model", "deployment", "pool"), cancel).ConfigureAwait(false);
        await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(period ?? Period.All), cancel).ConfigureAwait(false))
        {
            foreach (Entry entry in transaction.Entries)
            {
                Dimensions about = entry.Dimensions;
                await WriteAsync(writer, Csv.Line(transaction.At.ToString(), transaction.Id.ToString(), transaction.Template, Csv.Text(transaction.Memo), entry.Account.Path, entry.Amount.ToDecimalText(), entry.Amount.Currency.Code,
                    about.Tenant?.ToString(), about.Project?.ToString(), Csv.Text(about.Model?.ToString()), Csv.Text(about.Deployment?.ToString()), Csv.Text(about.Pool?.ToString())), cancel).ConfigureAwait(false);
            }
        }
        await writer.FlushAsync(cancel).ConfigureAwait(false);
    }

    /// <summary>One row for each account and currency.</summary>
    public static async Task WriteTrialBalanceAsync(TrialBalance trial, TextWriter writer, CancellationToken cancel = default)
    {
        await WriteAsync(writer, Csv.Line("account", "balance", "currency", "entries"), cancel).ConfigureAwait(false);
        foreach (AccountBalance line in trial.Accounts)
            await WriteAsync(writer, Csv.Line(line.Account.Path, line.Amount.ToDecimalText(), line.Amount.Currency.Code, line.Entries.ToString(CultureInfo.InvariantCulture)), cancel).ConfigureAwait(false);
        await writer.FlushAsync(cancel).ConfigureAwait(false);
    }

    /// <summary>One row for each group and currency.</summary>
    public static async Task WriteProfitAndLossAsync(ProfitAndLoss statement, TextWriter writer, CancellationToken cancel = default)
    {
        await WriteAsync(writer, Csv.Line("from", "tenant", "project", "model", "pool", "currency", "revenue", "compute cost", "gross margin", "training", "contribution", "requests", "unpriced", "uncosted", "input tokens", "output tokens"), cancel).ConfigureAwait(false);
        foreach (ProfitRow row in statement.Rows)
        {
            await WriteAsync(writer, Csv.Line(row.Key.Start?.ToString(), row.Key.Tenant?.ToString(), row.Key.Project?.ToString(), Csv.Text(row.Key.Model?.ToString()), Csv.Text(row.Key.Pool?.ToString()), row.Revenue.Currency.Code,
                row.Revenue.ToDecimalText(), row.ComputeCost.ToDecimalText(), row.GrossMargin.ToDecimalText(), row.TrainingCost.ToDecimalText(), row.Contribution.ToDecimalText(),
                Number(row.Requests), Number(row.Unpriced), Number(row.Uncosted), Number(row.Tokens.Input), Number(row.Tokens.Output)), cancel).ConfigureAwait(false);
        }
        await writer.FlushAsync(cancel).ConfigureAwait(false);
    }

    /// <summary>One row for each line of an invoice, then its total.</summary>
    public static string Invoice(Invoice invoice)
    {
        ArgumentNullException.ThrowIfNull(invoice);
        string currency = invoice.Total.Currency.Code;
        return Csv.Line("invoice", "item", "project", "model", "input tokens", "output tokens", "exact", "amount", "currency")
            + string.Concat(invoice.Lines.Select(line => Csv.Line(invoice.Number, Csv.Text(line.Text), line.Project?.ToString(), Csv.Text(line.Model?.Value), Number(line.Tokens.Input), Number(line.Tokens.Output),
                line.Exact.ToDecimalText(), line.Amount.ToDecimalText(), currency)))
            + Csv.Line(invoice.Number, "total", null, null, null, null, invoice.Exact.ToDecimalText(), invoice.Total.ToDecimalText(), currency);
    }

    internal static Task WriteAsync(TextWriter writer, string text, CancellationToken cancel) => writer.WriteAsync(text.AsMemory(), cancel);

    private static string Number(long count) => count.ToString(CultureInfo.InvariantCulture);
}
