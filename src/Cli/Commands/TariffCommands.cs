using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat price | cost: what a token sells for, and what the machine costs.</summary>
internal static class TariffCommands
{
    public static Command Price(Shared shared)
    {
        Command price = new Command("price", "What tokens sell for: effective-dated, never changed once added.") { SetPrice(shared), ListPrices(shared) }.Also("prices");
        PriceFileCommands.AddTo(shared, price);
        return price;
    }

    /// <summary>The same command by both its names: `price` and `prices`, `cost` and `costs`.</summary>
    private static Command Also(this Command command, string alias)
    {
        command.Aliases.Add(alias);
        return command;
    }

    public static Command Cost(Shared shared)
    {
        Command cost = new Command("cost", "What capacity costs: hourly rates, and the assets, bills, energy, people and training behind them.") { SetCost(shared), ConfirmCost(shared), ListCosts(shared) }.Also("costs");
        FinanceCommands.AddCosts(shared, cost);
        return cost;
    }

    private static Command SetPrice(Shared shared)
    {
        Option<string?> model = new("--model") { Description = "For this model. Default: every model without a price of its own." };
        Option<string?> tenant = new("--tenant") { Description = "For this tenant. Default: every tenant without a price of its own." };
        Option<string> input = new("--input") { Description = "Per million prompt tokens, e.g. 0.05.", Required = true };
        Option<string> output = new("--output") { Description = "Per million generated tokens, e.g. 0.40.", Required = true };
        Option<string?> cacheRead = new("--cache-read") { Description = "Per million prompt tokens read from the prefix cache. Default: as --input." };
        Option<string> currency = new("--currency") { Description = "ISO 4217 code.", DefaultValueFactory = _ => "USD" };
        Option<string?> from = new("--from") { Description = "In force from this time on (ISO 8601, UTC unless it says otherwise). Default: now." };
        Option<string> source = new("--source") { Description = "Where the price comes from.", DefaultValueFactory = _ => "set by the owner" };
        Command set = new("set", "Add a price version.") { model, tenant, input, output, cacheRead, currency, from, source };
        set.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode made = await server.PostAsync("api/prices", new JsonObject
            {
                ["model"] = parsed.GetValue(model),
                ["tenant"] = parsed.GetValue(tenant),
                ["input_per_million"] = parsed.GetValue(input),
                ["output_per_million"] = parsed.GetValue(output),
                ["cache_read_per_million"] = parsed.GetValue(cacheRead),
                ["currency"] = parsed.GetValue(currency),
                ["effective_from"] = parsed.GetValue(from),
                ["source"] = parsed.GetValue(source),
            }, cancel);
            terminal.Say(made, $"In force from {made["effective_from"]}: {made["id"]}");
        }, cancel));
        return set;
    }

    private static Command ListPrices(Shared shared)
    {
        Command list = new("list", "List all price versions.");
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/prices", cancel);
            terminal.Table(all, all["data"], new Column("from", "effective_from", Align.Left, Column.Second), new Column("model", "model"), new Column("tenant", "tenant.name"), new Column("input/M", "input_per_million", Align.Right),
                new Column("output/M", "output_per_million", Align.Right), new Column("", "currency"), new Column("", "assumed", Align.Left, Column.Flag("assumed")), new Column("source", "source"));
        }, cancel));
        return list;
    }

    private static Command SetCost(Shared shared)
    {
        Argument<string> hourly = new("hourly") { Description = "Per hour of running, e.g. 0.12." };
        Option<string> pool = PoolOption();
        Option<string> currency = new("--currency") { Description = "ISO 4217 code.", DefaultValueFactory = _ => "USD" };
        Option<int> practical = new("--practical") { Description = "Practical capacity in percent of wall time.", DefaultValueFactory = _ => 85 };
        Option<string> source = new("--source") { Description = "Where the figure comes from.", DefaultValueFactory = _ => "set by the owner" };
        Command set = new("set", "Set what a pool costs per hour, from now on.") { hourly, pool, currency, practical, source };
        set.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode made = await server.PostAsync("api/costs", new JsonObject
            {
                ["pool"] = parsed.GetValue(pool),
                ["hourly_cost"] = parsed.GetValue(hourly),
                ["currency"] = parsed.GetValue(currency),
                ["practical_capacity_permille"] = parsed.GetValue(practical) * 10,
                ["source"] = parsed.GetValue(source),
            }, cancel);
            terminal.Say(made, $"{made["pool"]} costs {made["hourly_cost"]} {made["currency"]} an hour from {made["effective_from"]}");
        }, cancel));
        return set;
    }

    private static Command ConfirmCost(Shared shared)
    {
        Option<string> pool = PoolOption();
        Command confirm = new("confirm", "Say that the assumed cost is right: it is a fact from now on.") { pool };
        confirm.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode made = await server.PostAsync("api/costs/confirm", new JsonObject { ["pool"] = parsed.GetValue(pool) }, cancel);
            terminal.Say(made, $"Confirmed: {made["pool"]} costs {made["hourly_cost"]} {made["currency"]} an hour");
        }, cancel));
        return confirm;
    }

    private static Command ListCosts(Shared shared)
    {
        Command list = new("list", "List what the pools cost.");
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/costs", cancel);
            terminal.Table(all, all["data"], new Column("pool", "pool"), new Column("from", "effective_from", Align.Left, Column.Second), new Column("per hour", "hourly_cost", Align.Right), new Column("", "currency"),
                new Column("practical", "practical_capacity_permille", Align.Right, permille => (int.Parse(permille, CultureInfo.InvariantCulture) / 10) + " %"), new Column("", "assumed", Align.Left, Column.Flag("assumed")), new Column("source", "source"));
        }, cancel));
        return list;
    }

    private static Option<string> PoolOption() => new("--pool") { Description = "The cost pool.", DefaultValueFactory = _ => Defaults.Pool.Value };
}
