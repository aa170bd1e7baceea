using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    /// <summary>A demo tenant with a price, two posted records, one unposted and a released hold, beside a real tenant's record that one posting shares.</summary>
    private async Task<DemoBooks> WithDemo()
    {
        ApiKey key = await AnotherTenant(isDemo: true);
        UsageRecord[] demo = [.. Enumerable.Range(0, 3).Select(index => Facts.NewRecord(TestBooks.At(index), key))];
        UsageRecord real = Facts.NewRecord(TestBooks.At(9));
        Hold released = Facts.NewHold(TestBooks.At(4), key);
        Transaction shared = Facts.NewTransaction(tenant: key.Tenant);
        await Append(new PriceAdded(Facts.NewPrice(key.Tenant)), TestBooks.Steps([], TestBooks.Stretch(0, 60, busy: 48_000)), new HoldPlaced(released), new HoldReleased(released.Id, TestBooks.At(5), "refused"));
        await Append([.. demo.Append(real).Select(record => new HoldSettled(record)), new TransactionPosted(shared, [demo[0].Id, real.Id]),
            new TransactionPosted(Facts.NewTransaction(), [demo[1].Id]), new TransactionPosted(Facts.NewTransaction(), [])]);
        long device = demo.Sum(record => record.Device.TotalNanoseconds);
        return new DemoBooks(key, real, new DemoCleared(TestBooks.At(100), Facts.NewTransaction(TestBooks.At(100))) { Cleared = [new ClearedUsage(TestBooks.Pool, device, 3)] });
    }

    private sealed record DemoBooks(ApiKey Key, UsageRecord Real, DemoCleared Clearing);

    [Fact]
    public async Task Clearing_the_demo_removes_its_tenants_and_all_they_caused()
    {
        DemoBooks demo = await WithDemo();
        await Append(demo.Clearing);
        DirectorySnapshot directory = await Store.ReadDirectoryAsync(Cancel);
        Assert.Equal(Facts.Tenant, Assert.Single(directory.Tenants));
        Assert.Equal(Facts.Project, Assert.Single(directory.Projects));
        Assert.Single(directory.Keys);
        Assert.Equal(Facts.Price, Assert.Single(await Store.ReadPricesAsync(Cancel)));
        Assert.Equal(1, (await Total()).Requests);
        Assert.DoesNotContain(demo.Key.Tenant.ToString(), await Everything(Store), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Clearing_the_demo_leaves_what_is_real()
    {
        DemoBooks demo = await WithDemo();
        await Append(demo.Clearing);
        // The posting that summed up a demo record too is gone, so the real record waits for the next one.
        Assert.Equal(demo.Real, await Only(Store.ReadUsageAsync(new UsageQuery(Period.All, Posted: false), Cancel)));
        Assert.Equal([TestBooks.Stretch(0, 60, busy: 48_000)], await Capacity(0, 100));
        Assert.Equal(demo.Clearing.Cleared, await Store.ReadClearedUsageAsync(Cancel));
        Transaction[] journal = await Journal(new JournalQuery(Period.All));
        Assert.Equal(2, journal.Length);
        Assert.Equal(demo.Clearing.Replacement!.Id, journal[1].Id);
        AuditEntry audit = Assert.Single(await Store.ReadAuditAsync(10, Cancel));
        Assert.Equal((demo.Clearing.At, "demo.cleared", "1 tenants, 3 records, 2 transactions"), (audit.At, audit.Action, audit.Before));
    }

    [Fact]
    public async Task Clearing_the_demo_twice_is_clearing_it_once()
    {
        DemoBooks demo = await WithDemo();
        await Append(demo.Clearing);
        await ChangesNothing(demo.Clearing);
    }

    [Fact]
    public async Task A_clearing_that_does_not_match_the_demo_is_refused()
    {
        DemoBooks demo = await WithDemo();
        await IsRefused(demo.Clearing with { Cleared = [] });
        await IsRefused(demo.Clearing with { Cleared = [demo.Clearing.Cleared[0] with { Requests = 2 }] });
        await IsRefused(demo.Clearing with { Cleared = [.. demo.Clearing.Cleared, new ClearedUsage(new PoolName("gpu"), 1, 1)] });
        Hold open = Facts.NewHold(TestBooks.At(50), demo.Key);
        await Append(new HoldPlaced(open));
        Assert.Contains("open", await IsRefused(demo.Clearing), StringComparison.Ordinal);
        await Append(new HoldReleased(open.Id, TestBooks.At(51), "ended"), demo.Clearing);
    }

    [Fact]
    public async Task Cleared_usage_of_several_demos_is_summed_by_pool()
    {
        DemoBooks first = await WithDemo();
        await Append(first.Clearing);
        ApiKey key = await AnotherTenant(isDemo: true);
        UsageRecord again = Facts.NewRecord(TestBooks.At(200), key), elsewhere = Facts.NewRecord(TestBooks.At(201), key) with { Pool = new PoolName("gpu") };
        await Append(new HoldSettled(again), new HoldSettled(elsewhere),
            new DemoCleared(TestBooks.At(300), null) { Cleared = [new ClearedUsage(TestBooks.Pool, 12_000, 1), new ClearedUsage(new PoolName("gpu"), 12_000, 1)] });
        Assert.Equal([new ClearedUsage(TestBooks.Pool, 48_000, 4), new ClearedUsage(new PoolName("gpu"), 12_000, 1)], await Store.ReadClearedUsageAsync(Cancel));
    }

    [Fact]
    public async Task A_record_that_has_waited_for_its_posting_since_before_the_demo_still_waits_after_it()
    {
        UsageRecord waiting = Facts.NewRecord(TestBooks.At(0));
        await Append(new HoldSettled(waiting));
        DemoBooks demo = await WithDemo();
        await Append(demo.Clearing);
        Assert.Equal([waiting, demo.Real], await Store.StreamUsageAsync(new UsageQuery(Period.All, Posted: false), Cancel).ToArrayAsync(Cancel));
    }
}
