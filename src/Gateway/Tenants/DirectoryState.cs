using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>A key as its creator sees it, this once.</summary>
public sealed record NewKey(ApiKey Key, string Secret);

/// <summary>The directory in memory. A change is first appended to the books, with who made it, and takes effect when it is durable; readers always see a whole snapshot.</summary>
public sealed class DirectoryState : IDisposable
{
    public const int NameLengthMax = 100;

    /// <summary>The project that every tenant begins with.</summary>
    public const string DefaultProject = "default";

    private readonly IBookStore store;
    private readonly TimeProvider clock;
    private readonly SemaphoreSlim changing = new(1);
    private volatile DirectoryModel current;

    private DirectoryState(IBookStore store, TimeProvider clock, DirectoryModel current)
    {
        this.store = store;
        this.clock = clock;
        this.current = current;
    }

    public DirectoryModel Current => current;

    /// <summary>Raised after every change, once it is in force.</summary>
    public event Action? Changed;

    public static async Task<DirectoryState> LoadAsync(IBookStore store, TimeProvider clock, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        return new DirectoryState(store, clock, new DirectoryModel(await store.ReadDirectoryAsync(cancel)));
    }

    /// <summary>Whether an identity is in force at this moment: neither revoked nor expired.</summary>
    public bool Works(ApiKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return key.RevokedAt is null && !(KeyTerms.Of(key).ExpiresAt <= clock.GetUtcNow());
    }

    /// <summary>Creates a tenant with its first project.</summary>
    /// <exception cref="ApiException">400: the name is empty or too long. 409: it is taken.</exception>
    public Task<Tenant> CreateTenantAsync(string who, NewTenant asked, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(asked);
        return ChangeAsync(now =>
        {
            string name = DirectoryNames.Check(asked.Name, "name");
            if (now.FindTenant(name) is not null) throw DirectoryNames.Taken("tenant", name);
            Instant at = Instant.Now(clock);
            Tenant tenant = new(TenantId.New(clock), name, at, asked.MonthlyBudget, asked.IsDemo);
            Project project = new(ProjectId.New(clock), tenant.Id, DefaultProject, at, null);
            return new Change<Tenant>(tenant, now.With(tenant).With(project),
                [new TenantSaved(tenant), new ProjectSaved(project), Audit(who, "tenant.create", name, null, Describe(tenant.MonthlyBudget))]);
        }, cancel);
    }

    /// <exception cref="ApiException">400: the name is empty or too long. 409: it is taken.</exception>
    public Task<Project> CreateProjectAsync(string who, Tenant tenant, string name, Money? monthlyBudget, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(tenant);
        return ChangeAsync(now =>
        {
            string checkedName = DirectoryNames.Check(name, "name");
            if (now.FindProject(tenant.Id, checkedName) is not null) throw DirectoryNames.Taken("project", checkedName);
            Project project = new(ProjectId.New(clock), tenant.Id, checkedName, Instant.Now(clock), monthlyBudget);
            return new Change<Project>(project, now.With(project),
                [new ProjectSaved(project), Audit(who, "project.create", $"{tenant.Name}/{checkedName}", null, Describe(monthlyBudget))]);
        }, cancel);
    }

    /// <summary>Makes a key; its secret is in the answer and nowhere else.</summary>
    /// <param name="secret">The key's text when it is given from outside; null: a random one.</param>
    public Task<NewKey> CreateKeyAsync(string who, NewKeyOrder order, string? secret, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(order);
        return ChangeAsync(now =>
        {
            string text = secret ?? KeySecret.New();
            string name = DirectoryNames.Check(order.Name, "name");
            ApiKey key = new(KeyId.New(clock), order.Project.Tenant, order.Project.Id, name, KeySecret.PrefixOf(text), KeySecret.Hash(text), order.Role, Instant.Now(clock), null, order.MonthlyBudget,
                order.Terms?.ToSettings());
            if (now.FindKey(key.Hash.AsSpan()) is not null)
                throw new ApiException(400, "invalid_request_error", "key_taken", "This key exists already: give another, or none to have one made.", "key");
            return new Change<NewKey>(new NewKey(key, text), now.With(key),
                [new KeySaved(key), Audit(who, "key.create", key.Prefix, null, $"{order.Role}, {Describe(order.MonthlyBudget)}{(order.Terms is null ? "" : ", " + order.Terms.ToShownText())}")]);
        }, cancel);
    }

    /// <summary>Ends a key for good. Revoking it again changes nothing.</summary>
    public Task<ApiKey> RevokeKeyAsync(string who, KeyId id, CancellationToken cancel) => ChangeAsync(now =>
    {
        ApiKey key = now.FindKey(id) ?? throw DirectoryNames.Unknown("key", id.ToString());
        if (key.RevokedAt is not null) return new Change<ApiKey>(key, now, []);
        ApiKey revoked = key with { RevokedAt = Instant.Now(clock) };
        EnsureOwnerLeft(now.With(revoked));
        return new Change<ApiKey>(revoked, now.With(revoked), [new KeySaved(revoked), Audit(who, "key.revoke", key.Prefix, null, null)]);
    }, cancel);

    /// <summary>Sets or clears (null) what a tenant may spend in a calendar month (UTC).</summary>
    public Task<Tenant> SetBudgetAsync(string who, TenantId id, Money? monthlyBudget, CancellationToken cancel) => ChangeAsync(now =>
    {
        Tenant before = now.FindTenant(id) ?? throw DirectoryNames.Unknown("tenant", id.ToString());
        Tenant after = before with { MonthlyBudget = monthlyBudget };
        return new Change<Tenant>(after, now.With(after),
            [new TenantSaved(after), Audit(who, "tenant.budget", before.Name, Describe(before.MonthlyBudget), Describe(monthlyBudget))]);
    }, cancel);

    /// <summary>The same for a project.</summary>
    public Task<Project> SetBudgetAsync(string who, ProjectId id, Money? monthlyBudget, CancellationToken cancel) => ChangeAsync(now =>
    {
        Project before = now.FindProject(id) ?? throw DirectoryNames.Unknown("project", id.ToString());
        Project after = before with { MonthlyBudget = monthlyBudget };
        return new Change<Project>(after, now.With(after),
            [new ProjectSaved(after), Audit(who, "project.budget", before.Name, Describe(before.MonthlyBudget), Describe(monthlyBudget))]);
    }, cancel);

    /// <summary>The same for a key.</summary>
    public Task<ApiKey> SetBudgetAsync(string who, KeyId id, Money? monthlyBudget, CancellationToken cancel) => ChangeAsync(now =>
    {
        ApiKey before = now.FindKey(id) ?? throw DirectoryNames.Unknown("key", id.ToString());
        ApiKey after = before with { MonthlyBudget = monthlyBudget };
        return new Change<ApiKey>(after, now.With(after),
            [new KeySaved(after), Audit(who, "key.budget", before.Prefix, Describe(before.MonthlyBudget), Describe(monthlyBudget))]);
    }, cancel);

    /// <summary>Changes what is agreed with a tenant beyond its monthly budget.</summary>
    /// <param name="action">As the audit log names the change.</param>
    public Task<Tenant> SetTermsAsync(string who, string action, TenantId id, Func<TenantTerms, TenantTerms> change, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(change);
        return ChangeAsync(now =>
        {
            Tenant before = now.FindTenant(id) ?? throw DirectoryNames.Unknown("tenant", id.ToString());
            Tenant after = before with { Settings = change(TenantTerms.Of(before)).ToSettings() };
            return new Change<Tenant>(after, now.With(after), [new TenantSaved(after), Audit(who, action, before.Name, TenantTerms.Of(before).ToShownText(), TenantTerms.Of(after).ToShownText())]);
        }, cancel);
    }

    /// <summary>The same for a project.</summary>
    public Task<Project> SetTermsAsync(string who, string action, ProjectId id, Func<ProjectTerms, ProjectTerms> change, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(change);
        return ChangeAsync(now =>
        {
            Project before = now.FindProject(id) ?? throw DirectoryNames.Unknown("project", id.ToString());
            Project after = before with { Settings = change(ProjectTerms.Of(before)).ToSettings() };
            return new Change<Project>(after, now.With(after), [new ProjectSaved(after), Audit(who, action, before.Name, before.Settings, after.Settings)]);
        }, cancel);
    }

    /// <summary>The same for a key. How far it reaches and what it was rotated from never change.</summary>
    public Task<ApiKey> SetTermsAsync(string who, string action, KeyId id, Func<KeyTerms, KeyTerms> change, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(change);
        return ChangeAsync(now =>
        {
            ApiKey before = now.FindKey(id) ?? throw DirectoryNames.Unknown("key", id.ToString());
            KeyTerms terms = KeyTerms.Of(before);
            ApiKey after = before with { Settings = (change(terms) with { Reach = terms.Reach, RotatedFrom = terms.RotatedFrom }).ToSettings() };
            EnsureOwnerLeft(now.With(after));
            return new Change<ApiKey>(after, now.With(after), [new KeySaved(after), Audit(who, action, before.Prefix, terms.ToShownText(), KeyTerms.Of(after).ToShownText())]);
        }, cancel);
    }

    /// <summary>Makes an identity that a person signs in with. It has no secret: nobody knows a text with its hash.</summary>
    /// <exception cref="ApiException">409: the login is taken.</exception>
    public Task<ApiKey> CreateAccountAsync(string who, NewKeyOrder order, string login, string password, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(order);
        string checkedLogin = DirectoryNames.Check(login, "login");
        AccountTerms account = new(checkedLogin, Passwords.Hash(password));
        return ChangeAsync(now =>
        {
            if (now.FindAccount(checkedLogin) is not null) throw DirectoryNames.Taken("account", checkedLogin);
            KeyTerms terms = (order.Terms ?? new KeyTerms { Reach = order.Reach }) with { Account = account };
            ApiKey key = new(KeyId.New(clock), order.Project.Tenant, order.Project.Id, DirectoryNames.Check(order.Name, "name"), "account", [.. RandomNumberGenerator.GetBytes(KeySecret.RandomBytes)], order.Role,
                Instant.Now(clock), null, order.MonthlyBudget, terms.ToSettings());
            return new Change<ApiKey>(key, now.With(key), [new KeySaved(key), Audit(who, "account.create", checkedLogin, null, $"{order.Role}, {terms.ToShownText()}")]);
        }, cancel);
    }

    /// <summary>The identity of somebody whom an OpenID provider vouches for: theirs, if it is still what they may be, else a new one in its place, because a role never changes (ADR 11).</summary>
    /// <exception cref="ApiException">403: their identity was revoked here, which holds whatever the provider says.</exception>
    public Task<ApiKey> AdmitOutsiderAsync(string who, OutsideTerms person, NewKeyOrder order, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(order);
        return ChangeAsync(now =>
        {
            ApiKey? old = now.FindOutsider(person);
            if (old?.RevokedAt is not null)
                throw new ApiException(403, "permission_error", "identity_revoked", "Your identity here was revoked. Whoever runs this cloud can make an account for you.");
            KeyTerms terms = new() { Reach = order.Reach, Outside = person };
            if (old is not null && Works(old) && (old.Project, old.Role, KeyTerms.Of(old).Reach) == (order.Project.Id, order.Role, terms.Reach)) return new Change<ApiKey>(old, now, []);
            ApiKey key = new(KeyId.New(clock), order.Project.Tenant, order.Project.Id, DirectoryNames.Check(order.Name, "name"), "openid", [.. RandomNumberGenerator.GetBytes(KeySecret.RandomBytes)], order.Role,
                Instant.Now(clock), null, null, terms.ToSettings());
            Fact[] made = [new KeySaved(key), Audit(who, "outsider.admit", key.Name, old?.Role.ToString(), $"{order.Role}, {terms.ToShownText()}")];
            if (old is null) return new Change<ApiKey>(key, now.With(key), [.. made]);
            ApiKey ended = old with { RevokedAt = Instant.Now(clock) };
            return new Change<ApiKey>(key, now.With(ended).With(key), [new KeySaved(ended), .. made]);
        }, cancel);
    }

    /// <summary>Nothing is allowed any more to somebody whom a provider vouches for: their identity expires, and a later rule gives them a new one.</summary>
    public Task<ApiKey?> ExpireOutsiderAsync(string who, OutsideTerms person, CancellationToken cancel) => ChangeAsync(now =>
    {
        if (now.FindOutsider(person) is not { } old || !Works(old)) return new Change<ApiKey?>(null, now, []);
        ApiKey expired = old with { Settings = (KeyTerms.Of(old) with { ExpiresAt = clock.GetUtcNow() }).ToSettings() };
        return new Change<ApiKey?>(expired, now.With(expired), [new KeySaved(expired), Audit(who, "outsider.expire", old.Name, old.Role.ToString(), null)]);
    }, cancel);

    /// <summary>A new secret with the role, scope and limits of an old key, which goes on working for <paramref name="overlap"/>. Both use the same budgets and rates.</summary>
    /// <exception cref="ApiException">400: the key is revoked or expired.</exception>
    public Task<NewKey> RotateKeyAsync(string who, KeyId id, TimeSpan overlap, CancellationToken cancel) => ChangeAsync(now =>
    {
        ApiKey old = now.FindKey(id) ?? throw DirectoryNames.Unknown("key", id.ToString());
        DateTimeOffset time = clock.GetUtcNow();
        if (KeyTerms.Of(old).Account is not null) throw new ApiException(400, "invalid_request_error", "is_account", "This is an account: it has a password, not a secret.", "id");
        if (KeyTerms.Of(old).Outside is not null) throw new ApiException(400, "invalid_request_error", "is_outside", "This is the identity of a person who signs in by OpenID Connect: it has no secret.", "id");
        if (old.RevokedAt is not null || KeyTerms.Of(old).ExpiresAt <= time)
            throw new ApiException(400, "invalid_request_error", "key_ended", "This key no longer works: make a new one.", "id");
        string text = KeySecret.New();
        ApiKey next = old with { Id = KeyId.New(clock), Prefix = KeySecret.PrefixOf(text), Hash = KeySecret.Hash(text), CreatedAt = Instant.Now(clock), Settings = (KeyTerms.Of(old) with { RotatedFrom = KeyTerms.CountedAs(old).Value }).ToSettings() };
        DateTimeOffset end = KeyTerms.Of(old).ExpiresAt is { } earlier && earlier < time + overlap ? earlier : time + overlap;
        ApiKey ending = old with { Settings = (KeyTerms.Of(old) with { ExpiresAt = end }).ToSettings() };
        return new Change<NewKey>(new NewKey(next, text), now.With(ending).With(next),
            [new KeySaved(next), new KeySaved(ending), Audit(who, "key.rotate", old.Prefix, old.Prefix, string.Create(CultureInfo.InvariantCulture, $"{next.Prefix}; the old one works until {end:O}"))]);
    }, cancel);

    /// <summary>Gives a tenant another name.</summary>
    public Task<Tenant> RenameAsync(string who, TenantId id, string name, CancellationToken cancel) => ChangeAsync(now =>
    {
        Tenant before = now.FindTenant(id) ?? throw DirectoryNames.Unknown("tenant", id.ToString());
        string checkedName = DirectoryNames.Check(name, "name");
        if (now.FindTenant(checkedName) is { } other && other.Id != id) throw DirectoryNames.Taken("tenant", checkedName);
        Tenant after = before with { Name = checkedName };
        return new Change<Tenant>(after, now.With(after), [new TenantSaved(after), Audit(who, "tenant.rename", before.Name, before.Name, checkedName)]);
    }, cancel);

    /// <summary>Appends facts that change the directory behind its back (removing the demo) and reads it anew.</summary>
    public async Task ApplyAsync(Fact fact, CancellationToken cancel)
    {
        await changing.WaitAsync(cancel);
        try
        {
            await store.AppendAsync(fact, cancel);
            current = new DirectoryModel(await store.ReadDirectoryAsync(CancellationToken.None));
            Changed?.Invoke();
        }
        finally
        {
            changing.Release();
        }
    }

    public void Dispose() => changing.Dispose();

    private async Task<T> ChangeAsync<T>(Func<DirectoryModel, Change<T>> decide, CancellationToken cancel)
    {
        await changing.WaitAsync(cancel);
        try
        {
            Change<T> change = decide(current);
            // Once handed over it must take effect in memory too, whether or not the caller still waits.
            if (change.Facts.Length > 0) await store.AppendAsync(new Together(change.Facts), CancellationToken.None);
            current = change.After;
            if (change.Facts.Length > 0) Changed?.Invoke();
            return change.Result;
        }
        finally
        {
            changing.Release();
        }
    }

    private static void EnsureOwnerLeft(DirectoryModel after)
    {
        if (!after.Keys.Any(DirectoryModel.IsCloudOwner))
            throw new ApiException(400, "invalid_request_error", "last_owner_key", "This is the only owner key left that does not end: make another one first.", "id");
    }

    private Audited Audit(string who, string action, string subject, string? before, string? after) =>
        new(new AuditEntry(Instant.Now(clock), who, action, subject, before, after));

    private static string Describe(Money? monthlyBudget) => monthlyBudget is { } money ? $"monthly budget {money}" : "no budget";

    private sealed record Change<T>(T Result, DirectoryModel After, ImmutableArray<Fact> Facts);
}

/// <summary>What a new tenant is to be.</summary>
public sealed record NewTenant(string Name, Money? MonthlyBudget, bool IsDemo);

/// <summary>What a new key is to be.</summary>
/// <param name="Terms">Null: an owner's reaches all of the cloud, any other its tenant, and nothing else bounds it.</param>
public sealed record NewKeyOrder(Project Project, string Name, KeyRole Role, Money? MonthlyBudget, KeyTerms? Terms = null)
{
    public Reach Reach => Terms?.Reach ?? (Role == KeyRole.Owner ? Reach.Cloud : Reach.Tenant);
}
