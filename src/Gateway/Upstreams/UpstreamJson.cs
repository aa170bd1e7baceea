using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Upstreams and routes as they are stored and told. A secret is in neither.</summary>
internal static class UpstreamJson
{
    public static JsonObject Of(UpstreamSpec spec) => new()
    {
        ["name"] = spec.Name,
        ["protocol"] = WordOf(spec.Protocol),
        ["url"] = spec.Url.AbsoluteUri,
        ["models"] = new JsonArray([.. spec.Models.Select(Of)]),
        ["allow_private"] = spec.AllowPrivate,
        ["enabled"] = !spec.IsOff,
        ["weight"] = spec.Weight,
        ["rank"] = spec.Rank,
        ["concurrent_max"] = spec.ConcurrentMax,
        ["connect_timeout_ms"] = (long)spec.ConnectTimeout.TotalMilliseconds,
        ["first_byte_timeout_ms"] = (long)spec.FirstByteTimeout.TotalMilliseconds,
        ["idle_timeout_ms"] = (long)spec.IdleTimeout.TotalMilliseconds,
    };

    public static JsonObject Of(UpstreamModel model) => new()
    {
        ["name"] = model.Name.Value,
        ["theirs"] = model.Theirs,
        ["rates"] = model.Rates?.ToString(),
        ["currency"] = model.Rates?.Currency.Code,
        ["context_length"] = model.ContextLength,
        ["count_as"] = model.CountAs?.Value,
    };

    public static JsonObject Of(UpstreamRoute route) => new()
    {
        ["model"] = route.Model.Value,
        ["policy"] = WordOf(route.Policy),
        ["fallbacks"] = new JsonArray([.. route.Fallbacks.Select(model => JsonValue.Create(model.Value))]),
        ["waiting_max"] = route.WaitingMax,
    };

    public static JsonObject Of(Upstream upstream)
    {
        UpstreamHealth health = upstream.State.Health;
        JsonObject json = Of(upstream.Spec);
        json["has_secret"] = upstream.HasSecret;
        json["pool"] = upstream.Spec.Pool.Value;
        json["health"] = new JsonObject
        {
            ["up"] = health.IsUp,
            ["running"] = health.Running,
            ["served"] = health.Served,
            ["failed"] = health.Failed,
            ["last_failure"] = health.LastFailure,
            ["last_failure_at"] = health.LastFailureAt?.ToString(),
            ["last_check_at"] = health.LastCheckAt?.ToString(),
            ["last_check_ok"] = health.LastCheckOk,
            ["rests_until"] = health.RestsUntil?.ToString(),
        };
        UpstreamFiguresSnapshot figures = upstream.State.Figures.Snapshot();
        json["usage"] = new JsonObject([.. Enum.GetValues<UsageCheckState>().Select(state => KeyValuePair.Create(state.ToString().ToLowerInvariant(), (JsonNode?)figures.Of(state)))]);
        return json;
    }

    public static UpstreamSpec Read(JsonObject json) => new(Text(json, "name"), ProtocolOf(Text(json, "protocol")), new Uri(Text(json, "url")), [.. json["models"]!.AsArray().Select(model => ReadModel(model!.AsObject()))])
    {
        AllowPrivate = json["allow_private"]!.GetValue<bool>(),
        // What was stored before it could be turned off is on.
        IsOff = json["enabled"]?.GetValue<bool>() is false,
        Weight = json["weight"]!.GetValue<int>(),
        Rank = json["rank"]!.GetValue<int>(),
        ConcurrentMax = json["concurrent_max"]!.GetValue<int>(),
        ConnectTimeout = TimeSpan.FromMilliseconds(json["connect_timeout_ms"]!.GetValue<long>()),
        FirstByteTimeout = TimeSpan.FromMilliseconds(json["first_byte_timeout_ms"]!.GetValue<long>()),
        IdleTimeout = TimeSpan.FromMilliseconds(json["idle_timeout_ms"]!.GetValue<long>()),
    };

    public static UpstreamRoute ReadRoute(ReadOnlySpan<byte> bytes)
    {
        JsonObject json = JsonNode.Parse(bytes)!.AsObject();
        return new UpstreamRoute(new ModelName(Text(json, "model")), PolicyOf(Text(json, "policy")), [.. json["fallbacks"]!.AsArray().Select(model => new ModelName(model!.GetValue<string>()))])
        {
            WaitingMax = json["waiting_max"]?.GetValue<int>(),
        };
    }

    /// <exception cref="FormatException">The word is none.</exception>
    public static UpstreamProtocol ProtocolOf(string word) => word switch
    {
        "openai" => UpstreamProtocol.OpenAi,
        "model-studio" => UpstreamProtocol.ModelStudio,
        "anthropic" => UpstreamProtocol.Anthropic,
        _ => throw new FormatException($"'{word}' is no protocol: use openai, model-studio or anthropic."),
    };

    /// <exception cref="FormatException">The word is none.</exception>
    public static RoutePolicy PolicyOf(string word) => word switch
    {
        "weighted" => RoutePolicy.Weighted,
        "least-loaded" => RoutePolicy.LeastLoaded,
        "prefix" => RoutePolicy.Prefix,
        _ => throw new FormatException($"'{word}' is no policy: use weighted, least-loaded or prefix."),
    };

    private static string WordOf(UpstreamProtocol protocol) => protocol switch
    {
        UpstreamProtocol.ModelStudio => "model-studio",
        UpstreamProtocol.Anthropic => "anthropic",
        _ => "openai",
    };

    private static string WordOf(RoutePolicy policy) => policy switch
    {
        RoutePolicy.Weighted => "weighted",
        RoutePolicy.LeastLoaded => "least-loaded",
        _ => "prefix",
    };

    private static UpstreamModel ReadModel(JsonObject json) => new(new ModelName(Text(json, "name")), Text(json, "theirs"),
        json["rates"]?.GetValue<string>() is { } rates ? TokenRates.Parse(rates, new Currency(Text(json, "currency"))) : null)
    {
        ContextLength = json["context_length"]!.GetValue<int>(),
        CountAs = json["count_as"]?.GetValue<string>() is { } name ? new ModelName(name) : null,
    };

    private static string Text(JsonObject json, string name) => json[name]?.GetValue<string>() ?? throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"An upstream's '{name}' is missing in the store."));
}
