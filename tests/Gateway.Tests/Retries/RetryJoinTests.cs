using System.Text;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway.Tests;

public sealed class RetryJoinTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/chat/completions";
    private const string Ask = """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}]}""";

    [Theory]
    [InlineData("Idempotency-Key")]
    [InlineData("x-ms-client-request-id")]
    [InlineData("x-client-request-id")]
    public async Task A_request_with_an_id_of_its_client_is_served_and_billed_once(string header)
    {
        TestGateway gateway = fixture.Fresh();
        Answer first = await SendAsync(gateway, header, "a-" + header);
        Answer again = await SendAsync(gateway, header, "a-" + header);
        Assert.Equal(200, first.Status);
        Assert.Equal(first.Text, again.Text);
        Assert.Equal((first.Header("x-qanat-charge"), null, "true"), (again.Header("x-qanat-charge"), first.Header("x-qanat-replayed"), again.Header("x-qanat-replayed")));
        Assert.Single(gateway.Script.Calls);
    }

    /// <summary>The client is told to look there.</summary>
    [Theory]
    [InlineData(null, false)]
    [InlineData("Idempotency-Key", false)]
    [InlineData("x-client-request-id", true)]
    public async Task What_failed_on_our_side_is_in_the_log_under_the_id_that_the_client_is_told(string? header, bool midway)
    {
        TestGateway gateway = fixture.Fresh();
        string cause = $"cause {header} {midway}";
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, midway ? "begun" : "", new InvalidOperationException(cause));
        using HttpRequestMessage request = Request(header ?? "x-none", cause, midway ? Streamed : Ask);
        using HttpResponseMessage response = await gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        if (midway) await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        string line = Assert.Single(gateway.Log.Lines, each => each.StartsWith("Error Qanat.Gateway", StringComparison.Ordinal) && each.Contains(cause, StringComparison.Ordinal));
        if (!midway) Assert.Contains(response.Headers.GetValues("x-request-id").Single(), line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_was_bound_elsewhere_meanwhile_is_sent_nothing_again()
    {
        TestGateway gateway = fixture.Fresh();
        DirectoryState directory = gateway.Get<DirectoryState>();
        using HttpClient client = await gateway.ClientOfAsync("acme", Qanat.Books.KeyRole.Inference, Reach.Tenant);
        Assert.Equal(200, (await TestGateway.SendAsync(client, Request("Idempotency-Key", "bound", Ask))).Status);
        Assert.Equal("true", (await TestGateway.SendAsync(client, Request("Idempotency-Key", "bound", Ask))).Header("x-qanat-replayed"));
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(client.DefaultRequestHeaders.Authorization!.Parameter!, out Caller caller));
        foreach ((KeyTerms terms, string code) in ((KeyTerms, string)[])[(new KeyTerms { Networks = ["192.0.2.0/24"] }, "network_not_allowed"), (new KeyTerms { Endpoints = ["/v1/files"] }, "endpoint_not_allowed")])
        {
            await directory.SetTermsAsync("test", "key.terms", caller.Key.Id, _ => terms, CancellationToken.None);
            Answer again = await TestGateway.SendAsync(client, Request("Idempotency-Key", "bound", Ask));
            Assert.Equal((403, code), (again.Status, again.Code));
        }
    }

    [Fact]
    public async Task Another_body_under_the_same_id_is_another_request()
    {
        TestGateway gateway = fixture.Fresh();
        await SendAsync(gateway, "x-client-request-id", "thread");
        await SendAsync(gateway, "x-client-request-id", "thread", Ask.Replace("Hi", "Ho", StringComparison.Ordinal));
        Assert.Equal(2, gateway.Script.Calls.Count);
    }

    [Fact]
    public async Task The_same_id_from_another_key_is_another_request()
    {
        TestGateway gateway = fixture.Fresh();
        await SendAsync(gateway, "Idempotency-Key", "shared");
        using HttpRequestMessage request = Request("Idempotency-Key", "shared", Ask);
        Assert.Equal(200, (await TestGateway.SendAsync(gateway.Owner, request)).Status);
        Assert.Equal(2, gateway.Script.Calls.Count);
    }

    [Fact]
    public async Task A_retry_follows_an_answer_that_is_still_being_made()
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, gate.Task, cancel);
        using RawClient first = await RawClient.PostAsync(gateway, Path, Streamed, "Idempotency-Key: join\r\n");
        await first.ReadUntilAsync("waiting");
        using RawClient second = await RawClient.PostAsync(gateway, Path, Streamed, "Idempotency-Key: join\r\n");
        await second.ReadUntilAsync("waiting");
        gate.SetResult();
        await first.ReadUntilAsync("[DONE]");
        await second.ReadUntilAsync("[DONE]");
        Assert.Single(gateway.Script.Calls);
    }

    [Fact]
    public async Task A_client_that_lost_its_connection_finds_its_answer()
    {
        // Its clock stands still, so that whoever comes back comes in time.
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, gate.Task, cancel);
        using (RawClient first = await RawClient.PostAsync(gateway, Path, Streamed, "Idempotency-Key: lost\r\n")) await first.ReadUntilAsync("waiting");
        using RawClient second = await RawClient.PostAsync(gateway, Path, Streamed, "Idempotency-Key: lost\r\n");
        gate.SetResult();
        await second.ReadUntilAsync("[DONE]");
        Assert.Single(gateway.Script.Calls);
    }

    [Fact]
    public async Task An_answer_that_nobody_comes_back_for_is_ended()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            cancel.Register(left.SetResult);
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        using (RawClient first = await RawClient.PostAsync(gateway, Path, Streamed, "Idempotency-Key: gone\r\n")) await first.ReadUntilAsync("waiting");
        while (!left.Task.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(left.Task, Task.Delay(1, TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task What_failed_is_tried_again()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (_, _) => Script.Refuse(new ApiException(503, "server_error", "engine_stopped", "Not now."));
        Answer first = await SendAsync(gateway, "Idempotency-Key", "again");
        Assert.Equal((503, "engine_stopped", "1"), (first.Status, first.Code, first.Header("Retry-After")));
        gateway.Script.Reset();
        Assert.Equal(200, (await SendAsync(gateway, "Idempotency-Key", "again")).Status);
    }

    [Fact]
    public void Whoever_has_a_failure_and_asks_again_is_served_anew_although_its_maker_has_not_come_to_its_end()
    {
        Recordings recordings = new(new GatewayOptions(), new ManualClock());
        RetryId id = RetryId.Of("key", "again", Path, []);
        Followed failed = recordings.Join(id);
        Assert.False(recordings.Join(id).IsFirst);
        failed.Recording.Begin(503, new HeaderDictionary());
        failed.Recording.Write("{}"u8);
        Followed again = recordings.Join(id);
        Assert.True(again.IsFirst);
        recordings.End(failed, isBroken: false);
        Followed with = recordings.Join(id);
        Assert.Equal((false, again.Recording), (with.IsFirst, with.Recording));
    }

    [Fact]
    public async Task A_failure_midway_breaks_the_connection_here_too()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new ApiException(503, "server_error", "engine_lost", "The engine was lost."));
        using RawClient client = await RawClient.PostAsync(gateway, Path, Streamed, "Idempotency-Key: broken\r\n");
        string text = await client.ReadToEndAsync();
        Assert.Contains("engine_lost", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), "The chunked body must not end cleanly.");
    }

    [Fact]
    public async Task Answers_are_kept_for_a_while_only()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock, options: new GatewayOptions { ReplayWindow = TimeSpan.FromMinutes(10) });
        await SendAsync(gateway, "Idempotency-Key", "old");
        // The client has the last byte a moment before the answer counts as ended.
        while (gateway.Get<Recordings>().KeptCount == 0) await Task.Delay(1, TestContext.Current.CancellationToken);
        clock.Advance(TimeSpan.FromMinutes(11));
        await SendAsync(gateway, "Idempotency-Key", "old");
        Assert.Equal(2, gateway.Script.Calls.Count);
    }

    [Fact]
    public async Task Memory_for_answers_is_bounded()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { ReplayBytesMax = 2500 });
        for (int index = 0; index < 10; index++) await SendAsync(gateway, "Idempotency-Key", $"id-{index}");
        while (gateway.Get<Recordings>().KeptCount > 2) await Task.Delay(1, TestContext.Current.CancellationToken);
        await SendAsync(gateway, "Idempotency-Key", "id-9");
        Assert.Equal(10, gateway.Script.Calls.Count);
        await SendAsync(gateway, "Idempotency-Key", "id-0");
        Assert.Equal(11, gateway.Script.Calls.Count);
    }

    private static string Streamed => Ask[..^1] + ",\"stream\":true}";

    private static async Task<Answer> SendAsync(TestGateway gateway, string header, string id, string body = Ask)
    {
        using HttpRequestMessage request = Request(header, id, body);
        return await gateway.SendAsync(request);
    }

    private static HttpRequestMessage Request(string header, string id, string body)
    {
        HttpRequestMessage request = new(HttpMethod.Post, Path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add(header, id);
        return request;
    }
}
