using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    [Fact]
    public async Task Tenants_projects_and_keys_come_back_as_they_were_saved()
    {
        Tenant tenant = Facts.NewTenant("Ünïcode 漢字 🐫\0 and a NUL") with { MonthlyBudget = new Money(-1, TestBooks.Eur), IsDemo = true, Settings = "{\"a\":1}" };
        Project project = Facts.NewProject(tenant) with { Name = "", MonthlyBudget = TestBooks.Usd(7), Settings = "{}" };
        ApiKey key = Facts.NewKey(project) with { Role = KeyRole.Owner, RevokedAt = TestBooks.At(9), MonthlyBudget = new Money((Int128)long.MaxValue * 1_000_000, TestBooks.Eur), Settings = "{\"reach\":\"Cloud\"}" };
        await Append(new TenantSaved(tenant), new ProjectSaved(project), new KeySaved(key));
        DirectorySnapshot directory = await Store.ReadDirectoryAsync(Cancel);
        Assert.Equal([Facts.Tenant, tenant], directory.Tenants);
        Assert.Equal([Facts.Project, project], directory.Projects);
        Assert.Equal(2, directory.Keys.Length);
        Assert.Equal(key.Hash, directory.Keys[1].Hash);
        Assert.Equal(key, directory.Keys[1] with { Hash = key.Hash });
    }

    [Fact]
    public async Task Saving_a_tenant_again_replaces_its_name_and_budget_and_nothing_else()
    {
        await Append(new TenantSaved(Facts.Tenant with { Name = "Acme & Sons", MonthlyBudget = null, Settings = "{}", IsDemo = true, CreatedAt = TestBooks.At(5) }));
        Tenant tenant = Assert.Single((await Store.ReadDirectoryAsync(Cancel)).Tenants);
        Assert.Equal(Facts.Tenant with { Name = "Acme & Sons", MonthlyBudget = null, Settings = "{}" }, tenant);
        await Append(new ProjectSaved(Facts.Project with { Name = "Chat", MonthlyBudget = TestBooks.Usd(3) }));
        Assert.Equal(Facts.Project with { Name = "Chat", MonthlyBudget = TestBooks.Usd(3) }, Assert.Single((await Store.ReadDirectoryAsync(Cancel)).Projects));
    }

    [Fact]
    public async Task A_revoked_key_stays_revoked()
    {
        await Append(new KeySaved(Facts.Key with { RevokedAt = TestBooks.At(3) }), new KeySaved(Facts.Key with { Name = "desktop" }), new KeySaved(Facts.Key with { RevokedAt = TestBooks.At(4) }));
        ApiKey key = Assert.Single((await Store.ReadDirectoryAsync(Cancel)).Keys);
        Assert.Equal(TestBooks.At(3), key.RevokedAt);
    }

    [Fact]
    public async Task A_project_does_not_move_and_a_key_keeps_its_secret()
    {
        Tenant other = Facts.NewTenant("Other");
        Project elsewhere = Facts.NewProject(other);
        await Append(new TenantSaved(other), new ProjectSaved(elsewhere));
        await IsRefused(new ProjectSaved(Facts.Project with { Tenant = other.Id }));
        await IsRefused(new KeySaved(Facts.Key with { Hash = [1, 2, 3] }));
        await IsRefused(new KeySaved(Facts.Key with { Role = KeyRole.Owner }));
        await IsRefused(new KeySaved(Facts.Key with { Tenant = other.Id, Project = elsewhere.Id }));
        await IsRefused(new KeySaved(Facts.NewKey(Facts.Project) with { Tenant = other.Id }));
        Assert.Contains("secret", await IsRefused(new KeySaved(Facts.NewKey(Facts.Project) with { Hash = Facts.Key.Hash })), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_refers_to_something_unknown_is_refused()
    {
        TestBooks stranger = new(seed: 99);
        await IsRefused(new ProjectSaved(stranger.Project));
        await IsRefused(new KeySaved(stranger.Key));
        await IsRefused(new PriceAdded(stranger.NewPrice(stranger.Tenant.Id)));
        await IsRefused(new HoldPlaced(Facts.NewHold(key: stranger.Key)));
        await IsRefused(new HoldPlaced(Facts.NewHold() with { Price = stranger.Price.Id }));
        await IsRefused(new HoldSettled(Facts.NewRecord() with { PoolRate = stranger.Rate.Id }));
        await IsRefused(new TransactionPosted(Facts.NewTransaction(tenant: stranger.Tenant.Id), []));
        Assert.Contains(stranger.Tenant.Id.ToString(), await IsRefused(new HoldSettled(Facts.NewRecord(key: stranger.Key))), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Prices_and_pool_rates_come_back_as_they_were_added()
    {
        PriceVersion everyone = Facts.NewPrice() with { Model = null, Rates = new TokenRates(TestBooks.Usd(0), TestBooks.Usd(1), null, null, null), IsAssumption = true, Source = "" };
        PriceVersion own = Facts.NewPrice(Facts.Tenant.Id) with { Rates = new TokenRates(new Money(5, TestBooks.Eur), new Money(6, TestBooks.Eur), null, new Money(7, TestBooks.Eur), null) };
        PoolRate rate = Facts.NewRate() with { Pool = new PoolName("gpu"), HourlyCost = new Money(3_000_000_000_000, TestBooks.Eur), PracticalCapacityPermille = 1000 };
        PriceVersion tiered = Facts.NewPrice() with { Terms = PriceTerms.Parse("batch 50% minimum 0.01 above 256000 input 1.2 output 3.6", Currency.Usd) };
        PriceVersion plain = Facts.NewPrice() with { Terms = PriceTerms.None };
        await Append(new PriceAdded(everyone), new PriceAdded(own), new PriceAdded(tiered), new PriceAdded(plain), new PoolRateAdded(rate));
        Assert.Equal([Facts.Price, everyone, own, tiered, plain], await Store.ReadPricesAsync(Cancel));
        Assert.Equal([Facts.Rate, rate], await Store.ReadPoolRatesAsync(Cancel));
    }

    [Fact]
    public async Task A_price_or_rate_is_immutable()
    {
        await ChangesNothing(new PriceAdded(Facts.Price));
        await ChangesNothing(new PoolRateAdded(Facts.Rate));
        await IsRefused(new PriceAdded(Facts.Price with { Source = "another" }));
        await IsRefused(new PoolRateAdded(Facts.Rate with { HourlyCost = TestBooks.Usd(1) }));
    }

    [Fact]
    public async Task A_declaration_is_kept_once_as_it_is()
    {
        Declaration declaration = new(new DeclarationId(Facts.NewId()), TestBooks.At(1), "contract acme-2026 tenant 7 discount 10% # 漢");
        Declaration other = new(new DeclarationId(Facts.NewId()), TestBooks.At(0), "");
        await Append(new Declared(declaration), new Declared(other));
        Assert.Equal([declaration, other], await Store.ReadDeclarationsAsync(Cancel));
        await ChangesNothing(new Declared(declaration with { At = TestBooks.At(2) }));
        await IsRefused(new Declared(declaration with { Text = "contract acme-2026" }));
    }

    [Fact]
    public async Task Audit_entries_come_newest_first_and_once_each()
    {
        AuditEntry first = new(TestBooks.At(9), "owner", "price.added", "qwen3", null, "{}");
        AuditEntry second = new(TestBooks.At(1), "", "tenant.saved", "Acme", "before", null);
        await Append(new Audited(first), new Audited(second), new Audited(first), new Audited(first with { After = null }));
        Assert.Equal([first with { After = null }, second, first], await Store.ReadAuditAsync(10, Cancel));
        Assert.Equal([first with { After = null }], await Store.ReadAuditAsync(1, Cancel));
        Assert.Empty(await Store.ReadAuditAsync(0, Cancel));
    }
}
