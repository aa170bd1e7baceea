using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Upstreams over HTTP: add, change, list, remove, test, and how calls are spread over them. Secrets go in and never come out.</summary>
internal sealed class UpstreamApi(RoutingState routing)
{
    private const int ModelsMax = 200;
    private const int WaitingMaxMost = 1_000_000;
    private const int TimeoutMsMax = 3_600_000;

    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/upstreams", Permission.Operate, List, new(Tags.Upstreams, "The upstreams, and how each is") { Answer = Schema.Rows("Upstreams", Shown()) });
        routes.Post("/api/upstreams", Permission.Operate, SaveAsync, new(Tags.Upstreams, "Add an upstream, or put another in the place of the one of this name") { Body = Saved, Answer = Shown() });
        routes.Delete("/api/upstreams/{id}", Permission.Operate, RemoveAsync, new(Tags.Upstreams, "Take an upstream away"));
        routes.Post("/api/upstreams/{id}/test", Permission.Operate, TestAsync, new(Tags.Upstreams, "Ask an upstream whether it is there")
        {
            Answer = Schema.Object(Field.Needed("name", Schema.Text()), Field.Needed("ok", Schema.Flag("It answered as it should")), Field.Needed("failure", Schema.Text("What went wrong").OrNull())),
        });
        routes.Get("/api/upstream-routes", Permission.Operate, ListRoutes, new(Tags.Upstreams, "How the calls to each model are spread over its upstreams") { Answer = Schema.Rows("Routes", Route) });
        routes.Post("/api/upstream-routes", Permission.Operate, SetRouteAsync, new(Tags.Upstreams, "Change how the calls to a model are spread; what is not named stays") { Body = Route, Answer = Route });
    }

    private static Schema Saved => Schema.Object(Field.Needed("name", Schema.Text("Letters, digits, '-', '_' and '.'")), Field.Needed("url", Schema.Text("Where its API is")),
        Field.May("protocol", Schema.OneOf("Which API it speaks", "openai", "model-studio", "anthropic").Defaults("openai")), Field.Needed("models", Schema.List(Served, "At least one")),
        Field.May("allow_private", Schema.Flag("Addresses of private networks may be connected to")), Field.May("enabled", Schema.Flag("Calls are sent to it").Defaults(true)),
        Field.May("weight", Schema.Integer("Its share of the calls beside others of its rank", 1, 1_000)), Field.May("rank", Schema.Integer("It is asked once nobody of a lower rank can be", 0, 100)),
        Field.May("concurrent_max", Schema.Integer("Calls at the same time", 1, 100_000)), Wait("connect_timeout_ms", "How long a connection may take"), Wait("first_byte_timeout_ms", "How long an answer may take to begin"), Wait("idle_timeout_ms", "How long an answer may pause"),
        Field.May("secret", Schema.Text("The key that it takes; without it, the one it has. It goes in and never comes out")));

    private static Schema Served => Schema.Object(Field.Needed("name", Schema.Text("What the model is called here")), Field.May("theirs", Schema.Text("What it is called there; without it, as here").OrNull()),
        Field.May("rates", Schema.Text("What the upstream charges for a million tokens, such as \"input 0.05 output 0.40\"").OrNull()), Field.May("currency", Schema.Text("Of the rates").OrNull()),
        Field.May("context_length", Schema.Integer("Tokens of prompt and answer together", 16, int.MaxValue)), Field.May("count_as", Schema.Text("A model of this server that counts prompts as the upstream does").OrNull()));

    private static Schema Shown() => Saved.Only("name", "url", "protocol", "models", "allow_private", "enabled", "weight", "rank", "concurrent_max", "connect_timeout_ms", "first_byte_timeout_ms", "idle_timeout_ms")
        .With(Field.Needed("has_secret", Schema.Flag("A key of its own is kept")), Field.Needed("pool", Schema.Text("The pool that its costs are of")), Field.Needed("health", Schema.AnyObject));

    private static Schema Route => Schema.Object(Field.Needed("model", Schema.Text("Which model")), Field.May("policy", Schema.OneOf("By what an upstream is chosen", "weighted", "least-loaded", "prefix")),
        Field.May("fallbacks", Schema.List(Schema.Text(), "Models that stand in for it, in this order")), Field.May("waiting_max", Schema.Integer("How many calls may wait for it; null: as many as the server allows", 1, WaitingMaxMost).OrNull()));

    private static Field Wait(string name, string about) => Field.May(name, Schema.Integer(about, 1, TimeoutMsMax));

    private UpstreamDirectory Directory => routing.Upstreams ?? throw new ApiException(404, "invalid_request_error", "no_upstreams", "This server keeps no upstreams.");

    public JsonObject List(AdminRequest request) => AdminJson.List(Directory.Current.All.Select(UpstreamJson.Of));

    public JsonObject ListRoutes(AdminRequest request) => AdminJson.List(Directory.Current.RoutesInForce.Select(Shown));

    /// <summary>With who serves it at this moment.</summary>
    private JsonObject Shown(UpstreamRoute route)
    {
        JsonObject json = UpstreamJson.Of(route);
        json["served_by"] = routing.WhoServes(route.Model) switch { ServedBy.Itself => "itself", ServedBy.StandIn => "stand_in", _ => "nobody" };
        return json;
    }

    public async Task<JsonObject> SaveAsync(AdminRequest request, JsonFields fields)
    {
        UpstreamSpec spec = ReadSpec(fields);
        await Directory.SaveAsync(spec, fields.Text("secret"), request.Who, request.Cancel);
        return UpstreamJson.Of(Directory.Find(spec.Name)!);
    }

    public async Task<JsonObject> RemoveAsync(AdminRequest request)
    {
        Upstream upstream = Directory.Find(request.Id) ?? throw UpstreamDirectory.Unknown(request.Id);
        await Directory.RemoveAsync(upstream.Spec.Name, request.Who, request.Cancel);
        return new JsonObject { ["name"] = upstream.Spec.Name, ["removed"] = true };
    }

    public async Task<JsonObject> TestAsync(AdminRequest request, JsonFields fields)
    {
        Upstream upstream = Directory.Find(request.Id) ?? throw UpstreamDirectory.Unknown(request.Id);
        string? failure = await upstream.CheckAsync(request.Cancel);
        return new JsonObject { ["name"] = upstream.Spec.Name, ["ok"] = failure is null, ["failure"] = failure };
    }

    public async Task<JsonObject> SetRouteAsync(AdminRequest request, JsonFields fields)
    {
        ModelName model = new(fields.RequiredText("model"));
        UpstreamRoute before = Directory.Current.RouteOf(model) ?? UpstreamRoute.Standard(model);
        UpstreamRoute route = before with
        {
            Policy = fields.Text("policy") is { } word ? Reading("policy", () => UpstreamJson.PolicyOf(word)) : before.Policy,
            Fallbacks = fields.TryGet("fallbacks", out JsonElement list) ? ReadNames(list) : before.Fallbacks,
            WaitingMax = fields.Says("waiting_max") ? (int?)fields.Integer("waiting_max", 1, WaitingMaxMost) : before.WaitingMax,
        };
        if (route.Fallbacks.Contains(model)) throw Refusal.Value("fallbacks", "a model cannot stand in for itself.");
        await Directory.SetRouteAsync(route, request.Who, request.Cancel);
        return Shown(route);
    }

    private static UpstreamSpec ReadSpec(JsonFields fields)
    {
        string name = fields.RequiredText("name");
        if (UpstreamSpec.Refuse(name) is { } rule) throw Refusal.Value("name", rule);
        Uri url = UpstreamSpec.ReadUrl(fields.RequiredText("url")) ?? throw Refusal.Value("url", UpstreamSpec.UrlRule);
        UpstreamSpec standard = new(name, UpstreamProtocol.OpenAi, url, []);
        return standard with
        {
            Protocol = fields.Text("protocol") is { } word ? Reading("protocol", () => UpstreamJson.ProtocolOf(word)) : standard.Protocol,
            Models = ReadModels(fields),
            AllowPrivate = fields.Flag("allow_private") ?? false,
            IsOff = fields.Flag("enabled") is false,
            Weight = (int)(fields.Integer("weight", 1, 1_000) ?? standard.Weight),
            Rank = (int)(fields.Integer("rank", 0, 100) ?? standard.Rank),
            ConcurrentMax = (int)(fields.Integer("concurrent_max", 1, 100_000) ?? standard.ConcurrentMax),
            ConnectTimeout = Time(fields, "connect_timeout_ms") ?? standard.ConnectTimeout,
            FirstByteTimeout = Time(fields, "first_byte_timeout_ms") ?? standard.FirstByteTimeout,
            IdleTimeout = Time(fields, "idle_timeout_ms") ?? standard.IdleTimeout,
        };
    }

    private static ImmutableArray<UpstreamModel> ReadModels(JsonFields fields)
    {
        if (!fields.TryGet("models", out JsonElement list) || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() is 0 or > ModelsMax)
            throw Refusal.Value("models", $"a list of 1 to {ModelsMax} models.");
        ImmutableArray<UpstreamModel> models = [.. list.EnumerateArray().Select((model, index) => ReadModel(model, FormattableString.Invariant($"models[{index}]")))];
        return models.DistinctBy(model => model.Name).Count() == models.Length ? models : throw Refusal.Value("models", "each name once.");
    }

    private static UpstreamModel ReadModel(JsonElement element, string path)
    {
        if (element.ValueKind != JsonValueKind.Object) throw Refusal.Type(path, "an object", JsonFields.Kind(element));
        JsonFields fields = new(element, path);
        string name = fields.RequiredText("name");
        UpstreamModel standard = new(new ModelName(name), fields.Text("theirs") ?? name, null);
        TokenRates? rates = fields.Text("rates") is { } text ? Reading($"{path}.rates", () => TokenRates.Parse(text, new Currency(fields.Text("currency") ?? Currency.Usd.Code))) : null;
        return standard with
        {
            Rates = rates,
            ContextLength = (int)(fields.Integer("context_length", 16, int.MaxValue) ?? standard.ContextLength),
            CountAs = fields.Text("count_as") is { } model ? new ModelName(model) : null,
        };
    }

    private static ImmutableArray<ModelName> ReadNames(JsonElement list) => list.ValueKind == JsonValueKind.Array
        ? [.. list.EnumerateArray().Select((name, index) => new ModelName(JsonFields.TextOf(name, FormattableString.Invariant($"fallbacks[{index}]"))))]
        : throw Refusal.Type("fallbacks", "a list of models", JsonFields.Kind(list));

    private static TimeSpan? Time(JsonFields fields, string name) => fields.Integer(name, 1, TimeoutMsMax) is { } ms ? TimeSpan.FromMilliseconds(ms) : null;

    private static T Reading<T>(string param, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is FormatException or ArgumentException or OverflowException)
        {
            throw Refusal.Value(param, error.Message);
        }
    }
}
