using Qanat.Books;

namespace Qanat.Store;

/// <summary>Tenants, projects and keys: saving one again replaces what may change and refuses to change what may not.</summary>
internal sealed class DirectoryFacts(SqlDatabase database, RowNumbers numbers)
{
    public void Save(Tenant tenant) =>
        database["""
            INSERT INTO tenants (id, name, created_at, budget_milli, budget_pico, budget_currency, is_demo, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name,
              budget_milli = excluded.budget_milli, budget_pico = excluded.budget_pico, budget_currency = excluded.budget_currency, settings = excluded.settings
            """].Add(tenant.Id.Value).Add(tenant.Name).Add(tenant.CreatedAt).Add(tenant.MonthlyBudget).Add(tenant.IsDemo).Add(tenant.Settings).Run();

    public void Save(Project project)
    {
        int saved = database["""
            INSERT INTO projects (id, tenant, name, created_at, budget_milli, budget_pico, budget_currency, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name,
              budget_milli = excluded.budget_milli, budget_pico = excluded.budget_pico, budget_currency = excluded.budget_currency, settings = excluded.settings
            WHERE projects.tenant = excluded.tenant
            """].Add(project.Id.Value).Add(numbers.Of(project.Tenant)).Add(project.Name).Add(project.CreatedAt).Add(project.MonthlyBudget).Add(project.Settings).Run();
        if (saved == 0) throw new StoreException($"The project {project.Id} belongs to another tenant and cannot move: make a new project.");
    }

    /// <summary>A revoked key stays revoked from the first revocation on, whatever is saved later.</summary>
    public void Save(ApiKey key)
    {
        OwnerRow owner = numbers.Of(key.Tenant, key.Project);
        if (database["SELECT 1 FROM keys WHERE hash = ? AND id <> ?"].Add(key.Hash.AsSpan()).Add(key.Id.Value).Scalar() is not null)
            throw new StoreException($"The secret of the key {key.Id} is another key's: make a new secret.");
        int saved = database["""
            INSERT INTO keys (id, tenant, project, name, prefix, hash, role, created_at, revoked_at, budget_milli, budget_pico, budget_currency, settings)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, revoked_at = coalesce(keys.revoked_at, excluded.revoked_at),
              budget_milli = excluded.budget_milli, budget_pico = excluded.budget_pico, budget_currency = excluded.budget_currency, settings = excluded.settings
            WHERE keys.tenant = excluded.tenant AND keys.project = excluded.project AND keys.prefix = excluded.prefix AND keys.hash = excluded.hash AND keys.role = excluded.role
            """].Add(key.Id.Value).Add(owner.Tenant).Add(owner.Project).Add(key.Name).Add(key.Prefix).Add(key.Hash.AsSpan()).Add((long)key.Role)
            .Add(key.CreatedAt).Add(key.RevokedAt).Add(key.MonthlyBudget).Add(key.Settings).Run();
        if (saved == 0) throw new StoreException($"The key {key.Id} is another project's, or has another secret or role: make a new key.");
    }
}
