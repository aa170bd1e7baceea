using System.Runtime.CompilerServices;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The models the API offers, by name without regard to case.</summary>
/// <param name="list">What is served at this moment.</param>
public sealed class ServedModels(Func<IReadOnlyList<ServedModel>> list)
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
        return new ServedModels(() =>
        {
            IEnumerable<ServedModel> upstreams = (routing.Upstreams?.Current ?? UpstreamMap.Empty).Sets.Values.OrderBy(set => set.Name.Value, StringComparer.Ordinal)
                .Select(set => outside.GetValue(set, each => ServedModel.From(each, since)));
            return [.. upstreams.Concat(routing.Deployments.Select(deployment => known.GetValue(deployment, each => ServedModel.From(each, since)))).DistinctBy(model => model.Name)];
        });
    }

    /// <exception cref="ApiException">404: nothing is served under that name.</exception>
    public ServedModel Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        IReadOnlyList<ServedModel> all = All;
        foreach (ServedModel model in all)
        {
            if (model.Name.Value.Equals(name, StringComparison.OrdinalIgnoreCase)) return model;
        }
        string shown = name.Length > NameShownMax ? name[..NameShownMax] + "..." : name;
        throw new ApiException(404, Refusal.InvalidRequest, "model_not_found",
            $"The model '{shown}' does not exist or you have no access to it. Served here: {string.Join(", ", all.Select(each => each.Name.Value))}.", "model");
    }
}
