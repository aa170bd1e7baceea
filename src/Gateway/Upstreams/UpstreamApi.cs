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

    private static TimeSpan? Time(JsonFields fields, string name) => fields.Integer(name, 1, 3_600_000) is { } ms ? TimeSpan.FromMilliseconds(ms) : null;

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
