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
}
