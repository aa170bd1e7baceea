using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What a start must set right before it serves: requests that were open when the last process ended, and the wall time since.</summary>
public static class Recovery
{
    /// <summary>Settles every open hold at its last durable progress, exactly once; a hold under which nothing was used is released. Returns how many were settled and released.</summary>
    public static async Task<RecoveryResult> SettleOpenHoldsAsync(IBookStore store, TariffState tariffs, PoolName pool, Instant now, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(tariffs);
        int settled = 0, released = 0;
        foreach (OpenHold open in await store.ReadOpenHoldsAsync(cancel))
        {
            bool nothingUsed = open.Progress.Tokens == default && open.Progress.Device == default;
            Fact end = nothingUsed
                ? new HoldReleased(open.Hold.Id, now, "nothing was used before the process ended")
                : new HoldSettled(Settlement.Record(open.Hold, open.Progress, open.Hold.Operation == Operation.Batch ? Outcome.Failed : Outcome.Recovered, now, now, open.Hold.Pool ?? pool, open.Hold.Price is { } price ? tariffs.Prices.Get(price) : null, tariffs.Costs));
            await store.AppendAsync(end, cancel);
            if (nothingUsed) released++;
            else settled++;
        }
        return new RecoveryResult(settled, released);
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
