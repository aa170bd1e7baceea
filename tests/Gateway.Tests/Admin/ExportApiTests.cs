using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using DuckDB.NET.Data;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>The books as files, read by others where there is another reader.</summary>
public sealed class ExportApiTests
{
    [Fact]
    public async Task DuckDb_adds_up_the_journal_in_parquet_to_the_trial_balance_to_the_last_pico()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(1_234_567, 0, 0, 7_654_321, 0));
        string file = await DownloadAsync(gateway, "parquet");
        JsonArray trial = (await gateway.AdminAsync("GET", "/api/books/trial")).Body["accounts"]!.AsArray();
        Dictionary<string, string> balances = [];
        await ReadAsync(file, "SELECT account, CAST(SUM(amount) AS VARCHAR) FROM t GROUP BY account", row => balances[row.GetString(0)] = row.GetString(1));
        Assert.True(trial.Count > 3);
        Assert.Equal(trial.Select(line => ((string)line!["account"]!, Money.Parse((string)line["amount"]!, Currency.Usd))).OrderBy(line => line.Item1, StringComparer.Ordinal),
            balances.Select(line => (line.Key, Money.Parse(line.Value, Currency.Usd))).OrderBy(line => line.Key, StringComparer.Ordinal));
        File.Delete(file);
    }

    [Fact]
    public async Task DuckDb_reads_usage_in_parquet_as_it_was_metered()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TokenCounts tokens = new(1_234_567, 1_000, 10, 7_654_321, 99);
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), tokens);
        string file = await DownloadAsync(gateway, "usage-parquet");
        UsageRecord record = Assert.Single(await gateway.Store.ReadUsageAsync(new UsageQuery(Period.All), TestContext.Current.CancellationToken));
        int rows = 0;
        await ReadAsync(file, "SELECT id, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, CAST(charge AS VARCHAR), CAST(cost AS VARCHAR), epoch_us(completed_at), user, outcome FROM t", row =>
        {
            rows++;
            Assert.Equal((record.Id.ToString(), tokens), (row.GetString(0), new TokenCounts(row.GetInt64(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5))));
            Assert.Equal((record.Charge!.Value, record.Cost!.Value), (Money.Parse(row.GetString(6), Currency.Usd), Money.Parse(row.GetString(7), Currency.Usd)));
            Assert.Equal((record.CompletedAt.UnixNanoseconds / 1000, true, "completed"), (row.GetInt64(8), row.IsDBNull(9), row.GetString(10)));
        });
        Assert.Equal(1, rows);
        File.Delete(file);
    }

    [Theory]
    [InlineData("hledger", "text/plain", "revenue:usage")]
    [InlineData("beancount", "text/plain", "Usage")]
    [InlineData("csv", "text/csv", "at,transaction,template")]
    [InlineData("trial-csv", "text/csv", "account,balance,currency,entries")]
    [InlineData("pnl-csv", "text/csv", "from,tenant,project,model")]
    [InlineData("focus", "text/csv", "AllocatedMethodDetails,AllocatedMethodId")]
    [InlineData("html", "text/html", "<!doctype html>")]
    [InlineData("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK")]
    [InlineData("parquet", "application/vnd.apache.parquet", "PAR1")]
    public async Task Every_format_can_be_had_for_a_period(string format, string type, string holds)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(1_000, 0, 0, 1_000, 0));
        using HttpResponseMessage answer = await gateway.Owner.GetAsync($"/api/books/export?format={format}&from=2026-01-01&to=2026-02-01", TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, type), (answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
        Assert.Contains(holds, Encoding.Latin1.GetString(await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Amounts_of_more_digits_than_a_double_has_survive_parquet()
    {
        Assert.Equal("9000000000000000.123456789012", await RoundTripAsync(Money.Parse("9000000000000000.123456789012", Currency.Usd)));
        Assert.Equal("-0.000000000001", await RoundTripAsync(new Money(-1, Currency.Usd)));
    }

    [Fact]
    public async Task An_invoice_can_be_had_as_page_table_and_json()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(20_000_000, 0, 0, 5_000_000, 0));
        await gateway.AdminAsync("POST", "/api/periods", """{"through":"2026-02-01"}""");
        await gateway.AdminAsync("POST", "/api/invoices", """{"tenant":"acme","from":"2026-01-01","to":"2026-02-01"}""");
        string page = await gateway.Owner.GetStringAsync("/api/invoices/2026-0001/export?issuer=Water%20%26%20Sons", TestContext.Current.CancellationToken);
        Assert.Contains("Water &amp; Sons", page, StringComparison.Ordinal);
        Assert.Contains("3.00", page, StringComparison.Ordinal);
        string table = await gateway.Owner.GetStringAsync("/api/invoices/2026-0001/export?format=csv", TestContext.Current.CancellationToken);
        Assert.EndsWith("2026-0001,total,,,,,3,3,USD\n", table, StringComparison.Ordinal);
        Assert.Equal("3", (string?)(await gateway.AdminAsync("GET", "/api/invoices/2026-0001/export?format=json")).Body["total"]);
        Assert.Equal(404, (await gateway.AdminAsync("GET", "/api/invoices/2026-0009/export")).Status);
    }

    private static async Task<string> RoundTripAsync(Money amount)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Entry debit = new(Accounts.Cash, amount, Dimensions.None), credit = new(Accounts.Capital, -amount, Dimensions.None);
        Transaction transaction = new(new TransactionId(Guid.Parse("01930b2c-7a5e-7c1d-9f5e-0123456789ab")), BookedMonth.Day(1), "capital", "a large one", [debit, credit]);
        await gateway.Store.AppendAsync(new TransactionPosted(transaction, []), TestContext.Current.CancellationToken);
        string file = await DownloadAsync(gateway, "parquet"), text = "";
        await ReadAsync(file, "SELECT CAST(amount AS VARCHAR) FROM t WHERE account = 'assets:cash'", row => text = row.GetString(0));
        File.Delete(file);
        return text;
    }

    private static async Task<string> DownloadAsync(TestGateway gateway, string format)
    {
        string file = Path.GetTempFileName();
        await File.WriteAllBytesAsync(file, await gateway.Owner.GetByteArrayAsync("/api/books/export?format=" + format, TestContext.Current.CancellationToken), TestContext.Current.CancellationToken);
        return file;
    }

    private static async Task ReadAsync(string file, string sql, Action<System.Data.Common.DbDataReader> read)
    {
        await using DuckDBConnection connection = new("Data Source=:memory:");
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using DuckDBCommand command = connection.CreateCommand();
        command.CommandText = sql.Replace(" FROM t", $" FROM read_parquet('{file}')", StringComparison.Ordinal);
        await using System.Data.Common.DbDataReader rows = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        while (await rows.ReadAsync(TestContext.Current.CancellationToken)) read(rows);
    }
}
