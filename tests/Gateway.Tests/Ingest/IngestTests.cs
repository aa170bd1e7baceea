using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>Usage that was metered elsewhere: once, whatever the order and however often it comes.</summary>
public sealed class IngestTests
{
    [Fact]
    public async Task An_event_is_priced_and_stored_once_however_often_it_comes()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer first = await SendAsync(gateway, Event("a"));
        Assert.Equal((200, "accepted", "0.45"), (first.Status, (string?)first.Body["outcome"], (string?)first.Body["charge"]));
        Assert.Equal(["uncosted"], first.Body["states"]!.AsArray().Select(state => (string?)state));
        Answer again = await SendAsync(gateway, Event("a"));
        Assert.Equal(("duplicate", (string?)first.Body["request_id"]), ((string?)again.Body["outcome"], (string?)again.Body["request_id"]));
        Answer other = await SendAsync(gateway, Event("a").Replace("1000000", "1000001", StringComparison.Ordinal));
        Assert.Equal((409, "usage_conflict"), (other.Status, other.Code));

        JsonNode usage = (await gateway.AdminAsync("GET", "/api/usage")).Body["data"]!.AsArray().Single()!;
        Assert.Equal(("acme", "farm/qwen3-32b", "vllm-farm"), ((string?)usage["tenant"]!["name"], (string?)usage["deployment"], (string?)usage["pool"]));
        Assert.Equal("0.45", (string?)(await gateway.AdminAsync("GET", "/api/books/pnl")).Body["totals"]![0]!["revenue"]);
        Assert.True((bool)(await gateway.AdminAsync("GET", "/api/books/check")).Body["ok"]!);
    }

    [Fact]
    public async Task A_batch_tells_the_outcome_of_each_event_and_one_bad_event_spoils_no_other()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string batch = $"[{Event("a")},{Event("b")},{Event("a")},{Event("c").Replace("acme", "nobody", StringComparison.Ordinal)},{Event("b").Replace("1000000", "7", StringComparison.Ordinal)}]";
        Answer answer = await SendAsync(gateway, batch, "application/cloudevents-batch+json");
        Assert.Equal(["accepted", "accepted", "duplicate", "refused", "conflict"], answer.Body["data"]!.AsArray().Select(row => (string?)row!["outcome"]));
        Assert.Equal((2, 1, 1, 1), ((int)answer.Body["accepted"]!, (int)answer.Body["duplicate"]!, (int)answer.Body["refused"]!, (int)answer.Body["conflict"]!));
        Assert.Contains("nobody", (string)answer.Body["data"]![3]!["error"]!, StringComparison.Ordinal);
        Assert.Equal(2, (await gateway.AdminAsync("GET", "/api/usage")).Body["data"]!.AsArray().Count);
    }

    [Fact]
    public async Task The_same_events_at_the_same_time_are_stored_once_each()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(index => SendAsync(gateway, Event("e" + index % 3))));
        Assert.Equal(3, answers.Count(answer => (string?)answer.Body["outcome"] == "accepted"));
        Assert.Equal(27, answers.Count(answer => (string?)answer.Body["outcome"] == "duplicate"));
    }

    [Fact]
    public async Task Usage_of_a_closed_period_is_one_adjustment_in_an_open_one()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await BookedMonth.AddUsageAsync(gateway, BookedMonth.Day(10), new TokenCounts(20_000_000, 0, 0, 5_000_000, 0));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/periods", """{"through":"2026-02-01"}""")).Status);
        Answer late = await SendAsync(gateway, Event("late").Replace("2026-03-01", "2026-01-20", StringComparison.Ordinal));
        Assert.Equal(("accepted", true), ((string?)late.Body["outcome"], (bool)late.Body["late"]!));
        Assert.Equal("3", (string?)(await gateway.AdminAsync("GET", "/api/books/pnl?from=2026-01-01&to=2026-02-01")).Body["totals"]![0]!["revenue"]);
        Assert.Equal("0.45", (string?)(await gateway.AdminAsync("GET", "/api/books/pnl?from=2026-02-01&to=2026-03-01")).Body["totals"]![0]!["revenue"]);
        JsonNode posting = (await gateway.AdminAsync("GET", "/api/books/journal?limit=1000")).Body["data"]!.AsArray().Single(row => (string?)row!["template"] == "late usage")!;
        Assert.StartsWith("2026-02-01", (string)posting["at"]!, StringComparison.Ordinal);
        Assert.True((bool)(await gateway.AdminAsync("GET", "/api/books/check")).Body["ok"]!);
    }

    [Fact]
    public async Task Usage_without_counts_is_missing_and_never_a_charge_of_zero()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer answer = await SendAsync(gateway, Event("m").Replace("\"tokens\"", "\"not_tokens\"", StringComparison.Ordinal));
        Assert.Equal(["usage_missing", "unpriced", "uncosted"], answer.Body["states"]!.AsArray().Select(state => (string?)state));
        Assert.Null(answer.Body["charge"]);
        JsonNode pnl = (await gateway.AdminAsync("GET", "/api/books/pnl")).Body;
        Assert.Equal((1, 1), ((int)pnl["usage_missing"]!, (int)pnl["totals"]![0]!["unpriced"]!));
    }

    [Fact]
    public async Task Reported_usage_draws_on_free_tokens_and_credit()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await gateway.AdminAsync("POST", "/api/declarations", """{"text":"contract c1 tenant acme from 2026-01-01 free-tokens 1,000,000 free-for 10years then charge\ncredit p1 tenant acme amount 1 paid 2026-01-01 then stop"}""");
        // Half of its 2,000,000 tokens are free.
        Assert.Equal("0.225", (string?)(await SendAsync(gateway, Event("a"))).Body["charge"]);
        Assert.Equal("0.45", (string?)(await SendAsync(gateway, Event("b"))).Body["charge"]);
        JsonNode standing = (await gateway.AdminAsync("GET", "/api/contracts")).Body;
        Assert.Equal((1_000_000, "0.325"), ((int)standing["contracts"]![0]!["free_tokens_used"]!, (string?)standing["credits"]![0]!["left"]));
        Assert.True((bool)(await gateway.AdminAsync("GET", "/api/books/check")).Body["ok"]!);
    }

    [Theory]
    [InlineData("\"specversion\":\"1.0\"", "\"specversion\":\"0.3\"", "specversion")]
    [InlineData("qanat.usage.v1", "other", "type")]
    [InlineData("\"source\":\"vllm-farm\",", "", "source")]
    [InlineData("2026-03-01", "2226-03-01", "time")]
    [InlineData("\"input\":1000000", "\"input\":-1", "data.tokens.input")]
    [InlineData("\"output\":1000000", "\"output\":1000000,\"reasoning\":1000001", "data.tokens")]
    [InlineData("\"model\"", "\"modle\"", "data.model")]
    public async Task What_is_wrong_with_an_event_is_said_by_its_field(string from, string to, string param)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer answer = await SendAsync(gateway, Event("a").Replace(from, to, StringComparison.Ordinal));
        Assert.Equal((400, param), (answer.Status, answer.Param));
        Assert.Empty((await gateway.AdminAsync("GET", "/api/usage")).Body["data"]!.AsArray());
    }

    private static string Event(string id) => $$"""
        {"specversion":"1.0","id":"{{id}}","source":"vllm-farm","type":"qanat.usage.v1","time":"2026-03-01T10:00:01Z","data":{"tenant":"acme","model":"qwen3-32b","deployment":"farm/qwen3-32b",
        "placed_at":"2026-03-01T10:00:00Z","operation":"chat","tokens":{"input":1000000,"output":1000000} } }
        """;

    private static Task<Answer> SendAsync(TestGateway gateway, string json, string type = "application/cloudevents+json") => TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Post, "/api/usage")
    {
        Content = new StringContent(json, Encoding.UTF8, new MediaTypeHeaderValue(type)),
    });
}
