using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Tenants, projects and keys as they are at one moment: immutable, replaced as a whole by every change.</summary>
public sealed class DirectoryModel
{
    private readonly FrozenDictionary<TenantId, Tenant> tenantsById;
    private readonly FrozenDictionary<ProjectId, Project> projectsById;
    private readonly FrozenDictionary<KeyId, ApiKey> keysById;
    private readonly FrozenDictionary<ulong, ApiKey> keysByHash;
    private readonly Lazy<ImmutableArray<ApiKey>> newest;

    public DirectoryModel(DirectorySnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        Tenants = snapshot.Tenants;
        Projects = snapshot.Projects;
        Keys = snapshot.Keys;
        tenantsById = Tenants.ToFrozenDictionary(tenant => tenant.Id);
        projectsById = Projects.ToFrozenDictionary(project => project.Id);
        keysById = Keys.ToFrozenDictionary(key => key.Id);
        keysByHash = Keys.ToFrozenDictionary(key => First8(key.Hash.AsSpan()));
        newest = new Lazy<ImmutableArray<ApiKey>>(() => [.. Keys.Where(key => key.RevokedAt is null).GroupBy(KeyTerms.CountedAs)
            .Select(line => line.MaxBy(key => (key.CreatedAt.UnixNanoseconds, KeyTerms.Of(key).RotatedFrom is not null))!)]);
    }

    public ImmutableArray<Tenant> Tenants { get; }
    public ImmutableArray<Project> Projects { get; }
    public ImmutableArray<ApiKey> Keys { get; }

    /// <summary>Keys that are not revoked; of those that were rotated from one another only the newest, as they use one budget.</summary>
    public ImmutableArray<ApiKey> NewestKeys => newest.Value;

    /// <exception cref="KeyNotFoundException">No such tenant: the books name one that the directory lost.</exception>
    public Tenant Tenant(TenantId id) => tenantsById[id];
    public Project Project(ProjectId id) => projectsById[id];

    public Tenant? FindTenant(TenantId id) => tenantsById.GetValueOrDefault(id);
    public Project? FindProject(ProjectId id) => projectsById.GetValueOrDefault(id);
    public ApiKey? FindKey(KeyId id) => keysById.GetValueOrDefault(id);

    /// <summary>The key whose hash begins like this one; the caller compares the rest in constant time.</summary>
    public ApiKey? FindKey(ReadOnlySpan<byte> hash) => keysByHash.GetValueOrDefault(First8(hash));

    /// <summary>The account of a login, unless it is revoked.</summary>
    public ApiKey? FindAccount(string login) =>
        Keys.FirstOrDefault(key => key.RevokedAt is null && KeyTerms.Of(key).Account is { } account && account.Login.Equals(login, StringComparison.OrdinalIgnoreCase));

    /// <summary>The newest identity of somebody whom an OpenID provider vouches for, ended or not.</summary>
    public ApiKey? FindOutsider(OutsideTerms person) => Keys.Where(key => KeyTerms.Of(key).Outside == person).MaxBy(key => key.CreatedAt.UnixNanoseconds);

    /// <summary>An identity that may do everything and does not expire: there is always one left. One that depends on a provider elsewhere is none.</summary>
    public static bool IsCloudOwner(ApiKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return key is { Role: KeyRole.Owner, RevokedAt: null } && KeyTerms.Of(key) is { Reach: Reach.Cloud, ExpiresAt: null, Outside: null };
    }

    /// <summary>A tenant by its id or its name; names are told apart without regard to case.</summary>
    public Tenant? FindTenant(string idOrName) => Guid.TryParse(idOrName, out Guid id) && FindTenant(new TenantId(id)) is { } byId
        ? byId
        : Tenants.FirstOrDefault(tenant => tenant.Name.Equals(idOrName, StringComparison.OrdinalIgnoreCase));

    /// <summary>A tenant's project by its id or its name.</summary>
    public Project? FindProject(TenantId tenant, string idOrName)
    {
        Project? found = Guid.TryParse(idOrName, out Guid id) ? FindProject(new ProjectId(id)) : null;
        return found is not null && found.Tenant == tenant
            ? found
            : Projects.FirstOrDefault(project => project.Tenant == tenant && project.Name.Equals(idOrName, StringComparison.OrdinalIgnoreCase));
    }

    public DirectoryModel With(Tenant tenant) => new(new DirectorySnapshot(Replace(Tenants, tenant, each => each.Id == tenant.Id), Projects, Keys));
    public DirectoryModel With(Project project) => new(new DirectorySnapshot(Tenants, Replace(Projects, project, each => each.Id == project.Id), Keys));
    public DirectoryModel With(ApiKey key) => new(new DirectorySnapshot(Tenants, Projects, Replace(Keys, key, each => each.Id == key.Id)));

    private static ImmutableArray<T> Replace<T>(ImmutableArray<T> all, T item, Predicate<T> same)
    {
        for (int index = 0; index < all.Length; index++)
        {
            if (same(all[index])) return all.SetItem(index, item);
        }
        return all.Add(item);
    }

    private static ulong First8(ReadOnlySpan<byte> hash) => MemoryMarshal.Read<ulong>(hash);
}
