using Qanat.Books;

namespace Qanat.Store;

/// <summary>The numbers that rows point with, looked up once: the writer's memory of names, tenants, projects, keys, price versions and pool rates.
/// Forgotten after a rollback, because it may then hold numbers that were never committed.</summary>
internal sealed class RowNumbers(SqlDatabase database)
{
    private readonly Dictionary<string, long> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<Guid, long> _tenants = [];
    private readonly Dictionary<Guid, ProjectRow> _projects = [];
    private readonly Dictionary<Guid, long> _keys = [];
    private readonly Dictionary<Guid, long> _prices = [];
    private readonly Dictionary<Guid, long> _poolRates = [];

    public void Forget()
    {
        _names.Clear();
        _tenants.Clear();
        _projects.Clear();
        _keys.Clear();
        _prices.Clear();
        _poolRates.Clear();
    }

    /// <summary>The number of a name, which is kept from now on.</summary>
    public long Of(string name)
    {
        if (_names.TryGetValue(name, out long no)) return no;
        if (database["SELECT no FROM names WHERE text = ?"].Add(name).Scalar() is long known) return _names[name] = known;
        database["INSERT INTO names (text) VALUES (?)"].Add(name).Run();
        return _names[name] = database["SELECT no FROM names WHERE text = ?"].Add(name).Scalar()!.Value;
    }

    public long? Of(ModelName? name) => name is ModelName model ? Of(model.Value) : null;
    public long? Of(DeploymentName? name) => name is DeploymentName deployment ? Of(deployment.Value) : null;
    public long? Of(PoolName? name) => name is PoolName pool ? Of(pool.Value) : null;

    /// <exception cref="StoreException">There is no such tenant; likewise for the others below.</exception>
    public long Of(TenantId tenant) => Known(_tenants, tenant.Value, "SELECT no FROM tenants WHERE id = ?", "tenant");
    public long Of(KeyId key) => Known(_keys, key.Value, "SELECT no FROM keys WHERE id = ?", "key");
    public long Of(PriceVersionId price) => Known(_prices, price.Value, "SELECT no FROM price_versions WHERE id = ?", "price version");
    public long Of(PoolRateId rate) => Known(_poolRates, rate.Value, "SELECT no FROM pool_rates WHERE id = ?", "pool rate");
    public long? Of(TenantId? tenant) => tenant is TenantId id ? Of(id) : null;
    public long? Of(ProjectId? project) => project is ProjectId id ? Project(id).No : null;
    public long? Of(PriceVersionId? price) => price is PriceVersionId id ? Of(id) : null;
    public long? Of(PoolRateId? rate) => rate is PoolRateId id ? Of(id) : null;

    /// <exception cref="StoreException">One of them is unknown, or the project is another tenant's.</exception>
    public PartyRow Of(Party party)
    {
        OwnerRow owner = Of(party.Tenant, party.Project);
        return new PartyRow(owner.Tenant, owner.Project, Of(party.Key));
    }

    /// <exception cref="StoreException">One of them is unknown, or the project is another tenant's.</exception>
    public OwnerRow Of(TenantId tenant, ProjectId project)
    {
        OwnerRow owner = new(Of(tenant), Project(project).No);
        if (Project(project).Tenant != owner.Tenant) throw new StoreException($"The project {project} does not belong to the tenant {tenant}.");
        return owner;
    }

    private ProjectRow Project(ProjectId id)
    {
        if (_projects.TryGetValue(id.Value, out ProjectRow known)) return known;
        Statement rows = database["SELECT no, tenant FROM projects WHERE id = ?"].Add(id.Value);
        if (!rows.Step()) throw new StoreException($"There is no project {id}: save it before what refers to it.");
        ProjectRow project = new(rows.Long(), rows.Long());
        rows.Reset();
        return _projects[id.Value] = project;
    }

    private long Known(Dictionary<Guid, long> known, Guid id, string sql, string what)
    {
        if (known.TryGetValue(id, out long no)) return no;
        return known[id] = database[sql].Add(id).Scalar() ?? throw new StoreException($"There is no {what} {id}: save it before what refers to it.");
    }

    private readonly record struct ProjectRow(long No, long Tenant);
}

/// <summary>A tenant and its project by row numbers.</summary>
internal readonly record struct OwnerRow(long Tenant, long Project);

/// <summary>A party by row numbers.</summary>
internal readonly record struct PartyRow(long Tenant, long Project, long Key);
