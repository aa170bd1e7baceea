using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Tenants, projects and keys over HTTP, each with its budget and what of it is spent and held this month.</summary>
internal sealed class DirectoryApi(DirectoryState directory, BudgetLimits limits, AdminJson json)
{
    private const long OverlapSecondsStandard = 24 * 3600;
    private const long OverlapSecondsMax = 90L * 24 * 3600;

    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/tenants", Permission.SeeDirectory, ListTenants, new(Tags.Directory, "The tenants that you see, with their budgets and what of them is spent and held this month") { Answer = Schema.Rows("Tenants") });
        routes.Post("/api/tenants", Permission.ChangeTenants, CreateTenantAsync, new(Tags.Directory, "Add a tenant, with a first project") { Body = Schema.Object(Name("What it is called: no other tenant is"), MonthlyBudget) });
        routes.Put("/api/tenants/{id}/budget", Permission.ChangeLimits, SetTenantBudgetAsync, new(Tags.Directory, "Change or lift the monthly budget of a tenant") { Body = NewBudget });
        routes.Get("/api/projects", Permission.SeeDirectory, ListProjects, new(Tags.Directory, "The projects that you see, with their budgets") { Answer = Schema.Rows("Projects") });
        routes.Post("/api/projects", Permission.ChangeKeys, CreateProjectAsync, new(Tags.Directory, "Add a project to a tenant") { Body = Schema.Object(OfTenant, Name("What it is called: no other project of the tenant is"), MonthlyBudget) });
        routes.Put("/api/projects/{id}/budget", Permission.ChangeBudgets, SetProjectBudgetAsync, new(Tags.Directory, "Change or lift the monthly budget of a project") { Body = NewBudget });
        routes.Get("/api/keys", Permission.SeeDirectory, ListKeys, new(Tags.Directory, "The keys and accounts that you see, without their secrets") { Answer = Schema.Rows("Keys", KeyShown()) });
        routes.Post("/api/keys", Permission.ChangeKeys, CreateKeyAsync, new(Tags.Directory, "Make a key; its secret is in this answer and never again")
        {
            Body = KeyBody(Field.May("name", Schema.Text("What it is called").Defaults("key")), Field.May("role", Schema.OneOf<KeyRole>("What it may do").Defaults("inference"))),
            Answer = KeyShown(Secret),
        });
        routes.Post("/api/accounts", Permission.ChangeKeys, CreateAccountAsync, new(Tags.Directory, "Make an account, with which a person signs in to the console")
        {
            Body = KeyBody(Field.Needed("login", Schema.Text("What the person calls themselves when signing in; told apart without regard to case")), Field.May("name", Schema.Text("What it is called; without it, as the login")),
                Field.Needed("role", Schema.OneOf<KeyRole>("What the person may do")), Password),
            Answer = KeyShown(),
        });
        routes.Put("/api/accounts/{id}/password", Permission.ChangeKeys, SetPasswordAsync, new(Tags.Directory, "Give an account another password") { Body = Schema.Object(Password), Answer = KeyShown() });
        routes.Put("/api/keys/{id}/budget", Permission.ChangeBudgets, SetKeyBudgetAsync, new(Tags.Directory, "Change or lift the monthly budget of a key") { Body = NewBudget, Answer = KeyShown() });
        routes.Put("/api/keys/{id}/terms", Permission.ChangeKeys, SetKeyTermsAsync, new(Tags.Directory, "Change what bounds a key; what is not named stays, and null takes a limit away") { Body = TermsFields.OfKey, Answer = KeyShown() });
        routes.Post("/api/keys/{id}/rotate", Permission.ChangeKeys, RotateKeyAsync, new(Tags.Directory, "Make another key in the place of this one, which works a while longer; the secret is in this answer and never again")
        {
            Body = Schema.Object(Field.May("overlap_seconds", Schema.Integer("How long the old key still works", 0, OverlapSecondsMax).Defaults(OverlapSecondsStandard))),
            Answer = KeyShown(Secret),
        });
        routes.Delete("/api/keys/{id}", Permission.ChangeKeys, RevokeKeyAsync, new(Tags.Directory, "End a key or an account at once") { Answer = KeyShown() });
    }

    private static Field OfTenant => Field.Needed("tenant", Schema.Text("Whose: a tenant by its id or name"));
    private static Field MonthlyBudget => Field.May("monthly_budget", Schema.Amount("What may be spent in a UTC calendar month; without it, or null: no limit").OrNull());
    private static Field Password => Field.Needed("password", Schema.Text($"{Passwords.LengthMin} to {Passwords.LengthMax} characters"));
    private static Field Secret => Field.Needed("key", Schema.Text("The secret: only a hash of it is kept"));
    private static Schema NewBudget => Schema.Object(Field.Needed("monthly_budget", MonthlyBudget.Schema));
    private static Field Name(string about) => Field.Needed("name", Schema.Text(about));

    private static Schema KeyBody(params ImmutableArray<Field> fields) => TermsFields.OfKey.With(OfTenant, Field.May("project", Schema.Text("One of the tenant's projects by its name").Defaults(DirectoryState.DefaultProject)))
        .With(fields).With(Field.May("reach", Schema.OneOf<Reach>("How far it reaches")), MonthlyBudget);

    private static Schema KeyShown(params ImmutableArray<Field> more) => Schema.AnyObject.With(more).With(Field.May("terms", Schema.Of(TermsJson.Default.KeyTerms).Called("KeyTerms").OrNull()));

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
        NewKeyOrder order = new(project, fields.Text("name") ?? "key", role, Budget(fields));
        order = order with { Terms = TermsFields.ReadKey(fields, new KeyTerms { Reach = AdminJson.Parse<Reach>(fields.Text("reach"), "reach") ?? order.Reach }) };
        request.Caller.DemandCover(role, order.Reach);
        NewKey made = await directory.CreateKeyAsync(request.Who, order, null, request.Cancel);
        JsonObject answer = Of(made.Key);
        answer["key"] = made.Secret;
        return answer;
    }

    /// <summary>An identity for a person, who signs in with a name and a password.</summary>
    public async Task<JsonObject> CreateAccountAsync(AdminRequest request, JsonFields fields)
    {
        Tenant tenant = Tenant(request, fields.RequiredText("tenant"));
        Project project = directory.Current.FindProject(tenant.Id, fields.Text("project") ?? DirectoryState.DefaultProject) ?? throw DirectoryNames.Unknown("project", fields.Text("project") ?? "");
        string login = fields.RequiredText("login");
        NewKeyOrder order = new(project, fields.Text("name") ?? login, AdminJson.Parse<KeyRole>(fields.RequiredText("role"), "role")!.Value, Budget(fields));
        order = order with { Terms = TermsFields.ReadKey(fields, new KeyTerms { Reach = AdminJson.Parse<Reach>(fields.Text("reach"), "reach") ?? order.Reach }) };
        request.Caller.DemandCover(order.Role, order.Reach);
        return Of(await directory.CreateAccountAsync(request.Who, order, login, fields.RequiredText("password"), request.Cancel));
    }

    public async Task<JsonObject> SetPasswordAsync(AdminRequest request, JsonFields fields)
    {
        ApiKey key = ManagedKey(request);
        if (KeyTerms.Of(key).Account is not { } account) throw Refusal.Value("id", "this is a key, not an account.");
        string hash = Passwords.Hash(fields.RequiredText("password"));
        return Of(await directory.SetTermsAsync(request.Who, "account.password", key.Id, terms => terms with { Account = account with { PasswordHash = hash } }, request.Cancel));
    }

    /// <summary>Changes what bounds a key; what is not named stays.</summary>
    public async Task<JsonObject> SetKeyTermsAsync(AdminRequest request, JsonFields fields) =>
        Of(await directory.SetTermsAsync(request.Who, "key.terms", ManagedKey(request).Id, terms => TermsFields.ReadKey(fields, terms), request.Cancel));

    public async Task<JsonObject> RotateKeyAsync(AdminRequest request, JsonFields fields)
    {
        TimeSpan overlap = TimeSpan.FromSeconds(fields.Integer("overlap_seconds", 0, OverlapSecondsMax) ?? OverlapSecondsStandard);
        NewKey made = await directory.RotateKeyAsync(request.Who, ManagedKey(request).Id, overlap, request.Cancel);
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

    private Project Project(AdminRequest request, string idOrName) => DirectoryNames.Project(directory.Current, request, idOrName);

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
        ["stopped"] = TenantTerms.Of(tenant).Stopped,
    }, tenant.Id.Value, tenant.MonthlyBudget);

    private JsonObject Of(Project project) => WithUse(new JsonObject
    {
        ["id"] = project.Id.ToString(),
        ["name"] = project.Name,
        ["tenant"] = json.Of((TenantId?)project.Tenant),
        ["created_at"] = AdminJson.Text((Instant?)project.CreatedAt),
        ["rates"] = AdminJson.Of(ProjectTerms.Of(project).Rates),
        ["daily_budget"] = ProjectTerms.Of(project).DailyBudget,
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
        ["login"] = KeyTerms.Of(key).Account?.Login,
        ["terms"] = key.Settings is null ? null : JsonNode.Parse(KeyTerms.Of(key).ToShownText()),
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
