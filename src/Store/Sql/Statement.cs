using Qanat.Books;

namespace Qanat.Store;

/// <summary>One statement, bound and read by position: no names to look up and nothing boxed, because the writer runs several of these per request.
/// Money takes three positions: thousandths, picos, currency. Not safe for use by two threads at once.</summary>
internal abstract class Statement
{
    private int _column;

    public abstract Statement Add(long value);
    public abstract Statement Add(Guid id);
    public abstract Statement Add(ReadOnlySpan<byte> bytes);
    public abstract Statement AddNoLong();
    protected abstract Statement AddText(string text);
    protected abstract Statement AddNoText();

    public Statement Add(string? text) => text is null ? AddNoText() : AddText(text);
    public Statement Add(long? value) => value is long number ? Add(number) : AddNoLong();
    public Statement AddUnlessZero(long value) => value == 0 ? AddNoLong() : Add(value);
    public Statement Add(bool value) => Add(value ? 1L : 0L);
    public Statement Add(Instant at) => Add(at.UnixNanoseconds);
    public Statement Add(Instant? at) => Add(at?.UnixNanoseconds);

    public Statement Add(Int128 picos)
    {
        (long milli, long pico) = StoredMoney.Split(picos);
        return Add(milli).Add(pico);
    }

    public Statement Add(Money amount) => Add(amount.Picos).Add(amount.Currency.Code);
    public Statement Add(Money? amount) => amount is Money money ? Add(money) : AddNoLong().AddNoLong().AddNoText();
    public Statement Add(TokenCounts tokens) => Add(tokens.Input).Add(tokens.CacheRead).Add(tokens.CacheWrite).Add(tokens.Output).Add(tokens.Reasoning);
    public Statement Add(DeviceTime device) => Add(device.PrefillNanoseconds).Add(device.DecodeNanoseconds);

    /// <summary>Runs to the end; the number of rows inserted, updated or deleted.</summary>
    public abstract int Run();

    /// <summary>The first column of the first row, or null when there is no row.</summary>
    public long? Scalar()
    {
        try
        {
            return Step() ? LongOrNull() : null;
        }
        finally
        {
            Reset();
        }
    }

    /// <summary>Moves to the next row.</summary>
    public bool Step()
    {
        _column = 0;
        return Next();
    }

    /// <summary>Ready to be bound and run again.</summary>
    public abstract void Reset();

    public bool IsNull() => IsNull(_column);
    public void Skip(int columns) => _column += columns;
    public long Long() => Long(_column++);
    public long? LongOrNull() => IsNull() ? Skipped<long?>(null, 1) : Long();
    public int Int() => checked((int)Long());
    public bool Bool() => Long() != 0;
    public Instant Instant() => new(Long());
    public Instant? InstantOrNull() => LongOrNull() is long at ? new Instant(at) : null;
    public Guid Guid() => Guid(_column++);
    public byte[] Bytes() => Bytes(_column++);
    public string Text() => Text(_column++);
    public string? TextOrNull() => IsNull() ? Skipped<string?>(null, 1) : Text();
    public Currency Currency() => Currency(_column++);
    public Money Money() => new(Picos(), Currency());
    public Money? MoneyOrNull() => IsNull() ? Skipped<Money?>(null, 3) : Money();

    /// <summary>Two positions: thousandths and picos, each possibly a sum over many rows.</summary>
    public Int128 Picos() => StoredMoney.Join(Long(), Long());

    public TokenCounts Tokens() => new(Long(), Long(), Long(), Long(), Long());
    public DeviceTime Device() => new(Long(), Long());

    protected abstract bool Next();
    protected abstract bool IsNull(int column);
    protected abstract long Long(int column);
    protected abstract Guid Guid(int column);
    protected abstract byte[] Bytes(int column);
    protected abstract string Text(int column);
    protected virtual Currency Currency(int column) => StoredMoney.CurrencyOf(Text(column));

    private T Skipped<T>(T value, int columns)
    {
        _column += columns;
        return value;
    }
}

/// <summary>Rows of one table, written together. Each row is bound like a statement's parameters and closed by <see cref="EndRow"/>; <see cref="Flush"/> says how many rows were written.</summary>
internal interface IRowWriter
{
    Statement Row { get; }
    void EndRow();
    int Flush();
}
