using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books;

/// <summary>Prepares the removal of demo tenants: their revenue and receivables vanish with them, but the pool time they used was real, so that its cost stays as the cost of a demonstration.</summary>
public static class DemoClearing
{
    /// <summary>The fact to append; null when there is no demo tenant. Everything settled must have been posted (<see cref="Bookkeeper.PostAsync"/>) and no demo request may be open.</summary>
    /// <exception cref="InvalidOperationException">A demo request is open, or demo usage is not posted yet.</exception>
    public static async Task<DemoCleared?> PlanAsync(IBookReader store, Instant at, CancellationToken cancel = default)
    {
        DirectorySnapshot directory = await store.ReadDirectoryAsync(cancel).ConfigureAwait(false);
        HashSet<TenantId> demo = [.. directory.Tenants.Where(t => t.IsDemo).Select(t => t.Id)];
        if (demo.Count == 0) return null;
        await EnsureNothingPendingAsync(store, demo, cancel).ConfigureAwait(false);
        Instant closedThrough = (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).ClosedThrough;
        if (at < closedThrough || (await store.SumEntriesAsync(new SumQuery(new Period(Period.All.From, closedThrough), GroupBy.Tenant), cancel).ConfigureAwait(false)).Any(s => s.Key.Tenant is { } tenant && demo.Contains(tenant)))
            throw new InvalidOperationException($"Demo usage lies in a period that is closed through {closedThrough}: it stays.");

        ImmutableArray<EntrySum> entries = await store.SumEntriesAsync(new SumQuery(Period.All, GroupBy.Tenant | GroupBy.Pool), cancel).ConfigureAwait(false);
        ImmutableArray<PoolAmount> costs = [.. entries
            .Where(s => (s.Account == Accounts.CapacityClearing || s.Account == Accounts.AccruedUpstream) && s.Key is { Tenant: { } tenant, Pool: not null } && demo.Contains(tenant))
            .GroupBy(s => (Pool: s.Key.Pool!.Value, s.Amount.Currency, Upstream: s.Account == Accounts.AccruedUpstream))
            .OrderBy(g => g.Key.Pool.Value, StringComparer.Ordinal)
            .Select(g => new PoolAmount(g.Key.Pool, -g.Aggregate(Money.Zero(g.Key.Currency), (sum, s) => sum + s.Amount), g.Key.Upstream))];

        ImmutableArray<UsageSum> usage = await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Tenant | GroupBy.Pool), cancel).ConfigureAwait(false);
        ImmutableArray<ClearedUsage> cleared = [.. usage
            .Where(s => s.Key is { Tenant: { } tenant, Pool: not null } && demo.Contains(tenant))
            .GroupBy(s => s.Key.Pool!.Value)
            .OrderBy(g => g.Key.Value, StringComparer.Ordinal)
            .Select(g => new ClearedUsage(g.Key, g.Sum(s => s.Device.TotalNanoseconds), g.Sum(s => s.Requests)))];

        string memo = string.Create(CultureInfo.InvariantCulture, $"{cleared.Sum(c => c.Requests)} requests of {demo.Count} demo tenants removed");
        var id = TransactionId.OfContent(at, $"{Templates.DemoClearedName} {memo} {string.Join(' ', costs)}");
        Transaction? replacement = costs.All(c => c.Amount.IsZero) ? null : Templates.DemoCleared(id, at, memo, costs);
        return new DemoCleared(at, replacement) { Cleared = cleared };
    }

    private static async Task EnsureNothingPendingAsync(IBookReader store, HashSet<TenantId> demo, CancellationToken cancel)
    {
        ImmutableArray<OpenHold> open = await store.ReadOpenHoldsAsync(cancel).ConfigureAwait(false);
        if (open.Any(o => demo.Contains(o.Hold.Party.Tenant)))
            throw new InvalidOperationException("A demo request is still open: wait until the demo has ended, then clear it.");
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All, Posted: false), cancel).ConfigureAwait(false))
        {
            if (demo.Contains(record.Party.Tenant))
                throw new InvalidOperationException($"Demo request {record.Id} is not posted yet: post first, then clear the demo.");
        }
    }
}
