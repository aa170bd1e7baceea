using System.Text;
using System.Text.Json.Nodes;

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

    private static async Task<Answer> BeginAsync(TestGateway gateway)
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

    private static string PathOf(Answer begun) => "/api/v1/tasks/" + begun.Body["output"]!["task_id"];
}
