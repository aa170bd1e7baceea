using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What a start must set right before it serves: requests that were open when the last process ended, and the wall time since.</summary>
public static class Recovery
{
    /// <summary>Settles every open hold at its last durable progress, exactly once; a hold under which nothing was used is released. Returns how many were settled and released.</summary>
    public static async Task<RecoveryResult> SettleOpenHoldsAsync(IBookStore store, TariffState tariffs, ContractLimits contracts, PoolName pool, Instant now, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(tariffs);
        ArgumentNullException.ThrowIfNull(contracts);
        int settled = 0, released = 0;
        foreach (OpenHold open in await store.ReadOpenHoldsAsync(cancel))
        {
            bool nothingUsed = open.Progress.Tokens == default && open.Progress.Device == default;
            Fact end = nothingUsed ? new HoldReleased(open.Hold.Id, now, "nothing was used before the process ended") : new HoldSettled(Settle(open, tariffs, contracts, pool, now));
            await store.AppendAsync(end, cancel);
            if (nothingUsed) released++;
            else settled++;
        }
        return new RecoveryResult(settled, released);
    }

    private static UsageRecord Settle(OpenHold open, TariffState tariffs, ContractLimits contracts, PoolName pool, Instant now)
    {
        Hold hold = open.Hold;
        RequestTerms terms = new(hold.Price is { } price ? tariffs.Prices.Get(price) : null, tariffs.Declared.FindContract(hold.Party.Tenant, hold.Model, hold.PlacedAt));
        // Whether the request asked for a cache is not in the hold: what it found there is charged as found by chance, never more than it would have been.
        Outcome outcome = hold.Operation == Operation.Batch ? Outcome.Failed : Outcome.Recovered;
        RatedUsage usage = new(open.Progress.Tokens, hold.Operation, outcome);
        long free = contracts.Quotas.Settle(contracts.Quotas.Hold(terms, 0, hold.Operation, hold.PlacedAt), usage, hold.PlacedAt);
        UsageRecord record = Settlement.Record(hold, open.Progress, outcome, now, now, hold.Pool ?? pool, terms, usage.Cache, free, tariffs.Costs);
        contracts.Charged(record);
        return record;
    }

    /// <summary>Records the time from the pool's last record to the start of this process as Down, and from there to now as Loading. Returns the instant up to which the
    /// pool is recorded. A clock set back never makes an overlap: time goes on from the last record.</summary>
    public static async Task<Instant> RecordStartAsync(IBookStore store, PoolName pool, Instant processStart, Instant ready, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        Instant? last = await LastRecordedAsync(store, pool, cancel);
        Instant start = last is { } known && known > processStart ? known : processStart;
        Instant end = ready > start ? ready : start;
        ImmutableArray<CapacityRecord>.Builder records = ImmutableArray.CreateBuilder<CapacityRecord>();
        if (last is { } from && start > from) records.Add(new CapacityRecord(pool, from, start, CapacityState.Down, 0));
        if (end > start) records.Add(new CapacityRecord(pool, start, end, CapacityState.Loading, 0));
        if (records.Count > 0) await store.AppendAsync(new StepsMetered([], records.ToImmutable()), cancel);
        return end;
    }

    private static async Task<Instant?> LastRecordedAsync(IBookStore store, PoolName pool, CancellationToken cancel)
    {
        Instant? last = null;
        await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, Period.All, cancel)) last = record.To;
        return last;
    }
}

public sealed record RecoveryResult(int Settled, int Released);
