using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway.Tests;

public sealed class BatchTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    [Fact]
    public async Task Every_row_is_answered_in_the_order_of_the_input_at_the_price_of_batches()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, ScriptedModel.TextOf(call.Prompt).Contains("bad", StringComparison.Ordinal) ? "odd" : "good");
        JsonNode batch = await RunAsync(gateway, Rows(20));
        Assert.Equal(("completed", 20, 20, 0), ((string?)batch["status"], (int)batch["request_counts"]!["total"]!, (int)batch["request_counts"]!["completed"]!, (int)batch["request_counts"]!["failed"]!));
        JsonNode[] lines = await LinesAsync(gateway, (string)batch["output_file_id"]!);
        Assert.Equal(Enumerable.Range(0, 20).Select(index => $"row-{index}"), lines.Select(line => (string?)line["custom_id"]));
        Assert.All(lines, line => Assert.Equal(("good", 200), ((string?)line["response"]!["body"]!["choices"]![0]!["message"]!["content"], (int)line["response"]!["status_code"]!)));
        JsonNode[] bills = [.. lines.Select(line => line["response"]!["body"]!["usage"]!)];
        foreach (string amount in (string[])["charge", "cost"])
            Assert.Equal(bills.Aggregate(Money.Zero(Currency.Usd), (sum, bill) => sum + Money.Parse((string)bill["x_qanat"]![amount]!, Currency.Usd)).ToDecimalText(), (string?)batch["usage"]!["x_qanat"]![amount]);
        Assert.Equal((bills.Sum(bill => (int)bill["prompt_tokens"]!), bills.Sum(bill => (int)bill["completion_tokens"]!), bills.Sum(bill => (int)bill["total_tokens"]!)),
            ((int)batch["usage"]!["input_tokens"]!, (int)batch["usage"]!["output_tokens"]!, (int)batch["usage"]!["total_tokens"]!));
        Assert.All(gateway.Script.Calls, call => Assert.Equal(Operation.Batch, call.Operation));
        Assert.Null(batch["error_file_id"]);
    }

    /// <summary>QANAT_BATCH_ROWS says how many: 50,000 are the most that a batch may have.</summary>
    [Fact]
    public async Task Many_rows_are_answered_once_each_in_order_while_their_number_rises()
    {
        int rows = int.Parse(Environment.GetEnvironmentVariable("QANAT_BATCH_ROWS") ?? "300", System.Globalization.CultureInfo.InvariantCulture);
        await using TestGateway gateway = await TestGateway.StartAsync();
        string id = (string)(await CreateAsync(gateway, Rows(rows))).Body["id"]!;
        int seen = 0;
        JsonNode batch = await UntilAsync(gateway, id, now =>
        {
            // While the results are written they are counted anew.
            if ((string?)now["status"] != "in_progress") return HasEnded(now);
            int done = (int)now["request_counts"]!["completed"]!;
            Assert.InRange(done, seen, rows);
            seen = done;
            return false;
        });
        Assert.Equal(("completed", rows, 0), ((string?)batch["status"], (int)batch["request_counts"]!["completed"]!, (int)batch["request_counts"]!["failed"]!));
        Assert.Equal(Enumerable.Range(0, rows).Select(index => $"row-{index}"), (await LinesAsync(gateway, (string)batch["output_file_id"]!)).Select(line => (string?)line["custom_id"]));
        Assert.Equal(rows, gateway.Script.Calls.Select(call => call.Id).Distinct().Count());
    }

    /// <summary>Whoever has read it before, and finds it worked on no more, is told its end.</summary>
    [Fact]
    public async Task A_batch_that_ends_while_it_is_looked_up_is_shown_as_it_ended()
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously), mayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            begun.TrySetResult();
            return Script.SayAndWait(call, mayEnd.Task, cancel);
        };
        string id = (string)(await CreateAsync(gateway, Rows(1))).Body["id"]!;
        await begun.Task.WaitAsync(TestContext.Current.CancellationToken);
        TenantId tenant = gateway.Get<DirectoryState>().Current.FindTenant("acme")!.Id;
        BatchState before = (await gateway.Get<BatchStore>().FindAsync(tenant, id, TestContext.Current.CancellationToken))!;
        mayEnd.SetResult();
        BatchRunner runner = gateway.Get<BatchRunner>();
        while (runner.Show(id) is not null) await Task.Yield();
        JsonObject latest = await runner.LatestAsync(tenant, before, TestContext.Current.CancellationToken);
        Assert.Equal((BatchStatus.InProgress, "completed", 1), (before.Status, (string?)latest["status"], (int)latest["request_counts"]!["completed"]!));
    }

    [Fact]
    public async Task Rows_of_texts_are_embedded()
    {
        TestGateway gateway = fixture.Fresh();
        const string rows = """
            {"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"scripted-1","input":["four","longer text"]}}
            {"custom_id":"b","method":"POST","url":"/v1/embeddings","body":{"model":"scripted-1","input":""}}
            """;
        string id = (string)(await CreateAsync(gateway, rows, "/v1/embeddings")).Body["id"]!;
        JsonNode batch = await UntilAsync(gateway, id, HasEnded);
        JsonNode body = Assert.Single(await LinesAsync(gateway, (string)batch["output_file_id"]!))["response"]!["body"]!;
        Assert.Equal((2, 0.8), (body["data"]!.AsArray().Count, Math.Round((double)body["data"]![0]!["embedding"]![0]!, 6)));
        Assert.NotNull(body["usage"]!["x_qanat"]!["charge"]);
        Assert.Equal("input", (string?)Assert.Single(await LinesAsync(gateway, (string)batch["error_file_id"]!))["response"]!["body"]!["error"]!["param"]);
        Assert.All(gateway.Script.Calls, call => Assert.Equal(Operation.Batch, call.Operation));
    }

    [Fact]
    public async Task Rows_that_fail_are_told_in_a_file_of_their_own()
    {
        TestGateway gateway = fixture.Fresh();
        string rows = Rows(2) + Row("hot", "\"temperature\":9") + Row("fine", "\"max_tokens\":5");
        JsonNode batch = await RunAsync(gateway, rows);
        Assert.Equal((3, 1), ((int)batch["request_counts"]!["completed"]!, (int)batch["request_counts"]!["failed"]!));
        JsonNode error = Assert.Single(await LinesAsync(gateway, (string)batch["error_file_id"]!));
        Assert.Equal(("hot", 400, "temperature"), ((string?)error["custom_id"], (int)error["response"]!["status_code"]!, (string?)error["response"]!["body"]!["error"]!["param"]));
        Assert.Equal(["row-0", "row-1", "fine"], (await LinesAsync(gateway, (string)batch["output_file_id"]!)).Select(line => (string?)line["custom_id"]));
    }

    [Fact]
    public async Task A_row_that_fails_on_our_side_is_tried_again()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { RetryAfterFailure = TimeSpan.FromMilliseconds(1) });
        int calls = 0;
        gateway.Script.Answer = (call, _) => Interlocked.Increment(ref calls) <= 2 ? Script.Refuse(new ApiException(503, "server_error", "engine_stopped", "Not now.")) : Script.Say(call, "late");
        JsonNode batch = await RunAsync(gateway, Rows(1));
        Assert.Equal((1, 3), ((int)batch["request_counts"]!["completed"]!, calls));
    }

    /// <summary>However often, and others are served in its place meanwhile.</summary>
    [Theory]
    [InlineData(403, "tenant_stopped")]
    [InlineData(503, "shutting_down")]
    [InlineData(429, "rate_limit_exceeded")]
    public async Task A_row_that_is_refused_for_the_moment_waits_without_its_place(int status, string code)
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { BatchRowsInFlightMax = 1, BatchAttemptsMax = 2, RetryAfterFailure = TimeSpan.FromMilliseconds(1) });
        bool isOver = false;
        int refused = 0;
        gateway.Script.Answer = (call, _) =>
        {
            if (Volatile.Read(ref isOver) || !ScriptedModel.TextOf(call.Prompt).Contains("held", StringComparison.Ordinal)) return Script.Say(call, "good");
            Interlocked.Increment(ref refused);
            return Script.Refuse(new ApiException(status, "error", code, "Not now."));
        };
        string held = (string)(await CreateAsync(gateway, Row("held", "\"max_tokens\":8", "held"))).Body["id"]!;
        while (Volatile.Read(ref refused) < 4) await Task.Delay(1, TestContext.Current.CancellationToken);
        Assert.Equal("completed", (string?)(await RunAsync(gateway, Rows(2)))["status"]);
        Volatile.Write(ref isOver, true);
        JsonNode batch = await UntilAsync(gateway, held, HasEnded);
        Assert.Equal(("completed", 1), ((string?)batch["status"], (int)batch["request_counts"]!["completed"]!));
    }

    [Theory]
    [InlineData("not json\n", "invalid_json_line", 1)]
    [InlineData("""{"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{"model":"scripted-1"}}""", "invalid_value", 1)]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"model":"scripted-1"}}""", "invalid_value", 1)]
    [InlineData("""{"method":"POST","url":"/v1/chat/completions","body":{"model":"scripted-1"}}""", "missing_required_parameter", 1)]
    [InlineData("{\"custom_id\":\"a\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"scripted-1\"}}\n{\"custom_id\":\"a\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"scripted-1\"}}", "duplicate_custom_id", 2)]
    [InlineData("{\"custom_id\":\"a\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"scripted-1\"}}\n{\"custom_id\":\"b\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"other\"}}", "mismatched_model", 2)]
    [InlineData("{\"custom_id\":\"a\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"nowhere\"}}", "model_not_found", null)]
    [InlineData("\n \n", "empty_file", null)]
    public async Task A_file_that_breaks_the_rules_is_refused_whole_and_costs_nothing(string rows, string code, int? line)
    {
        TestGateway gateway = fixture.Fresh();
        JsonNode batch = await RunAsync(gateway, rows);
        Assert.Equal("failed", (string?)batch["status"]);
        JsonNode error = batch["errors"]!["data"]![0]!;
        Assert.Equal((code, line), ((string?)error["code"], (int?)error["line"]));
        Assert.Empty(gateway.Script.Calls);
    }

    [Fact]
    public async Task More_rows_than_allowed_are_refused()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { BatchRowsMax = 3 });
        Assert.Equal("too_many_rows", (string?)(await RunAsync(gateway, Rows(4)))["errors"]!["data"]![0]!["code"]);
        Assert.Equal("completed", (string?)(await RunAsync(gateway, Rows(3)))["status"]);
    }

    [Fact]
    public async Task A_cancelled_batch_keeps_what_was_answered()
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource stuck = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            if (!ScriptedModel.TextOf(call.Prompt).Contains("number 3", StringComparison.Ordinal)) return Script.Say(call, "ok");
            stuck.TrySetResult();
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        string id = (string)(await CreateAsync(gateway, Rows(4))).Body["id"]!;
        await UntilAsync(gateway, id, _ => stuck.Task.IsCompleted);
        await UntilAsync(gateway, id, batch => (int)batch["request_counts"]!["completed"]! == 3);
        Assert.Equal(200, (await gateway.PostAsync($"/v1/batches/{id}/cancel", "{}")).Status);
        JsonNode batch = await UntilAsync(gateway, id, HasEnded);
        Assert.Equal(("cancelled", 3), ((string?)batch["status"], (int)batch["request_counts"]!["completed"]!));
        Assert.Equal(3, (await LinesAsync(gateway, (string)batch["output_file_id"]!)).Length);
        Assert.Equal((409, "batch_ended"), ((await gateway.PostAsync($"/v1/batches/{id}/cancel", "{}")).Status, (await gateway.PostAsync($"/v1/batches/{id}/cancel", "{}")).Code));
    }

    /// <summary>Before it is cancelled, or because it is: an error of our own in either order.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_batch_that_an_error_of_our_own_stopped_is_cancelled_and_keeps_what_was_answered(bool whileItIsCancelled)
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource stuck = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            if (!ScriptedModel.TextOf(call.Prompt).Contains("number 3", StringComparison.Ordinal)) return Script.Say(call, "ok");
            stuck.TrySetResult();
            return FailAsync(whileItIsCancelled, cancel);
        };
        string id = (string)(await CreateAsync(gateway, Rows(4))).Body["id"]!;
        BatchRunner runner = gateway.Get<BatchRunner>();
        if (whileItIsCancelled) await UntilAsync(gateway, id, batch => stuck.Task.IsCompleted && (int)batch["request_counts"]!["completed"]! == 3);
        else
        {
            while (runner.Show(id) is not null) await Task.Yield();
            Assert.Equal("in_progress", (string?)(await gateway.GetAsync("/v1/batches/" + id)).Body["status"]);
        }
        Answer[] asked = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => gateway.PostAsync($"/v1/batches/{id}/cancel", "{}")));
        Assert.All(asked, answer => Assert.True(answer.Status is 200 or 409, answer.Text));
        JsonNode batch = await UntilAsync(gateway, id, HasEnded);
        Assert.Equal(("cancelled", 3), ((string?)batch["status"], (int)batch["request_counts"]!["completed"]!));
        Assert.Equal(["row-0", "row-1", "row-2"], (await LinesAsync(gateway, (string)batch["output_file_id"]!)).Select(line => (string?)line["custom_id"]));
        Assert.Equal(4, gateway.Script.Calls.Count);
        Assert.Contains(gateway.Log.Lines, line => line.Contains(id, StringComparison.Ordinal));
    }

    private static async IAsyncEnumerable<CallEvent> FailAsync(bool whenCancelled, [EnumeratorCancellation] CancellationToken cancel)
    {
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registered = cancel.Register(() => ended.TrySetResult());
        if (whenCancelled) await ended.Task;
        if (ended is not null) throw new InvalidOperationException("As the test wants it.");
        yield break;
    }

    [Fact]
    public async Task A_key_that_is_revoked_meanwhile_serves_no_further_row_and_what_was_served_is_delivered()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { BatchRowsInFlightMax = 1 });
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously), gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            begun.TrySetResult();
            return Script.SayAndWait(call, gate.Task, cancel);
        };
        Answer made = await CreateAsync(gateway, Rows(3));
        await begun.Task.WaitAsync(TestContext.Current.CancellationToken);
        DirectoryState directory = gateway.Get<DirectoryState>();
        ApiKey key = directory.Current.Keys.Single(each => each.Role == KeyRole.Inference);
        await directory.RevokeKeyAsync("test", key.Id, TestContext.Current.CancellationToken);
        gate.SetResult();
        // The key shows nothing any more; its tenant has another.
        using HttpClient other = await gateway.ClientOfAsync("acme", KeyRole.Inference, Reach.Tenant);
        JsonNode batch = made.Body;
        while (!HasEnded(batch)) batch = JsonNode.Parse(await other.GetStringAsync($"/v1/batches/{made.Body["id"]}", TestContext.Current.CancellationToken))!;
        Assert.Equal(("failed", "invalid_api_key", 1, 2), ((string?)batch["status"], (string?)batch["errors"]!["data"]![0]!["code"], (int)batch["request_counts"]!["completed"]!, (int)batch["request_counts"]!["failed"]!));
        Assert.Single(gateway.Script.Calls);
        Assert.Contains("row-0", await other.GetStringAsync($"/v1/files/{batch["output_file_id"]}/content", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        string[] errors = (await other.GetStringAsync($"/v1/files/{batch["error_file_id"]}/content", TestContext.Current.CancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["invalid_api_key", "invalid_api_key"], errors.Select(line => (string?)JsonNode.Parse(line)!["error"]!["code"]));
    }

    [Theory]
    [InlineData("/v1/batches", "/v1/embeddings", 403)]
    [InlineData("/v1/batches", "/v1/chat/completions", 200)]
    [InlineData("/compatible-mode/v1/batches", "/v1/completions", 200)]
    [InlineData("/compatible-mode/v1/batches", "/v1/embeddings", 403)]
    public async Task A_key_asks_for_no_endpoint_in_a_batch_that_it_may_not_call(string path, string endpoint, int status)
    {
        TestGateway gateway = fixture.Fresh();
        DirectoryState directory = gateway.Get<DirectoryState>();
        Project project = directory.Current.FindProject(directory.Current.FindTenant("acme")!.Id, DirectoryState.DefaultProject)!;
        KeyTerms terms = new() { Endpoints = ["/v1/batches", "/v1/chat", "/compatible-mode/v1/batches", "/compatible-mode/v1/completions"] };
        NewKey key = await directory.CreateKeyAsync("test", new NewKeyOrder(project, $"{path} {endpoint}", KeyRole.Inference, null, terms), null, TestContext.Current.CancellationToken);
        Answer file = await FileTests.UploadAsync(gateway, Encoding.UTF8.GetBytes(Rows(1)), "rows.jsonl");
        using HttpClient http = gateway.Client(key.Secret);
        Answer answer = await TestGateway.SendAsync(http, new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent($$"""{"input_file_id":"{{(string)file.Body["id"]!}}","endpoint":"{{endpoint}}"}""", Encoding.UTF8, "application/json"),
        });
        Assert.Equal((status, status == 403 ? "endpoint_not_allowed" : null), (answer.Status, answer.Status == 403 ? answer.Code : null));
        // Its rows would be calls of the test that comes next.
        if (status == 200) await UntilAsync(gateway, (string)answer.Body["id"]!, HasEnded);
    }

    [Fact]
    public async Task Batches_are_listed_newest_first_and_belong_to_their_tenant()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string first = (string)(await RunAsync(gateway, Rows(1)))["id"]!;
        string second = (string)(await RunAsync(gateway, Rows(1)))["id"]!;
        Assert.Equal([second, first], (await gateway.GetAsync("/v1/batches")).Body["data"]!.AsArray().Select(batch => (string?)batch!["id"]));
        Assert.Empty((await TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Get, "/v1/batches"))).Body["data"]!.AsArray());
        Assert.Equal(404, (await TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Get, "/v1/batches/" + first))).Status);
    }

    [Theory]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/chat/completions"}""", 404, "input_file_id")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/images"}""", 400, "endpoint")]
    [InlineData("""{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"1h"}""", 400, "completion_window")]
    [InlineData("""{"endpoint":"/v1/chat/completions"}""", 400, "input_file_id")]
    public async Task Errors_name_the_field(string body, int status, string param)
    {
        Answer refused = await fixture.Fresh().PostAsync("/v1/batches", body);
        Assert.Equal((status, param), (refused.Status, refused.Param));
    }

    [Theory]
    [InlineData(0, 0, 0, true)]
    [InlineData(7, 0, 7, true)]
    [InlineData(8, 0, 8, false)]
    [InlineData(1, 0, 0, true)]
    [InlineData(2, 0, 1, false)]
    [InlineData(3, 1, 0, false)]
    [InlineData(2, 6, 8, false)]
    public void Rows_take_what_nobody_else_wants(int running, int waiting, int rows, bool room) =>
        Assert.Equal(room, IdleCapacity.HasRoom(new EngineStatus(waiting, running, 0, 0, 0, 0, 0, 0, 0, ""), rows, rowsMax: 8));

    [Fact]
    public async Task Lines_are_found_wherever_parts_are_cut()
    {
        byte[] text = Encoding.UTF8.GetBytes("{\"a\":\"é\"}\r\n\n  \n{\"b\":2}\nlast");
        for (int size = 1; size <= text.Length; size++)
        {
            List<string> lines = [];
            await foreach ((int number, ReadOnlyMemory<byte> line) in BatchRows.LinesAsync(PartsOf(text, size), rowBytesMax: 100)) lines.Add($"{number}:{Encoding.UTF8.GetString(line.Span).Trim()}");
            Assert.Equal(["1:{\"a\":\"é\"}", "4:{\"b\":2}", "5:last"], lines);
        }
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> PartsOf(byte[] text, int size)
    {
        await Task.Yield();
        for (int from = 0; from < text.Length; from += size) yield return text.AsMemory(from, Math.Min(size, text.Length - from));
    }

    internal static string Rows(int count) => string.Concat(Enumerable.Range(0, count).Select(index => Row($"row-{index}", "\"max_tokens\":8", $"number {index}")));

    private static string Row(string id, string fields, string says = "Hi") =>
        $$$"""{"custom_id":"{{{id}}}","method":"POST","url":"/v1/chat/completions","body":{"model":"scripted-1","messages":[{"role":"user","content":"{{{says}}}"}],""" + fields + "}}\n";

    internal static async Task<Answer> CreateAsync(TestGateway gateway, string rows, string endpoint = "/v1/chat/completions")
    {
        Answer file = await FileTests.UploadAsync(gateway, Encoding.UTF8.GetBytes(rows), "rows.jsonl");
        Answer batch = await gateway.PostAsync("/v1/batches", $$"""{"input_file_id":"{{(string)file.Body["id"]!}}","endpoint":"{{endpoint}}","completion_window":"24h","metadata":{"job":"nightly"} }""");
        Assert.Equal((200, "nightly"), (batch.Status, (string?)batch.Body["metadata"]!["job"]));
        return batch;
    }

    private static async Task<JsonNode> RunAsync(TestGateway gateway, string rows) => await UntilAsync(gateway, (string)(await CreateAsync(gateway, rows)).Body["id"]!, HasEnded);

    internal static bool HasEnded(JsonNode batch) => (string?)batch["status"] is "completed" or "failed" or "cancelled" or "expired";

    internal static async Task<JsonNode> UntilAsync(TestGateway gateway, string id, Predicate<JsonNode> holds)
    {
        while (true)
        {
            JsonNode batch = (await gateway.GetAsync("/v1/batches/" + id)).Body;
            if (holds(batch)) return batch;
            Assert.False(HasEnded(batch), $"It has ended: {batch.ToJsonString()}");
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }

    private static async Task<JsonNode[]> LinesAsync(TestGateway gateway, string file)
    {
        string text = await gateway.Http.GetStringAsync($"/v1/files/{file}/content", TestContext.Current.CancellationToken);
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
    }
}
