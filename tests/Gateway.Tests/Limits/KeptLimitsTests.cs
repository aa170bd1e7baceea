using System.Text;
using System.Text.Json.Nodes;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

/// <summary>How much a tenant may keep, and have under way.</summary>
public sealed class KeptLimitsTests
{
    [Fact]
    public async Task A_tenant_that_is_stopped_leaves_nothing_new_and_may_still_delete()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string file = (string)(await UploadAsync(gateway, 100)).Body["id"]!;
        await gateway.AdminAsync("POST", "/api/tenants/acme/stop", "{}");
        Answer[] refused =
        [
            await UploadAsync(gateway, 100),
            await BeginBatchAsync(gateway, file),
        ];
        Assert.All(refused, answer => Assert.Equal((403, "tenant_stopped"), (answer.Status, answer.Code)));
        Answer task = await BeginTaskAsync(gateway);
        Assert.Equal((403, "AccessDenied"), (task.Status, (string?)task.Body["code"]));
        Assert.Single((await gateway.GetAsync("/v1/files")).Body["data"]!.AsArray());
        Assert.Equal(200, (await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, "/v1/files/" + file))).Status);
    }

    [Fact]
    public async Task Uploads_at_the_same_time_do_not_pass_what_a_tenant_may_keep_and_leave_nothing_of_what_is_refused()
    {
        // What is sealed is a little larger.
        await using TestGateway gateway = await StartAsync(new KeptOptions { FileBytesMax = 45_000 });
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => UploadAsync(gateway, 10_000)));
        Answer[] refused = [.. answers.Where(answer => answer.Status != 200)];
        Assert.NotEmpty(refused);
        Assert.All(refused, answer => Assert.Equal((400, "storage_full"), (answer.Status, answer.Code)));
        Assert.Contains("DELETE /v1/files/", refused[0].Message, StringComparison.Ordinal);
        JsonArray kept = (await gateway.GetAsync("/v1/files")).Body["data"]!.AsArray();
        Assert.InRange(kept.Count, 0, 4);
        // Only what was kept lies in the way of the next.
        for (int count = kept.Count; count < 4; count++) Assert.Equal(200, (await UploadAsync(gateway, 10_000)).Status);
        Assert.Equal("storage_full", (await UploadAsync(gateway, 10_000)).Code);
        string file = (string)(await gateway.GetAsync("/v1/files")).Body["data"]![0]!["id"]!;
        await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, "/v1/files/" + file));
        Assert.Equal(200, (await UploadAsync(gateway, 10_000)).Status);
        // Another tenant has room of its own.
        using HttpClient other = await OtherTenantAsync(gateway);
        MultipartFormDataContent form = new() { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(new byte[10_000]), "file", "theirs.jsonl" } };
        Assert.Equal(200, (await TestGateway.SendAsync(other, new HttpRequestMessage(HttpMethod.Post, "/v1/files") { Content = form })).Status);
    }

    [Fact]
    public async Task No_more_files_are_kept_than_a_tenant_may_have()
    {
        await using TestGateway gateway = await StartAsync(new KeptOptions { FilesMax = 3 });
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => UploadAsync(gateway, 10)));
        Assert.Equal((3, 5), (answers.Count(answer => answer.Status == 200), answers.Count(answer => answer.Code == "storage_full")));
        Assert.Equal(3, (await gateway.GetAsync("/v1/files")).Body["data"]!.AsArray().Count);
    }

    [Fact]
    public async Task What_a_batch_writes_is_kept_beyond_what_may_be_uploaded()
    {
        await using TestGateway gateway = await StartAsync(new KeptOptions { FilesMax = 1 });
        string id = (string)(await BatchTests.CreateAsync(gateway, BatchTests.Rows(1))).Body["id"]!;
        JsonNode ended = await BatchTests.UntilAsync(gateway, id, batch => (string?)batch["status"] == "completed");
        Assert.Equal(200, (int)(await gateway.Http.GetAsync($"/v1/files/{ended["output_file_id"]}/content", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal("storage_full", (await UploadAsync(gateway, 10)).Code);
    }

    [Fact]
    public async Task Responses_are_stored_up_to_what_a_tenant_may_keep_and_then_refused_before_they_are_made()
    {
        await using TestGateway gateway = await StartAsync(new KeptOptions { ResponsesMax = 2 });
        Answer[] stored = await Task.WhenAll(Enumerable.Range(0, 6).Select(number => gateway.PostAsync("/v1/responses", StoredResponse.Replace("Hi", new string('x', number + 1), StringComparison.Ordinal))));
        string[] kept = [.. stored.Where(answer => answer.Status == 200 && (bool)answer.Body["store"]!).Select(answer => (string)answer.Body["id"]!)];
        Assert.Equal(2, kept.Length);
        int calls = gateway.Script.Calls.Count;
        Answer refused = await gateway.PostAsync("/v1/responses", StoredResponse);
        Assert.Equal((400, "storage_full", calls), (refused.Status, refused.Code, gateway.Script.Calls.Count));
        Assert.Contains("\"store\": false", refused.Message, StringComparison.Ordinal);
        Assert.Equal(200, (await gateway.PostAsync("/v1/responses", StoredResponse.Replace("true", "false", StringComparison.Ordinal))).Status);
        await gateway.SendAsync(new HttpRequestMessage(HttpMethod.Delete, "/v1/responses/" + kept[0]));
        Assert.True((bool)(await gateway.PostAsync("/v1/responses", StoredResponse)).Body["store"]!);
    }

    [Fact]
    public async Task No_more_batches_are_under_way_than_a_tenant_may_have_and_none_are_kept_beyond_what_it_may()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await StartAsync(new KeptOptions { BatchesMax = 3, BatchesUnderWayMax = 2 }, clock);
        TaskCompletionSource mayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, mayEnd.Task, cancel);
        string file = (string)(await FileTests.UploadAsync(gateway, Encoding.UTF8.GetBytes(BatchTests.Rows(1)), "rows.jsonl")).Body["id"]!;
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => BeginBatchAsync(gateway, file)));
        Answer[] begun = [.. answers.Where(answer => answer.Status == 200)];
        Assert.Equal(2, begun.Length);
        Answer[] refused = [.. answers.Except(begun)];
        Assert.All(refused, answer => Assert.Equal((429, "too_many_kept"), (answer.Status, answer.Code)));
        Assert.Contains("2 batches under way", refused[0].Message, StringComparison.Ordinal);
        mayEnd.SetResult();
        foreach (Answer each in begun) await BatchTests.UntilAsync(gateway, (string)each.Body["id"]!, batch => (string?)batch["status"] == "completed");
        string third = (string)(await BeginBatchAsync(gateway, file)).Body["id"]!;
        await BatchTests.UntilAsync(gateway, third, batch => (string?)batch["status"] == "completed");
        Assert.Contains("3 batches", (await BeginBatchAsync(gateway, file)).Message, StringComparison.Ordinal);
        // They go by themselves, as long after their ends as their files.
        clock.Advance(TimeSpan.FromDays(30));
        Assert.Empty((await gateway.GetAsync("/v1/batches")).Body["data"]!.AsArray());
        while (await ((IDocumentStore)gateway.Store).DeleteExpiredAsync(100, TestContext.Current.CancellationToken) > 0) { }
        Assert.Equal(200, (await BatchTests.CreateAsync(gateway, BatchTests.Rows(1))).Status);
    }

    [Fact]
    public async Task No_more_tasks_are_under_way_than_a_tenant_may_have_and_no_more_results_kept()
    {
        await using TestGateway gateway = await StartAsync(new KeptOptions { TasksMax = 3, TasksUnderWayMax = 2 });
        TaskCompletionSource mayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => Script.SayAndWait(call, mayEnd.Task, cancel);
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => BeginTaskAsync(gateway)));
        Answer[] begun = [.. answers.Where(answer => answer.Status == 200)];
        Assert.Equal(2, begun.Length);
        Assert.All(answers.Except(begun), answer => Assert.Equal((429, "Throttling.RateQuota"), (answer.Status, (string?)answer.Body["code"])));
        mayEnd.SetResult();
        foreach (Answer each in begun) await TaskEndedAsync(gateway, each);
        await TaskEndedAsync(gateway, await BeginTaskAsync(gateway));
        Answer full = await BeginTaskAsync(gateway);
        Assert.Equal(429, full.Status);
        Assert.Contains("results of tasks", (string?)full.Body["message"], StringComparison.Ordinal);
    }

    private const string StoredResponse = """{"model":"scripted-1","input":"Hi","store":true}""";

    private static Task<TestGateway> StartAsync(KeptOptions kept, TimeProvider? clock = null) => TestGateway.StartAsync(clock: clock, options: new GatewayOptions { Kept = kept, FilePartBytes = 1000 });

    private static async Task<HttpClient> OtherTenantAsync(TestGateway gateway)
    {
        await gateway.AdminAsync("POST", "/api/tenants", """{"name":"globex"}""");
        return gateway.Client((string)(await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"globex"}""")).Body["key"]!);
    }

    private static async Task TaskEndedAsync(TestGateway gateway, Answer begun)
    {
        string? status;
        do status = (string?)(await gateway.GetAsync($"/api/v1/tasks/{begun.Body["output"]!["task_id"]}")).Body["output"]!["task_status"];
        while (status is "PENDING" or "RUNNING");
        Assert.Equal("SUCCEEDED", status);
    }

    private static Task<Answer> UploadAsync(TestGateway gateway, int bytes) => FileTests.UploadAsync(gateway, new byte[bytes], "rows.jsonl");

    private static Task<Answer> BeginBatchAsync(TestGateway gateway, string file) =>
        gateway.PostAsync("/v1/batches", $$"""{"input_file_id":"{{file}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""");

    private static Task<Answer> BeginTaskAsync(TestGateway gateway)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "/api/v1/services/aigc/text-generation/generation")
        {
            Content = new StringContent("""{"model":"scripted-1","input":{"prompt":"Hi"}}""", Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("X-DashScope-Async", "enable");
        return gateway.SendAsync(request);
    }
}
