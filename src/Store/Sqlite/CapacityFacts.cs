using Qanat.Books;

namespace Qanat.Store;

/// <summary>A pool's wall time without gap or overlap. A record that continues the pool's last stretch in the same state and begins in the same minute lengthens it:
/// a pool that reports every few milliseconds makes at most a few rows a minute, and any period that begins and ends on whole minutes sums to the same.</summary>
internal sealed class CapacityFacts(SqliteDatabase database, RowNumbers numbers)
{
    private const long NanosecondsPerMinute = 60_000_000_000;

    private readonly Dictionary<long, Stretch> _lasts = [];

    public void Forget() => _lasts.Clear();

    /// <exception cref="StoreException">The record does not begin where the pool's last one ended, or is not a stretch of time.</exception>
    public void Add(CapacityRecord record)
    {
        Check(record);
        long pool = numbers.Of(record.Pool.Value);
        Stretch? last = Last(pool);
        if (last is null) Insert(pool, record);
        else if (record.From == last.To && record.State == last.State && Minute(record.From) == Minute(last.From)) Lengthen(pool, last, record);
        else if (record.From == last.To) Insert(pool, record);
        else if (!IsThere(pool, record)) throw Broken(record, last);
    }

    private static void Check(CapacityRecord record)
    {
        if (record.To <= record.From)
            throw new StoreException($"A capacity record of {record.Pool} ends at {record.To}, not after it begins at {record.From}.");
        if (record.BusyNanoseconds < 0 || record.BusyNanoseconds > record.WallNanoseconds || (record.BusyNanoseconds > 0 && record.State != CapacityState.Serving))
            throw new StoreException($"A capacity record of {record.Pool} from {record.From} claims more use than it serves.");
    }

    private Stretch? Last(long pool)
    {
        if (_lasts.TryGetValue(pool, out Stretch? known)) return known;
        Stretch? last = Read(database["SELECT from_at, to_at, state, tail_from_at, tail_busy_ns FROM capacity WHERE pool = ? ORDER BY from_at DESC LIMIT 1"].Add(pool));
        return last is null ? null : _lasts[pool] = last;
    }

    private void Insert(long pool, CapacityRecord record)
    {
        database["INSERT INTO capacity (pool, from_at, to_at, state, busy_ns, tail_from_at, tail_busy_ns) VALUES (?, ?, ?, ?, ?, ?, ?)"]
            .Add(pool).Add(record.From).Add(record.To).Add((long)record.State).Add(record.BusyNanoseconds).Add(record.From).Add(record.BusyNanoseconds).Run();
        _lasts[pool] = new Stretch(record.From, record.To, record.State, record.From, record.BusyNanoseconds);
    }

    private void Lengthen(long pool, Stretch last, CapacityRecord record)
    {
        database["UPDATE capacity SET to_at = ?, busy_ns = busy_ns + ?, tail_from_at = ?, tail_busy_ns = ? WHERE pool = ? AND from_at = ?"]
            .Add(record.To).Add(record.BusyNanoseconds).Add(record.From).Add(record.BusyNanoseconds).Add(pool).Add(last.From).Run();
        _lasts[pool] = last with { To = record.To, TailFrom = record.From, TailBusyNanoseconds = record.BusyNanoseconds };
    }

    /// <summary>The same record again: the last one that its stretch took in.</summary>
    private bool IsThere(long pool, CapacityRecord record)
    {
        Stretch? there = Read(database["""
            SELECT from_at, to_at, state, tail_from_at, tail_busy_ns FROM capacity WHERE pool = ? AND from_at <= ? ORDER BY from_at DESC LIMIT 1
            """].Add(pool).Add(record.From));
        return there is not null && there.To == record.To && there.State == record.State
            && there.TailFrom == record.From && there.TailBusyNanoseconds == record.BusyNanoseconds;
    }

    private static Stretch? Read(Statement rows)
    {
        Stretch? stretch = rows.Step() ? new Stretch(rows.Instant(), rows.Instant(), (CapacityState)rows.Int(), rows.Instant(), rows.Long()) : null;
        rows.Reset();
        return stretch;
    }

    private static long Minute(Instant at) => at.UnixNanoseconds / NanosecondsPerMinute;

    private static StoreException Broken(CapacityRecord record, Stretch last) => new(
        $"A capacity record of {record.Pool} begins at {record.From}, but the pool's last one ended at {last.To}: "
        + "records of a pool follow each other without gap or overlap.");

    private sealed record Stretch(Instant From, Instant To, CapacityState State, Instant TailFrom, long TailBusyNanoseconds);
}
