using System.Buffers;
using System.Text;
using Microsoft.Data.Sqlite;
using Qanat.Books;
using SQLitePCL;

namespace Qanat.Store;

/// <summary>One prepared statement, bound and read by position: no names to look up and nothing boxed, because the writer runs several of these per request.
/// Money takes three positions: thousandths, picos, currency. Not safe for use by two threads at once.</summary>
internal sealed class Statement : IDisposable
{
    private readonly sqlite3 _db;
    private readonly sqlite3_stmt _stmt;
    private int _bind;
    private int _column;

    public Statement(sqlite3 db, string sql)
    {
        _db = db;
        SqliteException.ThrowExceptionForRC(raw.sqlite3_prepare_v3(db, sql, raw.SQLITE_PREPARE_PERSISTENT, out _stmt), db);
    }

    public Statement Add(long value) => Bound(raw.sqlite3_bind_int64(_stmt, ++_bind, value));
    public Statement Add(long? value) => value is long number ? Add(number) : AddNull();
    public Statement AddUnlessZero(long value) => value == 0 ? AddNull() : Add(value);
    public Statement Add(bool value) => Add(value ? 1L : 0L);
    public Statement Add(Instant at) => Add(at.UnixNanoseconds);
    public Statement Add(Instant? at) => Add(at?.UnixNanoseconds);
    public Statement AddNull() => Bound(raw.sqlite3_bind_null(_stmt, ++_bind));

    public Statement Add(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (!id.TryWriteBytes(bytes, bigEndian: true, out _)) throw new InvalidOperationException("A UUID has 16 bytes.");
        return Bound(raw.sqlite3_bind_blob(_stmt, ++_bind, bytes));
    }

    public Statement Add(ReadOnlySpan<byte> bytes) =>
        // SQLite would take the null pointer of an empty span for NULL.
        Bound(bytes.IsEmpty ? raw.sqlite3_bind_zeroblob(_stmt, ++_bind, 0) : raw.sqlite3_bind_blob(_stmt, ++_bind, bytes));

    public Statement Add(string? text)
    {
        if (text is null) return AddNull();
        if (text.Length == 0) return Bound(raw.sqlite3_bind_text(_stmt, ++_bind, ""));
        // With its length given, a text keeps a NUL character inside it.
        int bytesMax = Encoding.UTF8.GetMaxByteCount(text.Length);
        byte[]? rented = bytesMax > 512 ? ArrayPool<byte>.Shared.Rent(bytesMax) : null;
        Span<byte> buffer = rented ?? stackalloc byte[512];
        int written = Encoding.UTF8.GetBytes(text, buffer);
        int result = raw.sqlite3_bind_text(_stmt, ++_bind, buffer[..written]);
        if (rented is not null) ArrayPool<byte>.Shared.Return(rented);
        return Bound(result);
    }

    public Statement Add(Money amount)
    {
        (long milli, long pico) = StoredMoney.Split(amount.Picos);
        return Add(milli).Add(pico).Add(amount.Currency.Code);
    }

    public Statement Add(Money? amount) => amount is Money money ? Add(money) : AddNull().AddNull().AddNull();

    public Statement Add(TokenCounts tokens) => Add(tokens.Input).Add(tokens.CacheRead).Add(tokens.CacheWrite).Add(tokens.Output).Add(tokens.Reasoning);
    public Statement Add(DeviceTime device) => Add(device.PrefillNanoseconds).Add(device.DecodeNanoseconds);

    /// <summary>Runs to the end; the number of rows inserted, updated or deleted.</summary>
    public int Run()
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

    /// <summary>The first column of the first row, or null when there is no row.</summary>
    public long? Scalar()
    {
        try
        {
            return Step() ? Long() : null;
        }
        finally
        {
            Reset();
        }
    }

    /// <summary>Moves to the next row.</summary>
    public bool Step()
    {
        int result = raw.sqlite3_step(_stmt);
        if (result is not raw.SQLITE_ROW and not raw.SQLITE_DONE) Fail(result);
        _column = 0;
        return result == raw.SQLITE_ROW;
    }

    /// <summary>Ready to be bound and run again.</summary>
    public void Reset()
    {
        _ = raw.sqlite3_reset(_stmt);
        _bind = 0;
    }

    public bool IsNull() => raw.sqlite3_column_type(_stmt, _column) == raw.SQLITE_NULL;
    public void Skip(int columns) => _column += columns;
    public long Long() => raw.sqlite3_column_int64(_stmt, _column++);
    public long? LongOrNull() => IsNull() ? Skipped<long?>(null, 1) : Long();
    public int Int() => checked((int)Long());
    public bool Bool() => Long() != 0;
    public Instant Instant() => new(Long());
    public Instant? InstantOrNull() => LongOrNull() is long at ? new Instant(at) : null;
    public Guid Guid() => new(raw.sqlite3_column_blob(_stmt, _column++), bigEndian: true);
    public byte[] Bytes() => raw.sqlite3_column_blob(_stmt, _column++).ToArray();
    public string Text() => Encoding.UTF8.GetString(raw.sqlite3_column_blob(_stmt, _column++));
    public string? TextOrNull() => IsNull() ? Skipped<string?>(null, 1) : Text();
    public Currency Currency() => StoredMoney.CurrencyOf(Text());
    public Money Money() => new(Picos(), Currency());
    public Money? MoneyOrNull() => IsNull() ? Skipped<Money?>(null, 3) : Money();

    /// <summary>Two positions: thousandths and picos, each possibly a sum over many rows.</summary>
    public Int128 Picos() => StoredMoney.Join(Long(), Long());

    public TokenCounts Tokens() => new(Long(), Long(), Long(), Long(), Long());
    public DeviceTime Device() => new(Long(), Long());

    public void Dispose() => _stmt.Dispose();

    private T Skipped<T>(T value, int columns)
    {
        _column += columns;
        return value;
    }

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
