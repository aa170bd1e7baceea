using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using Qanat.Books;
using SQLitePCL;

namespace Qanat.Store;

/// <summary>A prepared statement of SQLite, without the layers of ADO.NET.</summary>
internal sealed class SqliteStatement : Statement, IRowWriter, IDisposable
{
    private readonly sqlite3 _db;
    private readonly sqlite3_stmt _stmt;

    /// <summary>The statement itself; <see cref="_stmt"/> keeps it alive until this is disposed of.</summary>
    private readonly nint _native;
    private int _bind;
    private int _written;

    public SqliteStatement(sqlite3 db, string sql)
    {
        _db = db;
        SqliteException.ThrowExceptionForRC(raw.sqlite3_prepare_v3(db, sql, raw.SQLITE_PREPARE_PERSISTENT, out _stmt), db);
        _native = _stmt.DangerousGetHandle();
    }

    public Statement Row => this;

    /// <summary>Whatever an interrupted use has left is forgotten.</summary>
    public void Begin()
    {
        Reset();
        _written = 0;
    }

    public void EndRow() => _written += Run();

    public int Flush()
    {
        int written = _written;
        _written = 0;
        return written;
    }

    public override Statement Add(long value) => Bound(NativeSqlite.Bind(_native, ++_bind, value));
    public override Statement AddNoLong() => Bound(NativeSqlite.BindNull(_native, ++_bind));
    protected override Statement AddNoText() => AddNoLong();

    public override Statement Add(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (!id.TryWriteBytes(bytes, bigEndian: true, out _)) throw new InvalidOperationException("A UUID has 16 bytes.");
        return Bound(NativeSqlite.BindBlob(_native, ++_bind, bytes));
    }

    public override Statement Add(ReadOnlySpan<byte> bytes) =>
        // SQLite would take the null pointer of an empty span for NULL.
        Bound(bytes.IsEmpty ? raw.sqlite3_bind_zeroblob(_stmt, ++_bind, 0) : NativeSqlite.BindBlob(_native, ++_bind, bytes));

    protected override Statement AddText(string text)
    {
        if (text.Length == 0) return Bound(raw.sqlite3_bind_text(_stmt, ++_bind, ""));
        // With its length given, a text keeps a NUL character inside it.
        int bytesMax = Encoding.UTF8.GetMaxByteCount(text.Length);
        byte[]? rented = bytesMax > 512 ? ArrayPool<byte>.Shared.Rent(bytesMax) : null;
        Span<byte> buffer = rented ?? stackalloc byte[512];
        int written = Encoding.UTF8.GetBytes(text, buffer);
        int result = NativeSqlite.BindText(_native, ++_bind, buffer[..written]);
        if (rented is not null) ArrayPool<byte>.Shared.Return(rented);
        return Bound(result);
    }

    public override int Run()
    {
        try
        {
            Step();
            return raw.sqlite3_changes(_db);
        }
        finally
        {
            Reset();
        }
    }

    public override void Reset()
    {
        _ = NativeSqlite.Reset(_native);
        _bind = 0;
    }

    public void Dispose() => _stmt.Dispose();

    protected override bool Next()
    {
        int result = NativeSqlite.Step(_native);
        if (result is not raw.SQLITE_ROW and not raw.SQLITE_DONE) Fail(result);
        return result == raw.SQLITE_ROW;
    }

    protected override bool IsNull(int column) => NativeSqlite.ColumnType(_native, column) == raw.SQLITE_NULL;
    protected override long Long(int column) => NativeSqlite.ColumnLong(_native, column);
    protected override Guid Guid(int column) => new(NativeSqlite.ColumnBytes(_native, column), bigEndian: true);
    protected override byte[] Bytes(int column) => NativeSqlite.ColumnBytes(_native, column).ToArray();
    protected override string Text(int column) => Encoding.UTF8.GetString(NativeSqlite.ColumnBytes(_native, column));

    /// <summary>The currency most rows have needs no text.</summary>
    protected override Currency Currency(int column) =>
        NativeSqlite.ColumnBytes(_native, column).SequenceEqual("USD"u8) ? Books.Currency.Usd : base.Currency(column);

    private Statement Bound(int result)
    {
        if (result != raw.SQLITE_OK) Fail(result);
        return this;
    }

    private void Fail(int result)
    {
        try
        {
            SqliteException.ThrowExceptionForRC(result, _db);
        }
        finally
        {
            Reset();
        }
    }
}
