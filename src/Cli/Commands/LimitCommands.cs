using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat tenant limits, qanat project limits, qanat tenant credit | alert-mail | keep | responses | stop | start, and qanat key rotate.</summary>
internal static class LimitCommands
{
    public static Command OfTenant(Shared shared)
    {
        Argument<string> id = new("tenant") { Description = "Name or id." };
        Option<string?> model = new("--model") { Description = "The limits of this model for the tenant, instead of all its requests." };
        Option<bool> eachUser = new("--each-user") { Description = "The limits of each of its users, instead of all its requests." };
        Option<string?> daily = DailyOption();
        Option<string?> monthly = new("--monthly") { Description = "With --model or --each-user: the same for a calendar month. (Of all its requests: `qanat tenant budget`.)" };
        Option<string?> userDaily = new("--user-daily") { Description = "What each of its users may spend in a calendar day (UTC); 'none' for no limit." };
        Option<string?> userMonthly = new("--user-monthly") { Description = "The same for a calendar month." };
        RateOptionSet rates = new();
        Command limits = new("limits", "Show or change how much a tenant may ask.") { id, model, eachUser, daily, monthly, userDaily, userMonthly };
        rates.AddTo(limits);
        limits.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string path = $"api/tenants/{Uri.EscapeDataString(parsed.GetValue(id)!)}/limits";
            JsonObject asked = [], user = [];
            rates.WriteTo(asked, parsed);
            WriteBudget(asked, "daily_budget", parsed.GetValue(daily));
            WriteBudget(asked, "monthly_budget", parsed.GetValue(monthly));
            WriteBudget(user, "daily_budget", parsed.GetValue(userDaily));
            WriteBudget(user, "monthly_budget", parsed.GetValue(userMonthly));
            (string? name, bool each) = (parsed.GetValue(model), parsed.GetValue(eachUser));
            if (name is not null && (each || user.Count > 0)) throw new CommandException("Limits of a model are set by themselves: leave out --each-user, --user-daily and --user-monthly.");
            if (name is null && !each && asked.ContainsKey("monthly_budget")) throw new CommandException("The monthly budget of all its requests is set by `qanat tenant budget`; --monthly needs --model or --each-user.");
            JsonObject change = name is null && !each ? asked : [];
            if (name is not null && asked.Count > 0) change["models"] = WithModel((await server.GetAsync(path, cancel))["models"]!.AsObject(), name, asked);
            if (each) foreach ((string field, JsonNode? value) in asked) user.TryAdd(field, value?.DeepClone());
            if (user.Count > 0) change["each_user"] = user;
            JsonNode now = change.Count == 0 ? await server.GetAsync(path, cancel) : await server.PutAsync(path, change, cancel);
            terminal.Say(now, TenantWords(now));
        }, cancel));
        return limits;
    }

    public static Command OfProject(Shared shared)
    {
        Argument<string> id = new("project") { Description = "Name or id." };
        Option<string?> daily = DailyOption();
        RateOptionSet rates = new();
        Command limits = new("limits", "Show or change how much may be asked in a project.") { id, daily };
        rates.AddTo(limits);
        limits.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string path = $"api/projects/{Uri.EscapeDataString(parsed.GetValue(id)!)}/limits";
            JsonObject change = [];
            rates.WriteTo(change, parsed);
            WriteBudget(change, "daily_budget", parsed.GetValue(daily));
            JsonNode now = change.Count == 0 ? await server.GetAsync(path, cancel) : await server.PutAsync(path, change, cancel);
            string[] words = [.. Words(now["rates"]!), .. now["daily_budget"] is { } budget ? [$"daily budget: {budget}, left {now["daily_left"]}"] : Array.Empty<string>()];
            terminal.Say(now, words.Length == 0 ? "No limits." : string.Join("; ", words));
        }, cancel));
        return limits;
    }

    private static Option<string?> DailyOption() => new("--daily") { Description = "What may be spent in a calendar day (UTC), e.g. 5; 'none' for no limit." };

    private static void WriteBudget(JsonObject change, string field, string? amount)
    {
        if (amount is not null) change[field] = amount == "none" ? null : amount;
    }

    /// <summary>The limits of all models, as they are sent together, with those of one changed. One that has none left is not among them.</summary>
    private static JsonObject WithModel(JsonObject before, string name, JsonObject asked)
    {
        JsonObject models = before.DeepClone().AsObject();
        string known = models.Select(each => each.Key).FirstOrDefault(each => each.Equals(name, StringComparison.OrdinalIgnoreCase)) ?? name;
        JsonObject part = models[known] as JsonObject ?? [];
        foreach ((string field, JsonNode? value) in asked) part[field] = value?.DeepClone();
        models.Remove(known);
        if (part.Any(field => field.Value is not null)) models[known] = part;
        return models;
    }

    public static Command Credit(Shared shared)
    {
        Argument<string> id = new("tenant") { Description = "Name or id." };
        Argument<string> amount = new("amount") { Description = "What was paid now, e.g. 50 or \"12.50 EUR\"; a credit in the books." };
        Command credit = new("credit", "Add prepaid credit: from then on a tenant is served as far as its credit pays.") { id, amount };
        credit.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode now = await server.PostAsync($"api/tenants/{Uri.EscapeDataString(parsed.GetValue(id)!)}/credit", new JsonObject { ["amount"] = parsed.GetValue(amount) }, cancel);
            terminal.Say(now, Credits(now));
        }, cancel));
        return credit;
    }

    public static Command AlertMail(Shared shared)
    {
        Argument<string> id = new("tenant") { Description = "Name or id." };
        Argument<string[]> addresses = new("address") { Description = "Whom it is mailed to; none: nobody.", Arity = ArgumentArity.ZeroOrMore };
        Command mail = new("alert-mail", "Mail these people when 50, 80 and 100 % of a budget are used.") { id, addresses };
        mail.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonArray asked = [.. (parsed.GetValue(addresses) ?? []).Select(address => (JsonNode)address)];
            JsonNode now = await server.PutAsync($"api/tenants/{Uri.EscapeDataString(parsed.GetValue(id)!)}/alert-mail", new JsonObject { ["addresses"] = asked }, cancel);
            string[] people = [.. now["alert_mail"]!.AsArray().Select(address => (string)address!)];
            terminal.Say(now, people.Length == 0 ? "Alerts are mailed to nobody." : $"Alerts are mailed to {string.Join(", ", people)}.");
        }, cancel));
        return mail;
    }

    public static Command Keep(Shared shared)
    {
        Argument<string> id = new("tenant") { Description = "Name or id." };
        Argument<string> days = new("days") { Description = "For how many days; 'none': keep nothing more." };
        Command keep = new("keep", "Keep a tenant's prompts and answers, encrypted, for owners to read. Without this there are no transcripts.") { id, days };
        keep.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string text = parsed.GetValue(days)!;
            if (!int.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int most) && text != "none") throw new CommandException("days needs a whole number or 'none'.");
            JsonNode now = await server.PutAsync($"api/tenants/{Uri.EscapeDataString(parsed.GetValue(id)!)}/keeping", new JsonObject { ["days"] = text == "none" ? null : most }, cancel);
            terminal.Say(now, now["keep_days"] is { } kept ? $"Prompts and answers are kept for {kept} days." : "Nothing more is kept.");
        }, cancel));
        return keep;
    }

    public static Command Responses(Shared shared)
    {
        Argument<string> id = new("tenant") { Description = "Name or id." };
        Option<string?> store = new("--store") { Description = "'when_asked': those whose request says so; 'unless_declined': all but those whose request says no; 'never': none." };
        Option<int?> days = new("--days") { Description = "For how many days." };
        Option<bool> deleteAll = new("--delete-all") { Description = "Delete all that are stored." };
        Command responses = new("responses", "Show or change which responses of a tenant are stored for clients to go on from, encrypted.") { id, store, days, deleteAll };
        responses.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string path = $"api/tenants/{Uri.EscapeDataString(parsed.GetValue(id)!)}/responses";
            JsonObject change = [];
            if (parsed.GetValue(store) is { } which) change["store"] = which;
            if (parsed.GetValue(days) is { } most) change["days"] = most;
            JsonNode now = change.Count == 0 ? await server.GetAsync(path, cancel) : await server.PutAsync(path, change, cancel);
            if (parsed.GetValue(deleteAll)) now["deleted"] = (int)(await server.DeleteAsync(path, cancel))["deleted"]!;
            terminal.Say(now, $"Stored: {now["store"]}, for {now["days"]} days.{(now["deleted"] is { } gone ? $" Deleted: {gone}." : "")}");
        }, cancel));
        return responses;
    }

    private static string Credits(JsonNode tenant) =>
        string.Join("; ", tenant["credits"]!.AsArray().Select(credit => $"paid in advance: {credit!["paid"]} {credit["currency"]}, left {credit["left"]}"));

    public static Command Switch(Shared shared, string name, string description, string done)
    {
        Argument<string> id = new("tenant") { Description = "Name or id." };
        Command command = new(name, description) { id };
        command.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
            terminal.Say(await server.PostAsync($"api/tenants/{Uri.EscapeDataString(parsed.GetValue(id)!)}/{name}", [], cancel), done), cancel));
        return command;
    }

    public static Command Rotate(Shared shared)
    {
        Argument<string> id = new("id") { Description = "The key's id, from `qanat key list`." };
        Option<int> hours = new("--overlap-hours") { Description = "How long the old key goes on working.", DefaultValueFactory = _ => 24 };
        Command rotate = new("rotate", "Replace a key by a new one with the same role, scope and limits. The new one is printed this once.") { id, hours };
        rotate.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode made = await server.PostAsync($"api/keys/{Uri.EscapeDataString(parsed.GetValue(id)!)}/rotate", new JsonObject { ["overlap_seconds"] = parsed.GetValue(hours) * 3600L }, cancel);
            terminal.Say(made, $"{made["key"]}\nKeep it: it is not shown again. The old key works for another {parsed.GetValue(hours)} h.");
        }, cancel));
        return rotate;
    }

    /// <summary>Each limit of a tenant's, a project's, a user's or a model's that there is.</summary>
    private static IEnumerable<string> Words(JsonNode limits) => limits.AsObject().Where(field => field.Value is not null).Select(field => $"{field.Key.Replace('_', ' ')}: {field.Value}");

    private static string TenantWords(JsonNode now)
    {
        List<string> words = [(bool)now["stopped"]! ? "Stopped" : "Served"];
        words.AddRange(Words(now["rates"]!));
        if (now["daily_budget"] is { } daily) words.Add($"daily budget: {daily}, left {now["daily_left"]}");
        words.AddRange(Words(now["each_user"]!).Select(limit => $"each user's {limit}"));
        foreach ((string model, JsonNode? part) in now["models"]!.AsObject()) words.AddRange(Words(part!).Select(limit => $"{model}'s {limit}"));
        if (now["credits"]!.AsArray().Count > 0) words.Add(Credits(now));
        return string.Join("; ", words);
    }
}

/// <summary>--rpm, --tpm, --concurrent and how long one waits for them: a number, or 'none'.</summary>
internal sealed class RateOptionSet
{
    private readonly (Option<string?> Option, string Field)[] options =
    [
        (new Option<string?>("--burst") { Description = "Requests that may come at once after a pause; 'none' for a minute's worth." }, "requests_burst"),
        (new Option<string?>("--rpm") { Description = "Requests per minute; 'none' for no limit." }, "requests_per_minute"),
        (new Option<string?>("--tpm") { Description = "Tokens per minute, prompt and answer together; 'none' for no limit." }, "tokens_per_minute"),
        (new Option<string?>("--concurrent") { Description = "Requests under way at the same time; more wait in line. 'none' for no limit." }, "concurrent"),
        (new Option<string?>("--wait") { Description = "Seconds that a request may wait in line when a limit is used up; 0 refuses at once, 'none' leaves it to the server." }, "wait_seconds"),
        (new Option<string?>("--waiting-max") { Description = "Requests that may wait so at the same time; 'none' leaves it to the server." }, "waiting_max"),
    ];

    public void AddTo(Command command)
    {
        foreach ((Option<string?> option, _) in options) command.Options.Add(option);
    }

    /// <exception cref="CommandException">Not a number.</exception>
    public void WriteTo(JsonObject body, ParseResult parsed)
    {
        foreach ((Option<string?> option, string field) in options)
        {
            if (parsed.GetValue(option) is not { } text) continue;
            if (text == "none") body[field] = null;
            else if (long.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out long limit)) body[field] = limit;
            else throw new CommandException($"{option.Name} needs a whole number or 'none'.");
        }
    }
}

/// <summary>What bounds a new key: models, endpoints, networks, an end, and rates.</summary>
internal sealed class KeyScopeOptions
{
    private readonly Option<string[]> models = new("--allow-model") { Description = "A model it may ask; may be repeated. Default: all." };
    private readonly Option<string[]> endpoints = new("--allow-endpoint") { Description = "The beginning of paths it may call, e.g. /v1/chat; may be repeated. Default: all." };
    private readonly Option<string[]> networks = new("--allow-network") { Description = "A network it may be used from, e.g. 10.1.0.0/16; may be repeated. Default: all." };
    private readonly Option<string?> expires = new("--expires") { Description = "When it stops working, e.g. 2027-01-01." };
    private readonly RateOptionSet rates = new();

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[models, endpoints, networks, expires]) command.Options.Add(option);
        rates.AddTo(command);
    }

    public void WriteTo(JsonObject order, ParseResult parsed)
    {
        Add("models", models);
        Add("endpoints", endpoints);
        Add("networks", networks);
        if (parsed.GetValue(expires) is { } end) order["expires_at"] = end;
        rates.WriteTo(order, parsed);

        void Add(string field, Option<string[]> option)
        {
            if (parsed.GetValue(option) is { Length: > 0 } texts) order[field] = new JsonArray([.. texts.Select(text => (JsonNode)text)]);
        }
    }
}
