using System.Text;

namespace Qanat.Gateway.Tests;

/// <summary>What every API here keeps to, because real clients need it.</summary>
public sealed class ServerRuleTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    public static TheoryData<string> Paths => Surface.Paths;

    [Theory, MemberData(nameof(Paths))]
    public async Task The_cost_of_the_call_is_in_its_headers_and_in_its_answer(string path)
    {
        Answer answer = await fixture.Fresh().PostAsync(path, Surface.Of(path).Body);
        Assert.Equal(200, answer.Status);
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)(answer.Body["usage"]?["x_qanat"] ?? answer.Body["x_qanat"])!["charge"]);
        Assert.NotNull(answer.Header("x-qanat-cost"));
        Assert.NotNull(answer.Header("x-request-id"));
    }

    /// <summary>Texts that are only read are billed as those that are continued.</summary>
    /// <summary>Limits and budgets of each user hold for whoever is named.</summary>
    [Theory]
    [InlineData("/v1/chat/completions", """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"user":"ann"}""")]
    [InlineData("/v1/chat/completions", """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"user":"old","safety_identifier":"ann"}""")]
    [InlineData("/v1/completions", """{"model":"scripted-1","prompt":"Hi","safety_identifier":"ann"}""")]
    [InlineData("/v1/responses", """{"model":"scripted-1","input":"Hi","safety_identifier":"ann","store":false}""")]
    [InlineData("/v1/embeddings", """{"model":"scripted-1","input":"Hi","user":"ann"}""")]
    [InlineData("/v1/rerank", """{"model":"scripted-1","query":"Hi","documents":["a"],"user":"ann"}""")]
    [InlineData("/v1/messages", """{"model":"scripted-1","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"metadata":{"user_id":"ann"}}""")]
    [InlineData("/api/v1/services/aigc/text-generation/generation", """{"model":"scripted-1","input":{"prompt":"Hi"},"parameters":{"user":"ann"}}""")]
    [InlineData("/api/v1/services/embeddings/text-embedding/text-embedding", """{"model":"scripted-1","input":{"texts":["Hi"]},"parameters":{"user":"ann"}}""")]
    [InlineData("/api/v1/services/rerank/text-rerank/text-rerank", """{"model":"scripted-1","input":{"query":"Hi","documents":["a"]},"parameters":{"user":"ann"}}""")]
    [InlineData("/api/chat", """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"user":"ann","stream":false}""")]
    [InlineData("/api/generate", """{"model":"scripted-1","prompt":"Hi","raw":true,"user":"ann","stream":false}""")]
    [InlineData("/api/embed", """{"model":"scripted-1","input":"Hi","user":"ann"}""")]
    public async Task Whom_a_request_is_for_is_known_on_every_surface(string path, string body)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(path, body);
        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("ann", gateway.Script.LastCall.UserTag);
        Answer tooLong = await gateway.PostAsync(path, body.Replace("ann", new string('a', new GatewayOptions().UserTagLengthMax + 1), StringComparison.Ordinal));
        Assert.Equal((400, 1), (tooLong.Status, gateway.Script.Calls.Count));
    }

    [Theory]
    [InlineData("/v1/embeddings", """{"model":"scripted-1","input":"a"}""")]
    [InlineData("/compatible-mode/v1/embeddings", """{"model":"scripted-1","input":["a","b"],"encoding_format":"base64"}""")]
    [InlineData("/api/v1/services/embeddings/text-embedding/text-embedding", """{"model":"scripted-1","input":{"texts":["a"]}}""")]
    [InlineData("/api/embed", """{"model":"scripted-1","input":["a"]}""")]
    [InlineData("/api/embeddings", """{"model":"scripted-1","prompt":"a"}""")]
    [InlineData("/v1/rerank", """{"model":"scripted-1","query":"q","documents":["a"]}""")]
    [InlineData("/compatible-api/v1/reranks", """{"model":"scripted-1","query":"q","documents":["a"]}""")]
    [InlineData("/api/v1/services/rerank/text-rerank/text-rerank", """{"model":"scripted-1","input":{"query":"q","documents":["a"]}}""")]
    public async Task The_cost_of_a_reading_is_in_its_headers_and_in_its_answer(string path, string body)
    {
        Answer answer = await fixture.Fresh().PostAsync(path, body);
        Assert.Equal(200, answer.Status);
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)(answer.Body["usage"]?["x_qanat"] ?? answer.Body["x_qanat"])!["charge"]);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task The_cost_of_the_call_is_in_the_last_part_of_a_stream(string path)
    {
        TestGateway gateway = fixture.Fresh();
        using RawClient client = await RawClient.PostAsync(gateway, path, Surface.Of(path).Streamed, Surface.Of(path).StreamHeaders);
        await client.ReadUntilAsync("\r\n0\r\n");
        string[] parts = client.Received.Split("\"x_qanat\"");
        Assert.Equal(2, parts.Length);
        Assert.Contains("\"charge\":\"", parts[1], StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_key_is_read_from_any_of_three_headers(string path)
    {
        TestGateway gateway = fixture.Fresh();
        using HttpClient bare = gateway.Client(key: null);
        foreach ((string name, string value) in (IEnumerable<(string, string)>)[("Authorization", "Bearer " + gateway.Key), ("x-api-key", gateway.Key), ("api-key", gateway.Key)])
        {
            using HttpRequestMessage request = new(HttpMethod.Post, path) { Content = new StringContent(Surface.Of(path).Body, Encoding.UTF8, "application/json") };
            request.Headers.TryAddWithoutValidation(name, value);
            Assert.Equal((name, 200), (name, (await TestGateway.SendAsync(bare, request)).Status));
        }
        using HttpRequestMessage without = new(HttpMethod.Post, path) { Content = new StringContent(Surface.Of(path).Body, Encoding.UTF8, "application/json") };
        Assert.Equal(401, (await TestGateway.SendAsync(bare, without)).Status);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task Times_to_wait_are_given_in_both_units_when_it_is_busy_and_when_it_fails(string path)
    {
        TestGateway gateway = fixture.Fresh();
        foreach (int status in (int[])[429, 500, 503])
        {
            gateway.Script.Answer = (_, _) => Script.Refuse(new ApiException(status, "server_error", "x", "Not now.", retryAfter: TimeSpan.FromMilliseconds(1500)));
            Answer answer = await gateway.PostAsync(path, Surface.Of(path).Body);
            Assert.Equal((status, "2", "1500"), (answer.Status, answer.Header("Retry-After"), answer.Header("retry-after-ms")));
        }
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task Unknown_fields_are_ignored_and_extra_body_is_merged(string path)
    {
        TestGateway gateway = fixture.Fresh();
        Assert.Equal(200, (await gateway.PostAsync(path + "?api-version=2024-05-01-preview", Surface.Of(path).With("\"what_is_this\":{\"a\":[1]},\"extra_body\":{\"enable_thinking\":false,\"nor_this\":1}"))).Status);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_limit_beyond_the_context_is_no_mistake(string path)
    {
        TestGateway gateway = fixture.Fresh();
        string body = Surface.Of(path).Body.Replace("tokens\":5", "tokens\":2000000000", StringComparison.Ordinal).Replace("predict\":5", "predict\":2000000000", StringComparison.Ordinal);
        Assert.Equal(200, (await gateway.PostAsync(path, body)).Status);
        Assert.Equal(2_000_000_000, gateway.Script.LastCall.MaxTokens);
    }

    /// <summary>Beside the limit of tokens, wherever an API has it.</summary>
    [Theory, MemberData(nameof(Paths))]
    public async Task How_long_an_answer_may_repeat_itself_is_kept(string path)
    {
        TestGateway gateway = fixture.Fresh();
        string body = Surface.Of(path).Body.Replace("tokens\":5", "tokens\":5,\"loop_tokens_max\":40", StringComparison.Ordinal).Replace("predict\":5", "predict\":5,\"loop_tokens_max\":40", StringComparison.Ordinal);
        Assert.Equal(200, (await gateway.PostAsync(path, body)).Status);
        Assert.Equal(40, gateway.Script.LastCall.LoopTokensMax);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task Ten_megabytes_are_read(string path)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(path, Surface.Of(path).With($"\"padding\":\"{new string('x', 10 << 20)}\""));
        Assert.Equal(200, answer.Status);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_client_that_leaves_cancels_its_call(string path)
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            cancel.Register(left.SetResult);
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        using (RawClient client = await RawClient.PostAsync(gateway, path, Surface.Of(path).Streamed, Surface.Of(path).StreamHeaders)) await client.ReadUntilAsync("waiting");
        await left.Task;
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task Silence_is_filled(string path)
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, gate.Task, cancel);
        using RawClient client = await RawClient.PostAsync(gateway, path, Surface.Of(path).Streamed, Surface.Of(path).StreamHeaders);
        await client.ReadUntilAsync("waiting");
        int before = client.Received.Length;
        Task<bool> more = client.ReadSomeAsync();
        while (!more.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(more, Task.Delay(1, TestContext.Current.CancellationToken));
        }
        Assert.True(client.Received.Length > before);
        gate.SetResult();
    }
}
