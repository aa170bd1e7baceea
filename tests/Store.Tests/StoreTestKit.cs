using System.Text;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>What every store must do: each sentence of the contract is a test here, and each store runs all of them. The parts stand in StoreTestKit.*.cs.</summary>
public abstract partial class StoreTestKit : IAsyncLifetime
{
    protected TestBooks Facts { get; } = new();
    protected TestClock Clock { get; } = new();
    protected IStore Store { get; private set; } = null!;
    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Store = await OpenAsync();
        await Append(Facts.Directory);
    }

    /// <summary>Whatever a test did, the store must be sound after it.</summary>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        Assert.Empty(await Store.VerifyAsync(CancellationToken.None));
        await Store.DisposeAsync();
        await RemoveAsync();
    }

    /// <summary>An empty store.</summary>
    protected abstract Task<IStore> OpenAsync();
    protected abstract ValueTask RemoveAsync();

    protected async Task Append(params IEnumerable<Fact> facts)
    {
        foreach (Fact fact in facts) await Store.AppendAsync(fact, Cancel);
    }

    /// <summary>The fact is accepted and everything stays as it was.</summary>
    protected async Task ChangesNothing(Fact fact)
    {
        string before = await Everything(Store);
        await Append(fact);
        Assert.Equal(before, await Everything(Store));
    }

    /// <summary>The fact is refused and everything stays as it was; the reason given.</summary>
    protected async Task<string> IsRefused(Fact fact)
    {
        string before = await Everything(Store);
        StoreException refused = await Assert.ThrowsAsync<StoreException>(() => Store.AppendAsync(fact, Cancel));
        Assert.Equal(before, await Everything(Store));
        return refused.Message;
    }

    protected Task<UsageSum> Total() => Only(Store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel));

    protected static async Task<T> Only<T>(Task<System.Collections.Immutable.ImmutableArray<T>> rows) => Assert.Single(await rows);

    /// <summary>All that a store answers, as text, in an order of its own: equal texts, equal books. Capacity that goes on in one state is one stretch, however it is kept.</summary>
    internal static async Task<string> Everything(IBookReader store)
    {
        const GroupBy Finest = GroupBy.Tenant | GroupBy.Project | GroupBy.Model | GroupBy.Pool;
        StringBuilder text = new();
        DirectorySnapshot directory = await store.ReadDirectoryAsync(Cancel);
        Lines("tenant", directory.Tenants);
        Lines("project", directory.Projects);
        Lines("key", directory.Keys.Select(key => $"{key with { Hash = [] }} {Convert.ToHexString(key.Hash.AsSpan())}"));
        Lines("price", await store.ReadPricesAsync(Cancel));
        Lines("rate", await store.ReadPoolRatesAsync(Cancel));
        Lines("hold", await store.ReadOpenHoldsAsync(Cancel));
        Lines("record", await store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel), keepOrder: true);
        Lines("unposted", (await store.StreamUsageAsync(new UsageQuery(Period.All, Posted: false), Cancel).ToArrayAsync(Cancel)).Select(record => record.Id));
        Lines("page", (await store.ReadUsageAsync(new UsageQuery(Period.All, Limit: int.MaxValue), Cancel)).Select(record => record.Id), keepOrder: true);
        Lines("sum", await store.SumUsageAsync(new SumQuery(Period.All, Finest), Cancel));
        Lines("hour", await store.SumUsageAsync(new SumQuery(Period.All, Finest | GroupBy.Hour), Cancel));
        Lines("day", await store.SumUsageAsync(new SumQuery(Period.All, Finest | GroupBy.Day), Cancel));
        Lines("spend", (await store.ReadSpendAsync(Period.All, Cancel)).Where(row => !row.Charge.IsZero));
        foreach (Transaction transaction in await store.StreamJournalAsync(new JournalQuery(Period.All), Cancel).ToArrayAsync(Cancel))
        {
            text.AppendLine($"transaction {transaction with { Entries = [] }}");
            Lines("entry", transaction.Entries, keepOrder: true);
            Lines("posted", await store.ReadPostedRecordsAsync(transaction.Id, Cancel), keepOrder: true);
        }
        foreach (GroupBy by in (GroupBy[])[Finest, Finest | GroupBy.Day, Finest | GroupBy.Hour]) Lines("balance", await store.SumEntriesAsync(new SumQuery(Period.All, by), Cancel));
        foreach (PoolName pool in TestBooks.Pools) Lines("capacity", Joined(await store.StreamCapacityAsync(pool, Period.All, Cancel).ToArrayAsync(Cancel)), keepOrder: true);
        Lines("cleared", await store.ReadClearedUsageAsync(Cancel));
        Lines("declared", await store.ReadDeclarationsAsync(Cancel));
        Lines("audit", await store.ReadAuditAsync(int.MaxValue, Cancel), keepOrder: true);
        return text.ToString();

        void Lines<T>(string what, IEnumerable<T> rows, bool keepOrder = false)
        {
            IEnumerable<string> lines = rows.Select(row => $"{what} {row}");
            foreach (string line in keepOrder ? lines : lines.Order(StringComparer.Ordinal)) text.AppendLine(line);
        }
    }

    private static List<CapacityRecord> Joined(IEnumerable<CapacityRecord> records)
    {
        List<CapacityRecord> joined = [];
        foreach (CapacityRecord record in records)
        {
            if (joined.Count > 0 && joined[^1] is { } last && last.To == record.From && last.State == record.State)
                joined[^1] = last with { To = record.To, BusyNanoseconds = last.BusyNanoseconds + record.BusyNanoseconds };
            else joined.Add(record);
        }
        return joined;
    }
}
