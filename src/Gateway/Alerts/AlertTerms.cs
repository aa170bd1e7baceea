namespace Qanat.Gateway;

/// <summary>Where a tenant is told that a budget nears its end.</summary>
/// <param name="Url">Where alerts are posted.</param>
/// <param name="Secret">What they are signed with.</param>
public sealed record WebhookTerms(string Url, string Secret);

/// <summary>A budget that has passed a threshold.</summary>
/// <param name="Id">The same for the same tenant, budget, span, limit and threshold, whenever it is noticed: an alert is told once, and whoever is told it twice can see that it is the same.</param>
/// <param name="Kind">"monthly budget", "daily budget" or "prepaid credit"; of a part of the tenant with whose it is, e.g. "monthly budget of project support".</param>
public sealed record BudgetAlert(string Id, string Tenant, string TenantId, string Kind, int ThresholdPercent, string Limit, string Spent, string Held, string Currency, string At)
{
    /// <summary>Something is left, but a request was refused or ended because it did not fit: all that the budget can give is used.</summary>
    public bool Refused { get; init; }
}
