using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat contracts | costs: what was agreed on, and what capacity really costs.</summary>
internal static class FinanceCommands
{
    private const string CostKinds = "asset,asset-revised,asset-retired,bill,staff,tariff,power,energy,training,model-retired,payment-made";

    public static Command Contracts(Shared shared) => new("contracts", "What tenants have agreed on: discounts, commitments, free quotas, prepaid credit, reserved capacity.")
    {
        Standing(shared),
        StatementCommands.Declare(shared, "add", "contract", "Agree on a contract.", new("tenant", "Whose it is.", true), new("from", "In force from this day on.", true), new("to", "Until this day."), new("model", "Only for this model."),
            new("discount", "Off the list price, e.g. 10%."), new("commitment", "Paid at least in each calendar month."), new("currency", "Of its amounts. Default: USD."), new("free-tokens", "Tokens that cost nothing."),
            new("free-for", "How long, e.g. 90days."), new("then", "When they are used up: stop or charge."), new("transfer", "An internal tenant's price: full-cost, cost-plus, market or marginal."),
            new("margin", "On cost, for cost-plus."), new("part", "Of cost, for marginal.")),
        StatementCommands.Declare(shared, "credit", "credit", "Money paid in advance.", new("tenant", "Who paid.", true), new("amount", "How much.", true), new("paid", "When.", true), new("expires", "What is left then is lost."),
            new("then", "When it is used up: stop or charge.", true), new("currency", "Default: USD.")),
        StatementCommands.Declare(shared, "reserve", "reservation", "Keep capacity for a tenant, used or not.", new("tenant", "For whom.", true), new("model", "Of which model.", true), new("from", "From this day on.", true), new("to", "Until this day.", true),
            new("units", "Model units."), new("input-tpm", "Input tokens a minute."), new("output-tpm", "Output tokens a minute."), new("price", "The price version. Default: the one in force.")),
        StatementCommands.Declare(shared, "segment", "segment", "Put a tenant into a reportable segment.", new StatementWord("tenant", "Which tenant.", true)),
        StatementCommands.DeclareText(shared),
        StatementCommands.List(shared, "facts", "Everything agreed on, as it was declared.", "contract,credit,reservation,segment"),
    };

    /// <summary>What pools, machines, energy, people and training cost.</summary>
    public static void AddCosts(Shared shared, Command costs)
    {
        costs.Subcommands.Add(Pools(shared));
        costs.Subcommands.Add(Training(shared));
        costs.Subcommands.Add(Assumptions(shared));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "asset", "asset", "Something bought and used over years.", new("pool", "Which pool uses it.", true), new("price", "What it cost.", true), new("in-service", "From when on.", true),
            new("life", "Straight-line, e.g. 5years."), new("life-hours", "Or by hours of device time."), new("residual", "What it is worth in the end."), new("part-of", "The asset it is a component of."), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "revise", "asset-revised", "A new estimate of an asset's life or residual.", new("at", "From when on.", true), new("ends", "The end of its life."), new("life-hours", "Its life in hours."), new("residual", "What it is worth in the end."), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "retire", "asset-retired", "An asset leaves service.", new("at", "When.", true), new("proceeds", "What it was sold for."), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "bill", "bill", "A bill that a pool bears, spread over its time.", new("pool", "Which pool.", true), new("for", "hosting, maintenance, rent, upstream, energy or other.", true), new("amount", "How much.", true),
            new("from", "From this day on.", true), new("to", "Until this day.", true), new("marginal", "The part that use alone causes, e.g. 100%."), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "staff", "staff", "A part of someone's pay that a pool bears.", new("pool", "Which pool.", true), new("amount", "The whole pay.", true), new("share", "The part of it, e.g. 10%.", true), new("from", "From this day on.", true), new("to", "Until this day.", true), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "tariff", "tariff", "What electricity costs.", new("from", "From this day on.", true), new("kwh", "For a kilowatt hour.", true), new("pue", "Of the site, e.g. 120%."), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "power", "power", "What a pool draws.", new("pool", "Which pool.", true), new("from", "From this day on.", true), new("idle-watts", "While it runs.", true), new("busy-watts", "Besides, while it is busy.", true)));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "energy", "energy", "What a meter showed.", new("pool", "Which pool.", true), new("from", "From.", true), new("to", "To.", true), new("kwh", "How much.", true)));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "run", "training", "A training run.", new("model", "The model it made.", true), new("from", "It began.", true), new("to", "It ended.", true), new("policy", "expense or capitalise.", true), new("life", "Amortised over, e.g. 2years."),
            new("life-tokens", "Or over so many tokens served."), new("data", "What its data cost."), new("staff", "What people cost."), new("base", "The model it started from."), new("base-share", "Of the base's amortisation, e.g. 10%, or tokens."), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.Declare(shared, "paid", "payment-made", "Money paid for what is owed.", new("for", "hosting, energy ..., or upstream; without it, assets and training."), new("pool", "Which pool."), new("at", "When.", true), new("amount", "How much.", true), new("currency", "Default: USD.")));
        costs.Subcommands.Add(StatementCommands.DeclareText(shared));
        costs.Subcommands.Add(StatementCommands.List(shared, "facts", "Every cost fact, as it was declared.", CostKinds));
    }

    private static Command Standing(Shared shared)
    {
        Command list = new("list", "Contracts and credits, and what is left of them.");
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/contracts", cancel);
            if (terminal.Format == OutputFormat.Json)
            {
                Terminal.PrintJson(all);
                return;
            }
            terminal.Table(all, all["contracts"], new Column("contract", "name"), new Column("tenant", "tenant.name"), new Column("model", "model"), new Column("from", "from", Align.Left, Column.Day), new Column("to", "to", Align.Left, Column.Day),
                new Column("discount", "discount", Align.Right), new Column("free tokens", "free_tokens", Align.Right), new Column("used", "free_tokens_used", Align.Right), new Column("then", "when_exhausted"),
                new Column("commitment", "commitment", Align.Right), new Column("this month", "charged_this_month", Align.Right), new Column("transfer", "transfer"));
            if (all["credits"]!.AsArray().Count > 0)
                terminal.Table(all, all["credits"], new Column("credit", "name"), new Column("tenant", "tenant.name"), new Column("paid", "paid_at", Align.Left, Column.Day), new Column("amount", "amount", Align.Right), new Column("drawn", "drawn", Align.Right),
                    new Column("expired", "expired", Align.Right), new Column("left", "left", Align.Right), new Column("", "currency"), new Column("expires", "expires_at", Align.Left, Column.Day), new Column("then", "when_exhausted"));
            if (all["reservations"]!.AsArray().Count > 0)
                terminal.Table(all, all["reservations"], new Column("reservation", "name"), new Column("tenant", "tenant.name"), new Column("model", "model"), new Column("from", "from", Align.Left, Column.Day), new Column("to", "to", Align.Left, Column.Day),
                    new Column("units", "units", Align.Right), new Column("in/min", "input_tokens_per_minute", Align.Right), new Column("out/min", "output_tokens_per_minute", Align.Right));
        }, cancel));
        return list;
    }

    private static Command Pools(Shared shared)
    {
        (Option<string?> from, Option<string?> to) = Shared.PeriodOptions();
        Command pools = new("pools", "What pools really cost, beside their hourly rates.") { from, to };
        pools.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/costs/pools" + Shared.PeriodQuery(parsed, from, to, '?'), cancel);
            JsonArray rows = [];
            foreach (JsonNode? pool in all["data"]!.AsArray())
            {
                foreach (JsonNode? line in pool!["lines"]!.AsArray()) rows.Add(Row(pool, line!["nature"]!.ToString(), line["name"]!.ToString(), line["full"]!.ToString(), line["marginal"]!.ToString()));
                rows.Add(Row(pool, "total", "", pool["full"]!.ToString(), pool["marginal"]!.ToString()));
                rows.Add(Row(pool, "at its hourly rate", "", pool["standard"]!.ToString(), ""));
                rows.Add(Row(pool, "variance", "", pool["variance"]!.ToString(), ""));
            }
            terminal.Table(all, rows, new Column("pool", "pool"), new Column("nature", "nature"), new Column("", "name"), new Column("full", "full", Align.Right), new Column("marginal", "marginal", Align.Right), new Column("", "currency"));
        }, cancel));
        return pools;

        static JsonObject Row(JsonNode pool, string nature, string name, string full, string marginal) =>
            new() { ["pool"] = pool["pool"]!.ToString(), ["nature"] = nature, ["name"] = name, ["full"] = full, ["marginal"] = marginal, ["currency"] = pool["currency"]!.ToString() };
    }

    private static Command Training(Shared shared)
    {
        Command training = new("training", "What training cost, expensed and capitalised side by side.");
        training.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/costs/training", cancel);
            terminal.Table(all, all["data"], new Column("run", "name"), new Column("model", "model"), new Column("policy", "policy"), new Column("compute", "compute", Align.Right), new Column("direct", "direct", Align.Right),
                new Column("cost", "cost", Align.Right), new Column("amortised", "amortised", Align.Right), new Column("left", "left", Align.Right), new Column("", "currency"));
        }, cancel));
        return training;
    }

    private static Command Assumptions(Shared shared)
    {
        Command assumptions = new("assumptions", "Defaults that stand in for facts until someone confirms them.");
        assumptions.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/costs/assumptions", cancel);
            terminal.Table(all, all["data"], new Column("", "what"), new Column("of", "subject"), new Column("figure", "figure"), new Column("source", "source"));
        }, cancel));
        return assumptions;
    }
}
