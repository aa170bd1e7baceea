using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>A model served by the built-in engine on this machine.</summary>
public sealed class Deployment(ModelName name, LoadedModel model, InferenceEngine engine, DeploymentMeter meter) : IAsyncDisposable
{
    public ModelName Name { get; } = name;
    public LoadedModel Model { get; } = model;
    public InferenceEngine Engine { get; } = engine;
    public DeploymentMeter Meter { get; } = meter;

    /// <summary>Ends what runs, commits its usage, then frees the model.</summary>
    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        await Meter.DisposeAsync();
        Model.Dispose();
    }
}

/// <summary>Where a call may be served.</summary>
internal abstract record ServingPlace;

/// <summary>At upstreams, tried one after the other.</summary>
internal sealed record OutsidePlace(ImmutableArray<UpstreamSet> Sets) : ServingPlace;

/// <summary>In the built-in engine.</summary>
/// <param name="WaitingMax">It is passed over while so many sequences wait there, if another place follows; null: while its line is full.</param>
internal sealed record InsidePlace(Deployment Deployment, int? WaitingMax) : ServingPlace;

/// <summary>Who serves the calls of a model.</summary>
public enum ServedBy { Itself, StandIn, Nobody }

/// <summary>What is served under which name. Swapped whole when a deployment comes or goes.</summary>
public sealed class RoutingState
{
    private volatile ImmutableDictionary<ModelName, Deployment> deployments = ImmutableDictionary<ModelName, Deployment>.Empty;
    private volatile IReadOnlyCollection<Deployment> inOrder = [];

    /// <summary>By name. The same collection until one comes or goes.</summary>
    public IReadOnlyCollection<Deployment> Deployments => inOrder;

    /// <summary>The engines outside this process; null: none can be configured here.</summary>
    public UpstreamDirectory? Upstreams { get; set; }

    /// <summary>The upstreams that serve a model, before the built-in engine does; null: none.</summary>
    public UpstreamSet? FindUpstreams(ModelName model) => Upstreams?.Current.Find(model);

    /// <summary>A model of the built-in engine that counts as the upstream's does; null: none is known to.</summary>
    internal LoadedModel? CountAs(UpstreamSet set) => set.Targets[0].Model.CountAs is { } name ? deployments.GetValueOrDefault(name)?.Model : null;

    /// <summary>Where a call of a model is served, each place when those before it cannot: the model's upstreams, the built-in engine under the same name, then the same of every model that stands in.
    /// Null: only upstreams or only the built-in engine come into question, which needs no chain; or nobody.</summary>
    internal ImmutableArray<ServingPlace>? ChainOf(ModelName model)
    {
        UpstreamMap map = Upstreams?.Current ?? UpstreamMap.Empty;
        if (map.All.IsEmpty && map.Routes.IsEmpty) return null;
        UpstreamRoute? route = map.RouteOf(model);
        ImmutableArray<ModelName> fallbacks = route?.Fallbacks ?? [];
        bool outside = map.Find(model) is not null, inside = deployments.ContainsKey(model);
        foreach (ModelName other in fallbacks)
        {
            outside |= map.Find(other) is not null;
            inside |= deployments.ContainsKey(other);
        }
        // One kind needs no chain, unless the model has no place of its own now and only others are left.
        bool isAway = map.IsAway(model) && !deployments.ContainsKey(model);
        if (isAway ? !outside && !inside : !outside || !inside) return null;
        ImmutableArray<ServingPlace>.Builder places = ImmutableArray.CreateBuilder<ServingPlace>();
        foreach (ModelName each in fallbacks.Where(other => other != model).Prepend(model))
        {
            if (map.Find(each) is { } set) AddOutside(places, set);
            if (deployments.GetValueOrDefault(each) is { } deployment) places.Add(new InsidePlace(deployment, route?.WaitingMax));
        }
        return places.DrainToImmutable();
    }

    /// <summary>Upstreams that follow each other are one place: attempts at them go on from one to the next.</summary>
    private static void AddOutside(ImmutableArray<ServingPlace>.Builder places, UpstreamSet set)
    {
        if (places is [.., OutsidePlace last]) places[^1] = new OutsidePlace(last.Sets.Add(set));
        else places.Add(new OutsidePlace([set]));
    }

    public void Add(Deployment deployment)
    {
        ArgumentNullException.ThrowIfNull(deployment);
        deployments = deployments.Add(deployment.Name, deployment);
        inOrder = [.. deployments.Values.OrderBy(each => each.Name.Value, StringComparer.Ordinal)];
    }

    /// <summary>Who serves the calls of a model now.</summary>
    public ServedBy WhoServes(ModelName model)
    {
        UpstreamMap map = Upstreams?.Current ?? UpstreamMap.Empty;
        bool IsServed(ModelName name) => map.Find(name) is not null || deployments.ContainsKey(name);
        return IsServed(model) ? ServedBy.Itself : map.RouteOf(model)?.Fallbacks.Any(IsServed) == true ? ServedBy.StandIn : ServedBy.Nobody;
    }

    /// <summary>Who serves it here; null: nobody.</summary>
    internal Deployment? TryFind(ModelName model) => deployments.GetValueOrDefault(model);

    /// <exception cref="ApiException">404: nothing is known under that name. 503: it is known, and not served at the moment.</exception>
    public Deployment Find(ModelName model) => deployments.GetValueOrDefault(model) ?? throw (Upstreams?.Current is not { } map || !map.IsAway(model) ? Unknown(model) : map.TurnedOff.ContainsKey(model) ? TurnedOff(model) : NotServed(model));

    private static ApiException TurnedOff(ModelName model) => new(503, "server_error", "model_turned_off",
        $"The model '{model}' is turned off at the moment, and nothing stands in for it. Use another, or try again later.", "model", TimeSpan.FromSeconds(60));

    private static ApiException NotServed(ModelName model) => new(503, "server_error", "model_not_served",
        $"Nobody serves the model '{model}' at the moment, nor any that stands in for it. Use another, or tell whoever runs this cloud: its route is set, and its upstream is missing.", "model", TimeSpan.FromSeconds(60));

    private ApiException Unknown(ModelName model) => new(404, "invalid_request_error", "model_not_found",
        $"The model '{model}' is not served here. Served: {string.Join(", ", Deployments.Select(each => each.Name.Value))}.", "model");
}
