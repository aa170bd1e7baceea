using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat upstream: engines outside this process that serve models behind the same API.</summary>
internal static class UpstreamCommands
{
    public static Command Upstream(Shared shared) => new("upstream", "Engines elsewhere (vLLM, SGLang, llama-server, Model Studio ...) behind the same API and the same books.")
    {
        Add(shared), List(shared), Remove(shared), Test(shared), Route(shared),
    };

    private static Command Add(Shared shared)
    {
        Argument<string> name = new("name") { Description = "What it is called here: letters, digits, '-', '_', '.'." };
        Argument<string> url = new("url") { Description = "Its address up to the version, e.g. http://gpu-1:8000/v1." };
        Option<string[]> models = new("--model") { Description = "A model it serves, as NAME or NAME=THEIRS. May be given several times.", Required = true, AllowMultipleArgumentsPerToken = true };
        Option<string> protocol = new("--protocol") { Description = "openai, model-studio or anthropic.", DefaultValueFactory = _ => "openai" };
        Option<string?> input = new("--input") { Description = "What it asks per million prompt tokens. Without a price its requests are uncosted." };
        Option<string?> output = new("--output") { Description = "What it asks per million generated tokens." };
        Option<string?> cacheRead = new("--cache-read") { Description = "What it asks per million prompt tokens read from its cache. Default: as --input." };
        Option<string> currency = new("--currency") { Description = "ISO 4217 code of its prices.", DefaultValueFactory = _ => "USD" };
        Option<int?> context = new("--context") { Description = "Tokens of prompt and answer together." };
        Option<string?> countAs = new("--count-as") { Description = "A model of the built-in engine with the same tokenizer: usage is then checked token for token." };
        Option<string?> secret = new("--secret-env") { Description = "The environment variable that holds its API key. Default: the key it has at this address, or none." };
        Option<bool> allowPrivate = new("--allow-private") { Description = "It may be at a private address (10.x, 192.168.x, localhost ...)." };
        Option<int> weight = new("--weight") { Description = "Its part of the traffic beside others of its rank.", DefaultValueFactory = _ => 1 };
        Option<int> rank = new("--rank") { Description = "It serves only while no upstream of a lower rank can.", DefaultValueFactory = _ => 0 };
        Option<int?> concurrent = new("--concurrent") { Description = "Calls at the same time." };
        Option<bool> off = new("--off") { Description = "Keep it and its secret, but send no call to it." };
        Command add = new("add", "Add an upstream, or change the one of that name.") { name, url, models, protocol, input, output, cacheRead, currency, context, countAs, secret, allowPrivate, weight, rank, concurrent, off };
        add.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string? rates = (parsed.GetValue(input), parsed.GetValue(output)) switch
            {
                (null, null) => null,
                ({ } paid, { } written) => $"input {paid} output {written}" + (parsed.GetValue(cacheRead) is { } read ? $" cache-read {read}" : ""),
                _ => throw new CommandException("Give both --input and --output, or neither."),
            };
            JsonNode made = await server.PostAsync("api/upstreams", new JsonObject
            {
                ["name"] = parsed.GetValue(name),
                ["url"] = parsed.GetValue(url),
                ["protocol"] = parsed.GetValue(protocol),
                ["models"] = new JsonArray([.. parsed.GetValue(models)!.Select(model => Model(model, rates, parsed.GetValue(currency)!, parsed.GetValue(context), parsed.GetValue(countAs)))]),
                ["secret"] = Secret(parsed.GetValue(secret)),
                ["allow_private"] = parsed.GetValue(allowPrivate),
                ["weight"] = parsed.GetValue(weight),
                ["rank"] = parsed.GetValue(rank),
                ["concurrent_max"] = parsed.GetValue(concurrent),
                ["enabled"] = !parsed.GetValue(off),
            }, cancel);
            string does = parsed.GetValue(off) ? "is off; it would serve" : "serves";
            terminal.Say(made, $"{made["name"]} {does} {string.Join(", ", made["models"]!.AsArray().Select(model => model!["name"]))}. Try it: qanat upstream test {made["name"]}");
        }, cancel));
        return add;
    }

    private static JsonObject Model(string text, string? rates, string currency, int? context, string? countAs)
    {
        string[] parts = text.Split('=', 2);
        return new JsonObject { ["name"] = parts[0], ["theirs"] = parts[^1], ["rates"] = rates, ["currency"] = currency, ["context_length"] = context, ["count_as"] = countAs };
    }

    /// <summary>Not as an option: command lines are seen by everybody on the machine.</summary>
    private static string? Secret(string? variable) => variable is null ? null
        : Environment.GetEnvironmentVariable(variable) is { Length: > 0 } secret ? secret
        : throw new CommandException($"The environment variable {variable} is not set: put the upstream's API key into it.");

    private static Command List(Shared shared)
    {
        Command list = new("list", "List the upstreams and how they are.");
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.GetAsync("api/upstreams", cancel);
            foreach (JsonNode? each in all["data"]!.AsArray())
                each!["serves"] = string.Join(", ", each["models"]!.AsArray().Select(model => model!["name"]!.ToString()));
            terminal.Table(all, all["data"], new Column("name", "name"), new Column("protocol", "protocol"), new Column("url", "url"), new Column("serves", "serves"), new Column("on", "enabled"), new Column("up", "health.up"),
                new Column("running", "health.running", Align.Right), new Column("served", "health.served", Align.Right), new Column("failed", "health.failed", Align.Right), new Column("last failure", "health.last_failure"));
        }, cancel));
        return list;
    }

    private static Command Remove(Shared shared)
    {
        Argument<string> name = new("name") { Description = "The upstream." };
        Command remove = new("remove", "Remove an upstream and its secret. Calls under way end as they began.") { name };
        remove.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode gone = await server.DeleteAsync($"api/upstreams/{Uri.EscapeDataString(parsed.GetValue(name)!)}", cancel);
            terminal.Say(gone, $"{gone["name"]} is removed");
        }, cancel));
        return remove;
    }

    private static Command Test(Shared shared)
    {
        Argument<string> name = new("name") { Description = "The upstream." };
        Command test = new("test", "Ask an upstream whether it answers and takes our key.") { name };
        test.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode result = await server.PostAsync($"api/upstreams/{Uri.EscapeDataString(parsed.GetValue(name)!)}/test", [], cancel);
            if (result["ok"]!.GetValue<bool>()) terminal.Say(result, $"{result["name"]} answers");
            else throw new CommandException($"{result["name"]} does not serve: {result["failure"]}");
        }, cancel));
        return test;
    }

    private static Command Route(Shared shared)
    {
        Argument<string> model = new("model") { Description = "The model, as it is called here." };
        Option<string?> policy = new("--policy") { Description = "weighted, least-loaded, or prefix (the same beginning to the same upstream; the default)." };
        Option<string[]> fallback = new("--fallback") { Description = "Models that stand in for it, in order, when neither its upstreams nor the built-in engine can serve it: of upstreams or built in.", AllowMultipleArgumentsPerToken = true };
        Option<int?> waiting = new("--waiting-max") { Description = "Sequences that wait in the built-in engine from which on calls go to the models that stand in." };
        Command route = new("route", "Say how a model's calls are spread over its upstreams.") { model, policy, fallback, waiting };
        route.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonObject body = new() { ["model"] = parsed.GetValue(model), ["policy"] = parsed.GetValue(policy) };
            if (parsed.GetValue(waiting) is { } most) body["waiting_max"] = most;
            if (parsed.GetValue(fallback) is { Length: > 0 } models) body["fallbacks"] = new JsonArray([.. models.Select(name => JsonValue.Create(name))]);
            JsonNode made = await server.PostAsync("api/upstream-routes", body, cancel);
            string standIns = made["fallbacks"]!.AsArray() is { Count: > 0 } list ? ", then " + string.Join(", ", list.Select(name => name!.ToString())) : "";
            string warning = (string?)made["served_by"] == "nobody" ? "\nNobody serves it now: its calls are refused. Add an upstream that has it (qanat upstream add), or name a model that is served to stand in (--fallback)." : "";
            terminal.Say(made, $"{made["model"]}: {made["policy"]}{standIns}{warning}");
        }, cancel));
        return route;
    }
}
