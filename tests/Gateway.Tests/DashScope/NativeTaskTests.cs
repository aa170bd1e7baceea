using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

public sealed class NativeTaskTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/api/v1/services/aigc/text-generation/generation";
    private const string Ask = """{"model":"scripted-1","input":{"prompt":"Hi"},"parameters":{"result_format":"message"}}""";

    [Fact]
    public async Task A_task_is_begun_and_its_result_fetched_later()
    {
        TestGateway gateway = fixture.Fresh();
        Answer begun = await BeginAsync(gateway);
        Assert.Equal("PENDING", (string?)begun.Body["output"]!["task_status"]);
        JsonNode task = await EndedAsync(gateway, begun);
        Assert.Equal("SUCCEEDED", (string?)task["output"]!["task_status"]);
        Assert.Equal("Hello", (string?)task["output"]!["choices"]![0]!["message"]!["content"]);
        Assert.NotNull(task["usage"]!["x_qanat"]!["charge"]);
    }

    [Fact]
    public async Task A_task_that_fails_says_why()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (_, _) => Script.Refuse(new ApiException(402, "insufficient_quota", "budget_exceeded", "No money."));
        JsonNode task = await EndedAsync(gateway, await BeginAsync(gateway));
        Assert.Equal(("FAILED", "Arrearage", "No money."), ((string?)task["output"]!["task_status"], (string?)task["output"]!["code"], (string?)task["output"]!["message"]));
    }

    [Fact]
    public async Task A_task_is_cancelled_once()
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            asked.TrySetResult();
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        Answer begun = await BeginAsync(gateway);
        Assert.Equal(200, begun.Status);
        await Task.WhenAny(asked.Task, EndedAsync(gateway, begun));
        string at = PathOf(begun) + "/cancel";
        Assert.Equal(200, (await gateway.PostAsync(at, "{}")).Status);
        JsonNode ended = await EndedAsync(gateway, begun);
        Assert.True((string?)ended["output"]!["task_status"] == "CANCELED", ended.ToJsonString());
        Assert.Equal(409, (await gateway.PostAsync(at, "{}")).Status);
    }

    [Fact]
    public async Task A_task_belongs_to_its_tenant()
    {
        TestGateway gateway = fixture.Fresh();
        Answer begun = await BeginAsync(gateway);
        Answer other = await TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Get, PathOf(begun)));
        Assert.Equal((404, "NotFound"), (other.Status, (string?)other.Body["code"]));
        // It would call upon the script of the next test.
        await EndedAsync(gateway, begun);
    }

    /// <summary>It ends before its document is read, or after.</summary>
    [Theory]
    [InlineData(true, "SUCCEEDED")]
    [InlineData(false, "RUNNING")]
    public async Task A_task_that_ends_while_it_is_looked_up_was_not_cut_off(bool endsFirst, string status)
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously), mayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            asked.TrySetResult();
            return Script.SayAndWait(call, mayEnd.Task, cancel);
        };
        LookedUp documents = new(new SealingStore(gateway.Get<IDocumentStore>(), gateway.Get<SecretBox>(), NullLogger<SealingStore>.Instance));
        using NativeTasks tasks = new(documents, gateway.Get<AnswerServing>(), gateway.Get<GatewayOptions>(), gateway.Get<TenantStops>(), TimeProvider.System, NullLogger<NativeTasks>.Instance);
        DirectoryModel directory = gateway.Get<DirectoryState>().Current;
        ApiKey key = directory.Keys.Single(each => each.Role == KeyRole.Inference);
        Caller caller = new(directory.Tenant(key.Tenant), directory.Project(key.Project), key);
        using JsonDocument body = JsonDocument.Parse(Ask);
        NativeRequest request = gateway.Get<NativeRequests>().Read(JsonFields.OfRequest(body.RootElement), caller, new DefaultHttpContext().Request);
        string id = (string)(await tasks.BeginAsync(caller, request))["output"]!["task_id"]!;
        try
        {
            await asked.Task.WaitAsync(TestContext.Current.CancellationToken);
            documents.OnNextRead = async read =>
            {
                StoredDocument? before = endsFirst ? null : await read();
                mayEnd.SetResult();
                while (StatusOf(await read()) is "RUNNING") await Task.Yield();
                // It has said how it ended: nothing is left to be cancelled, and it does not count as running after this.
                await tasks.StopAsync(TestContext.Current.CancellationToken);
                return before ?? await read();
            };
            JsonObject found = await tasks.FindAsync(caller, id, TestContext.Current.CancellationToken);
            Assert.Equal(status, (string?)found["output"]!["task_status"]);
            Assert.Equal("SUCCEEDED", (string?)(await tasks.FindAsync(caller, id, TestContext.Current.CancellationToken))["output"]!["task_status"]);
        }
        finally
        {
            mayEnd.TrySetResult();
            await tasks.StopAsync(CancellationToken.None);
        }
    }

    internal static async Task<Answer> BeginAsync(TestGateway gateway)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, Path) { Content = new StringContent(Ask, Encoding.UTF8, "application/json") };
        request.Headers.Add("X-DashScope-Async", "enable");
        return await gateway.SendAsync(request);
    }

    private static async Task<JsonNode> EndedAsync(TestGateway gateway, Answer begun)
    {
        while (true)
        {
            JsonNode task = (await gateway.GetAsync(PathOf(begun))).Body;
            if ((string?)task["output"]!["task_status"] is not ("PENDING" or "RUNNING")) return task;
            await Task.Delay(2, TestContext.Current.CancellationToken);
        }
    }

    internal static string PathOf(Answer begun) => "/api/v1/tasks/" + begun.Body["output"]!["task_id"];

    private static string? StatusOf(StoredDocument? document) => (string?)JsonNode.Parse(document!.Content.Span)!["output"]!["task_status"];

    /// <summary>Something happens while a document is being read.</summary>
    private sealed class LookedUp(IDocumentStore documents) : IDocumentStore
    {
        /// <summary>Instead of the next reading; it may read by itself.</summary>
        public Func<Func<Task<StoredDocument?>>, Task<StoredDocument?>>? OnNextRead { get; set; }

        public Task<StoredDocument?> FindAsync(DocumentKey key, CancellationToken cancel = default)
        {
            Func<Func<Task<StoredDocument?>>, Task<StoredDocument?>>? instead = OnNextRead;
            OnNextRead = null;
            return instead is null ? documents.FindAsync(key, cancel) : instead(() => documents.FindAsync(key, cancel));
        }

        public Task<ImmutableArray<StoredDocument>> ListAsync(DocumentQuery query, CancellationToken cancel = default) => documents.ListAsync(query, cancel);
        public Task<DocumentVersion?> TryAddAsync(NewDocument document, CancellationToken cancel = default) => documents.TryAddAsync(document, cancel);
        public Task<DocumentSum> SumAsync(string kind, TenantId? tenant, CancellationToken cancel = default) => documents.SumAsync(kind, tenant, cancel);
        public Task<bool> TryDeleteAsync(DocumentKey key, DocumentVersion? expected = null, CancellationToken cancel = default) => documents.TryDeleteAsync(key, expected, cancel);
        public Task<long> DeleteExpiredAsync(int documentsMax, CancellationToken cancel = default) => documents.DeleteExpiredAsync(documentsMax, cancel);
        public Task<DocumentVersion?> TryReplaceAsync(DocumentKey key, DocumentVersion expected, ReadOnlyMemory<byte> content, Instant? expiresAt = null, CancellationToken cancel = default) =>
            documents.TryReplaceAsync(key, expected, content, expiresAt, cancel);
    }
}
