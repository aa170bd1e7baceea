using System.Numerics;
using Parquet;
using Parquet.Data;
using Parquet.Schema;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The journal and the usage records as Parquet: amounts as decimal(38, 12), which is exactly what the books keep.</summary>
public static class ParquetExport
{
    /// <summary>Rows of one row group: what is held in memory at once.</summary>
    private const int RowsMax = 50_000;
    private const int Precision = 38;
    private const int Scale = 12;

    /// <summary>One row for each entry of the journal, oldest first.</summary>
    /// <returns>The number of rows.</returns>
    public static async Task<long> WriteJournalAsync(IBookReader books, Stream stream, Period period, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(books);
        return await WriteAsync(stream, EntryColumns, Entries(books, period, cancel), cancel);
    }

    /// <summary>One row for each finished request, oldest first.</summary>
    /// <returns>The number of rows.</returns>
    public static async Task<long> WriteUsageAsync(IBookReader books, Stream stream, Period period, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(books);
        return await WriteAsync(stream, UsageColumns, books.StreamUsageAsync(new UsageQuery(period), cancel), cancel);
    }

    private static readonly IColumn<JournalRow>[] EntryColumns =
    [
        new Time<JournalRow>("at", row => row.Transaction.At),
        new Words<JournalRow>("transaction", row => row.Transaction.Id.ToString()),
        new Words<JournalRow>("template", row => row.Transaction.Template),
        new Words<JournalRow>("memo", row => row.Transaction.Memo),
        new Words<JournalRow>("account", row => row.Entry.Account.Path),
        new Amounts<JournalRow>("amount", row => row.Entry.Amount),
        new Words<JournalRow>("currency", row => row.Entry.Amount.Currency.Code),
        new Words<JournalRow>("tenant", row => row.Entry.Dimensions.Tenant?.ToString()),
        new Words<JournalRow>("project", row => row.Entry.Dimensions.Project?.ToString()),
        new Words<JournalRow>("model", row => row.Entry.Dimensions.Model?.Value),
        new Words<JournalRow>("deployment", row => row.Entry.Dimensions.Deployment?.Value),
        new Words<JournalRow>("pool", row => row.Entry.Dimensions.Pool?.Value),
    ];

    private static readonly IColumn<UsageRecord>[] UsageColumns =
    [
        new Words<UsageRecord>("id", record => record.Id.ToString()),
        new Time<UsageRecord>("placed_at", record => record.PlacedAt),
        new Time<UsageRecord>("first_token_at", record => record.FirstTokenAt),
        new Time<UsageRecord>("completed_at", record => record.CompletedAt),
        new Words<UsageRecord>("tenant", record => record.Party.Tenant.ToString()),
        new Words<UsageRecord>("project", record => record.Party.Project.ToString()),
        new Words<UsageRecord>("key", record => record.Party.Key.ToString()),
        new Words<UsageRecord>("user", record => record.Party.UserTag),
        new Words<UsageRecord>("model", record => record.Model.Value),
        new Words<UsageRecord>("deployment", record => record.Deployment.Value),
        new Words<UsageRecord>("pool", record => record.Pool.Value),
        new Words<UsageRecord>("operation", record => AdminJson.Text(record.Operation)),
        new Words<UsageRecord>("outcome", record => AdminJson.Text(record.Outcome)),
        new Counts<UsageRecord>("input_tokens", record => record.Tokens.Input),
        new Counts<UsageRecord>("cache_read_tokens", record => record.Tokens.CacheRead),
        new Counts<UsageRecord>("cache_write_tokens", record => record.Tokens.CacheWrite),
        new Counts<UsageRecord>("output_tokens", record => record.Tokens.Output),
        new Counts<UsageRecord>("reasoning_tokens", record => record.Tokens.Reasoning),
        new Counts<UsageRecord>("prefill_ns", record => record.Device.PrefillNanoseconds),
        new Counts<UsageRecord>("decode_ns", record => record.Device.DecodeNanoseconds),
        new Words<UsageRecord>("price_version", record => record.Price?.ToString()),
        new Amounts<UsageRecord>("charge", record => record.Charge),
        new Words<UsageRecord>("charge_currency", record => record.Charge?.Currency.Code),
        new Words<UsageRecord>("pool_rate", record => record.PoolRate?.ToString()),
        new Amounts<UsageRecord>("cost", record => record.Cost),
        new Words<UsageRecord>("cost_currency", record => record.Cost?.Currency.Code),
        new Words<UsageRecord>("basis", record => record.Basis?.ToString()),
    ];

    private static async IAsyncEnumerable<JournalRow> Entries(IBookReader books, Period period, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        await foreach (Transaction transaction in books.StreamJournalAsync(new JournalQuery(period), cancel))
        {
            foreach (Entry entry in transaction.Entries) yield return new JournalRow(transaction, entry);
        }
    }

    private static async Task<long> WriteAsync<T>(Stream stream, IColumn<T>[] columns, IAsyncEnumerable<T> rows, CancellationToken cancel)
    {
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(new ParquetSchema(columns.Select(column => column.Field)), stream, cancellationToken: cancel);
        long count = 0;
        List<T> group = new(RowsMax);
        async Task FlushAsync()
        {
            if (group.Count == 0) return;
            using ParquetRowGroupWriter part = writer.CreateRowGroup();
            foreach (IColumn<T> column in columns) await column.WriteAsync(part, group, cancel);
            part.CompleteValidate();
            count += group.Count;
            group.Clear();
        }
        await foreach (T row in rows.WithCancellation(cancel))
        {
            group.Add(row);
            if (group.Count == RowsMax) await FlushAsync();
        }
        await FlushAsync();
        return count;
    }

    private readonly record struct JournalRow(Transaction Transaction, Entry Entry);

    private interface IColumn<T>
    {
        DataField Field { get; }
        Task WriteAsync(ParquetRowGroupWriter writer, List<T> rows, CancellationToken cancel);
    }

    private sealed class Words<T>(string name, Func<T, string?> value) : IColumn<T>
    {
        public DataField Field { get; } = new DataField<string>(name);
        public Task WriteAsync(ParquetRowGroupWriter writer, List<T> rows, CancellationToken cancel) => writer.WriteAsync(Field, [.. rows.Select(value)!]);
    }

    private sealed class Counts<T>(string name, Func<T, long> value) : IColumn<T>
    {
        public DataField Field { get; } = new DataField<long>(name);
        public Task WriteAsync(ParquetRowGroupWriter writer, List<T> rows, CancellationToken cancel) => writer.WriteAsync<long>(Field, rows.Select(value).ToArray(), cancellationToken: cancel);
    }

    /// <summary>To the microsecond: what programs that read Parquet agree on.</summary>
    private sealed class Time<T>(string name, Func<T, Instant> value) : IColumn<T>
    {
        public DataField Field { get; } = new DateTimeDataField(name, DateTimeFormat.Timestamp, isAdjustedToUTC: true, unit: DateTimeTimeUnit.Micros);
        public Task WriteAsync(ParquetRowGroupWriter writer, List<T> rows, CancellationToken cancel) =>
            writer.WriteAsync<DateTime>(Field, rows.Select(row => value(row).ToDateTimeOffset().UtcDateTime).ToArray(), cancellationToken: cancel);
    }

    private sealed class Amounts<T>(string name, Func<T, Money?> value) : IColumn<T>
    {
        public DataField Field { get; } = new BigDecimalDataField(name, Precision, Scale, isNullable: true);
        public Task WriteAsync(ParquetRowGroupWriter writer, List<T> rows, CancellationToken cancel) =>
            writer.WriteAsync<BigDecimal>(Field, rows.Select(row => value(row) is { } money ? new BigDecimal((BigInteger)money.Picos, Precision, Scale) : (BigDecimal?)null).ToArray(), cancellationToken: cancel);
    }
}
