using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat invoice: from the books to what a tenant is sent.</summary>
internal static class InvoiceCommands
{
    public static Command Build(Shared shared) => new("invoice", "Invoices: made from closed periods, never changed, only voided or credited.")
    {
        Make(shared, "draft", "Show what an invoice would say. Nothing is written.", final: false),
        Make(shared, "finalize", "Make an invoice final. Its period must be closed.", final: true),
        Change(shared, "void", "Take a final invoice back as a whole; its period may be invoiced again.", amount: false, reason: true),
        Change(shared, "credit", "Forgive a part of a final invoice.", amount: true, reason: true),
        Change(shared, "pay", "Record a payment; without an amount, of all that is open.", amount: true, reason: false, path: "payment"),
        List(shared),
        Show(shared),
        Export(shared),
    };

    private static Command Make(Shared shared, string name, string description, bool final)
    {
        Option<string> tenant = new("--tenant") { Description = "Whom it is for.", Required = true };
        Option<string> from = new("--from") { Description = "The first day.", Required = true }, to = new("--to") { Description = "The day after the last one.", Required = true };
        Option<string?> currency = new("--currency") { Description = "Default: USD." }, number = new("--number") { Description = "Default: the next one of its year." };
        Command make = new(name, description) { tenant, from, to, currency, number };
        make.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode invoice = await server.PostAsync(final ? "api/invoices" : "api/invoices/draft", new JsonObject
            {
                ["tenant"] = parsed.GetValue(tenant),
                ["from"] = parsed.GetValue(from),
                ["to"] = parsed.GetValue(to),
                ["currency"] = parsed.GetValue(currency),
                ["number"] = parsed.GetValue(number),
            }, cancel);
            Print(terminal, invoice);
        }, cancel));
        return make;
    }

    private static Command Change(Shared shared, string name, string description, bool amount, bool reason, string? path = null)
    {
        Argument<string> number = new("number") { Description = "The invoice's number." };
        Option<string?> amountOption = new("--amount") { Description = "How much. Default: all that is open." }, at = new("--at") { Description = "When. Default: now." };
        Option<string> reasonOption = new("--reason") { Description = "Why; it stands in the audit log.", Required = reason };
        Command change = new(name, description) { number, at };
        if (amount) change.Options.Add(amountOption);
        if (reason) change.Options.Add(reasonOption);
        change.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode status = await server.PostAsync($"api/invoices/{Uri.EscapeDataString(parsed.GetValue(number)!)}/{path ?? name}", new JsonObject
            {
                ["at"] = parsed.GetValue(at),
                ["amount"] = amount ? parsed.GetValue(amountOption) : null,
                ["reason"] = reason ? parsed.GetValue(reasonOption) : null,
            }, cancel);
            terminal.Say(status, $"Invoice {status["number"]} is {status["state"]}: total {status["total"]}, credited {status["credited"]}, paid {status["paid"]}, open {status["open"]} {status["currency"]}");
        }, cancel));
        return change;
    }

    private static Command List(Shared shared)
    {
        Option<string?> tenant = new("--tenant") { Description = "Only this tenant's." };
        Command list = new("list", "All final invoices and what became of them.") { tenant };
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/invoices" + (parsed.GetValue(tenant) is { } name ? "?tenant=" + Uri.EscapeDataString(name) : ""), cancel);
            terminal.Table(all, all["data"], new Column("number", "number"), new Column("state", "state"), new Column("tenant", "tenant.name"), new Column("from", "from", Align.Left, Column.Day), new Column("to", "to", Align.Left, Column.Day),
                new Column("total", "total", Align.Right), new Column("credited", "credited", Align.Right), new Column("paid", "paid", Align.Right), new Column("open", "open", Align.Right), new Column("", "currency"));
        }, cancel));
        return list;
    }

    private static Command Show(Shared shared)
    {
        Argument<string> number = new("number") { Description = "The invoice's number." };
        Command show = new("show", "One invoice with its lines.") { number };
        show.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
            Print(terminal, await server.GetAsync("api/invoices/" + Uri.EscapeDataString(parsed.GetValue(number)!), cancel)), cancel));
        return show;
    }

    private static Command Export(Shared shared)
    {
        Argument<string> number = new("number") { Description = "The invoice's number." };
        Option<string> format = new("--format") { Description = "html (prints well), csv or json.", DefaultValueFactory = _ => "html" };
        format.AcceptOnlyFromAmong("html", "csv", "json");
        Option<string?> issuer = new("--issuer") { Description = "Who sends it. Default: Qanat." };
        Option<FileInfo> output = new("--output") { Description = "The file to write.", Required = true };
        Command export = new("export", "Write one invoice as a file to send or print.") { number, format, issuer, output };
        export.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string query = $"?format={parsed.GetValue(format)}" + (parsed.GetValue(issuer) is { } name ? "&issuer=" + Uri.EscapeDataString(name) : "");
            await Shared.DownloadAsync(server, terminal, $"api/invoices/{Uri.EscapeDataString(parsed.GetValue(number)!)}/export{query}", parsed.GetRequiredValue(output), "", cancel);
        }, cancel));
        return export;
    }

    private static void Print(Terminal terminal, JsonNode invoice)
    {
        if (terminal.Format == OutputFormat.Json)
        {
            Terminal.PrintJson(invoice);
            return;
        }
        System.Console.WriteLine($"Invoice {invoice["number"]} ({invoice["state"]}) to {invoice["tenant"]?["name"]}, usage from {Column.Day(invoice["from"]!.ToString())} to {Column.Day(invoice["to"]!.ToString())}");
        terminal.Table(invoice, invoice["lines"], new Column("item", "text"), new Column("project", "project.name"), new Column("model", "model"), new Column("tokens in", "tokens.input", Align.Right), new Column("tokens out", "tokens.output", Align.Right),
            new Column("exact", "exact", Align.Right), new Column("amount", "amount", Align.Right));
        System.Console.WriteLine($"Total {invoice["total"]} {invoice["currency"]} (exactly {invoice["exact"]})" + (invoice["open"] is { } open ? $", open {open}" : ""));
    }
}
