using Npgsql;
using NpgsqlTypes;

namespace Qanat.Store;

/// <summary>Rows as arrays, one per column: one statement and one way to the server for all of them. Many rows that meet no conflict are copied, which the server takes twice as fast.</summary>
internal sealed class PostgresRows(PostgresDatabase database, string table, string columns, string conflict) : Statement, IRowWriter
{
    /// <summary>Fewer are not worth the beginning and the end of a copy.</summary>
    private const int CopyRowsMin = 32;

    private readonly List<Column> _columns = [];
    private int _column;
    private int _rows;

    public Statement Row => this;

    public void EndRow()
    {
        _column = 0;
        _rows++;
    }

    public int Flush()
    {
        if (_rows == 0) return 0;
        if (_rows >= CopyRowsMin && conflict.Length == 0) return Copy();
        PostgresStatement insert = new(database, $"INSERT INTO {table} ({columns}) SELECT * FROM unnest({string.Join(", ", _columns.Select(_ => "?"))}) {conflict}");
        foreach (Column column in _columns) insert.Add(column.Parameter());
        return insert.Run();
    }

    private int Copy()
    {
        CopiedRows copied = database.Copied;
        copied.Begin();
        for (int row = 0; row < _rows; row++)
        {
            copied.BeginRow(_columns.Count);
            foreach (Column column in _columns) column.CopyTo(copied, row);
        }
        database.Copy($"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)", copied.End());
        return _rows;
    }

    public override Statement Add(long value) => Add<Longs, long?>(value);
    public override Statement Add(Guid id) => Add<Guids, Guid?>(id);
    public override Statement Add(ReadOnlySpan<byte> bytes) => Add<Blobs, byte[]?>(bytes.ToArray());
    public override Statement AddNoLong() => Add<Longs, long?>(null);
    protected override Statement AddText(string text) => Add<Texts, string?>(PostgresText.Stored(text));
    protected override Statement AddNoText() => Add<Texts, string?>(null);

    private PostgresRows Add<TColumn, T>(T value) where TColumn : Column<T>, new()
    {
        if (_column == _columns.Count) _columns.Add(new TColumn());
        ((TColumn)_columns[_column++]).Values.Add(value);
        return this;
    }

    public override int Run() => throw new NotSupportedException("Rows are flushed.");
    public override void Reset() => throw new NotSupportedException("Rows are flushed.");
    protected override bool Next() => throw new NotSupportedException("Rows are written, not read.");
    protected override bool IsNull(int column) => throw new NotSupportedException("Rows are written, not read.");
    protected override long Long(int column) => throw new NotSupportedException("Rows are written, not read.");
    protected override Guid Guid(int column) => throw new NotSupportedException("Rows are written, not read.");
    protected override byte[] Bytes(int column) => throw new NotSupportedException("Rows are written, not read.");
    protected override string Text(int column) => throw new NotSupportedException("Rows are written, not read.");

    private abstract class Column
    {
        public abstract NpgsqlParameter Parameter();
        public abstract void CopyTo(CopiedRows rows, int row);
    }

    private abstract class Column<T>(NpgsqlDbType type) : Column
    {
        public List<T> Values { get; } = [];

        public override NpgsqlParameter Parameter() => new NpgsqlParameter<T[]> { TypedValue = [.. Values], NpgsqlDbType = NpgsqlDbType.Array | type };
    }

    private sealed class Longs() : Column<long?>(NpgsqlDbType.Bigint)
    {
        public override void CopyTo(CopiedRows rows, int row)
        {
            if (Values[row] is long value) rows.Add(value);
            else rows.AddNull();
        }
    }

    private sealed class Guids() : Column<Guid?>(NpgsqlDbType.Uuid)
    {
        public override void CopyTo(CopiedRows rows, int row)
        {
            if (Values[row] is Guid value) rows.Add(value);
            else rows.AddNull();
        }
    }

    private sealed class Blobs() : Column<byte[]?>(NpgsqlDbType.Bytea)
    {
        public override void CopyTo(CopiedRows rows, int row)
        {
            if (Values[row] is byte[] value) rows.Add(value);
            else rows.AddNull();
        }
    }

    private sealed class Texts() : Column<string?>(NpgsqlDbType.Text)
    {
        public override void CopyTo(CopiedRows rows, int row)
        {
            if (Values[row] is string value) rows.Add(value);
            else rows.AddNull();
        }
    }
}
