using System.Runtime.CompilerServices;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The models the API offers, by name without regard to case.</summary>
/// <param name="list">What is served at this moment.</param>
/// <param name="away">What is not served under its own name at this moment, and known; null: nothing.</param>
public sealed class ServedModels(Func<IReadOnlyList<ServedModel>> list, Func<IReadOnlyList<ServedModel>>? away = null)
{
    private const int NameShownMax = 100;

    public IReadOnlyList<ServedModel> All => list();

    /// <summary>What the deployments serve, since now.</summary>
    public static ServedModels Of(RoutingState routing, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(routing);
        Instant since = Instant.Now(clock);
        ConditionalWeakTable<Deployment, ServedModel> known = [];
        ConditionalWeakTable<UpstreamSet, ServedModel> outside = [];
        // Asked by every request: gathered anew only when an upstream or a deployment came or went.
        Gathered last = new(UpstreamMap.Empty, [], [], []);
        return new ServedModels(() => Gather().All, () => Gather().Away);

        Gathered Gather()
        {
            (UpstreamMap map, IReadOnlyCollection<Deployment> deployments) = (routing.Upstreams?.Current ?? UpstreamMap.Empty, routing.Deployments);
            Gathered gathered = Volatile.Read(ref last);
            if (ReferenceEquals(gathered.Upstreams, map) && ReferenceEquals(gathered.Deployments, deployments)) return gathered;
            IEnumerable<ServedModel> Of(IEnumerable<UpstreamSet> sets) => sets.OrderBy(set => set.Name.Value, StringComparer.Ordinal).Select(set => outside.GetValue(set, each => ServedModel.From(each, since)));
            ServedModel[] all = [.. Of(map.Sets.Values).Concat(deployments.Select(deployment => known.GetValue(deployment, each => ServedModel.From(each, since)))).DistinctBy(model => model.Name)];
            ServedModel[] turnedOff = [.. Of(map.TurnedOff.Values)];
            gathered = new Gathered(map, deployments, all, [.. turnedOff, .. map.RoutesAlone.Select(route => ServedModel.StoodInFor(route.Model, ContextOf(route, all, turnedOff), since))]);
            Volatile.Write(ref last, gathered);
            return gathered;
        }

        // The largest of those that stand in; while there is none, nothing is served anyway.
        static int ContextOf(UpstreamRoute route, ServedModel[] all, ServedModel[] turnedOff) =>
            all.Concat(turnedOff).Where(model => route.Fallbacks.Contains(model.Name)).Select(model => model.ContextLength).DefaultIfEmpty(UpstreamModel.ContextLengthDefault).Max();
    }

    /// <exception cref="ApiException">404: nothing is served under that name.</exception>
    public ServedModel Find(string name) => TryFind(name) ?? throw NotServed(name, All);

    /// <summary>Those that a caller may ask.</summary>
    internal IReadOnlyList<ServedModel> For(Caller caller) => caller.Terms.Models.IsEmpty ? All : [.. All.Where(model => caller.Terms.AllowsModel(model.Name))];

    /// <exception cref="ApiException">404: nothing is served under that name, or not to this caller.</exception>
    internal ServedModel FindFor(Caller caller, string name) => TryFind(name) is { } found && caller.Terms.AllowsModel(found.Name) ? found : throw NotServed(name, For(caller));

    private ServedModel? TryFind(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        foreach (ServedModel model in All)
        {
            if (model.Name.Value.Equals(name, StringComparison.OrdinalIgnoreCase)) return model;
        }
        // Whoever serves the call says that nobody does, or who stands in.
        return away?.Invoke().FirstOrDefault(model => model.Name.Value.Equals(name, StringComparison.OrdinalIgnoreCase));
    }

    private static ApiException NotServed(string name, IReadOnlyList<ServedModel> served)
    {
        string shown = name.Length > NameShownMax ? name[..NameShownMax] + "..." : name;
        return new ApiException(404, Refusal.InvalidRequest, "model_not_found",
            $"The model '{shown}' does not exist or you have no access to it. Served here: {string.Join(", ", served.Select(each => each.Name.Value))}.", "model");
    }

    private sealed record Gathered(UpstreamMap Upstreams, IReadOnlyCollection<Deployment> Deployments, ServedModel[] All, ServedModel[] Away);
}
