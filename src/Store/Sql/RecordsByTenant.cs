using System.Runtime.InteropServices;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Writes down which records are a tenant's (usage_of_tenants), in small steps, one with each commit: some thousand rows at once would keep everybody waiting who commits meanwhile.
/// First the records are read, then written tenant by tenant, so that a page is written once for many of them and not in each step for every tenant that is busy.
/// What is written of a stretch counts only when all of it is: the mark in summed_through goes forward then, and questions pass over what is beyond it. So a stretch may be begun again, and meets what it had written.</summary>
internal sealed class RecordsByTenant(SqlDatabase database)
{
    private readonly List<Row> _rows = [];
    private long _read, _through;
    private int _written, _committed;
    private bool _isSorted;

    /// <summary>Begins with the records from one number, exclusive, to another, inclusive: all of them are committed.</summary>
    public void Begin(long from, long through)
    {
        _rows.Clear();
        (_read, _through) = (from, through);
        _written = _committed = 0;
        _isSorted = false;
    }

    /// <summary>Goes on by so many rows; true when all are written.</summary>
    public bool Step(int rowsMax)
    {
        if (_read < _through)
        {
            Read(rowsMax);
            return false;
        }
        if (!_isSorted) CollectionsMarshal.AsSpan(_rows).Sort(static (one, other) => one.Tenant != other.Tenant ? one.Tenant.CompareTo(other.Tenant) : one.No.CompareTo(other.No));
        _isSorted = true;
        int end = Math.Min(_rows.Count, _written + rowsMax);
        IRowWriter rows = database.Rows("usage_of_tenants", "tenant, completed_at, id, no", "ON CONFLICT DO NOTHING");
        for (; _written < end; _written++)
        {
            Row row = _rows[_written];
            rows.Row.Add(row.Tenant).Add(row.CompletedAt).Add(row.Id).Add(row.No);
            rows.EndRow();
        }
        rows.Flush();
        return _written == _rows.Count;
    }

    /// <summary>The transaction is undone.</summary>
    public void RolledBack() => _written = _committed;

    public void Committed() => _committed = _written;

    private void Read(int rowsMax)
    {
        Statement rows = database["SELECT tenant, completed_at, id, no FROM usage WHERE no > ? AND no <= ? ORDER BY no LIMIT ?"].Add(_read).Add(_through).Add(rowsMax);
        int read = 0;
        for (; rows.Step(); read++)
        {
            Row row = new(rows.Long(), rows.Instant(), rows.Guid(), rows.Long());
            _rows.Add(row);
            _read = row.No;
        }
        rows.Reset();
        if (read < rowsMax) _read = _through;
    }

    private readonly record struct Row(long Tenant, Instant CompletedAt, Guid Id, long No);
}
