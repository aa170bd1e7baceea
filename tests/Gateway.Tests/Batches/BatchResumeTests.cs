using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Hosting;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

/// <summary>What a process that died left of a batch is what the next one finds in the store: written here as it would be.</summary>
public sealed class BatchResumeTests
{
    [Fact]
    public async Task A_batch_goes_on_where_the_process_ended_and_no_row_is_charged_twice()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource hold = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource stuck = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int waiting = 0;
        gateway.Script.Answer = (call, cancel) =>
        {
            string prompt = ScriptedModel.TextOf(call.Prompt);
            if (!prompt.Contains("number 2", StringComparison.Ordinal) && !prompt.Contains("number 3", StringComparison.Ordinal)) return Script.Say(call, "first");
            if (Interlocked.Increment(ref waiting) == 2) stuck.SetResult();
            return Script.SayAndWait(call, hold.Task, cancel);
        };
        string id = (string)(await BatchTests.CreateAsync(gateway, BatchTests.Rows(4))).Body["id"]!;
        await stuck.Task;
        await BatchTests.UntilAsync(gateway, id, batch => (int)batch["request_counts"]!["completed"]! == 2);

        // The process ends; of row 2 the usage was settled and its answer lost, of row 3 nothing was settled.
        BatchRunner runner = gateway.Get<BatchRunner>();
        Guid lost = gateway.Script.Calls.Single(call => ScriptedModel.TextOf(call.Prompt).Contains("number 2", StringComparison.Ordinal)).Id!.Value.Value;
        await ((IHostedService)runner).StopAsync(CancellationToken.None);
        await SettleAsync(gateway, new RequestId(lost));
        gateway.Script.Reset();
        gateway.Script.Answer = (call, _) => Script.Say(call, "second");

        BatchRunner next = new(gateway.Get<BatchTools>());
        await next.StartAsync(CancellationToken.None);
        JsonNode batch = await BatchTests.UntilAsync(gateway, id, BatchTests.HasEnded);
        Assert.Equal(("completed", 4), ((string?)batch["status"], (int)batch["request_counts"]!["completed"]!));
        Assert.Equal(2, gateway.Script.Calls.Count);
        Assert.Equal([true, false], gateway.Script.Calls.OrderBy(call => ScriptedModel.TextOf(call.Prompt), StringComparer.Ordinal).Select(call => call.IsWaived));
        string text = await gateway.Http.GetStringAsync($"/v1/files/{batch["output_file_id"]}/content", TestContext.Current.CancellationToken);
        Assert.Equal(["first", "first", "second", "second"],
            text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => (string?)JsonNode.Parse(line)!["response"]!["body"]!["choices"]![0]!["message"]!["content"]));
        await next.StopAsync(CancellationToken.None);
        next.Dispose();
    }

    [Fact]
    public async Task Rows_that_were_not_reached_in_time_are_errors_and_the_batch_is_expired()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock, options: new GatewayOptions { BatchRowsInFlightMax = 1 });
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            begun.TrySetResult();
            return Script.SayAndWait(call, gate.Task, cancel);
        };
        string id = (string)(await BatchTests.CreateAsync(gateway, BatchTests.Rows(3))).Body["id"]!;
        await begun.Task;
        clock.Advance(TimeSpan.FromHours(25));
        gate.SetResult();
        Task<JsonNode> ended = BatchTests.UntilAsync(gateway, id, BatchTests.HasEnded);
        while (!ended.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(ended, Task.Delay(1, TestContext.Current.CancellationToken));
        }
        JsonNode batch = await ended;
        Assert.Equal("expired", (string?)batch["status"]);
        Assert.Equal(3, (int)batch["request_counts"]!["completed"]! + (int)batch["request_counts"]!["failed"]!);
        Assert.InRange((int)batch["request_counts"]!["failed"]!, 1, 2);
    }

    /// <summary>As the meter would have, right before the process died.</summary>
    private static async Task SettleAsync(TestGateway gateway, RequestId id)
    {
        ApiKey key = gateway.Get<DirectoryState>().Current.Keys.First(each => each.Role == KeyRole.Inference);
        Party party = new(key.Tenant, key.Project, key.Id, null);
        Hold hold = new(id, TestGateway.Now, party, new ModelName(ScriptedModel.Name), new DeploymentName("test/scripted-1"), Operation.Batch, TestGateway.PriceId, Money.Parse("1", Currency.Usd), TestGateway.Pool);
        TokenCounts tokens = new(10, 0, 0, 5, 0);
        await gateway.Store.AppendAsync(new HoldPlaced(hold), CancellationToken.None);
        await gateway.Store.AppendAsync(new HoldSettled(new UsageRecord(id, TestGateway.Now, TestGateway.Now, TestGateway.Now, party, hold.Model, hold.Deployment, TestGateway.Pool, Operation.Batch, Outcome.Completed,
            tokens, new DeviceTime(1, 1), TestGateway.PriceId, Rating.Charge(TestGateway.Rates, tokens), TestGateway.PoolRateId, Money.Parse("0.000001", Currency.Usd))), CancellationToken.None);
    }
}
