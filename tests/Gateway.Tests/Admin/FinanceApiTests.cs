using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>What finance people do over HTTP, from contract to payment.</summary>
public sealed class FinanceApiTests
{
    private static readonly string[] Fields = ["text", "tenant", "from", "to", "through", "amount", "reason", "number", "at", "check_only"];
    private static readonly string[] Values = ["null", "true", "-1", "1e400", "\"\"", "\"x\"", "\"\\u0000\"", "\"a \\\" b\"", "[]", "{}", "\"2026-13-45\"", "\"2026-01-01\"", "\"contract c tenant nobody from 2026-01-01\""];

    [Fact]
    public async Task A_month_goes_from_contract_to_close_invoice_credit_note_and_payment()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(20_000_000, 0, 0, 5_000_000, 0));
        Answer declared = await gateway.AdminAsync("POST", "/api/declarations", """{"text":"contract acme-1 tenant ACME from 2026-02-01 discount 10%\nbill rack pool this-machine for hosting amount 31 from 2026-01-01 to 2026-02-01"}""");
        Assert.Equal((200, 2), (declared.Status, declared.Body["data"]!.AsArray().Count));
        Assert.Equal("contract acme-1 tenant acme from 2026-02-01 discount 10%", (string?)declared.Body["data"]![0]!["statement"]);

        Answer draft = await gateway.AdminAsync("POST", "/api/invoices/draft", """{"tenant":"acme","from":"2026-01-01","to":"2026-02-01"}""");
        Assert.Equal(("draft", "3"), ((string?)draft.Body["state"], (string?)draft.Body["total"]));
        Answer early = await gateway.AdminAsync("POST", "/api/invoices", """{"tenant":"acme","from":"2026-01-01","to":"2026-02-01"}""");
        Assert.Equal((409, "invoice_refused"), (early.Status, early.Code));

        Answer closed = await gateway.AdminAsync("POST", "/api/periods", """{"name":"january","through":"2026-02-01"}""");
        Assert.True(closed.Status == 200, closed.Text);
        Answer invoice = await gateway.AdminAsync("POST", "/api/invoices", """{"tenant":"acme","from":"2026-01-01","to":"2026-02-01"}""");
        Assert.Equal((200, "2026-0001", "final", "3"), (invoice.Status, (string?)invoice.Body["number"], (string?)invoice.Body["state"], (string?)invoice.Body["total"]));
        Assert.Equal(409, (await gateway.AdminAsync("POST", "/api/invoices", """{"tenant":"acme","from":"2026-01-15","to":"2026-02-01"}""")).Status);

        Answer credited = await gateway.AdminAsync("POST", "/api/invoices/2026-0001/credit", """{"amount":"1","reason":"an outage"}""");
        Assert.Equal(("1", "2"), ((string?)credited.Body["credited"], (string?)credited.Body["open"]));
        Assert.Equal(400, (await gateway.AdminAsync("POST", "/api/invoices/2026-0001/credit", """{"amount":"2.01","reason":"too much"}""")).Status);
        Answer paid = await gateway.AdminAsync("POST", "/api/invoices/2026-0001/payment", "{}");
        Assert.Equal(("2", "0"), ((string?)paid.Body["paid"], (string?)paid.Body["open"]));

        Answer check = await gateway.AdminAsync("GET", "/api/books/check");
        Assert.True((bool)check.Body["ok"]!, check.Text);
        Answer cash = await gateway.AdminAsync("GET", "/api/books/cash");
        Assert.Equal(("2", "2"), ((string?)cash.Body["data"]![0]!["operating"], (string?)cash.Body["data"]![0]!["closing"]));
        Assert.Equal("31", (string?)(await gateway.AdminAsync("GET", "/api/costs/pools?from=2026-01-01&to=2026-02-01")).Body["data"]![0]!["full"]);
        JsonArray audit = (await gateway.AdminAsync("GET", "/api/audit")).Body["data"]!.AsArray();
        Assert.Equal(["payment.declare", "credit-note.declare", "invoice.declare", "close", "bill.declare", "contract.declare"], audit.Select(row => (string?)row!["action"]).Take(6));
        Assert.All(audit.Take(6), row => Assert.NotNull(row!["after"]));
    }

    [Fact]
    public async Task A_bill_belongs_to_its_month_as_long_as_that_is_open()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(1_000_000, 0, 0, 0, 0));
        const string January = "?from=2026-01-01&to=2026-02-01";
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/declarations", """{"text":"bill rack pool this-machine for hosting amount 31 from 2026-01-01 to 2026-02-01"}""")).Status);
        string before = await OtherAsync(gateway, January);
        Assert.Equal(Money.Parse("31", Currency.Usd) - Standard(gateway), Money.Parse(before, Currency.Usd));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/periods", """{"through":"2026-02-01"}""")).Status);
        Assert.Equal(before, await OtherAsync(gateway, January));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/declarations", """{"text":"bill late pool this-machine for hosting amount 10 from 2026-01-01 to 2026-02-01"}""")).Status);
        Assert.Equal(before, await OtherAsync(gateway, January));
        Assert.Equal(Money.Parse(before, Currency.Usd) + Money.Parse("10", Currency.Usd), Money.Parse(await OtherAsync(gateway, ""), Currency.Usd));
        Assert.True((bool)(await gateway.AdminAsync("GET", "/api/books/check")).Body["ok"]!);
    }

    [Fact]
    public async Task A_voided_invoice_makes_room_for_another()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(1_000_000, 0, 0, 0, 0));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/periods", """{"through":"2026-02-01"}""")).Status);
        const string January = """{"tenant":"acme","from":"2026-01-01","to":"2026-02-01"}""";
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/invoices", January)).Status);
        Answer gone = await gateway.AdminAsync("POST", "/api/invoices/2026-0001/void", """{"reason":"wrong address"}""");
        Assert.Equal(("void", "0"), ((string?)gone.Body["state"], (string?)gone.Body["open"]));
        Assert.Equal("2026-0002", (string?)(await gateway.AdminAsync("POST", "/api/invoices", January)).Body["number"]);
        Assert.Equal(["void", "final"], (await gateway.AdminAsync("GET", "/api/invoices")).Body["data"]!.AsArray().Select(row => (string?)row!["state"]));
        Assert.True((bool)(await gateway.AdminAsync("GET", "/api/books/check")).Body["ok"]!);
    }

    [Fact]
    public async Task A_past_month_is_charged_again_after_a_look_at_what_that_changes()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(20_000_000, 0, 0, 5_000_000, 0));
        Answer price = await gateway.AdminAsync("POST", "/api/prices/import", """{"text":"price * from 2030-01-01\n input 0.10 output 0.40"}""");
        string body = $$"""{"text":"rerate r1 from 2026-01-01 to 2026-02-01 tenant acme price {{price.Body["data"]![0]!["id"]}} reason \"agreed\"","check_only":CHECK}""";
        Answer look = await gateway.AdminAsync("POST", "/api/books/reprice", body.Replace("CHECK", "true", StringComparison.Ordinal));
        Assert.Equal(("3", "4", "1", false), ((string?)look.Body["data"]![0]!["before"], (string?)look.Body["data"]![0]!["after"], (string?)look.Body["data"]![0]!["change"], (bool)look.Body["declared"]!));
        Assert.Equal("3", await RevenueAsync(gateway));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/books/reprice", body.Replace("CHECK", "false", StringComparison.Ordinal))).Status);
        Assert.Equal("4", await RevenueAsync(gateway));
    }

    [Fact]
    public async Task A_price_list_is_checked_compared_and_imported_once()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer sample = await gateway.AdminAsync("GET", "/api/prices/file?sample=model-studio-international");
        string body = new JsonObject { ["text"] = (string?)sample.Body["files"]![0] }.ToJsonString();
        Answer check = await gateway.AdminAsync("POST", "/api/prices/check", body);
        Assert.True((bool)check.Body["ok"]!, check.Text);
        int prices = (int)check.Body["prices"]!;
        // The gateway's own price is not in the list.
        Assert.Equal(prices + 1, (await gateway.AdminAsync("POST", "/api/prices/diff", body)).Body["data"]!.AsArray().Count);
        Assert.Equal(prices, (await gateway.AdminAsync("POST", "/api/prices/import", body)).Body["data"]!.AsArray().Count);
        Assert.Single((await gateway.AdminAsync("POST", "/api/prices/diff", body)).Body["data"]!.AsArray());
        Assert.Empty((await gateway.AdminAsync("POST", "/api/prices/import", body)).Body["data"]!.AsArray());
        string written = (string)(await gateway.AdminAsync("GET", "/api/prices/file")).Body["files"]![0]!;
        Assert.NotNull(PriceFile.Parse(written).File);

        Answer wrong = await gateway.AdminAsync("POST", "/api/prices/check", """{"text":"price m from 2026-01-01\n  input 1 outptu 2"}""");
        Assert.Equal((false, 1), ((bool)wrong.Body["ok"]!, (int)wrong.Body["errors"]![0]!["line"]!));
        Assert.Equal((400, "text"), ((await gateway.AdminAsync("POST", "/api/prices/import", """{"text":"price m"}""")) is var refused ? (refused.Status, refused.Param) : default));
    }

    [Theory]
    [InlineData("contract c1 tenant nobody from 2026-01-01", "There is no tenant 'nobody'.")]
    [InlineData("payment p1 invoice 2026-1 at 2026-01-01 amount 1", "There is no final invoice '2026-1'.")]
    [InlineData("asset-retired rack at 2026-01-01", "There is no asset 'rack'.")]
    [InlineData("close january through 2026-02-01 digest 00", "qanat books close")]
    [InlineData("contract c1 tenant acme from yesterday", "line 1")]
    [InlineData("", "no statement")]
    public async Task What_cannot_be_declared_is_refused_with_a_reason(string statement, string reason)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer answer = await gateway.AdminAsync("POST", "/api/declarations", new JsonObject { ["text"] = statement }.ToJsonString());
        Assert.Equal(400, answer.Status);
        Assert.Contains(reason, answer.Message, StringComparison.Ordinal);
        Assert.Empty((await gateway.AdminAsync("GET", "/api/declarations")).Body["data"]!.AsArray());
    }

    [Fact]
    public async Task A_name_stands_for_one_fact_and_saying_it_twice_changes_nothing()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        const string Bill = """{"text":"bill rack pool this-machine for hosting amount 31 from 2026-01-01 to 2026-02-01"}""";
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/declarations", Bill)).Status);
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/declarations", Bill)).Status);
        Assert.Single((await gateway.AdminAsync("GET", "/api/declarations?kind=bill")).Body["data"]!.AsArray());
        Answer other = await gateway.AdminAsync("POST", "/api/declarations", Bill.Replace("31", "32", StringComparison.Ordinal));
        Assert.Equal((409, "name_taken"), (other.Status, other.Code));
    }

    [Fact]
    public async Task Bad_fields_never_break_the_server()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string[] paths = ["declarations", "invoices", "invoices/draft", "invoices/1/void", "invoices/1/credit", "invoices/1/payment", "periods", "books/reprice", "prices/check", "prices/diff", "prices/import"];
        foreach (string path in paths)
        {
            foreach (string field in Fields)
            {
                foreach (string value in Values)
                {
                    string body = "{" + string.Join(",", Fields.Where(each => each is not ("at" or "check_only") && each != field).Select(each => $"\"{each}\":{Plausible(each)}").Append($"\"{field}\":{value}")) + "}";
                    Answer answer = await gateway.AdminAsync("POST", "/api/" + path, body);
                    Assert.True(answer.Status is >= 200 and < 500, $"{path} {body}: {answer.Status} {answer.Text}");
                }
            }
        }
    }

    private static string Plausible(string field) => field switch
    {
        "tenant" => "\"acme\"",
        "from" => "\"2026-01-01\"",
        "to" or "through" => "\"2026-02-01\"",
        "amount" => "\"1.5\"",
        "text" => "\"tariff grid from 2026-01-01 kwh 0.25\"",
        _ => "\"n\"",
    };

    private static async Task<string> OtherAsync(TestGateway gateway, string query) => (string)(await gateway.AdminAsync("GET", "/api/books/pnl" + query)).Body["totals"]![0]!["other"]!;

    /// <summary>What January's running time cost at the hourly rate.</summary>
    private static Money Standard(TestGateway gateway) => gateway.Get<TariffState>().Costs.RunningCost(TestGateway.Pool, BookedMonth.Day(1), BookedMonth.Day(32))!.Amount;

    private static async Task<string> RevenueAsync(TestGateway gateway) => (string)(await gateway.AdminAsync("GET", "/api/books/pnl")).Body["totals"]![0]!["revenue"]!;
}
