using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>What finance people type, from a price list to a paid invoice.</summary>
public sealed class FinanceCommandTests
{
    [Fact]
    public async Task A_month_goes_from_a_price_list_to_a_paid_invoice()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-finance").FullName, prices = Path.Combine(data, "list.prices"), output = Path.Combine(data, "out");
        await File.WriteAllTextAsync(prices, "price m from 2026-01-01\n  input 1 output 2\n", cancel);
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            Task<string> Run(params string[] arguments) => SucceedAsync([.. arguments, "--data", data], cancel);
            Assert.Contains("1 prices in USD, no mistakes", await Run("prices", "check", prices), StringComparison.Ordinal);
            Assert.Contains("m from 2026-01-01", await Run("prices", "diff", prices), StringComparison.Ordinal);
            Assert.Contains("1 prices added", await Run("prices", "import", prices), StringComparison.Ordinal);
            await Run("tenant", "create", "acme");
            await Run("key", "create", "--tenant", "acme");
            Assert.Contains("Declared: contract acme-2026 tenant acme", await Run("contracts", "add", "acme-2026", "--tenant", "acme", "--from", "2026-01-01", "--discount", "10%"), StringComparison.Ordinal);
            Assert.Contains("nothing declared", await Run("costs", "bill", "rack", "--pool", "this-machine", "--for", "hosting", "--amount", "31", "--from", "2026-01-01", "--to", "2026-02-01", "--check-only"), StringComparison.Ordinal);
            await Run("costs", "bill", "rack", "--pool", "this-machine", "--for", "hosting", "--amount", "31", "--from", "2026-01-01", "--to", "2026-02-01");
            await ReportUsageAsync(server, cancel);

            JsonNode pnl = JsonNode.Parse(await Run("books", "pnl", "--from", "2026-01-01", "--to", "2026-02-01", "--json"))!["totals"]![0]!;
            Assert.Equal(("2.7", "31"), (pnl["revenue"]!.ToString(), pnl["other"]!.ToString()));
            Assert.Contains("31", await Run("costs", "pools", "--from", "2026-01-01", "--to", "2026-02-01"), StringComparison.Ordinal);
            Assert.Contains("Closed: january", await Run("books", "close", "--through", "2026-02-01", "--name", "january"), StringComparison.Ordinal);
            Assert.Contains("Total 2.7 USD", await Run("invoice", "finalize", "--tenant", "acme", "--from", "2026-01-01", "--to", "2026-02-01"), StringComparison.Ordinal);
            Assert.Contains("open 0 USD", await Run("invoice", "pay", "2026-0001"), StringComparison.Ordinal);
            Assert.Contains("2.7", await Run("books", "cash"), StringComparison.Ordinal);
            await Run("invoice", "export", "2026-0001", "--output", output);
            Assert.Contains("<h1>Invoice 2026-0001", await File.ReadAllTextAsync(output, cancel), StringComparison.Ordinal);
            foreach (string format in (string[])["beancount", "focus", "xlsx", "parquet"])
            {
                await Run("books", "export", "--format", format, "--output", output);
                Assert.True(new FileInfo(output).Length > 100, format);
            }
            Assert.Contains("invoice.declare", await Run("books", "audit"), StringComparison.Ordinal);
            CommandResult taken = await ServerProcess.RunAsync(cancel, "contracts", "add", "acme-2026", "--tenant", "acme", "--from", "2026-01-01", "--discount", "20%", "--data", data);
            Assert.Equal(1, taken.ExitCode);
            Assert.Contains("facts never change", taken.Errors, StringComparison.Ordinal);
            Assert.Contains("Every identity holds", await Run("books", "check"), StringComparison.Ordinal);
        }
        Directory.Delete(data, recursive: true);
    }

    private static async Task ReportUsageAsync(ServerProcess server, CancellationToken cancel)
    {
        const string Event = """{"specversion":"1.0","id":"1","source":"farm","type":"qanat.usage.v1","time":"2026-01-10T12:00:00Z","data":{"tenant":"acme","model":"m","tokens":{"input":1000000,"output":1000000}}}""";
        using StringContent content = new(Event, Encoding.UTF8, new MediaTypeHeaderValue("application/cloudevents+json"));
        using HttpResponseMessage response = await server.Http.PostAsync("api/usage", content, cancel);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(cancel));
    }

    private static async Task<string> SucceedAsync(string[] arguments, CancellationToken cancel)
    {
        CommandResult result = await ServerProcess.RunAsync(cancel, arguments);
        Assert.True(result.ExitCode == 0, string.Create(CultureInfo.InvariantCulture, $"{string.Join(' ', arguments)}: exit {result.ExitCode}\n{result.Output}\n{result.Errors}"));
        return result.Output;
    }
}
