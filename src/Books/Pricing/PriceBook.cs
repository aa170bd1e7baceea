using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>An immutable snapshot of all price versions. The lookup rule stands at <see cref="PriceVersion"/>.</summary>
public sealed class PriceBook
{
    public static readonly PriceBook Empty = new([]);

    private readonly FrozenDictionary<Scope, ImmutableArray<PriceVersion>> byScope;
    private readonly FrozenDictionary<PriceVersionId, PriceVersion> byId;

    /// <exception cref="ArgumentException">An id stands for two different versions, or rates mix currencies or are negative.</exception>
    public PriceBook(IEnumerable<PriceVersion> versions)
    {
        var ids = new Dictionary<PriceVersionId, PriceVersion>();
        foreach (PriceVersion version in versions)
        {
            version.Rates.EnsureValid();
            version.Terms?.EnsureValid(version.Rates.Currency);
            if (!ids.TryAdd(version.Id, version) && ids[version.Id] != version)
                throw new ArgumentException($"Two different price versions have the id {version.Id}: versions never change, add a new one.", nameof(versions));
        }
        byId = ids.ToFrozenDictionary();
        Versions = [.. ids.Values.OrderBy(v => v.EffectiveFrom).ThenBy(v => v.AddedAt).ThenBy(v => v.Id.Value)];
        byScope = Versions.GroupBy(v => new Scope(v.Model, v.Tenant)).ToFrozenDictionary(g => g.Key, g => g.ToImmutableArray());
    }

    /// <summary>In the order in which they take effect.</summary>
    public ImmutableArray<PriceVersion> Versions { get; }

    /// <summary>The version in force for a request placed at an instant; null: unpriced.</summary>
    public PriceVersion? Find(ModelName model, TenantId tenant, Instant at) =>
        InForce(new(model, tenant), at) ?? InForce(new(model, null), at) ?? InForce(new(null, tenant), at) ?? InForce(new(null, null), at);

    /// <summary>The version with an id; null when this snapshot does not hold it.</summary>
    public PriceVersion? Get(PriceVersionId id) => byId.GetValueOrDefault(id);

    /// <summary>A snapshot with one version more.</summary>
    /// <exception cref="ArgumentException">As the constructor.</exception>
    public PriceBook With(PriceVersion version) => new(Versions.Add(version));

    private PriceVersion? InForce(Scope scope, Instant at)
    {
        if (!byScope.TryGetValue(scope, out ImmutableArray<PriceVersion> versions)) return null;
        int low = 0, high = versions.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (versions[middle].EffectiveFrom <= at) low = middle + 1;
            else high = middle;
        }
        return low == 0 ? null : versions[low - 1];
    }

    private readonly record struct Scope(ModelName? Model, TenantId? Tenant);
}
