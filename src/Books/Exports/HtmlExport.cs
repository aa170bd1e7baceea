using System.Globalization;
using System.Net;
using System.Text;

namespace Qanat.Books;

/// <summary>Invoices and statements as plain HTML pages that print well: one file, no script, nothing loaded from elsewhere.</summary>
public static class HtmlExport
{
    /// <summary>An invoice. Every line with its exact figure beside the rounded one.</summary>
    /// <param name="issuer">Who sends it.</param> <param name="recipient">The tenant's name.</param>
    public static string Invoice(Invoice invoice, string issuer, string recipient)
    {
        var page = new StringBuilder(Head($"Invoice {invoice.Number}"));
        page.Append(CultureInfo.InvariantCulture, $"<h1>Invoice {Text(invoice.Number)}</h1><p>{invoice.State}. From {Text(issuer)} to {Text(recipient)}. Usage from {FactValue.Text(invoice.Period.From)} to {FactValue.Text(invoice.Period.To)} (UTC, end not included).</p>\n");
        page.Append("<table><tr><th>Item</th><th>Model</th><th class=\"n\">Input tokens</th><th class=\"n\">Output tokens</th><th class=\"n\">Exact</th><th class=\"n\">Amount</th></tr>\n");
        foreach (InvoiceLine line in invoice.Lines)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(line.Text)}</td><td>{Text(line.Model?.Value)}</td><td class=\"n\">{Count(line.Tokens.Input)}</td><td class=\"n\">{Count(line.Tokens.Output)}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td class=\"n\">{line.Exact.ToDecimalText()}</td><td class=\"n\">{line.Amount.ToDecimalText()}</td></tr>\n");
        }
        page.Append(CultureInfo.InvariantCulture, $"<tr class=\"total\"><td colspan=\"4\">Total {invoice.Total.Currency}</td><td class=\"n\">{invoice.Exact.ToDecimalText()}</td><td class=\"n\">{invoice.Total.ToRoundedText(2)}</td></tr></table>\n");
        return page.Append(CultureInfo.InvariantCulture, $"<p>Rounding: {invoice.Rounding.ToDecimalText()}</p></body></html>\n").ToString();
    }

    /// <summary>A profit and loss statement with its totals.</summary>
    public static string ProfitAndLoss(ProfitAndLoss statement, string title)
    {
        var page = new StringBuilder(Head(title));
        page.Append(CultureInfo.InvariantCulture, $"<h1>{Text(title)}</h1><p>{statement.Period.From} to {statement.Period.To}. {statement.Unposted} requests are settled and not posted yet.</p>\n");
        page.Append("<table><tr><th>Group</th><th></th><th class=\"n\">Revenue</th><th class=\"n\">Compute cost</th><th class=\"n\">Gross margin</th><th class=\"n\">of revenue, %</th><th class=\"n\">Training</th><th class=\"n\">Requests</th><th class=\"n\">Unpriced</th><th class=\"n\">Uncosted</th></tr>\n");
        foreach (ProfitRow row in statement.Rows)
        {
            string group = string.Join(" / ", new[] { row.Key.Start?.ToString(), row.Key.Tenant?.ToString(), row.Key.Project?.ToString(), row.Key.Model?.Value, row.Key.Pool?.Value }.Where(k => k is not null));
            Row(page, "", group, row.Revenue, row.ComputeCost, row.GrossMargin, row.GrossMarginOfRevenue, row.TrainingCost.ToDecimalText(), row.Requests, row.Unpriced, row.Uncosted);
        }
        foreach (ProfitTotal total in statement.Totals)
        {
            Row(page, " class=\"total\"", "Total", total.Revenue, total.ComputeCost, total.GrossMargin, total.GrossMarginOfRevenue, "", total.Requests, total.Unpriced, total.Uncosted);
            page.Append(CultureInfo.InvariantCulture, $"<tr><td colspan=\"10\">Unused capacity {total.UnusedCapacity}, other {total.Other}, result {total.Result}</td></tr>\n");
        }
        return page.Append("</table></body></html>\n").ToString();
    }

    private static void Row(StringBuilder page, string style, string group, Money revenue, Money cost, Money margin, Ratio ofRevenue, string training, long requests, long unpriced, long uncosted) =>
        page.Append(CultureInfo.InvariantCulture, $"<tr{style}><td>{Text(group)}</td><td>{revenue.Currency}</td><td class=\"n\">{revenue.ToDecimalText()}</td><td class=\"n\">{cost.ToDecimalText()}</td><td class=\"n\">{margin.ToDecimalText()}</td>")
            .Append(CultureInfo.InvariantCulture, $"<td class=\"n\">{ofRevenue.ToPercentText(1)}</td><td class=\"n\">{training}</td><td class=\"n\">{requests}</td><td class=\"n\">{unpriced}</td><td class=\"n\">{uncosted}</td></tr>\n");

    private static string Head(string title) => $"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{Text(title)}</title>"
        + "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}.total{font-weight:bold}</style></head><body>\n";

    private static string Text(string? text) => WebUtility.HtmlEncode(text ?? "");
    private static string Count(long count) => count == 0 ? "" : count.ToString(CultureInfo.InvariantCulture);
}
