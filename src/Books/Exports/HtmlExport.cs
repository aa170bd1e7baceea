using System.Globalization;
using System.Net;
using System.Text;

namespace Qanat.Books;

/// <summary>Invoices and statements as plain HTML pages that print well: one file, no script, nothing loaded from elsewhere.</summary>
public static class HtmlExport
{
    private const string Style = """
        :root { color-scheme: light dark; --line: #8886; --soft: #8882; }
        body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2.5rem auto; padding: 0 1.5rem; }
        h1 { font-size: 1.6rem; margin: 0 0 .3rem; } p { margin: .3rem 0; } .lead { opacity: .75; }
        .parties { display: flex; flex-wrap: wrap; gap: 1rem 4rem; margin: 1.5rem 0; } .parties dt { font-size: .8rem; opacity: .7; } .parties dd { margin: 0; font-weight: 600; }
        .scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin: 1.2rem 0; }
        th { font-size: .8rem; font-weight: 600; opacity: .75; } td, th { padding: .45rem .7rem; border-bottom: 1px solid var(--soft); text-align: left; vertical-align: top; }
        thead th { border-bottom: 1px solid var(--line); } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } .exact { opacity: .6; font-size: .85rem; }
        .total td { font-weight: 700; border-top: 2px solid var(--line); border-bottom: 0; } .state { display: inline-block; border: 1px solid var(--line); border-radius: 99px; padding: 0 .7rem; font-size: .85rem; vertical-align: middle; }
        @media print { body { margin: 0; max-width: none; font-size: 11pt; } }
        """;

    /// <summary>An invoice. Every line with its exact figure beside the rounded one.</summary>
    /// <param name="issuer">Who sends it.</param> <param name="recipient">The tenant's name.</param>
    public static string Invoice(Invoice invoice, string issuer, string recipient)
    {
        ArgumentNullException.ThrowIfNull(invoice);
        var page = new StringBuilder(Head($"Invoice {invoice.Number}"));
        var lastDay = new Instant(invoice.Period.To.UnixNanoseconds - 1);
        page.Append(CultureInfo.InvariantCulture, $"<h1>Invoice {Text(invoice.Number)} <span class=\"state\">{(invoice.State == InvoiceState.Final ? "final" : invoice.State == InvoiceState.Void ? "void" : "draft")}</span></h1>\n")
            .Append(CultureInfo.InvariantCulture, $"<dl class=\"parties\"><div><dt>From</dt><dd>{Text(issuer)}</dd></div><div><dt>To</dt><dd>{Text(recipient)}</dd></div>")
            .Append(CultureInfo.InvariantCulture, $"<div><dt>Usage, UTC, both days included</dt><dd>{FactValue.Text(invoice.Period.From.DayStart)} to {FactValue.Text(lastDay.DayStart)}</dd></div></dl>\n")
            .Append("<div class=\"scroll\"><table><thead><tr><th>Item</th><th>Model</th><th class=\"n\">Input tokens</th><th class=\"n\">Output tokens</th><th class=\"n\">Exactly</th><th class=\"n\">Amount</th></tr></thead><tbody>\n");
        foreach (InvoiceLine line in invoice.Lines)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(Capital(line.Text))}</td><td>{Text(line.Model?.Value)}</td><td class=\"n\">{Count(line.Tokens.Input)}</td><td class=\"n\">{Count(line.Tokens.Output)}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td class=\"n exact\">{line.Exact.ToDecimalText()}</td><td class=\"n\">{line.Amount.ToRoundedText(2)}</td></tr>\n");
        }
        page.Append(CultureInfo.InvariantCulture, $"<tr class=\"total\"><td colspan=\"4\">Total {invoice.Total.Currency}</td><td class=\"n exact\">{invoice.Exact.ToDecimalText()}</td><td class=\"n\">{invoice.Total.ToRoundedText(2)}</td></tr></tbody></table></div>\n");
        return page.Append(CultureInfo.InvariantCulture, $"<p class=\"lead\">Charges are exact to 10<sup>-12</sup> and rounded once, here; rounding: {invoice.Rounding.ToDecimalText()}.</p></body></html>\n").ToString();
    }

    /// <summary>A profit and loss statement with its totals.</summary>
    /// <param name="nameOf">What tenants are called; null, or a null name: their ids.</param>
    public static string ProfitAndLoss(ProfitAndLoss statement, string title, Func<TenantId, string?>? nameOf = null)
    {
        ArgumentNullException.ThrowIfNull(statement);
        var page = new StringBuilder(Head(title));
        page.Append(CultureInfo.InvariantCulture, $"<h1>{Text(title)}</h1><p class=\"lead\">{PeriodText(statement.Period)}, UTC.{(statement.Unposted > 0 ? $" {statement.Unposted} requests are settled and not posted yet." : "")}</p>\n");
        page.Append("<div class=\"scroll\"><table><thead><tr><th>Group</th><th></th><th class=\"n\">Revenue</th><th class=\"n\">Compute cost</th><th class=\"n\">Gross margin</th><th class=\"n\">of revenue, %</th><th class=\"n\">Training</th><th class=\"n\">Requests</th><th class=\"n\">Unpriced</th><th class=\"n\">Uncosted</th></tr></thead><tbody>\n");
        foreach (ProfitRow row in statement.Rows)
        {
            string? tenant = row.Key.Tenant is { } id ? nameOf?.Invoke(id) ?? id.ToString() : null;
            string group = string.Join(" / ", new[] { row.Key.Start is { } start ? FactValue.Text(start) : null, tenant, row.Key.Project?.ToString(), row.Key.Model?.Value, row.Key.Pool?.Value }.Where(k => k is not null));
            Row(page, "", group.Length == 0 ? "of no group" : group, row.Revenue, row.ComputeCost, row.GrossMargin, row.GrossMarginOfRevenue, row.TrainingCost.ToDecimalText(), row.Requests, row.Unpriced, row.Uncosted);
        }
        foreach (ProfitTotal total in statement.Totals)
        {
            Row(page, " class=\"total\"", "Total", total.Revenue, total.ComputeCost, total.GrossMargin, total.GrossMarginOfRevenue, "", total.Requests, total.Unpriced, total.Uncosted);
            Line(page, "Unused capacity: paid for and used by no request", -total.UnusedCapacity);
            if (!total.Other.IsZero) Line(page, "Other expense", -total.Other);
            Line(page, "Result", total.Result, " class=\"total\"");
        }
        return page.Append("</tbody></table></div></body></html>\n").ToString();
    }

    private static void Line(StringBuilder page, string name, Money amount, string style = "") =>
        page.Append(CultureInfo.InvariantCulture, $"<tr{style}><td colspan=\"4\">{Text(name)}</td><td class=\"n\">{amount.ToDecimalText()}</td><td colspan=\"5\">{amount.Currency}</td></tr>\n");

    private static void Row(StringBuilder page, string style, string group, Money revenue, Money cost, Money margin, Ratio ofRevenue, string training, long requests, long unpriced, long uncosted) =>
        page.Append(CultureInfo.InvariantCulture, $"<tr{style}><td>{Text(group)}</td><td>{revenue.Currency}</td><td class=\"n\">{revenue.ToDecimalText()}</td><td class=\"n\">{cost.ToDecimalText()}</td><td class=\"n\">{margin.ToDecimalText()}</td>")
            .Append(CultureInfo.InvariantCulture, $"<td class=\"n\">{(ofRevenue.IsDefined ? ofRevenue.ToPercentText(1) : "–")}</td><td class=\"n\">{training}</td><td class=\"n\">{Count(requests)}</td><td class=\"n\">{Count(unpriced)}</td><td class=\"n\">{Count(uncosted)}</td></tr>\n");

    private static string Head(string title) =>
        $"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{Text(title)}</title><style>\n{Style}\n</style></head><body>\n";

    private static string PeriodText(Period period) => period == Period.All ? "From the beginning to now"
        : $"From {(period.From == Period.All.From ? "the beginning" : FactValue.Text(period.From))} to {(period.To == Period.All.To ? "now" : FactValue.Text(period.To) + ", not included")}";

    private static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];
    private static string Text(string? text) => WebUtility.HtmlEncode(text ?? "");
    private static string Count(long count) => count == 0 ? "" : count.ToString("N0", CultureInfo.InvariantCulture);
}
