using System.Globalization;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The other direction of <see cref="RowNumbers"/>: what a row number stands for. A number is never used twice, so what was read once stays true.</summary>
internal sealed class RowIdentities(SqlDatabase database)
{
    private readonly Dictionary<long, string> _names = [];
    private readonly Dictionary<(long Project, long Key), Party> _parties = [];
    private readonly Dictionary<long, Guid> _tenants = [];
    private readonly Dictionary<long, Guid> _projects = [];
    private readonly Dictionary<long, Guid> _keys = [];
    private readonly Dictionary<long, Guid> _prices = [];
    private readonly Dictionary<long, Guid> _poolRates = [];

    /// <summary>After a rollback: numbers handed out in it will be handed out again.</summary>
    public void Forget()
    {
        _names.Clear();
        _parties.Clear();
        _tenants.Clear();
        _projects.Clear();
        _keys.Clear();
        _prices.Clear();
        _poolRates.Clear();
    }

    public string Name(long no)
    {
        if (_names.TryGetValue(no, out string? known)) return known;
        Statement rows = database["SELECT text FROM names WHERE no = ?"].Add(no);
        Found(rows, "name", no);
        string text = rows.Text();
        rows.Reset();
        return _names[no] = text;
    }

    public Party Party(long tenant, long project, long key, string? userTag)
    {
        // A project never moves to another tenant.
        if (!_parties.TryGetValue((project, key), out Party? party)) _parties[(project, key)] = party = new Party(Tenant(tenant), Project(project), Key(key), null);
        return userTag is null ? party : party with { UserTag = userTag };
    }

    public TenantId Tenant(long no) => new(Id(_tenants, no, "SELECT id FROM tenants WHERE no = ?", "tenant"));
    public ProjectId Project(long no) => new(Id(_projects, no, "SELECT id FROM projects WHERE no = ?", "project"));
    public KeyId Key(long no) => new(Id(_keys, no, "SELECT id FROM keys WHERE no = ?", "key"));
    public PriceVersionId Price(long no) => new(Id(_prices, no, "SELECT id FROM price_versions WHERE no = ?", "price version"));
    public PoolRateId PoolRate(long no) => new(Id(_poolRates, no, "SELECT id FROM pool_rates WHERE no = ?", "pool rate"));
    public ModelName Model(long no) => new(Name(no));
    public DeploymentName Deployment(long no) => new(Name(no));
    public PoolName Pool(long no) => new(Name(no));

    public TenantId? Tenant(long? no) => no is long row ? Tenant(row) : null;
    public ProjectId? Project(long? no) => no is long row ? Project(row) : null;
    public ModelName? Model(long? no) => no is long row ? Model(row) : null;
    public DeploymentName? Deployment(long? no) => no is long row ? Deployment(row) : null;
    public PoolName? Pool(long? no) => no is long row ? Pool(row) : null;
    public PriceVersionId? Price(long? no) => no is long row ? Price(row) : null;
    public PoolRateId? PoolRate(long? no) => no is long row ? PoolRate(row) : null;

    private Guid Id(Dictionary<long, Guid> known, long no, string sql, string what)
    {
        if (known.TryGetValue(no, out Guid id)) return id;
        Statement rows = database[sql].Add(no);
        Found(rows, what, no);
        id = rows.Guid();
        rows.Reset();
        return known[no] = id;
    }

    private static void Found(Statement rows, string what, long no)
    {
        if (!rows.Step()) throw new StoreException(string.Create(CultureInfo.InvariantCulture, $"The books refer to {what} {no}, which is not there: run the store's check."));
    }
}
