using System.Text;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

/// <summary>Requests that ask for their beginning to be cached, in the words of each API, and what their answers say of it.</summary>
public sealed class CacheMarkTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Mark = "\"cache_control\":{\"type\":\"ephemeral\"}";

    /// <summary>A byte is a token: longer than the least that is kept.</summary>
    private static readonly string Long = new('x', 1100);

    /// <summary>What the scripted model's prompt is up to the end of that system message.</summary>
    private static readonly int SystemTokens = $"System: {Long}\n".Length;

    public static TheoryData<string, string> MarkedSystems => new()
    {
        { "/v1/chat/completions", $$$"""{"model":"scripted-1","messages":[{"role":"system","content":[{"type":"text","text":"{{{Long}}}",{{{Mark}}} }]},{"role":"user","content":"Hi"}]}""" },
        { "/v1/messages", $$$"""{"model":"scripted-1","max_tokens":9,"system":[{"type":"text","text":"{{{Long}}}",{{{Mark}}} }],"messages":[{"role":"user","content":"Hi"}]}""" },
        { "/api/v1/services/aigc/text-generation/generation", $$$"""{"model":"scripted-1","input":{"messages":[{"role":"system","content":[{"text":"{{{Long}}}","type":"text",{{{Mark}}} }]},{"role":"user","content":"Hi"}]}}""" },
    };

    [Theory, MemberData(nameof(MarkedSystems))]
    public async Task A_mark_asks_for_the_prompt_up_to_its_message(string path, string body)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(path, body);
        Assert.Equal(200, answer.Status);
        Call call = gateway.Script.LastCall;
        Assert.Equal((SystemTokens, CacheMode.Explicit, 1), (call.CacheTokens, call.Cache, call.Conversation!.CachedMessages));
        JsonNode usage = answer.Body["usage"]!;
        JsonNode told = usage["prompt_tokens_details"] ?? usage;
        Assert.Equal(SystemTokens - 1, (int)told["cache_creation_input_tokens"]!);
        Assert.Equal(SystemTokens - 1, (int)told["cache_creation"]!["ephemeral_5m_input_tokens"]!);
        Assert.Equal(1, (int)(told["cached_tokens"] ?? told["cache_read_input_tokens"])!);
    }

    [Fact]
    public async Task The_last_mark_counts_and_one_at_the_request_asks_for_all()
    {
        TestGateway gateway = fixture.Fresh();
        string message = $$$"""{"role":"user","content":[{"type":"text","text":"{{{Long}}}",{{{Mark}}} }]}""";
        await gateway.PostAsync("/v1/messages", $$$"""{"model":"scripted-1","max_tokens":9,"system":[{"type":"text","text":"s",{{{Mark}}} }],"messages":[{{{message}}},{"role":"assistant","content":"a"},{"role":"user","content":"b"}]}""");
        Assert.Equal($"System: s\nUser: {Long}\n".Length, gateway.Script.LastCall.CacheTokens);
        await gateway.PostAsync("/v1/messages", $$$"""{"model":"scripted-1","max_tokens":9,{{{Mark}}},"messages":[{"role":"user","content":"{{{Long}}}"}]}""");
        Assert.Equal(gateway.Script.LastCall.Prompt.Length, gateway.Script.LastCall.CacheTokens);
    }

    [Fact]
    public async Task Little_is_not_worth_keeping_and_unmarked_requests_ask_for_nothing()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync("/v1/messages", $$$"""{"model":"scripted-1","max_tokens":9,"system":[{"type":"text","text":"short",{{{Mark}}} }],"messages":[{"role":"user","content":"{{{Long}}}"}]}""");
        Assert.Equal((0, CacheMode.Implicit), (gateway.Script.LastCall.CacheTokens, gateway.Script.LastCall.Cache));
        Answer answer = await gateway.PostAsync("/v1/chat/completions", $$$"""{"model":"scripted-1","messages":[{"role":"user","content":"{{{Long}}}"}]}""");
        Assert.Equal((0, CacheMode.Implicit), (gateway.Script.LastCall.CacheTokens, gateway.Script.LastCall.Cache));
        Assert.Null(answer.Body["usage"]!["prompt_tokens_details"]!["cache_type"]);
    }

    [Fact]
    public async Task A_session_of_responses_is_cached_when_its_header_says_so()
    {
        TestGateway gateway = fixture.Fresh();
        using HttpRequestMessage request = new(HttpMethod.Post, "/compatible-mode/v1/responses") { Content = new StringContent($$$"""{"model":"scripted-1","store":false,"input":"{{{Long}}}"}""", Encoding.UTF8, "application/json") };
        request.Headers.Add("x-dashscope-session-cache", "enable");
        Answer answer = await gateway.SendAsync(request);
        Assert.Equal(gateway.Script.LastCall.Prompt.Length, gateway.Script.LastCall.CacheTokens);
        Assert.Equal("ephemeral", (string?)answer.Body["usage"]!["input_tokens_details"]!["cache_type"]);
    }

    [Fact]
    public void What_is_kept_and_what_is_found_are_charged_at_rates_of_their_own()
    {
        TokenRates rates = TokenRates.PerMillion(Currency.Usd, "1", "1", cacheRead: "0.2", cacheWrite: "1.25") with { ExplicitCacheReadPerToken = TokenRates.PerMillion(Currency.Usd, "0.1", "1").InputPerToken };
        TokenCounts tokens = new(3000, 1000, 1500, 0, 0);
        Assert.Equal(Money.Parse("0.002475", Currency.Usd), Rating.Charge(rates, tokens, CacheMode.Explicit));
        Assert.Equal(Money.Parse("0.002575", Currency.Usd), Rating.Charge(rates, tokens, CacheMode.Implicit));
    }

    public static TheoryData<string> Paths => Surface.Paths;

    /// <summary>Agents say in several ways which of their requests belong together.</summary>
    [Theory, MemberData(nameof(Paths))]
    public async Task Requests_of_a_session_are_known_on_every_surface(string path)
    {
        TestGateway gateway = fixture.Fresh();
        using HttpRequestMessage request = new(HttpMethod.Post, path) { Content = new StringContent(Surface.Of(path).Body, Encoding.UTF8, "application/json") };
        request.Headers.Add("x-session-id", "s-1");
        await gateway.SendAsync(request);
        Assert.Equal("s-1", gateway.Script.LastCall.Session);
        await gateway.PostAsync(path, Surface.Of(path).With("\"prompt_cache_key\":\"k-1\""));
        Assert.Equal("k-1", gateway.Script.LastCall.Session);
        await gateway.PostAsync(path, Surface.Of(path).With("\"metadata\":{\"sessionId\":\"q-1\"}"));
        Assert.Equal("q-1", gateway.Script.LastCall.Session);
    }
}
