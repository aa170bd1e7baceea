using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Where every budget of a tenant stands that somebody set: its own, its models', its projects' and its keys', and what it has paid in advance. Each user's are asked for apart: there may be millions.</summary>
internal sealed class BudgetStandings(DirectoryModel directory, BudgetLimits budgets)
{
    private readonly ILookup<TenantId, Project> projects = directory.Projects.ToLookup(project => project.Tenant);
    private readonly ILookup<TenantId, ApiKey> keys = directory.NewestKeys.ToLookup(key => key.Tenant);

    /// <summary>Reads from the books what the tenant's parts have spent, if that is not known and any of them has a budget. Those that are not known are left out of what stands.</summary>
    public Task KnowAsync(Tenant tenant)
    {
        TenantTerms terms = TenantTerms.Of(tenant);
        bool hasParts = terms.EachUser.HasBudget || terms.Models.Values.Any(model => model.HasBudget)
            || projects[tenant.Id].Any(project => ProjectTerms.Of(project).DailyBudget is not null) || keys[tenant.Id].Any(key => KeyTerms.Of(key).DailyBudget is not null);
        return hasParts ? budgets.KnowPartsAsync(tenant.Id) : Task.CompletedTask;
    }

    public IEnumerable<BudgetStanding> Of(Tenant tenant) => [.. OfAll(tenant), .. OfModels(tenant), .. projects[tenant.Id].SelectMany(project => OfProject(tenant, project)), .. keys[tenant.Id].SelectMany(key => OfKey(tenant, key))];

    private IEnumerable<BudgetStanding> OfAll(Tenant tenant)
    {
        BudgetOwner owner = new("tenant", tenant);
        if (tenant.MonthlyBudget is { } month) yield return Stand(owner, SpanKind.Month, month, budgets.Use(tenant.Id.Value, month.Currency));
        if (TenantTerms.Of(tenant).DailyLimit is { } day) yield return Stand(owner, SpanKind.Day, day, budgets.UseToday(tenant.Id, day.Currency));
        foreach (PrepaidUse credit in budgets.UsePrepaid(tenant.Id)) yield return new BudgetStanding(owner, SpanKind.Credit, credit.Paid, credit.Used, credit.Held);
    }

    private IEnumerable<BudgetStanding> OfModels(Tenant tenant)
    {
        TenantTerms terms = TenantTerms.Of(tenant);
        if (!terms.Models.Values.Any(model => model.HasBudget) || !budgets.KnowsParts(tenant.Id)) yield break;
        foreach ((string name, PartTerms part) in terms.Models.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            ModelName model = new(name);
            BudgetOwner owner = new("model", tenant) { Model = model };
            if (part.MonthlyLimit is { } month) yield return Stand(owner, SpanKind.Month, month, budgets.UseOfModel(tenant.Id, model, SpanKind.Month, month.Currency));
            if (part.DailyLimit is { } day) yield return Stand(owner, SpanKind.Day, day, budgets.UseOfModel(tenant.Id, model, SpanKind.Day, day.Currency));
        }
    }

    private IEnumerable<BudgetStanding> OfProject(Tenant tenant, Project project)
    {
        BudgetOwner owner = new("project", tenant) { Project = project };
        if (project.MonthlyBudget is { } month) yield return Stand(owner, SpanKind.Month, month, budgets.Use(project.Id.Value, month.Currency));
        if (ProjectTerms.Of(project).DailyLimit is { } day && budgets.KnowsParts(tenant.Id)) yield return Stand(owner, SpanKind.Day, day, budgets.UseToday(project.Id, day.Currency));
    }

    private IEnumerable<BudgetStanding> OfKey(Tenant tenant, ApiKey key)
    {
        BudgetOwner owner = new("key", tenant) { Project = directory.Project(key.Project), Key = key };
        if (key.MonthlyBudget is { } month) yield return Stand(owner, SpanKind.Month, month, budgets.Use(key.Id.Value, month.Currency));
        if (KeyTerms.Of(key).DailyLimit is { } day && budgets.KnowsParts(tenant.Id)) yield return Stand(owner, SpanKind.Day, day, budgets.UseToday(key.Id, day.Currency));
    }

    private static BudgetStanding Stand(BudgetOwner owner, SpanKind span, Money limit, (Money Spent, Money Held) use) => new(owner, span, limit, use.Spent, use.Held);
}

/// <summary>Whose budget it is.</summary>
/// <param name="Level">"tenant", "project", "key", "model" or "user".</param>
internal sealed record BudgetOwner(string Level, Tenant Tenant)
{
    public Project? Project { get; init; }
    public ApiKey? Key { get; init; }
    public ModelName? Model { get; init; }
    public string? User { get; init; }
}

/// <param name="Spent">In the running span; of what was paid in advance, what is used up.</param>
internal sealed record BudgetStanding(BudgetOwner Owner, SpanKind Span, Money Limit, Money Spent, Money Held)
{
    public Money Left => Limit - Spent - Held;

    /// <summary>What the API calls the span.</summary>
    public string SpanWord => WordOf(Span);

    public static string WordOf(SpanKind span) => span switch { SpanKind.Month => "month", SpanKind.Day => "day", _ => "credit" };
}
