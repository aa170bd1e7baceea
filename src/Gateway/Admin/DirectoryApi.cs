using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Tenants, projects and keys over HTTP, each with its budget and what of it is spent and held this month.</summary>
internal sealed class DirectoryApi(DirectoryState directory, BudgetLimits limits, AdminJson json)
{
    public JsonObject ListTenants(AdminRequest request) => AdminJson.List(directory.Current.Tenants.Where(tenant => request.Sees(tenant.Id)).Select(Of));
    public JsonObject ListProjects(AdminRequest request) => AdminJson.List(directory.Current.Projects.Where(project => request.Sees(project.Tenant)).Select(Of));
    public JsonObject ListKeys(AdminRequest request) => AdminJson.List(directory.Current.Keys.Where(key => request.Sees(key.Tenant)).Select(Of));

    public async Task<JsonObject> CreateTenantAsync(AdminRequest request, JsonFields fields) =>
        Of(await directory.CreateTenantAsync(request.Who, new NewTenant(fields.RequiredText("name"), Budget(fields), IsDemo: false), request.Cancel));

    public async Task<JsonObject> CreateProjectAsync(AdminRequest request, JsonFields fields) =>
        Of(await directory.CreateProjectAsync(request.Who, Tenant(request, fields.RequiredText("tenant")), fields.RequiredText("name"), Budget(fields), request.Cancel));

    public async Task<JsonObject> CreateKeyAsync(AdminRequest request, JsonFields fields)
    {
        Tenant tenant = Tenant(request, fields.RequiredText("tenant"));
        string named = fields.Text("project") ?? DirectoryState.DefaultProject;
        Project project = directory.Current.FindProject(tenant.Id, named) ?? throw DirectoryNames.Unknown("project", named);
        KeyRole role = AdminJson.Parse<KeyRole>(fields.Text("role"), "role") ?? KeyRole.Inference;
        KeyTerms? terms = AdminJson.Parse<Reach>(fields.Text("reach"), "reach") is { } reach ? new KeyTerms { Reach = reach } : null;
        NewKeyOrder order = new(project, fields.Text("name") ?? "key", role, Budget(fields), terms);
        request.Caller.DemandCover(role, order.Reach);
        NewKey made = await directory.CreateKeyAsync(request.Who, order, null, request.Cancel);
        JsonObject answer = Of(made.Key);
        answer["key"] = made.Secret;
        return answer;
    }

    public async Task<JsonObject> RevokeKeyAsync(AdminRequest request) => Of(await directory.RevokeKeyAsync(request.Who, ManagedKey(request).Id, request.Cancel));

    public async Task<JsonObject> SetTenantBudgetAsync(AdminRequest request, JsonFields fields) =>
        Of(await directory.SetBudgetAsync(request.Who, Tenant(request, request.Id).Id, SaidBudget(fields), request.Cancel));

    public async Task<JsonObject> SetProjectBudgetAsync(AdminRequest request, JsonFields fields) =>
        Of(await directory.SetBudgetAsync(request.Who, Project(request, request.Id).Id, SaidBudget(fields), request.Cancel));

    public async Task<JsonObject> SetKeyBudgetAsync(AdminRequest request, JsonFields fields) =>
        Of(await directory.SetBudgetAsync(request.Who, Key(request).Id, SaidBudget(fields), request.Cancel));

    private Tenant Tenant(AdminRequest request, string idOrName) =>
        directory.Current.FindTenant(idOrName) is { } found && request.Sees(found.Id) ? found : throw DirectoryNames.Unknown("tenant", idOrName);

    /// <summary>By id, or by a name that only one of the tenants that the caller sees uses.</summary>
    private Project Project(AdminRequest request, string idOrName)
    {
        if (Guid.TryParse(idOrName, out Guid id) && directory.Current.FindProject(new ProjectId(id)) is { } byId && request.Sees(byId.Tenant)) return byId;
        Project[] named = [.. directory.Current.Projects.Where(project => request.Sees(project.Tenant) && project.Name.Equals(idOrName, StringComparison.OrdinalIgnoreCase))];
        return named switch
        {
            [Project only] => only,
            [] => throw DirectoryNames.Unknown("project", idOrName),
            _ => throw Refusal.Value("id", $"{named.Length} tenants have a project called '{idOrName}': name it by its id."),
        };
    }

    private ApiKey Key(AdminRequest request)
    {
        KeyId id = new(AdminRequest.ParseId(request.Id, "id"));
        return directory.Current.FindKey(id) is { } found && request.Sees(found.Tenant) ? found : throw DirectoryNames.Unknown("key", request.Id);
    }

    /// <summary>A key that the caller may end or replace: one with no more permissions than its own.</summary>
    private ApiKey ManagedKey(AdminRequest request)
    {
        ApiKey key = Key(request);
        request.Caller.DemandCover(key.Role, KeyTerms.Of(key).Reach);
        return key;
    }

    /// <summary>An amount as text or number; absent or null: no limit.</summary>
    private static Money? Budget(JsonFields fields) => fields.TextOrNumber("monthly_budget") is { } text ? AdminRequest.ParseMoney(text, "monthly_budget") : null;

    /// <summary>When a budget is changed, null must be said: a misspelt name must not lift a limit.</summary>
    private static Money? SaidBudget(JsonFields fields) => fields.Says("monthly_budget") ? Budget(fields) : throw Refusal.Missing("monthly_budget");

    private JsonObject Of(Tenant tenant) => WithUse(new JsonObject
    {
        ["id"] = tenant.Id.ToString(),
        ["name"] = tenant.Name,
        ["created_at"] = AdminJson.Text((Instant?)tenant.CreatedAt),
        ["demo"] = tenant.IsDemo,
    }, tenant.Id.Value, tenant.MonthlyBudget);

    private JsonObject Of(Project project) => WithUse(new JsonObject
    {
        ["id"] = project.Id.ToString(),
        ["name"] = project.Name,
        ["tenant"] = json.Of((TenantId?)project.Tenant),
        ["created_at"] = AdminJson.Text((Instant?)project.CreatedAt),
    }, project.Id.Value, project.MonthlyBudget);

    private JsonObject Of(ApiKey key) => WithUse(new JsonObject
    {
        ["id"] = key.Id.ToString(),
        ["name"] = key.Name,
        ["prefix"] = key.Prefix,
        ["tenant"] = json.Of((TenantId?)key.Tenant),
        ["project"] = json.Of((ProjectId?)key.Project),
        ["role"] = AdminJson.Text(key.Role),
        ["reach"] = AdminJson.Text(KeyTerms.Of(key).Reach),
        ["created_at"] = AdminJson.Text((Instant?)key.CreatedAt),
        ["revoked_at"] = AdminJson.Text(key.RevokedAt),
    }, key.Id.Value, key.MonthlyBudget);

    private JsonObject WithUse(JsonObject row, Guid scope, Money? budget)
    {
        Currency currency = budget?.Currency ?? Currency.Usd;
        (Money spent, Money held) = limits.Use(scope, currency);
        row["monthly_budget"] = budget?.ToDecimalText();
        row["spent"] = spent.ToDecimalText();
        row["held"] = held.ToDecimalText();
        row["currency"] = currency.Code;
        return row;
    }
}
