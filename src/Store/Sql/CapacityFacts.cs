using Qanat.Books;

namespace Qanat.Store;

/// <summary>A pool's wall time without gap or overlap. A record that continues the pool's last stretch in the same state and begins in the same minute lengthens it:
/// a pool that reports every few milliseconds makes at most a few rows a minute, and any period that begins and ends on whole minutes sums to the same.</summary>
internal sealed class CapacityFacts(SqlDatabase database, RowNumbers numbers)
{
    private const long NanosecondsPerMinute = 60_000_000_000;

    private readonly Dictionary<long, Stretch> _lasts = [];
    private readonly List<Stretch> _changed = [];

    public void Forget()
    {
        _lasts.Clear();
        _changed.Clear();
    }

    /// <exception cref="StoreException">The record does not begin where the pool's last one ended, or is not a stretch of time.</exception>
    public void Add(CapacityRecord record)
    {
        Check(record);
        long pool = numbers.Of(record.Pool.Value);
        Stretch? last = Last(pool);
        if (last is null) Insert(pool, record);
        else if (record.From == last.To && record.State == last.State && Minute(record.From) == Minute(last.From)) Lengthen(last, record);
        else if (record.From == last.To) Insert(pool, record);
        else if (!IsThere(pool, record)) throw Broken(record, last);
    }

    /// <summary>Writes the stretches that have begun or grown since the last time.</summary>
    public void Flush()
    {
        if (_changed.Count == 0) return;
        IRowWriter rows = database.Rows("capacity", "pool, from_at, to_at, state, busy_ns, tail_from_at, tail_busy_ns", """
            ON CONFLICT (pool, from_at) DO UPDATE SET to_at = excluded.to_at, busy_ns = excluded.busy_ns, tail_from_at = excluded.tail_from_at, tail_busy_ns = excluded.tail_busy_ns
            """);
        foreach (Stretch stretch in _changed)
        {
            rows.Row.Add(stretch.Pool).Add(stretch.From).Add(stretch.To).Add((long)stretch.State).Add(stretch.BusyNanoseconds).Add(stretch.TailFrom).Add(stretch.TailBusyNanoseconds);
            rows.EndRow();
            stretch.IsChanged = false;
        }
        rows.Flush();
        _changed.Clear();
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
        Stretch? last = Read(pool, database[$"SELECT {Columns} FROM capacity WHERE pool = ? ORDER BY from_at DESC LIMIT 1"].Add(pool));
        return last is null ? null : _lasts[pool] = last;
    }

    private void Insert(long pool, CapacityRecord record)
    {
        Stretch stretch = new(pool, record.From, record.State) { To = record.To, BusyNanoseconds = record.BusyNanoseconds, TailFrom = record.From, TailBusyNanoseconds = record.BusyNanoseconds };
        _lasts[pool] = stretch;
        Change(stretch);
    }

    private void Lengthen(Stretch last, CapacityRecord record)
    {
        last.To = record.To;
        last.BusyNanoseconds += record.BusyNanoseconds;
        (last.TailFrom, last.TailBusyNanoseconds) = (record.From, record.BusyNanoseconds);
        Change(last);
    }

    private void Change(Stretch stretch)
    {
        if (stretch.IsChanged) return;
        stretch.IsChanged = true;
        _changed.Add(stretch);
    }

    /// <summary>The same record again: the last one that its stretch took in.</summary>
    private bool IsThere(long pool, CapacityRecord record)
    {
        Flush();
        Stretch? there = Read(pool, database[$"SELECT {Columns} FROM capacity WHERE pool = ? AND from_at <= ? ORDER BY from_at DESC LIMIT 1"].Add(pool).Add(record.From));
        return there is not null && there.To == record.To && there.State == record.State
            && there.TailFrom == record.From && there.TailBusyNanoseconds == record.BusyNanoseconds;
    }

    private const string Columns = "from_at, to_at, state, busy_ns, tail_from_at, tail_busy_ns";

    private static Stretch? Read(long pool, Statement rows)
    {
        Stretch? stretch = null;
        if (rows.Step())
        {
            Instant from = rows.Instant(), to = rows.Instant();
            stretch = new Stretch(pool, from, (CapacityState)rows.Int()) { To = to, BusyNanoseconds = rows.Long(), TailFrom = rows.Instant(), TailBusyNanoseconds = rows.Long() };
        }
        rows.Reset();
        return stretch;
    }

    private static long Minute(Instant at) => at.UnixNanoseconds / NanosecondsPerMinute;

    private static StoreException Broken(CapacityRecord record, Stretch last) => new(
        $"A capacity record of {record.Pool} begins at {record.From}, but the pool's last one ended at {last.To}: "
        + "records of a pool follow each other without gap or overlap.");

    private sealed class Stretch(long pool, Instant from, CapacityState state)
    {
        public long Pool => pool;
        public Instant From => from;
        public CapacityState State => state;
        public Instant To { get; set; }
        public long BusyNanoseconds { get; set; }
        public Instant TailFrom { get; set; }
        public long TailBusyNanoseconds { get; set; }
        public bool IsChanged { get; set; }
    }
}
