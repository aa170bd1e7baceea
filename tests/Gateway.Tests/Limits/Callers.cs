using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>Callers with budgets, for tests that need no directory.</summary>
internal static class Callers
{
    public static Caller With(Money? tenantBudget = null, Money? projectBudget = null, Money? keyBudget = null)
    {
        TimeProvider clock = TimeProvider.System;
        Tenant tenant = new(TenantId.New(clock), "tenant", new Instant(0), tenantBudget, IsDemo: false);
        Project project = new(ProjectId.New(clock), tenant.Id, "project", new Instant(0), projectBudget);
        ApiKey key = new(KeyId.New(clock), tenant.Id, project.Id, "key", "sk-...", [], KeyRole.Inference, new Instant(0), null, keyBudget);
        return new Caller(tenant, project, key);
    }

    /// <summary>The caller, of a tenant that may only use so much.</summary>
    public static Caller Within(this Caller caller, RateTerms rates) => caller with { Tenant = caller.Tenant with { Settings = new TenantTerms { Rates = rates }.ToSettings() } };

    /// <summary>Enters a request of one call, for as many tokens as its prompt has and it asks for. They stay taken until somebody says what it used.</summary>
    public static async Task<RateLease> EnterAsync(this RateLimits limits, Call call, CancellationToken cancel)
    {
        RateLease lease = await limits.EnterAsync(call, [call.Prompt.Length + (call.MaxTokens ?? 0L) * call.Choices], cancel);
        lease.Calls[0].Keep();
        return lease;
    }
}
