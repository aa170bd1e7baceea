using System.Globalization;
using System.Text;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>How every budget that somebody set stands: limit, spent and held, in units of its currency. A budget of each user is told by how many have come how far: there may be millions, and a monitor needs no names.</summary>
internal sealed class BudgetMetrics(DirectoryModel directory, BudgetLimits budgets)
{
    /// <summary>Budgets that are looked through for users while calls wait: a few milliseconds.</summary>
    public const int CountedMax = 50_000;

    private static readonly int[] StepsPercent = [0, 50, 80, 100];

    public void Write(StringBuilder text)
    {
        BudgetStandings all = new(directory, budgets);
        BudgetStanding[] standings = [.. directory.Tenants.SelectMany(all.Of)];
        Family("qanat_budget_limit", "What may be spent, by everybody and everything that has a budget, in units of the currency.", standing => standing.Limit);
        Family("qanat_budget_spent", "What is spent of it in the running span.", standing => standing.Spent);
        Family("qanat_budget_held", "What requests under way hold of it.", standing => standing.Held);
        WriteUsers(text);

        void Family(string name, string help, Func<BudgetStanding, Money> amount)
        {
            MetricsText.Head(text, name, "gauge", help);
            foreach (BudgetStanding standing in standings)
                MetricsText.Sample(text, name, [.. Labels(standing.Owner), ("budget", standing.SpanWord), ("currency", standing.Limit.Currency.Code)], amount(standing).ToDecimalText());
        }
    }

    private static IEnumerable<(string Name, string Value)> Labels(BudgetOwner owner)
    {
        yield return ("level", owner.Level);
        yield return ("tenant", owner.Tenant.Name);
        if (owner.Project is { } project) yield return ("project", project.Name);
        if (owner.Model is { } model) yield return ("model", model.Value);
        if (owner.Key is not { } key) yield break;
        yield return ("key", key.Prefix);
        yield return ("key_id", key.Id.ToString());
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
                    MetricsText.Sample(text, Name, [("tenant", tenant.Name), ("budget", BudgetStanding.WordOf(span)), ("used_percent", percent.ToString(CultureInfo.InvariantCulture))], count.ToString(CultureInfo.InvariantCulture));
                }
            }
        }
    }
}
