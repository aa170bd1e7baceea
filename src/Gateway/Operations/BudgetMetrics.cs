using System.Globalization;
using System.Text;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>How every budget that somebody set stands: limit, spent and held, in units of its currency. A budget of each user is told by how many have come how far: there may be millions, and a monitor needs no names.</summary>
internal sealed class BudgetMetrics
{
    /// <summary>Budgets that are looked through for users while calls wait: a few milliseconds.</summary>
    private const int CountedMax = 50_000;

    private static readonly int[] StepsPercent = [0, 50, 80, 100];
    private readonly DirectoryModel directory;
    private readonly BudgetLimits budgets;
    private readonly List<Standing> standings = [];

    public BudgetMetrics(DirectoryModel directory, BudgetLimits budgets)
    {
        (this.directory, this.budgets) = (directory, budgets);
        foreach (Tenant tenant in directory.Tenants) AddTenant(tenant);
        foreach (Project project in directory.Projects) AddProject(project);
        foreach (ApiKey key in directory.Keys.Where(key => key.RevokedAt is null)) AddKey(key);
    }

    public void Write(StringBuilder text)
    {
        Family("qanat_budget_limit", "What may be spent, by everybody and everything that has a budget, in units of the currency.", standing => standing.Limit);
        Family("qanat_budget_spent", "What is spent of it in the running span.", standing => standing.Spent);
        Family("qanat_budget_held", "What requests under way hold of it.", standing => standing.Held);
        WriteUsers(text);

        void Family(string name, string help, Func<Standing, Money> amount)
        {
            MetricsText.Head(text, name, "gauge", help);
            foreach (Standing standing in standings) MetricsText.Sample(text, name, [.. standing.Labels, ("currency", standing.Limit.Currency.Code)], amount(standing).ToDecimalText());
        }
    }

    private void AddTenant(Tenant tenant)
    {
        TenantTerms terms = TenantTerms.Of(tenant);
        (string, string)[] own = [("level", "tenant"), ("tenant", tenant.Name)];
        Add(own, SpanKind.Month, tenant.MonthlyBudget, currency => budgets.Use(tenant.Id.Value, currency));
        Add(own, SpanKind.Day, terms.DailyLimit, currency => budgets.UseToday(tenant.Id, currency));
        foreach (PrepaidUse credit in budgets.UsePrepaid(tenant.Id)) standings.Add(new Standing([.. own, ("budget", "credit")], credit.Paid, credit.Used, credit.Held));
        if (!terms.Models.Values.Any(model => model.HasBudget) || !budgets.KnowsParts(tenant.Id)) return;
        foreach ((string name, PartTerms model) in terms.Models)
        {
            (string, string)[] labels = [("level", "model"), ("tenant", tenant.Name), ("model", name)];
            Add(labels, SpanKind.Month, model.MonthlyLimit, currency => budgets.UseOfModel(tenant.Id, new ModelName(name), SpanKind.Month, currency));
            Add(labels, SpanKind.Day, model.DailyLimit, currency => budgets.UseOfModel(tenant.Id, new ModelName(name), SpanKind.Day, currency));
        }
    }

    private void AddProject(Project project)
    {
        (string, string)[] labels = [("level", "project"), ("tenant", directory.Tenant(project.Tenant).Name), ("project", project.Name)];
        Add(labels, SpanKind.Month, project.MonthlyBudget, currency => budgets.Use(project.Id.Value, currency));
        if (ProjectTerms.Of(project).DailyLimit is { } day && budgets.KnowsParts(project.Tenant)) Add(labels, SpanKind.Day, day, currency => budgets.UseToday(project.Id, currency));
    }

    private void AddKey(ApiKey key)
    {
        (string, string)[] labels = [("level", "key"), ("tenant", directory.Tenant(key.Tenant).Name), ("project", directory.Project(key.Project).Name), ("key", key.Prefix), ("key_id", key.Id.ToString())];
        Add(labels, SpanKind.Month, key.MonthlyBudget, currency => budgets.Use(key.Id.Value, currency));
        if (KeyTerms.Of(key).DailyLimit is { } day && budgets.KnowsParts(key.Tenant)) Add(labels, SpanKind.Day, day, currency => budgets.UseToday(key.Id, currency));
    }

    private void Add((string, string)[] labels, SpanKind span, Money? limit, Func<Currency, (Money Spent, Money Held)> use)
    {
        if (limit is not { } most) return;
        (Money spent, Money held) = use(most.Currency);
        standings.Add(new Standing([.. labels, ("budget", WordOf(span))], most, spent, held));
    }

    private void WriteUsers(StringBuilder text)
    {
        const string Name = "qanat_budget_users";
        MetricsText.Head(text, Name, "gauge", "Users of a tenant whose users have a budget each, by how much of theirs they have spent or hold at least.");
        Tenant[] tenants = [.. directory.Tenants.Where(tenant => TenantTerms.Of(tenant).EachUser.HasBudget && budgets.KnowsParts(tenant.Id))];
        if (tenants.Length == 0 || budgets.UsersNow(CountedMax) is not { } users) return;
        ILookup<(TenantId, SpanKind, Currency), Money> used = users.ToLookup(user => (user.Tenant, user.Span, user.Used.Currency), user => user.Used);
        foreach (Tenant tenant in tenants)
        {
            PartTerms each = TenantTerms.Of(tenant).EachUser;
            foreach ((SpanKind span, Money? limit) in ((SpanKind, Money?)[])[(SpanKind.Month, each.MonthlyLimit), (SpanKind.Day, each.DailyLimit)])
            {
                if (limit is not { } most) continue;
                foreach (int percent in StepsPercent)
                {
                    int count = used[(tenant.Id, span, most.Currency)].Count(money => money.Picos * 100 >= most.Picos * percent);
                    MetricsText.Sample(text, Name, [("tenant", tenant.Name), ("budget", WordOf(span)), ("used_percent", percent.ToString(CultureInfo.InvariantCulture))], count.ToString(CultureInfo.InvariantCulture));
                }
            }
        }
    }

    private static string WordOf(SpanKind span) => span == SpanKind.Month ? "month" : "day";

    /// <param name="Labels">Whose it is, and for which span.</param>
    private sealed record Standing((string Name, string Value)[] Labels, Money Limit, Money Spent, Money Held);
}
