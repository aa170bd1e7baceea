using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat books close | periods | reprice | cash | segments | consolidation.</summary>
internal static class PeriodCommands
{
    public static Command Close(Shared shared)
    {
        Option<string> through = new("--through") { Description = "The instant at which it ends, e.g. 2026-02-01.", Required = true };
        Option<string?> name = new("--name") { Description = "What the period is called. Default: its last day." };
        Command close = new("close", "Close everything before an instant: post what is settled and due, check every identity, and change nothing there from then on.") { through, name };
        close.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode closed = await server.PostAsync("api/periods", new JsonObject { ["through"] = parsed.GetValue(through), ["name"] = parsed.GetValue(name) }, cancel);
            terminal.Say(closed, $"Closed: {closed["name"]}, everything before {Column.Day(closed["through"]!.ToString())}. Digest of the trial balance: {closed["digest"]}");
        }, cancel));
        return close;
    }

    public static Command Periods(Shared shared)
    {
        Command periods = new("periods", "The periods that are closed.");
        periods.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/periods", cancel);
            terminal.Table(all, all["data"], new Column("period", "name"), new Column("through", "through", Align.Left, Column.Day), new Column("digest", "digest"));
        }, cancel));
        return periods;
    }

    public static Command Reprice(Shared shared)
    {
        Option<string> from = new("--from") { Description = "Requests completed from this time on.", Required = true }, to = new("--to") { Description = "And before this one.", Required = true };
        Option<string?> tenant = new("--tenant") { Description = "Only this tenant's." }, model = new("--model") { Description = "Only of this model." }, name = new("--name") { Description = "What the re-rating is called. Default: reprice-N." };
        Option<string> price = new("--price") { Description = "The price version to charge them at (qanat price list --json shows ids), or own: what they were charged at first.", Required = true };
        Option<string> reason = new("--reason") { Description = "Why; it stands in the journal.", Required = true };
        Option<bool> checkOnly = new("--check-only") { Description = "Show what would change, and change nothing." };
        Command reprice = new("reprice", "Charge a past period at another price version; the difference is posted as an adjustment.") { from, to, tenant, model, price, reason, name, checkOnly };
        reprice.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            int earlier = (await server.GetAsync("api/declarations?kind=rerate", cancel))["data"]!.AsArray().Count;
            string called = parsed.GetValue(name) ?? string.Create(CultureInfo.InvariantCulture, $"reprice-{earlier + 1}");
            StringBuilder statement = new($"rerate {StatementCommands.Quote(called)}");
            void Add(string keyword, string? value)
            {
                if (value is not null) statement.Append(' ').Append(keyword).Append(' ').Append(StatementCommands.Quote(value));
            }
            Add("from", parsed.GetValue(from));
            Add("to", parsed.GetValue(to));
            Add("tenant", parsed.GetValue(tenant));
            Add("model", parsed.GetValue(model));
            Add("price", parsed.GetValue(price));
            Add("reason", parsed.GetValue(reason));
            JsonNode answer = await server.PostAsync("api/books/reprice", new JsonObject { ["text"] = statement.ToString(), ["check_only"] = parsed.GetValue(checkOnly) }, cancel);
            terminal.Table(answer, answer["data"], new Column("tenant", "tenant.name"), new Column("model", "model"), new Column("requests", "requests", Align.Right), new Column("charged", "before", Align.Right),
                new Column("then", "after", Align.Right), new Column("change", "change", Align.Right), new Column("", "currency"));
        }, cancel));
        return reprice;
    }

    public static Command CashFlow(Shared shared) => Statement(shared, "cash", "Where cash came from and went.", "api/books/cash",
        new Column("", "currency"), new Column("opening", "opening", Align.Right), new Column("operating", "operating", Align.Right), new Column("investing", "investing", Align.Right), new Column("financing", "financing", Align.Right),
        new Column("exchange", "exchange", Align.Right), new Column("closing", "closing", Align.Right));

    public static Command Consolidation(Shared shared) => Statement(shared, "consolidation", "With and without what one part of the house charged another.", "api/books/consolidation",
        new Column("", "currency"), new Column("external revenue", "external_revenue", Align.Right), new Column("internal revenue", "internal_revenue", Align.Right), new Column("internal use", "internal_use", Align.Right),
        new Column("internal profit", "internal_profit", Align.Right), new Column("combined", "combined", Align.Right), new Column("consolidated", "consolidated", Align.Right));

    public static Command Segments(Shared shared)
    {
        Option<string> standard = new("--standard") { Description = "asc280 or ifrs8.", DefaultValueFactory = _ => "asc280" };
        standard.AcceptOnlyFromAmong("asc280", "ifrs8");
        (Option<string?> from, Option<string?> to) = Shared.PeriodOptions();
        Command segments = new("segments", "The note on segments (ASC 280 with ASU 2023-07, or IFRS 8).") { standard, from, to };
        segments.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync($"api/books/segments?standard={parsed.GetValue(standard)}{Shared.PeriodQuery(parsed, from, to)}", cancel);
            JsonArray rows = [];
            foreach (JsonNode? note in all["data"]!.AsArray())
            {
                foreach (JsonNode? segment in note!["segments"]!.AsArray())
                {
                    string name = segment!["segment"]!.ToString();
                    rows.Add(Row(name, "external revenue", segment["external_revenue"]!.ToString()));
                    rows.Add(Row(name, "intersegment revenue", segment["intersegment_revenue"]!.ToString()));
                    foreach (JsonNode? expense in segment["significant"]!.AsArray()) rows.Add(Row(name, $"{note["significant_title"]}: {expense!["caption"]}", expense["amount"]!.ToString()));
                    rows.Add(Row(name, note["other_title"]!.ToString(), segment["other"]!.ToString()));
                    rows.Add(Row(name, "result", segment["result"]!.ToString()));
                }
                foreach (JsonNode? expense in note["unallocated"]!.AsArray()) rows.Add(Row("no segment", expense!["caption"]!.ToString(), expense["amount"]!.ToString()));
                rows.Add(Row("all", "eliminated between segments", note["eliminated"]!.ToString()));
                rows.Add(Row("all", note["reconciliation_title"]!.ToString(), $"{note["total"]} {note["currency"]}"));
            }
            terminal.Table(all, rows, new Column("segment", "segment"), new Column("", "line"), new Column("amount", "amount", Align.Right));
        }, cancel));
        return segments;

        static JsonObject Row(string segment, string line, string amount) => new() { ["segment"] = segment, ["line"] = line, ["amount"] = amount };
    }

    private static Command Statement(Shared shared, string name, string description, string path, params Column[] columns)
    {
        (Option<string?> from, Option<string?> to) = Shared.PeriodOptions();
        Command statement = new(name, description) { from, to };
        statement.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync(path + Shared.PeriodQuery(parsed, from, to, '?'), cancel);
            terminal.Table(all, all["data"], columns);
        }, cancel));
        return statement;
    }
}
