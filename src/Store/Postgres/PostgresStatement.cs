using System.Data;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>A statement of PostgreSQL. A connection does one thing at a time, so the rows of an answer are taken into memory before they are read: all of them, or those of a stream in chunks through a cursor.</summary>
/// <param name="sql">With ? for parameters.</param> <param name="cursor">The name of the cursor to read through; null: all rows at once.</param>
internal sealed class PostgresStatement(PostgresDatabase database, string sql, string? cursor = null) : Statement
{
    private const int ChunkRows = 1_000;

    private readonly string _sql = Numbered(sql);
    private readonly List<NpgsqlParameter> _parameters = [];
    private readonly List<object[]> _rows = [];
    private int _next = -1;
    private bool _more;

    public override Statement Add(long value) => Add(new NpgsqlParameter<long> { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Bigint });
    public override Statement Add(Guid id) => Add(new NpgsqlParameter<Guid> { TypedValue = id, NpgsqlDbType = NpgsqlDbType.Uuid });
    public override Statement Add(ReadOnlySpan<byte> bytes) => Add(new NpgsqlParameter<byte[]> { TypedValue = bytes.ToArray(), NpgsqlDbType = NpgsqlDbType.Bytea });
    public override Statement AddNoLong() => Add(new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint });
    protected override Statement AddText(string text) => Add(new NpgsqlParameter<string> { TypedValue = PostgresText.Stored(text), NpgsqlDbType = NpgsqlDbType.Text });
    protected override Statement AddNoText() => Add(new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });

    public Statement Add(NpgsqlParameter parameter)
    {
        _parameters.Add(parameter);
        return this;
    }

    public override int Run()
    {
        try
        {
            return database.Running(Command(_sql), static command => command.ExecuteNonQuery());
        }
        finally
        {
            Reset();
        }
    }

    public override void Reset()
    {
        _parameters.Clear();
        _rows.Clear();
        _next = -1;
        _more = false;
    }

    protected override bool Next()
    {
        if (_next < 0) Begin();
        else _next++;
        if (_next == _rows.Count && _more) Fetch();
        return _next < _rows.Count;
    }

    protected override bool IsNull(int column) => _rows[_next][column] is DBNull;
    protected override Guid Guid(int column) => (Guid)_rows[_next][column];
    protected override byte[] Bytes(int column) => (byte[])_rows[_next][column];
    protected override string Text(int column) => PostgresText.Read((string)_rows[_next][column]);

    protected override long Long(int column) => _rows[_next][column] switch
    {
        long number => number,
        int number => number,
        short number => number,
        bool truth => truth ? 1 : 0,
        decimal sum when sum >= long.MinValue && sum <= long.MaxValue => (long)sum,
        decimal => throw new StoreException("A sum of the books is beyond 64 bits: ask for a shorter period."),
        object other => throw new InvalidOperationException($"A {other.GetType().Name} stands where a number belongs."),
    };

    private void Begin()
    {
        if (cursor is null)
        {
            Read(Command(_sql));
            return;
        }
        // A statement that was left in the middle has left its cursor behind.
        if (database.OpenCursors.Remove(cursor)) database.Execute($"CLOSE {cursor}");
        _ = database.Running(Command($"DECLARE {cursor} NO SCROLL CURSOR FOR {_sql}"), static command => command.ExecuteNonQuery());
        database.OpenCursors.Add(cursor);
        Fetch();
    }

    private void Fetch()
    {
        _parameters.Clear();
        Read(Command($"FETCH {ChunkRows} FROM {cursor}"));
        _more = _rows.Count == ChunkRows;
    }

    private void Read(NpgsqlCommand query)
    {
        _rows.Clear();
        _next = 0;
        _ = database.Running(query, command =>
        {
            using NpgsqlDataReader reader = command.ExecuteReader(CommandBehavior.SingleResult);
            while (reader.Read())
            {
                object[] row = new object[reader.FieldCount];
                reader.GetValues(row);
                _rows.Add(row);
            }
            return 0;
        });
    }

    private NpgsqlCommand Command(string text)
    {
        NpgsqlCommand command = database.NewCommand(text);
        foreach (NpgsqlParameter parameter in _parameters) command.Parameters.Add(parameter);
        _parameters.Clear();
        return command;
    }

    /// <summary>PostgreSQL numbers parameters. No text of this assembly has a question mark that is not one.</summary>
    private static string Numbered(string sql)
    {
        StringBuilder numbered = new(sql.Length + 16);
        int number = 0;
        foreach (char character in sql)
        {
            if (character == '?') numbered.Append('$').Append(++number);
            else numbered.Append(character);
        }
        return numbered.ToString();
    }
}
