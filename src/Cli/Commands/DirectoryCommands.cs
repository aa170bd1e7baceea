using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat tenant | project | key: who may call, and how much they may spend.</summary>
internal static class DirectoryCommands
{
    private static readonly Column[] TenantColumns =
        [new("name", "name"), new("id", "id"), new("monthly budget", "monthly_budget", Align.Right), new("spent", "spent", Align.Right), new("held", "held", Align.Right), new("", "demo", Align.Left, Column.Flag("demo"))];

    private static readonly Column[] KeyColumns =
        [new("key", "prefix"), new("name", "name"), new("tenant", "tenant.name"), new("project", "project.name"), new("role", "role"), new("reach", "reach"), new("monthly budget", "monthly_budget", Align.Right), new("revoked", "revoked_at", Align.Left, Column.Second), new("id", "id")];

    public static Command Tenant(Shared shared)
    {
        Command tenant = new("tenant", "Customers, teams or bodies: each with its projects, keys and budget.")
        {
            CreateTenant(shared), List(shared, "tenants", TenantColumns), Budget(shared, "tenants"),
            LimitCommands.OfTenant(shared), LimitCommands.Credit(shared), LimitCommands.AlertMail(shared), LimitCommands.Keep(shared), LimitCommands.Responses(shared), LimitCommands.Switch(shared, "stop", "Serve nothing to a tenant from now on; what runs ends within a step.", "Stopped: what ran has ended, and nothing is served until `qanat tenant start`."),
            LimitCommands.Switch(shared, "start", "Serve a stopped tenant again.", "Started."),
        };
        return tenant;
    }

    public static Command Project(Shared shared)
    {
        Argument<string> name = new("name") { Description = "What to call it." };
        Option<string> tenant = TenantOption();
        Option<string?> budget = BudgetOption();
        Command create = new("create", "Create a project of a tenant.") { name, tenant, budget };
        create.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode made = await server.PostAsync("api/projects", new JsonObject { ["tenant"] = parsed.GetValue(tenant), ["name"] = parsed.GetValue(name), ["monthly_budget"] = parsed.GetValue(budget) }, cancel);
            terminal.Say(made, $"Project {made["name"]} of {parsed.GetValue(tenant)} is there: {made["id"]}");
        }, cancel));
        return new Command("project", "Parts of a tenant.")
        {
            create,
            List(shared, "projects", new Column("name", "name"), new Column("tenant", "tenant.name"), new Column("id", "id"), new Column("monthly budget", "monthly_budget", Align.Right), new Column("spent", "spent", Align.Right)),
            Budget(shared, "projects"), LimitCommands.OfProject(shared),
        };
    }

    public static Command Key(Shared shared) => new("key", "API keys: shown once, stored as a hash.") { CreateKey(shared), List(shared, "keys", KeyColumns), Revoke(shared), LimitCommands.Rotate(shared), Budget(shared, "keys") };

    private static Command CreateTenant(Shared shared)
    {
        Argument<string> name = new("name") { Description = "What to call it." };
        Option<string?> budget = BudgetOption();
        Command create = new("create", "Create a tenant with a first project called 'default'.") { name, budget };
        create.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode made = await server.PostAsync("api/tenants", new JsonObject { ["name"] = parsed.GetValue(name), ["monthly_budget"] = parsed.GetValue(budget) }, cancel);
            terminal.Say(made, $"Tenant {made["name"]} is there: {made["id"]}");
        }, cancel));
        return create;
    }

    private static Command CreateKey(Shared shared)
    {
        Option<string> tenant = TenantOption();
        Option<string?> project = new("--project") { Description = "The tenant's project. Default: its first." };
        Option<string> name = new("--name") { Description = "What to call the key.", DefaultValueFactory = _ => "key" };
        Option<bool> owner = new("--owner") { Description = "Short for --role owner." };
        Option<string?> role = new("--role") { Description = "owner, finance, operator, developer, viewer or inference (docs/access.md). Default: inference, which sends requests and nothing else." };
        Option<string?> reach = new("--reach") { Description = "tenant: sees its own tenant only. cloud: sees all of it. Default: cloud for owners, tenant for all others." };
        Option<string?> budget = BudgetOption();
        Command create = new("create", "Create a key. Its secret is printed this once.") { tenant, project, name, owner, role, reach, budget };
        KeyScopeOptions scope = new();
        scope.AddTo(create);
        create.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonObject order = new()
            {
                ["tenant"] = parsed.GetValue(tenant),
                ["project"] = parsed.GetValue(project),
                ["name"] = parsed.GetValue(name),
                ["role"] = parsed.GetValue(owner) ? "owner" : parsed.GetValue(role),
                ["reach"] = parsed.GetValue(reach),
                ["monthly_budget"] = parsed.GetValue(budget),
            };
            scope.WriteTo(order, parsed);
            JsonNode made = await server.PostAsync("api/keys", order, cancel);
            terminal.Say(made, $"{made["key"]}\nKeep it: it is not shown again.");
        }, cancel));
        return create;
    }

    private static Command Revoke(Shared shared)
    {
        Argument<string> id = new("id") { Description = "The key's id, from `qanat key list`." };
        Command revoke = new("revoke", "End a key for good.") { id };
        revoke.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
            terminal.Say(await server.DeleteAsync($"api/keys/{Uri.EscapeDataString(parsed.GetValue(id)!)}", cancel), "Revoked: it stops working with the next request."), cancel));
        return revoke;
    }

    private static Command Budget(Shared shared, string kind)
    {
        Argument<string> id = new("id") { Description = "Name or id." };
        Argument<string> amount = new("amount") { Description = "Per calendar month (UTC), e.g. 50 or 12.50 or \"12.50 EUR\"; 'none' for no limit." };
        Command budget = new("budget", "Set or clear the monthly budget.") { id, amount };
        budget.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string said = parsed.GetValue(amount)!;
            JsonNode changed = await server.PutAsync($"api/{kind}/{Uri.EscapeDataString(parsed.GetValue(id)!)}/budget", new JsonObject { ["monthly_budget"] = said == "none" ? null : said }, cancel);
            terminal.Say(changed, said == "none" ? "No monthly limit any more." : $"Monthly budget: {changed["monthly_budget"]}");
        }, cancel));
        return budget;
    }

    private static Command List(Shared shared, string kind, params Column[] columns)
    {
        Command list = new("list", $"List the {kind}.");
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync($"api/{kind}", cancel);
            terminal.Table(all, all["data"], columns);
        }, cancel));
        return list;
    }

    private static Option<string> TenantOption() => new("--tenant") { Description = "Name or id of the tenant.", Required = true };
    private static Option<string?> BudgetOption() => new("--budget") { Description = "What may be spent per calendar month (UTC), e.g. 50 or 12.50." };
}
