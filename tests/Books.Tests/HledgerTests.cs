using System.ComponentModel;
using System.Diagnostics;
using CsCheck;

namespace Qanat.Books.Tests;

/// <summary>An independent program recomputes the balances from the export.</summary>
public class HledgerTests
{
    [Fact]
    public async Task Hledger_recomputes_every_balance_the_income_statement_and_the_balance_sheet_to_the_last_pico()
    {
        string version = await RunAsync("--version");
        Assert.Contains("hledger", version, StringComparison.Ordinal);
        await RandomMonth.Gen.SampleAsync(async month =>
        {
            await using var store = new MemoryBookStore();
            await month.RecordAsync(store);
            await new Bookkeeper(store).PostAsync();
            await store.AppendAsync(new Declared(Declaration.Of("asset server-1 pool this-machine price 1000 in-service 2026-11-01 life 3years", new Instant(1))));
            await store.AppendAsync(new Declared(Declaration.Of($"credit paid tenant {RandomMonth.Tenant(1).Tenant} amount 0.123 paid 2026-11-02 expires 2026-11-05 then charge", new Instant(2))));
            await PeriodEnd.PostAsync(store, Sample.At("2027-03-01"));
            string file = Path.Combine(Path.GetTempPath(), "qanat-books-" + Path.GetRandomFileName() + ".journal");
            try
            {
                await using (var writer = new StreamWriter(file)) await HledgerExport.WriteAsync(store, writer);
                string[] lines = (await RunAsync("-f", file, "balance", "--flat", "--empty", "--no-total", "--output-format", "csv")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
                TrialBalance trial = await Statements.TrialBalanceAsync(store, Period.All.To);
                // A zero has no commodity in hledger; every other balance must be there with all its decimals.
                string[] ours = [.. trial.Accounts.Where(a => !a.Amount.IsZero).Select(a => $"\"{a.Account}\",\"{a.Amount.ToRoundedText(12)} {a.Amount.Currency}\"").Order(StringComparer.Ordinal)];
                string[] theirs = [.. lines.Skip(1).Where(l => !l.EndsWith("\"0\"", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
                Assert.Equal(ours, theirs);
                Assert.Equal("0", (await RunAsync("-f", file, "balance", "--format", "%(total)", "--depth", "0")).Trim().Split('\n')[^1].Trim());
                ProfitTotal profit = Assert.Single((await Statements.ProfitAndLossAsync(store, Period.All, GroupBy.None)).Totals);
                Assert.Equal([profit.Revenue, profit.Revenue - profit.Result, profit.Result], await TotalsAsync(file, "incomestatement"));
                BalanceSheet sheet = Assert.Single(await Statements.BalanceSheetAsync(store, Period.All.To));
                Assert.Equal([sheet.TotalAssets, sheet.TotalLiabilities, sheet.TotalAssets - sheet.TotalLiabilities], await TotalsAsync(file, "balancesheet"));
            }
            finally
            {
                File.Delete(file);
            }
        }, iter: 5, threads: 1);
    }

    /// <summary>The totals of a statement's two halves as hledger makes it, and what is left: both in full decimals.</summary>
    private static async Task<Money[]> TotalsAsync(string file, string statement) =>
        [.. (await RunAsync("-f", file, statement, "--output-format", "csv")).Split('\n').Select(line => line.Trim('\r').Replace("\"", "", StringComparison.Ordinal).Split(','))
            .Where(cells => cells[0] is "total" or "Total:" or "Net:").Select(cells => cells.Length < 2 || cells[1] is "" or "0" ? Money.Zero(Currency.Usd) : Money.Parse(cells[1].Replace(" USD", "", StringComparison.Ordinal), Currency.Usd))];

    [Fact]
    public async Task The_same_journal_always_gives_the_same_text()
    {
        await using var store = new MemoryBookStore();
        await RecordOneAsync(store);
        using var first = new StringWriter();
        using var second = new StringWriter();
        Assert.Equal(1, await HledgerExport.WriteAsync(store, first, cancel: TestContext.Current.CancellationToken));
        await HledgerExport.WriteAsync(store, second, cancel: TestContext.Current.CancellationToken);
        Assert.Equal(first.ToString(), second.ToString());
        Assert.Contains("2026-11-01 usage | 1 request  1000 input and 500 output tokens  uncosted\n", first.ToString(), StringComparison.Ordinal);
        Assert.Contains("    assets:receivables  0.000250000000 USD  ; tenant:", first.ToString(), StringComparison.Ordinal);
        Assert.Contains("    revenue:usage  -0.000250000000 USD  ; tenant:", first.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain('\r', first.ToString());
    }

    [Fact]
    public async Task Names_that_look_like_hledger_syntax_do_not_break_the_export()
    {
        await using var store = new MemoryBookStore();
        await RecordOneAsync(store, new ModelName("evil; x:y, z|\n2026-01-01 forged"));
        using var text = new StringWriter();
        await HledgerExport.WriteAsync(store, text, cancel: TestContext.Current.CancellationToken);
        Assert.Contains("model:evil  x:y  z  2026-01-01 forged,", text.ToString(), StringComparison.Ordinal);
    }

    private static async Task RecordOneAsync(MemoryBookStore store, ModelName? model = null)
    {
        PriceVersion price = Sample.Price("list", Sample.Start, Sample.Rates());
        await store.AppendAsync(new PriceAdded(price));
        var tokens = new TokenCounts(1000, 0, 0, 500, 0);
        await store.AppendAsync(new HoldSettled(new UsageRecord(new RequestId(Sample.Id("r")), Sample.Start, Sample.Start, Sample.Start, Sample.Party(), model ?? Sample.Model, Sample.Deployment, Sample.Pool,
            Operation.Chat, Outcome.Completed, tokens, default, price.Id, Rating.Charge(price.Rates, tokens), null, null)));
        await new Bookkeeper(store).PostAsync();
    }

    private static async Task<string> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("hledger", arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        start.Environment["LANG"] = "C.UTF-8";
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception) when (Environment.GetEnvironmentVariable("QANAT_CI") != "1")
        {
            Assert.Skip("hledger is not installed: the export is not compared with an independent program (Debian package 'hledger').");
            throw;
        }
        using (process)
        {
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            Assert.True(process.ExitCode == 0, await errors);
            return output;
        }
    }
}
