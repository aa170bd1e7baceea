using System.Text;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>Counting the tokens of a request is held to what the request itself would be held to, and costs nothing.</summary>
public sealed class CountedTokensTests
{
    private const string Body = """{"model":"scripted-1","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"input":"Hi"}""";

    [Theory]
    [InlineData("/v1/messages/count_tokens")]
    [InlineData("/v1/responses/input_tokens")]
    public async Task A_key_counts_only_for_the_models_that_it_may_ask(string path)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer made = await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"acme","models":["other"]}""");
        using HttpClient bound = gateway.Client((string)made.Body["key"]!);
        Answer refused = await TestGateway.SendAsync(bound, new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(Body, Encoding.UTF8, "application/json") });
        Assert.Equal((403, "model_not_allowed"), (refused.Status, refused.Code));
    }

    [Theory]
    [InlineData("/v1/messages/count_tokens")]
    [InlineData("/v1/responses/input_tokens")]
    public async Task Nothing_is_counted_for_a_tenant_that_is_stopped(string path)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Assert.Equal(200, (await gateway.PostAsync(path, Body)).Status);
        await gateway.AdminAsync("POST", "/api/tenants/acme/stop", "{}");
        Answer refused = await gateway.PostAsync(path, Body);
        Assert.Equal((403, "tenant_stopped"), (refused.Status, refused.Code));
    }

    [Theory]
    [InlineData("/v1/messages/count_tokens")]
    [InlineData("/v1/responses/input_tokens")]
    public async Task Each_takes_a_request_of_its_rates_and_no_tokens(string path)
    {
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"requests_per_minute":2,"tokens_per_minute":100000}""");
        Answer first = await gateway.PostAsync(path, Body);
        Assert.Equal((200, "1", "100000"), (first.Status, first.Header("x-ratelimit-remaining-requests"), first.Header("x-ratelimit-remaining-tokens")));
        Assert.Equal(200, (await gateway.PostAsync(path, Body)).Status);
        Answer third = await gateway.PostAsync(path, Body);
        Assert.Equal((429, "rate_limit_exceeded", "30"), (third.Status, third.Code, third.Header("Retry-After")));
        Assert.Empty(gateway.Script.Calls);
    }

    [Fact]
    public async Task A_count_has_a_place_only_while_it_counts()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"concurrent":1,"wait_seconds":0}""");
        for (int count = 0; count < 3; count++) Assert.Equal(200, (await gateway.PostAsync("/v1/messages/count_tokens", Body)).Status);
    }
}
