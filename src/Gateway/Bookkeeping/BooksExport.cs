using System.Collections.Frozen;
using System.Text;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>A way to write the books down.</summary>
public sealed record ExportFormat(string Name, string MediaType, string Extension);

/// <summary>The books as files. Each is written whole, at one moment of the books, before any of it is sent: an error is an error and not half a file.</summary>
public sealed class BooksExport(BooksPoster poster, DirectoryState directory, TimeProvider clock)
{
    private const string Csv = "text/csv; charset=utf-8";
    private const string Plain = "text/plain; charset=utf-8";

    public static readonly FrozenDictionary<string, ExportFormat> Formats = new ExportFormat[]
    {
        new("hledger", Plain, "journal"), new("beancount", Plain, "beancount"), new("csv", Csv, "csv"), new("trial-csv", Csv, "trial.csv"), new("pnl-csv", Csv, "pnl.csv"), new("focus", Csv, "focus.csv"),
        new("parquet", "application/vnd.apache.parquet", "parquet"), new("usage-parquet", "application/vnd.apache.parquet", "usage.parquet"),
        new("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"), new("html", "text/html; charset=utf-8", "html"),
    }.ToFrozenDictionary(format => format.Name, StringComparer.Ordinal);

    /// <returns>A temporary file at its beginning; it is gone once it is disposed.</returns>
    public async Task<FileStream> WriteAsync(ExportFormat format, Period period, GroupBy by, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(format);
        FileStream spool = new(Path.GetTempFileName(), FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose | FileOptions.Asynchronous);
        try
        {
            await poster.PostThenAsync(async books =>
            {
                await WriteAsync(books, format.Name, spool, period, by, cancel);
                return true;
            }, cancel);
            spool.Position = 0;
            return spool;
        }
        catch
        {
            await spool.DisposeAsync();
            throw;
        }
    }

    private async Task WriteAsync(IBookReader books, string format, Stream stream, Period period, GroupBy by, CancellationToken cancel)
    {
        switch (format)
        {
            case "parquet": await ParquetExport.WriteJournalAsync(books, stream, period, cancel); return;
            case "usage-parquet": await ParquetExport.WriteUsageAsync(books, stream, period, cancel); return;
            case "xlsx": WorkbookExport.Write(await Statements.ProfitAndLossAsync(books, period, by, cancel), await Statements.TrialBalanceAsync(books, period.To, cancel), stream); return;
            default: break;
        }
        await using StreamWriter writer = new(stream, new UTF8Encoding(false), leaveOpen: true);
        switch (format)
        {
            case "beancount": await BeancountExport.WriteAsync(books, writer, cancel); break;
            case "csv": await CsvExport.WriteJournalAsync(books, writer, period, cancel); break;
            case "trial-csv": await CsvExport.WriteTrialBalanceAsync(await Statements.TrialBalanceAsync(books, period.To, cancel), writer, cancel); break;
            case "pnl-csv": await CsvExport.WriteProfitAndLossAsync(await Statements.ProfitAndLossAsync(books, period, by, cancel), writer, cancel); break;
            case "focus": await FocusExport.WriteAsync(books, writer, Billed(period), new FocusParties("Qanat", "Qanat", "Qanat"), cancel); break;
            case "html": await writer.WriteAsync(HtmlExport.ProfitAndLoss(await Statements.ProfitAndLossAsync(books, period, by, cancel), "Profit and loss", tenant => directory.Current.FindTenant(tenant)?.Name)); break;
            default: await HledgerExport.WriteAsync(books, writer, period, cancel); break;
        }
    }

    /// <summary>FOCUS wants a billing period that ends: up to the next midnight without one.</summary>
    private Period Billed(Period period)
    {
        Instant tomorrow = new(Instant.Now(clock).DayStart.UnixNanoseconds + 24 * Instant.NanosecondsPerHour);
        return new Period(period.From.DayStart, period.To > tomorrow ? tomorrow : period.To);
    }
}
