using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Rates, daily budget, prepaid credit, alerts and the stop switch over HTTP.</summary>
internal sealed class LimitsApi(DirectoryState directory, BudgetLimits budgets, AlertChanges alerts, FinanceChanges changes, TimeProvider clock)
{
    /// <summary>Every route with its words: what is read of its body stands in <see cref="TermsFields"/>.</summary>
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/tenants/{id}/limits", Permission.SeeDirectory, ReadTenant, new(Tags.Limits, "What bounds a tenant: rates, budgets, credit paid in advance, and where alerts go") { Answer = TenantShown() });
        routes.Put("/api/tenants/{id}/limits", Permission.ChangeLimits, SetTenantAsync, new(Tags.Limits, "Change what bounds a tenant; what is not named stays, and null takes a limit away") { Body = TermsFields.OfTenant, Answer = TenantShown() });
        routes.Post("/api/tenants/{id}/credit", Permission.ChangeBooks, AddCreditAsync, new(Tags.Limits, "Enter that a tenant has paid in advance: its charges are drawn from that, and beyond it nothing is served")
        {
            Body = Schema.Object(Field.Needed("amount", Schema.Amount("What was paid"))),
            Answer = TenantShown(),
        });
        routes.Put("/api/tenants/{id}/webhook", Permission.ChangeLimits, SetWebhookAsync, new(Tags.Limits, "Say where alerts of a tenant's budgets are sent; the secret that signs them is in this answer and never again")
        {
            Body = Schema.Object(Field.Needed("url", Schema.Text("An address that takes POST; null: nowhere any more").OrNull())),
            Answer = TenantShown(Field.May("webhook_secret", Schema.Text("With it each alert is signed"))),
        });
        routes.Put("/api/tenants/{id}/alert-mail", Permission.ChangeLimits, SetAlertMailAsync, new(Tags.Limits, "Say whom alerts of a tenant's budgets are mailed to")
        {
            Body = Schema.Object(Field.Needed("addresses", Schema.List(Schema.Text(), $"Mail addresses, {MailAddresses.Most} at most; an empty list or null: nobody").OrNull())),
            Answer = TenantShown(),
        });
        routes.Post("/api/tenants/{id}/stop", Permission.ChangeLimits, StopAsync, new(Tags.Limits, "Serve a tenant nothing from now on") { Answer = TenantShown() });
        routes.Post("/api/tenants/{id}/start", Permission.ChangeLimits, StartAsync, new(Tags.Limits, "Serve a tenant again that was stopped") { Answer = TenantShown() });
        routes.Get("/api/projects/{id}/limits", Permission.SeeDirectory, ReadProjectAsync, new(Tags.Limits, "What bounds a project, by its id") { Answer = ProjectShown });
        routes.Put("/api/projects/{id}/limits", Permission.ChangeBudgets, SetProjectAsync, new(Tags.Limits, "Change what bounds a project, by its id; what is not named stays, and null takes a limit away") { Body = TermsFields.OfProject, Answer = ProjectShown });
    }

    private static Schema TenantShown(params ImmutableArray<Field> more) => Schema.Of(TermsJson.Default.TenantTerms).Only("stopped", "rates", "each_user", "models", "daily_budget", "alert_mail").With(more);
    private static Schema ProjectShown => Schema.Of(TermsJson.Default.ProjectTerms).With(Field.May("id", Schema.Text()), Field.May("name", Schema.Text()), Field.May("daily_left", Schema.Text("Of the daily budget")));

    public JsonObject ReadTenant(AdminRequest request) => Of(Tenant(request));

    public async Task<JsonObject> SetTenantAsync(AdminRequest request, JsonFields fields) =>
        Of(await directory.SetTermsAsync(request.Who, "tenant.limits", Tenant(request).Id, terms => TermsFields.ReadTenant(fields, terms), request.Cancel));

    /// <summary>A tenant has paid in advance: a credit in the books, from which its charges are drawn, and beyond which it is served nothing.</summary>
    public async Task<JsonObject> AddCreditAsync(AdminRequest request, JsonFields fields)
    {
        Money paid = AdminRequest.ParseMoney(fields.TextOrNumber("amount") ?? throw Refusal.Missing("amount"), "amount");
        if (paid.IsZero) throw Refusal.Value("amount", "it must be more than nothing.");
        Tenant tenant = Tenant(request);
        Instant now = Instant.Now(clock);
        await changes.DeclareAsync(request.Who, $"credit prepaid-{Guid.CreateVersion7(now.ToDateTimeOffset()):n} tenant {tenant.Id} amount {paid.ToDecimalText()} currency {paid.Currency.Code} paid {FactValue.Text(now)} then stop", request.Cancel);
        return Of(tenant);
    }

    /// <summary>Names where alerts go; the secret they are signed with is in the answer this once. A null address ends it.</summary>
    public async Task<JsonObject> SetWebhookAsync(AdminRequest request, JsonFields fields)
    {
        if (!fields.Says("url")) throw Refusal.Missing("url");
        Tenant tenant = Tenant(request);
        string? secret = await alerts.SetWebhookAsync(request.Who, tenant.Id, fields.Text("url"), request.Cancel);
        JsonObject answer = Of(directory.Current.Tenant(tenant.Id));
        if (secret is not null) answer["webhook_secret"] = secret;
        return answer;
    }

    /// <summary>Names whom alerts are mailed to; an empty list ends it.</summary>
    public async Task<JsonObject> SetAlertMailAsync(AdminRequest request, JsonFields fields)
    {
        if (!fields.Says("addresses")) throw Refusal.Missing("addresses");
        return Of(await alerts.SetMailAsync(request.Who, Tenant(request).Id, MailAddresses.Read(fields, "addresses"), request.Cancel));
    }

    public async Task<JsonObject> StopAsync(AdminRequest request, JsonFields fields) => Of(await SwitchAsync(request, stopped: true));
    public async Task<JsonObject> StartAsync(AdminRequest request, JsonFields fields) => Of(await SwitchAsync(request, stopped: false));

    public Task<JsonObject> ReadProjectAsync(AdminRequest request) => OfAsync(DirectoryNames.Project(directory.Current, request, request.Id));

    public async Task<JsonObject> SetProjectAsync(AdminRequest request, JsonFields fields) =>
        await OfAsync(await directory.SetTermsAsync(request.Who, "project.limits", DirectoryNames.Project(directory.Current, request, request.Id).Id, terms => terms with
        {
            Rates = TermsFields.ReadRates(fields, terms.Rates),
            DailyBudget = TermsFields.ReadBudget(fields, "daily_budget", terms.DailyBudget),
        }, request.Cancel));

    private async Task<JsonObject> OfAsync(Project project)
    {
        ProjectTerms terms = ProjectTerms.Of(project);
        JsonObject answer = new() { ["id"] = project.Id.ToString(), ["name"] = project.Name, ["rates"] = AdminJson.Of(terms.Rates), ["daily_budget"] = terms.DailyBudget };
        if (terms.DailyLimit is not { } daily) return answer;
        await budgets.KnowPartsAsync(project.Tenant);
        answer["daily_left"] = Left(daily, budgets.UseToday(project.Id, daily.Currency));
        return answer;
    }

    private Task<Tenant> SwitchAsync(AdminRequest request, bool stopped) =>
        directory.SetTermsAsync(request.Who, stopped ? "tenant.stop" : "tenant.start", Tenant(request).Id, terms => terms with { Stopped = stopped }, request.Cancel);

    private Tenant Tenant(AdminRequest request) =>
        directory.Current.FindTenant(request.Id) is { } found && request.Sees(found.Id) ? found : throw DirectoryNames.Unknown("tenant", request.Id);

    private JsonObject Of(Tenant tenant)
    {
        TenantTerms terms = TenantTerms.Of(tenant);
        JsonObject models = [];
        foreach ((string model, PartTerms part) in terms.Models.OrderBy(pair => pair.Key, StringComparer.Ordinal)) models[model] = Of(part);
        JsonObject answer = new()
        {
            ["id"] = tenant.Id.ToString(),
            ["name"] = tenant.Name,
            ["stopped"] = terms.Stopped,
            ["rates"] = AdminJson.Of(terms.Rates),
            ["each_user"] = Of(terms.EachUser),
            ["models"] = models,
            ["daily_budget"] = terms.DailyBudget,
            ["credits"] = new JsonArray([.. budgets.UsePrepaid(tenant.Id).Select(credit => new JsonObject
            {
                ["paid"] = credit.Paid.ToDecimalText(),
                ["left"] = (credit.Paid - credit.Used - credit.Held).ToDecimalText(),
                ["currency"] = credit.Paid.Currency.Code,
            })]),
            ["webhook"] = terms.Webhook?.Url,
            ["alert_mail"] = new JsonArray([.. terms.AlertMail.Select(address => (JsonNode)address)]),
        };
        if (terms.DailyLimit is { } daily) answer["daily_left"] = Left(daily, budgets.UseToday(tenant.Id, daily.Currency));
        return answer;
    }

    private static string Left(Money limit, (Money Spent, Money Held) use) => (limit - use.Spent - use.Held).ToDecimalText();

    private static JsonNode Of(PartTerms part) => JsonSerializer.SerializeToNode(part, TermsJson.Default.PartTerms)!;
}
