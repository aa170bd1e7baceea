using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>Which records are a tenant's is written in steps: whoever asks between two of them, or opens the books after the process has died there, gets each record once.</summary>
public sealed class RecordsByTenantTests : IDisposable
{
    /// <summary>Of so many records the sums are closed: more than one step writes.</summary>
    private const int ClosedRecords = 150;

    private readonly TestDirectory _directory = new();
    private readonly TestBooks _facts = new();
    private readonly Dictionary<TenantId, List<UsageRecord>> _settled = [];
    private int _second;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    private Task<SqliteBookStore> Open() => SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System, StoreOptions.Default with { UnsummedRecordsMax = ClosedRecords });

    private async Task<ApiKey> NewKey(SqliteBookStore store, string name, bool isDemo = false)
    {
        Tenant tenant = _facts.NewTenant(name, isDemo);
        Project project = _facts.NewProject(tenant);
        ApiKey key = _facts.NewKey(project);
        await store.AppendAsync(new Together([new TenantSaved(tenant), new ProjectSaved(project), new KeySaved(key)]), Cancel);
        return key;
    }

    private async Task Settle(SqliteBookStore store, ApiKey key)
    {
        UsageRecord record = _facts.NewRecord(TestBooks.At(_second++), key);
        await store.AppendAsync(new HoldSettled(record), Durability.Process, Cancel);
        if (!_settled.TryGetValue(key.Tenant, out List<UsageRecord>? its)) _settled[key.Tenant] = its = [];
        its.Add(record);
    }

    /// <summary>Settles for these in turn until rows stand in the file that do not count yet.</summary>
    private async Task SettleUntilUnderWay(SqliteBookStore store, params ApiKey[] keys)
    {
        for (int settled = 0; Beyond() == 0; settled++)
        {
            Assert.InRange(settled, 0, 3 * ClosedRecords);
            await Settle(store, keys[settled % keys.Length]);
        }
    }

    private long Beyond() => Look("SELECT count(*) FROM usage_of_tenants WHERE no > (SELECT record FROM summed_through)");

    private long Look(string sql)
    {
        using SqliteDatabase file = SqliteDatabase.OpenReader(_directory.File(SqliteBookStore.FileName));
        return file[sql].Scalar()!.Value;
    }

    private async Task EachIsThereOnce(SqliteBookStore store)
    {
        foreach ((TenantId tenant, List<UsageRecord> records) in _settled)
        {
            Assert.Equal(records, await store.StreamUsageAsync(new UsageQuery(Period.All, tenant), Cancel).ToArrayAsync(Cancel));
            Assert.Equal(Enumerable.Reverse(records), await store.ReadUsageAsync(new UsageQuery(Period.All, tenant, Limit: int.MaxValue), Cancel));
            Assert.Equal(records.Count, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Tenant, tenant), Cancel)).Single().Requests);
        }
        Assert.Empty(await store.VerifyAsync(Cancel));
    }

    [Fact]
    public async Task Between_any_two_steps_each_tenants_records_and_sums_are_whole()
    {
        await using SqliteBookStore store = await Open();
        foreach (Fact fact in _facts.Directory) await store.AppendAsync(fact, Cancel);
        ApiKey other = await NewKey(store, "Other");
        int looks = 0;
        while (looks < 3 || Look("SELECT record FROM summed_through") < 2 * ClosedRecords)
        {
            await Settle(store, _second % 3 == 0 ? other : _facts.Key);
            Assert.InRange(_second, 0, 5 * ClosedRecords);
            if (Beyond() == 0) continue;
            looks++;
            await EachIsThereOnce(store);
        }
        await EachIsThereOnce(store);
    }

    [Fact]
    public async Task Steps_that_were_begun_before_the_process_died_are_taken_again()
    {
        await using (SqliteBookStore store = await Open())
        {
            foreach (Fact fact in _facts.Directory) await store.AppendAsync(fact, Cancel);
            await SettleUntilUnderWay(store, _facts.Key, await NewKey(store, "Other"));
        }
        // Closing takes no more steps: the file is as after a kill.
        Assert.NotEqual(0, Beyond());
        await using SqliteBookStore again = await Open();
        await EachIsThereOnce(again);
        while (Look("SELECT record FROM summed_through") == 0)
        {
            await Settle(again, _facts.Key);
            Assert.InRange(_second, 0, 5 * ClosedRecords);
        }
        await EachIsThereOnce(again);
    }

    [Fact]
    public async Task Clearing_the_demo_between_two_steps_leaves_nothing_of_it_and_all_others()
    {
        await using SqliteBookStore store = await Open();
        foreach (Fact fact in _facts.Directory) await store.AppendAsync(fact, Cancel);
        ApiKey demo = await NewKey(store, "Demo", isDemo: true);
        await SettleUntilUnderWay(store, _facts.Key, demo);
        // The newest are the demo's: their numbers are free after it.
        for (int index = 0; index < 3; index++) await Settle(store, demo);
        List<UsageRecord> its = _settled[demo.Tenant];
        await store.AppendAsync(new DemoCleared(TestBooks.At(_second), null) { Cleared = [new ClearedUsage(TestBooks.Pool, its.Sum(record => record.Device.TotalNanoseconds), its.Count)] }, Cancel);
        _settled.Remove(demo.Tenant);
        await EachIsThereOnce(store);
        for (int settled = 0; settled < 2 * ClosedRecords; settled++) await Settle(store, _facts.Key);
        await EachIsThereOnce(store);
        Assert.Equal(_settled[_facts.Tenant.Id].Count, Look("SELECT count(*) FROM usage"));
    }
}
