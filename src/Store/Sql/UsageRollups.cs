using System.Runtime.InteropServices;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Keeps the sums by hour and by day in step with the records: gathers what records add, over many commits, and adds it to the tables one row per group instead of one per record.
/// When much has gathered, nothing more is added to it: with the next commits its records are written down by tenant (<see cref="RecordsByTenant"/>), and then its sums. What comes meanwhile is gathered apart.
/// The table summed_through says, in the same transaction, up to which record the tables go; who asks for sums adds the few records after it (<see cref="UsageSums"/>), so that every answer is exact.
/// The view usage_lines says the same in SQL: it makes the sums afresh for the store's check, and what was gathered after a start.</summary>
/// <param name="recordsMax">Records that may be gathered: questions have to add them up besides the tables.</param>
internal sealed class UsageRollups(SqlDatabase database, int recordsMax)
{
    /// <summary>Above this, a sum might leave 64 bits: what adds to it is written at once, so that the database refuses the fact that would break it.</summary>
    private const long FigureMax = long.MaxValue / 2;

    /// <summary>Rows that each commit writes by tenant: as many as take about as long as itself, and so many for each record of its own that they are always through before as much has gathered again.</summary>
    private const int StepRows = 48, StepRowsPerRecord = 4;

    private readonly RecordsByTenant? _byTenant = database.KeepsUsageOfTenants ? new RecordsByTenant(database) : null;
    private readonly Dictionary<RollupKey, RollupSum> _fact = [];
    private readonly Dictionary<RollupKey, RollupSum> _transaction = [];
    private Dictionary<RollupKey, RollupSum>? _committed;

    /// <summary>Sums that are on their way into the tables; null: none.</summary>
    private Closed? _closed;

    /// <summary>Records in <see cref="_committed"/>.</summary>
    private long _records;
    private Int128 _figureBound;

    /// <summary>In this transaction: everything was written; the closed sums were; records were removed.</summary>
    private bool _isWritten, _isClosedWritten, _isStale;

    /// <summary>The number of the last record in the tables.</summary>
    public const string Through = "SELECT record FROM summed_through";

    public static long ThroughIn(SqlDatabase database) => database[Through].Scalar()!.Value;

    /// <summary>The facts since the last <see cref="Flush"/> are undone.</summary>
    public void Forget() => _fact.Clear();

    /// <summary>The transaction is undone.</summary>
    public void RolledBack()
    {
        Forget();
        _transaction.Clear();
        _byTenant?.RolledBack();
        _isWritten = _isClosedWritten = _isStale = false;
    }

    /// <summary>Nobody knows whether the transaction was committed: what is not in the tables is added up again.</summary>
    public void Lost()
    {
        RolledBack();
        (_committed, _closed) = (null, null);
    }

    /// <summary>Records were removed: what is not in the tables is added up again after the commit.</summary>
    public void Removed() => _isStale = true;

    /// <summary>Before records are written that the tables do not hold.</summary>
    public void Load()
    {
        if (_committed is null) ReadGathered();
        if (_closed is null && _records > 0 && _records >= recordsMax && _transaction.Count == 0 && !_isWritten && !_isStale) Close();
    }

    private void ReadGathered()
    {
        Dictionary<RollupKey, RollupSum> committed = [];
        Statement rows = database[$"SELECT {StoreCheck.FreshUsage(Instant.NanosecondsPerHour)} WHERE no > ({Through}) GROUP BY 1, 2, 3, 4, 5, 6, 7"];
        while (rows.Step())
        {
            RollupKey key = new(rows.Long(), new PartyRow(rows.Long(), rows.Long(), rows.Long()), rows.Long(), rows.Long(), rows.Text());
            committed[key] = new RollupSum(rows.Long(), rows.Long(), rows.Long(), rows.Tokens(), rows.Device(), rows.Picos(), rows.Picos());
        }
        rows.Reset();
        _records = RecordsOf(committed);
        _figureBound = committed.Values.Aggregate(Largest(), (bound, sum) => bound + sum.Figure);
        _committed = committed;
    }

    /// <summary>What has gathered is complete. Nothing of this transaction is written yet, so that the last record is a committed one.</summary>
    private void Close()
    {
        long through = database["SELECT max(no) FROM usage"].Scalar()!.Value;
        _byTenant?.Begin(ThroughIn(database), through);
        (_closed, _committed, _records) = (new Closed(_committed!, through), [], 0);
    }

    /// <param name="model">Row number of its name; likewise the pool.</param>
    public void Add(UsageRecord record, PartyRow party, long model, long pool)
    {
        string currency = record.Charge?.Currency.Code ?? record.Cost?.Currency.Code ?? StoredMoney.NoCurrency;
        bool sameCurrency = record.Cost is Money cost && cost.Currency.Code == currency;
        RollupKey key = new(record.CompletedAt.HourStart.UnixNanoseconds, party, model, pool, currency);
        Add(key, new RollupSum(1, record.Charge is null ? 1 : 0, record.Cost is null ? 1 : 0, record.Tokens, record.Device, record.Charge?.Picos ?? 0, sameCurrency ? record.Cost!.Value.Picos : 0));
        if (record.Cost is Money other && !sameCurrency) Add(key with { Currency = other.Currency.Code }, new RollupSum(0, 0, 0, default, default, 0, other.Picos));
    }

    /// <summary>The records added are written. Nothing of these facts may fail after this.</summary>
    public void Flush()
    {
        if (_fact.Count == 0) return;
        if (_figureBound > FigureMax)
        {
            Write();
            _figureBound = Largest();
            return;
        }
        AddAll(_transaction, _fact);
        _fact.Clear();
    }

    /// <summary>Before the commit: goes on with what is on its way into the tables.</summary>
    public void Complete()
    {
        if (_isStale || _isWritten || _closed is not { } closed) return;
        if (_byTenant?.Step(StepRows + StepRowsPerRecord * (int)RecordsOf(_transaction)) == false) return;
        long began = StoreEvents.Log.Begin();
        WriteSums(closed.Sums);
        database["UPDATE summed_through SET record = ?"].Add(closed.Through).Run();
        StoreEvents.Log.Ended("sums", closed.Sums.Count, began);
        _isClosedWritten = true;
    }

    public void Committed()
    {
        if (_isStale) (_committed, _closed) = (null, null);
        else if (_transaction.Count > 0 || _isWritten)
        {
            if (_isWritten) _committed!.Clear();
            _records = (_isWritten ? 0 : _records) + RecordsOf(_transaction);
            AddAll(_committed!, _transaction);
        }
        if (_isWritten || _isClosedWritten) _closed = null;
        _byTenant?.Committed();
        _transaction.Clear();
        _isWritten = _isClosedWritten = _isStale = false;
    }

    /// <summary>Everything gathered goes into the tables. What is gathered changes only after that has succeeded.</summary>
    private void Write()
    {
        Dictionary<RollupKey, RollupSum> hours = _isWritten ? [] : new(_committed!);
        if (!_isWritten && _closed is { } closed) AddAll(hours, closed.Sums);
        AddAll(hours, _transaction);
        AddAll(hours, _fact);
        WriteSums(hours);
        if (database.KeepsUsageOfTenants)
            database[$"INSERT INTO usage_of_tenants SELECT tenant, completed_at, id, no FROM usage WHERE no > ({Through}) ORDER BY tenant, completed_at, id ON CONFLICT DO NOTHING"].Run();
        database["UPDATE summed_through SET record = (SELECT coalesce(max(no), 0) FROM usage)"].Run();
        _transaction.Clear();
        _fact.Clear();
        _isWritten = true;
    }

    private void WriteSums(Dictionary<RollupKey, RollupSum> hours)
    {
        Dictionary<RollupKey, RollupSum> days = [];
        foreach ((RollupKey key, RollupSum sum) in hours) Add(days, key with { Start = new Instant(key.Start).DayStart.UnixNanoseconds }, sum);
        Write(hours, "usage_hours");
        Write(days, "usage_days");
    }

    private static long RecordsOf(Dictionary<RollupKey, RollupSum> sums)
    {
        long records = 0;
        foreach (RollupSum sum in sums.Values) records += sum.Requests;
        return records;
    }

    /// <summary>The largest figure of any day.</summary>
    private Int128 Largest()
    {
        Int128 largest = 0;
        Statement row = database[$"SELECT {string.Join(", ", s_figures.Select(figure => $"coalesce(max({figure}), 0), coalesce(min({figure}), 0)"))} FROM usage_days"];
        row.Step();
        foreach (string _ in s_figures) largest = Int128.Max(largest, Int128.Max(row.Long(), -(Int128)row.Long()));
        row.Reset();
        return largest;
    }

    private void Add(RollupKey key, RollupSum sum)
    {
        _figureBound += sum.Figure;
        Add(_fact, key, sum);
    }

    private static void Add(Dictionary<RollupKey, RollupSum> sums, RollupKey key, RollupSum sum)
    {
        ref RollupSum there = ref CollectionsMarshal.GetValueRefOrAddDefault(sums, key, out _);
        there += sum;
    }

    private static void AddAll(Dictionary<RollupKey, RollupSum> sums, Dictionary<RollupKey, RollupSum> more)
    {
        foreach ((RollupKey key, RollupSum sum) in more) Add(sums, key, sum);
    }

    private void Write(Dictionary<RollupKey, RollupSum> sums, string table)
    {
        if (sums.Count == 0) return;
        IRowWriter rows = database.Rows(table, Keys + Figures, table == "usage_hours" ? s_addToHours : s_addToDays);
        foreach ((RollupKey key, RollupSum sum) in sums)
        {
            rows.Row.Add(key.Start).Add(key.Party.Tenant).Add(key.Party.Project).Add(key.Party.Key).Add(key.Model).Add(key.Pool).Add(key.Currency)
                .Add(sum.Requests).Add(sum.Unpriced).Add(sum.Uncosted).Add(sum.Tokens).Add(sum.Device).Add(sum.Charge).Add(sum.Cost);
            rows.EndRow();
        }
        rows.Flush();
    }

    private const string Keys = "start, tenant, project, key, model, pool, currency";
    private const string Figures = ", requests, unpriced, uncosted, input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns, charge_milli, charge_pico, cost_milli, cost_pico";
    private static readonly string[] s_counts = ["requests", "unpriced", "uncosted", "input", "cache_read", "cache_write", "output", "reasoning", "prefill_ns", "decode_ns"];
    private static readonly string[] s_figures = [.. s_counts, "charge_milli", "cost_milli"];
    private static readonly string s_addToHours = AddTo("usage_hours");
    private static readonly string s_addToDays = AddTo("usage_days");

    private static string AddTo(string table)
    {
        return $"""
            ON CONFLICT ({Keys}) DO UPDATE SET {string.Join(", ", s_counts.Select(count => $"{count} = {table}.{count} + excluded.{count}"))},
              {StoredMoney.AddExcluded(table, "charge")}, {StoredMoney.AddExcluded(table, "cost")}
            """;
    }

    /// <param name="Through">The number of their last record.</param>
    private sealed record Closed(Dictionary<RollupKey, RollupSum> Sums, long Through);

    private readonly record struct RollupKey(long Start, PartyRow Party, long Model, long Pool, string Currency);

    private readonly record struct RollupSum(long Requests, long Unpriced, long Uncosted, TokenCounts Tokens, DeviceTime Device, Int128 Charge, Int128 Cost)
    {
        public static RollupSum operator +(RollupSum a, RollupSum b) => new(a.Requests + b.Requests, a.Unpriced + b.Unpriced, a.Uncosted + b.Uncosted,
            a.Tokens + b.Tokens, a.Device + b.Device, a.Charge + b.Charge, a.Cost + b.Cost);

        /// <summary>No column of this row is larger. Shifting by 29 bits divides by less than the picos of a thousandth.</summary>
        public Int128 Figure => Int128.Max(
            (Int128)Tokens.Input + Tokens.CacheRead + Tokens.CacheWrite + Tokens.Output + Tokens.Reasoning + Device.PrefillNanoseconds + Device.DecodeNanoseconds,
            Int128.Max(Int128.Abs(Charge), Int128.Abs(Cost)) >> 29) + Requests;
    }
}
