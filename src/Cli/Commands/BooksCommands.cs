using System.CommandLine;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Qanat.Cli;

/// <summary>qanat usage | books: what was used, what it earned and cost, and the proof.</summary>
internal static class BooksCommands
{
    public static Command Usage(Shared shared)
    {
        Option<int> limit = new("--limit") { Description = "Rows at most.", DefaultValueFactory = _ => 20 };
        Option<string?> tenant = new("--tenant") { Description = "Only this tenant." };
        Command list = new("list", "The newest requests.") { limit, tenant };
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string query = parsed.GetValue(tenant) is { } name ? "&tenant=" + Uri.EscapeDataString(name) : "";
            JsonNode all = await server.GetAsync($"api/usage?limit={parsed.GetValue(limit)}{query}", cancel);
            terminal.Table(all, all["data"], new Column("completed", "completed_at", Align.Left, Column.Second), new Column("tenant", "tenant.name"), new Column("model", "model"), new Column("in", "tokens.input", Align.Right),
                new Column("out", "tokens.output", Align.Right), new Column("charge", "charge", Align.Right), new Column("cost", "cost", Align.Right), new Column("outcome", "outcome"));
        }, cancel));
        Argument<string> id = new("id") { Description = "The request's id, as in x-qanat-request-id." };
        Command show = new("show", "One request with everything the books know of it.") { id };
        show.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, _) =>
            Terminal.PrintJson(await server.GetAsync("api/usage/" + Uri.EscapeDataString(parsed.GetValue(id)!), cancel)), cancel));
        return new Command("usage", "Requests, metered.") { list, show };
    }

    public static Command Books(Shared shared) =>
        new("books", "Statements, the journal, and the check that they are right.")
        {
            ProfitAndLoss(shared), Trial(shared), Balance(shared), Journal(shared), Check(shared), Export(shared), Audit(shared), PeriodCommands.Close(shared), PeriodCommands.Periods(shared), PeriodCommands.Reprice(shared),
            PeriodCommands.CashFlow(shared), PeriodCommands.Segments(shared), PeriodCommands.Consolidation(shared), StatementCommands.DeclareText(shared), StatementCommands.List(shared, "facts", "Everything declared.", null),
        };

    private static Command ProfitAndLoss(Shared shared)
    {
        Option<string> by = new("--by") { Description = "tenant, project, model, day or hour; several with commas.", DefaultValueFactory = _ => "tenant" };
        (Option<string?> from, Option<string?> to) = Shared.PeriodOptions();
        Command pnl = new("pnl", "Revenue, cost and margin. Unused capacity is a line of its own.") { by, from, to };
        pnl.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode statement = await server.GetAsync($"api/books/pnl?by={Uri.EscapeDataString(parsed.GetValue(by)!)}{Shared.PeriodQuery(parsed, from, to)}", cancel);
            if (terminal.Format == OutputFormat.Json) Terminal.PrintJson(statement);
            else ProfitTable.Print(statement);
        }, cancel));
        return pnl;
    }

    private static Command Trial(Shared shared)
    {
        Option<string?> at = AtOption();
        Command trial = new("trial", "Every account's balance; they sum to zero.") { at };
        trial.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode balance = await server.GetAsync("api/books/trial" + At(parsed, at), cancel);
            terminal.Table(balance, balance["accounts"], new Column("account", "account"), new Column("balance", "amount", Align.Right), new Column("", "currency"));
        }, cancel));
        return trial;
    }

    private static Command Balance(Shared shared)
    {
        Option<string?> at = AtOption();
        Command sheet = new("balance", "What is owned and owed.") { at };
        sheet.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode balance = await server.GetAsync("api/books/balance" + At(parsed, at), cancel);
            terminal.Table(balance, balance["lines"], new Column("", "section"), new Column("account", "account"), new Column("amount", "amount", Align.Right), new Column("", "currency"));
        }, cancel));
        return sheet;
    }

    private static Option<string?> AtOption() => new("--at") { Description = "As of this time. Default: now." };
    private static string At(ParseResult parsed, Option<string?> at) => parsed.GetValue(at) is { } time ? "?at=" + Uri.EscapeDataString(time) : "";

    private static Command Journal(Shared shared)
    {
        Option<int> limit = new("--limit") { Description = "Transactions at most.", DefaultValueFactory = _ => 20 };
        Command journal = new("journal", "The newest transactions with their entries.") { limit };
        journal.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync($"api/books/journal?limit={parsed.GetValue(limit)}", cancel);
            JsonArray entries = [.. from transaction in all["data"]!.AsArray()
                                    from entry in transaction!["entries"]!.AsArray()
                                    select Row(transaction, entry)];
            terminal.Table(all, entries, new Column("at", "at", Align.Left, Column.Second), new Column("template", "template"), new Column("account", "account"), new Column("amount", "amount", Align.Right), new Column("", "currency"), new Column("tenant", "tenant"));
        }, cancel));
        return journal;

        static JsonNode Row(JsonNode transaction, JsonNode? entry) => new JsonObject
        {
            ["at"] = transaction["at"]!.ToString(),
            ["template"] = transaction["template"]!.ToString(),
            ["account"] = entry!["account"]!.ToString(),
            ["amount"] = entry["amount"]!.ToString(),
            ["currency"] = entry["currency"]!.ToString(),
            ["tenant"] = entry["tenant"]?["name"]?.ToString() ?? "",
        };
    }

    private static Command Check(Shared shared)
    {
        Command check = new("check", "Verify every identity of the books. Exit code 1 if one does not hold.");
        check.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode report = await server.GetAsync("api/books/check", cancel);
            terminal.Table(report, report["identities"], new Column("identity", "name"), new Column("", "subject"), new Column("left", "left", Align.Right), new Column("right", "right", Align.Right),
                new Column("difference", "difference", Align.Right), new Column("", "ok", Align.Left, ok => ok == "true" ? "ok" : "WRONG"));
            bool sound = report["ok"]!.GetValue<bool>();
            if (!sound) throw new CommandException("The books do not tie out: the identities marked WRONG do not hold.");
            if (terminal.Format != OutputFormat.Text) return;
            AnsiConsole.MarkupLine("[green]Every identity holds exactly.[/]");
            long missing = report["usage_missing"]!.GetValue<long>(), differs = report["usage_differs"]!.GetValue<long>();
            if (missing + differs > 0) AnsiConsole.WriteLine($"Usage missing: {missing} records (billed by our own count). Usage differing from our own count: {differs} records.");
        }, cancel));
        return check;
    }

    private static Command Export(Shared shared)
    {
        string[] formats = ["hledger", "beancount", "csv", "trial-csv", "pnl-csv", "focus", "parquet", "usage-parquet", "xlsx", "html"];
        Option<string> format = new("--format") { Description = string.Join(", ", formats) + ".", DefaultValueFactory = _ => "hledger" };
        format.AcceptOnlyFromAmong(formats);
        Option<FileInfo> output = new("--output") { Description = "The file to write.", Required = true };
        Option<string> by = new("--by") { Description = "Groups of the P&L in pnl-csv, xlsx and html.", DefaultValueFactory = _ => "tenant,model" };
        (Option<string?> from, Option<string?> to) = Shared.PeriodOptions();
        Command export = new("export", "Write the journal, the statements or the usage for other programs.") { format, output, by, from, to };
        export.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string chosen = parsed.GetRequiredValue(format), file = parsed.GetRequiredValue(output).FullName;
            string hint = chosen switch { "hledger" => $". Try: hledger -f {file} balance", "beancount" => $". Try: bean-check {file}", _ => "" };
            string path = $"api/books/export?format={chosen}&by={Uri.EscapeDataString(parsed.GetValue(by)!)}{Shared.PeriodQuery(parsed, from, to)}";
            await Shared.DownloadAsync(server, terminal, path, parsed.GetRequiredValue(output), hint, cancel);
        }, cancel));
        return export;
    }

    private static Command Audit(Shared shared)
    {
        Option<int> limit = new("--limit") { Description = "Rows at most.", DefaultValueFactory = _ => 50 };
        Command audit = new("audit", "Who changed what, newest first.") { limit };
        audit.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync($"api/audit?limit={parsed.GetValue(limit)}", cancel);
            terminal.Table(all, all["data"], new Column("at", "at", Align.Left, Column.Second), new Column("who", "who"), new Column("action", "action"), new Column("subject", "subject"), new Column("before", "before"), new Column("after", "after"));
        }, cancel));
        return audit;
    }
}
