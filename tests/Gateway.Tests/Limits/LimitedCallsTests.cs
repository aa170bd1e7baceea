using System.Text;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>Limits, scopes and the stop switch as a client meets them.</summary>
public sealed class LimitedCallsTests
{
    private const string Hello = """{"model":"scripted-1","messages":[{"role":"user","content":"hi"}]}""";
    private const string HelloStream = """{"model":"scripted-1","stream":true,"messages":[{"role":"user","content":"hi"}]}""";

    [Fact]
    public async Task Rates_are_told_in_headers_and_held_with_a_time_to_come_again()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        Assert.Equal(200, (await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"requests_per_minute":2,"tokens_per_minute":100000}""")).Status);
        Answer first = await gateway.PostAsync("/v1/chat/completions", Hello);
        Assert.Equal((200, "2", "1", "30s"), (first.Status, first.Header("x-ratelimit-limit-requests"), first.Header("x-ratelimit-remaining-requests"), first.Header("x-ratelimit-reset-requests")));
        Assert.Equal("100000", first.Header("x-ratelimit-limit-tokens"));
        await gateway.PostAsync("/v1/chat/completions", Hello);
        Answer third = await gateway.PostAsync("/v1/chat/completions", Hello);
        Assert.Equal((429, "rate_limit_exceeded", "30", "30000", "0"), (third.Status, third.Code, third.Header("Retry-After"), third.Header("retry-after-ms"), third.Header("x-ratelimit-remaining-requests")));
        Assert.Equal(2, gateway.Script.Calls.Count);
    }

    /// <summary>However many calls serve it, and however few of them at a time.</summary>
    [Theory]
    [InlineData("/v1/embeddings", "input", 40)]
    [InlineData("/v1/embeddings", "input", 17)]
    [InlineData("/v1/completions", "prompt", 2)]
    public async Task A_request_of_several_texts_is_one_request_and_takes_the_tokens_of_all_of_them(string path, string field, int texts)
    {
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        Assert.Equal(200, (await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"requests_per_minute":2,"tokens_per_minute":1000,"concurrent":1,"wait_seconds":0}""")).Status);
        string body = $$"""{"model":"scripted-1","max_tokens":5,"{{field}}":[{{string.Join(',', Enumerable.Repeat("\"four\"", texts))}}]}""";
        Answer first = await gateway.PostAsync(path, body);
        Assert.Equal((200, texts), (first.Status, gateway.Script.Calls.Count));
        int tokens = texts * (4 + (field == "prompt" ? 5 : 0));
        Assert.Equal(("1", $"{1000 - tokens}"), (first.Header("x-ratelimit-remaining-requests"), first.Header("x-ratelimit-remaining-tokens")));
        Assert.Equal("0", (await gateway.PostAsync(path, body)).Header("x-ratelimit-remaining-requests"));
        // A third is refused before any of it is served.
        Answer third = await gateway.PostAsync(path, body);
        Assert.Equal((429, "rate_limit_exceeded", "30"), (third.Status, third.Code, third.Header("Retry-After")));
        Assert.Equal(2 * texts, gateway.Script.Calls.Count);
    }

    [Fact]
    public async Task The_texts_of_a_list_that_fails_midway_give_back_what_none_of_them_used()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"tokens_per_minute":1000,"concurrent":1,"wait_seconds":0}""");
        int served = 0;
        gateway.Script.Answer = (call, _) => Interlocked.Increment(ref served) == 1 ? Script.Say(call, "one") : Script.Refuse(new ApiException(503, "server_error", "scripted", "As the test wants it."));
        Assert.Equal(503, (await gateway.PostAsync("/v1/completions", """{"model":"scripted-1","max_tokens":100,"prompt":["four","four","four"]}""")).Status);
        gateway.Script.Reset();
        Answer next = await gateway.PostAsync("/v1/completions", """{"model":"scripted-1","max_tokens":100,"prompt":"four"}""");
        // Only the first can have used any: 4 and 3.
        Assert.True(next.Header("x-ratelimit-remaining-tokens") is "896" or "889", next.Header("x-ratelimit-remaining-tokens"));
        Assert.Equal(200, next.Status);
    }

    [Fact]
    public async Task A_tenant_that_may_wait_for_its_rate_waits_in_line_and_leaves_it_with_its_client_or_the_stop_switch()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        Answer limits = await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"requests_per_minute":60,"requests_burst":1,"wait_seconds":30,"waiting_max":2}""");
        Assert.Equal((30, 2), ((int)limits.Body["rates"]!["wait_seconds"]!, (int)limits.Body["rates"]!["waiting_max"]!));
        Assert.Equal(200, (await gateway.PostAsync("/v1/chat/completions", Hello)).Status);
        RateLimits rates = gateway.Get<RateLimits>();
        Task<Answer> waits = gateway.PostAsync("/v1/chat/completions", Hello);
        while (rates.WaitingCount < 1 && !waits.IsCompleted) await Task.Yield();
        using CancellationTokenSource leaves = new();
        Task<HttpResponseMessage> left = gateway.Http.PostAsync("/v1/chat/completions", new StringContent(Hello, Encoding.UTF8, "application/json"), leaves.Token);
        while (rates.WaitingCount < 2 && !left.IsCompleted) await Task.Yield();
        Answer full = await gateway.PostAsync("/v1/chat/completions", Hello);
        Assert.Equal((429, "3"), (full.Status, full.Header("Retry-After")));
        Assert.Contains("\nqanat_requests_in_line 2\n", await gateway.Owner.GetStringAsync("/metrics", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        while (rates.WaitingCount > 1) await Task.Yield();
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(200, (await waits).Status);

        Task<Answer> stopped = gateway.PostAsync("/v1/chat/completions", Hello);
        while (rates.WaitingCount < 1 && !stopped.IsCompleted) await Task.Yield();
        await gateway.AdminAsync("POST", "/api/tenants/acme/stop", "{}");
        Assert.Equal((403, "tenant_stopped"), ((await stopped).Status, (await stopped).Code));
        Assert.Equal((0, 2), (rates.WaitingCount, gateway.Script.Calls.Count));
    }

    [Fact]
    public async Task Stopping_a_tenant_breaks_off_what_runs_and_serves_nothing_until_it_is_started()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource never = new();
        CancellationToken seen = default;
        gateway.Script.Answer = (call, cancel) =>
        {
            seen = cancel;
            return Script.SayAndWait(call, never.Task, cancel);
        };
        using HttpRequestMessage request = new(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(HelloStream, Encoding.UTF8, "application/json") };
        using HttpResponseMessage response = await gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        StringBuilder told = new();
        while (!told.ToString().Contains("waiting", StringComparison.Ordinal)) told.AppendLine(await reader.ReadLineAsync(TestContext.Current.CancellationToken) ?? throw new InvalidOperationException("It ended too soon: " + told));

        Answer stopped = await gateway.AdminAsync("POST", "/api/tenants/acme/stop", "{}");
        Assert.Equal((200, true), (stopped.Status, (bool)stopped.Body["stopped"]!));
        Assert.True(seen.IsCancellationRequested, "The switch answers only when what runs has been told to end.");
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line) told.AppendLine(line);
        });
        Assert.Contains("tenant_stopped", told.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", told.ToString(), StringComparison.Ordinal);
        Answer refused = await gateway.PostAsync("/v1/chat/completions", Hello);
        Assert.Equal((403, "tenant_stopped"), (refused.Status, refused.Code));

        gateway.Script.Reset();
        await gateway.AdminAsync("POST", "/api/tenants/acme/start", "{}");
        Assert.Equal(200, (await gateway.PostAsync("/v1/chat/completions", Hello)).Status);
    }

    [Theory]
    [InlineData("/v1/chat/completions", """{"model":"scripted-1","stream":true,"messages":[{"role":"user","content":"Hi"}]}""")]
    [InlineData("/compatible-mode/v1/chat/completions", """{"model":"scripted-1","stream":true,"messages":[{"role":"user","content":"Hi"}]}""")]
    [InlineData("/v1/completions", """{"model":"scripted-1","stream":true,"prompt":"Hi"}""")]
    [InlineData("/v1/responses", """{"model":"scripted-1","stream":true,"input":"Hi"}""")]
    [InlineData("/v1/messages", """{"model":"scripted-1","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}""")]
    [InlineData("/api/v1/services/aigc/text-generation/generation", """{"model":"scripted-1","input":{"messages":[{"role":"user","content":"Hi"}]},"parameters":{"incremental_output":true}}""")]
    [InlineData("/api/chat", """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}]}""")]
    [InlineData("/api/generate", """{"model":"scripted-1","prompt":"Hi"}""")]
    public async Task The_switch_ends_running_streams_of_every_API_and_they_say_why(string path, string body)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource never = new();
        CancellationToken seen = default;
        gateway.Script.Answer = (call, cancel) =>
        {
            seen = cancel;
            return Script.SayAndWait(call, never.Task, cancel);
        };
        using HttpRequestMessage request = new(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("X-DashScope-SSE", "enable");
        using HttpResponseMessage response = await gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(200, (int)response.StatusCode);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        StringBuilder told = new();
        while (!told.ToString().Contains("waiting", StringComparison.Ordinal)) told.AppendLine(await reader.ReadLineAsync(TestContext.Current.CancellationToken) ?? throw new InvalidOperationException("It ended too soon: " + told));
        await gateway.AdminAsync("POST", "/api/tenants/acme/stop", "{}");
        Assert.True(seen.IsCancellationRequested);
        try
        {
            while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line) told.AppendLine(line);
        }
        catch (IOException)
        {
            // How some of them tell that it is not whole.
        }
        Assert.Contains("is stopped", told.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_is_held_to_its_models_endpoints_and_networks()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Assert.Equal((403, "model_not_allowed"), await TryAsync(gateway, """{"tenant":"acme","models":["other"]}"""));
        Assert.Equal((200, null), await TryAsync(gateway, """{"tenant":"acme","models":["SCRIPTED-1"]}"""));
        Assert.Equal((403, "endpoint_not_allowed"), await TryAsync(gateway, """{"tenant":"acme","endpoints":["/v1/chat/comp"]}"""));
        Assert.Equal((200, null), await TryAsync(gateway, """{"tenant":"acme","endpoints":["/v1/models","/v1/chat"]}"""));
        Assert.Equal((403, "network_not_allowed"), await TryAsync(gateway, """{"tenant":"acme","networks":["10.0.0.0/8","::1/128"]}"""));
        Assert.Equal((200, null), await TryAsync(gateway, """{"tenant":"acme","networks":["127.0.0.0/8"]}"""));
        Assert.Equal(400, (await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"acme","networks":["somewhere"]}""")).Status);
    }

    [Fact]
    public async Task A_rotated_key_works_beside_the_new_one_until_the_overlap_ends()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        Answer made = await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"acme","models":["scripted-1"],"requests_per_minute":500,"monthly_budget":"3"}""");
        Answer next = await gateway.AdminAsync("POST", $"/api/keys/{made.Body["id"]}/rotate", """{"overlap_seconds":3600}""");
        Assert.Equal(200, next.Status);
        using HttpClient old = gateway.Client((string)made.Body["key"]!), young = gateway.Client((string)next.Body["key"]!);
        Assert.Equal(("3", "[\"scripted-1\"]", 500), ((string?)next.Body["monthly_budget"], next.Body["terms"]!["models"]!.ToJsonString(), (int)next.Body["terms"]!["rates"]!["requests_per_minute"]!));
        Assert.Equal((200, 200), (await StatusAsync(old), await StatusAsync(young)));
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal((401, 200), (await StatusAsync(old), await StatusAsync(young)));
        Assert.Equal(400, (await gateway.AdminAsync("POST", $"/api/keys/{made.Body["id"]}/rotate", "{}")).Status);
    }

    [Fact]
    public async Task The_only_owner_key_cannot_be_given_an_end()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string owner = gateway.Get<DirectoryState>().Current.Keys.Single(DirectoryModel.IsCloudOwner).Id.ToString();
        Assert.Equal("last_owner_key", (await gateway.AdminAsync("PUT", $"/api/keys/{owner}/terms", """{"expires_at":"2030-01-01"}""")).Code);
        // Rotated, the new one is the owner's key that does not end.
        Assert.Equal(200, (await gateway.AdminAsync("POST", $"/api/keys/{owner}/rotate", "{}")).Status);
    }

    private static async Task<(int, string?)> TryAsync(TestGateway gateway, string order)
    {
        Answer made = await gateway.AdminAsync("POST", "/api/keys", order);
        using HttpClient client = gateway.Client((string)made.Body["key"]!);
        Answer answer = await TestGateway.SendAsync(client, new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Hello, Encoding.UTF8, "application/json") });
        return (answer.Status, answer.Code);
    }

    private static async Task<int> StatusAsync(HttpClient client) => (await TestGateway.SendAsync(client, new HttpRequestMessage(HttpMethod.Get, "/v1/models"))).Status;
}
