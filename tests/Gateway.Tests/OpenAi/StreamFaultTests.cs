using Qanat.Engine;

namespace Qanat.Gateway.Tests;

public sealed class StreamFaultTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/chat/completions";
    private const string Ask = """{"model":"scripted-1","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";
    private static readonly ApiException Broken = new(503, "server_error", "engine_lost", "The engine was lost.");

    [Fact]
    public async Task A_failure_midway_is_told_and_the_connection_breaks_without_a_clean_end()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", Broken);
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask);
        string text = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 200 OK", text, StringComparison.Ordinal);
        Assert.Contains("partial", text, StringComparison.Ordinal);
        Assert.Contains("data: {\"error\":{\"message\":\"The engine was lost.\",\"type\":\"server_error\",\"param\":null,\"code\":\"engine_lost\"}", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.DoesNotContain("finish_reason\":\"", text, StringComparison.Ordinal);
        Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), "The chunked body must not end cleanly.");
    }

    [Fact]
    public async Task A_large_answer_before_a_failure_arrives_whole_with_its_error()
    {
        TestGateway gateway = fixture.Fresh();
        string large = new('x', 1 << 20);
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, large, Broken);
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask);
        string text = await client.ReadToEndAsync();
        Assert.True(text.Length > large.Length);
        Assert.Contains("engine_lost", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_before_the_first_token_is_an_ordinary_error()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "", Broken);
        Answer answer = await gateway.PostAsync(Path, Ask);
        Assert.Equal((503, "engine_lost"), (answer.Status, answer.Code));
        Assert.Equal("1", answer.Header("Retry-After"));
    }

    [Fact]
    public async Task An_unforeseen_failure_tells_nothing_of_the_inside()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new InvalidOperationException("secret detail"));
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask);
        string text = await client.ReadToEndAsync();
        Assert.Contains("internal_error", text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret detail", text, StringComparison.Ordinal);
        Assert.Contains(gateway.Log.Lines, line => line.Contains("secret detail", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_stopped_answer_ends_with_an_error_and_not_with_a_finish_reason()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, AnswerEnd.Cancelled, "partial");
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask);
        string text = await client.ReadToEndAsync();
        Assert.Contains("\"code\":\"stopped\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Streams_that_are_ended_on_purpose_all_say_why_break_and_leave_a_line_each_in_the_log_and_no_stack()
    {
        const int streams = 100;
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource never = new();
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, never.Task, cancel);
        RawClient[] clients = await Task.WhenAll(Enumerable.Range(0, streams).Select(index => (index % 3) switch
        {
            0 => RawClient.PostAsync(gateway, Path, Ask),
            1 => RawClient.PostAsync(gateway, "/v1/messages", "{\"max_tokens\":9," + Ask[1..]),
            _ => RawClient.PostAsync(gateway, Path, Ask, $"Idempotency-Key: {index}\r\n"),
        }));
        await Task.WhenAll(clients.Select(client => client.ReadUntilAsync("waiting")));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/tenants/acme/stop", "{}")).Status);
        string[] told = await Task.WhenAll(clients.Select(client => client.ReadToEndAsync()));
        foreach (RawClient client in clients) client.Dispose();
        Assert.All(told, text => Assert.Contains("This tenant is stopped", text, StringComparison.Ordinal));
        Assert.All(told, text => Assert.False(text.EndsWith("0\r\n\r\n", StringComparison.Ordinal), "The chunked body must not end cleanly."));
        Assert.DoesNotContain(gateway.Log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Critical", StringComparison.Ordinal) || line.Contains(nameof(StreamBrokenOffException), StringComparison.Ordinal));
        Assert.Equal(streams, gateway.Log.Lines.Count(line => line.StartsWith("Warning Qanat.Gateway.", StringComparison.Ordinal) && line.Contains("was broken off", StringComparison.Ordinal) && line.Contains("tenant_stopped", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_failed_midway_is_in_the_log_once_with_its_cause()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new InvalidOperationException("the cause"));
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask);
        await client.ReadToEndAsync();
        string line = Assert.Single(gateway.Log.Lines, each => each.Contains("the cause", StringComparison.Ordinal));
        Assert.StartsWith("Error Qanat.Gateway.ErrorBoundary", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_cancels_its_call()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            cancel.Register(left.SetResult);
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        using (RawClient client = await RawClient.PostAsync(gateway, Path, Ask))
            await client.ReadUntilAsync("waiting");
        await left.Task;
        Assert.DoesNotContain(gateway.Log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_client_that_leaves_before_the_whole_answer_cancels_its_call()
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            asked.SetResult();
            cancel.Register(left.SetResult);
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        using (RawClient client = await RawClient.PostAsync(gateway, Path, Ask.Replace("true", "false", StringComparison.Ordinal)))
        {
            Task<bool> answered = client.ReadSomeAsync();
            Assert.True(await Task.WhenAny(asked.Task, answered) == asked.Task, client.Received);
        }
        await left.Task;
    }

    [Fact]
    public async Task A_stream_that_waits_sends_comments()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock, options: new GatewayOptions { HeartbeatInterval = TimeSpan.FromSeconds(10) });
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, gate.Task, cancel);
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask);
        await client.ReadUntilAsync("waiting");
        Assert.DoesNotContain(": waiting\n\n", client.Received, StringComparison.Ordinal);
        await AdvanceUntilAsync(clock, client.ReadUntilAsync(": waiting\n\n"));
        gate.SetResult();
        await client.ReadUntilAsync("[DONE]");
    }

    [Fact]
    public async Task Headers_of_a_stream_that_waits_for_its_turn_come_with_the_first_comment()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => WaitFirst(call, gate.Task);
        using RawClient client = await RawClient.PostAsync(gateway, Path, Ask);
        await AdvanceUntilAsync(clock, client.ReadUntilAsync(": waiting\n\n"));
        Assert.Contains("x-qanat-hold: 0.0005", client.Received, StringComparison.Ordinal);
        gate.SetResult();
        await client.ReadUntilAsync("[DONE]");
    }

    [Theory]
    [InlineData("/v1/chat/completions", "[DONE]")]
    [InlineData("/v1/messages", "message_stop")]
    public async Task Nothing_is_sent_while_a_call_waits_to_be_admitted_so_that_its_headers_are_whole_and_a_refusal_has_its_own_status(string path, string end)
    {
        const string Asked = """{"model":"scripted-1","stream":true,"max_tokens":8,"messages":[{"role":"user","content":"Hi"}]}""";
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock, options: new GatewayOptions { HeartbeatInterval = TimeSpan.FromSeconds(10) });
        gateway.Script.Answer = (call, _) => WaitThenAsync(clock, Script.Say(call, "Hello"));
        using (RawClient client = await RawClient.PostAsync(gateway, path, Asked))
        {
            await AdvanceUntilAsync(clock, client.ReadUntilAsync(end));
            Assert.Contains("x-qanat-request-id: ", client.Received, StringComparison.Ordinal);
            Assert.Contains("Content-Type: text/event-stream", client.Received, StringComparison.Ordinal);
        }
        gateway.Script.Answer = (_, _) => WaitThenAsync(clock, Script.Refuse(new ApiException(429, "rate_limit_error", "queue_full", "Busy.", retryAfter: TimeSpan.FromSeconds(2))));
        using RawClient refused = await RawClient.PostAsync(gateway, path, Asked);
        await AdvanceUntilAsync(clock, refused.ReadUntilAsync("Busy."));
        Assert.StartsWith("HTTP/1.1 429 ", refused.Received, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_prompt_of_a_list_is_answered_and_billed_together()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, ScriptedModel.TextOf(call.Prompt), "!");
        Answer answer = await gateway.PostAsync("/v1/completions", """{"model":"scripted-1","prompt":["a","bb"],"n":2}""");
        Assert.Equal(["a!", "a!", "bb!", "bb!"], answer.Body["choices"]!.AsArray().Select(choice => (string?)choice!["text"]));
        Assert.Equal(3, (int)answer.Body["usage"]!["prompt_tokens"]!);
        Assert.Equal(10, (int)answer.Body["usage"]!["completion_tokens"]!);
        Assert.Equal(2, answer.Body["usage"]!["x_qanat"]!["request_ids"]!.AsArray().Count);
    }

    [Fact]
    public async Task When_one_prompt_of_a_list_is_refused_the_others_are_cancelled()
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            if (call.Prompt.Length == 2) return Script.Refuse(new ApiException(402, "insufficient_quota", "budget_exceeded", "No money."));
            cancel.Register(left.SetResult);
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        Answer answer = await gateway.PostAsync("/v1/completions", """{"model":"scripted-1","prompt":["a","bb"]}""");
        Assert.Equal((402, "budget_exceeded"), (answer.Status, answer.Code));
        await left.Task;
    }

    private static async IAsyncEnumerable<CallEvent> WaitFirst(Call call, Task gate)
    {
        Admitted admitted = Script.Admit(call);
        yield return admitted;
        await gate;
        yield return new ChoiceFinished(0, AnswerEnd.Stop);
        yield return Script.Settle(call, admitted, 0);
    }

    /// <summary>As a call that waits for its turn: longer than three heartbeats.</summary>
    private static async IAsyncEnumerable<CallEvent> WaitThenAsync(TimeProvider clock, IAsyncEnumerable<CallEvent> then)
    {
        await Task.Delay(TimeSpan.FromSeconds(35), clock);
        await foreach (CallEvent happened in then) yield return happened;
    }

    /// <summary>Moves the clock until what is awaited has happened: when the server sets its timer is its own affair.</summary>
    private static async Task AdvanceUntilAsync(ManualClock clock, Task awaited)
    {
        while (!awaited.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(awaited, Task.Delay(1));
        }
        await awaited;
    }
}
