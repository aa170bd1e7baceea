using System.Runtime.CompilerServices;
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
        await BatchTests.UntilAsync(gateway, id, _ => stuck.Task.IsCompleted);
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

    /// <summary>Whatever number of processes die over a row: the answer that was charged first is the only one that is.</summary>
    [Fact]
    public async Task A_row_whose_answer_is_lost_twice_is_charged_once_and_the_batch_says_what_it_cost()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource stuck = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            stuck.TrySetResult();
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        string id = (string)(await BatchTests.CreateAsync(gateway, BatchTests.Rows(1))).Body["id"]!;
        await BatchTests.UntilAsync(gateway, id, _ => stuck.Task.IsCompleted);
        await ((IHostedService)gateway.Get<BatchRunner>()).StopAsync(CancellationToken.None);
        await SettleAsync(gateway, gateway.Script.Calls.Single().Id!.Value);

        stuck = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using (BatchRunner second = new(gateway.Get<BatchTools>()))
        {
            await second.StartAsync(CancellationToken.None);
            await BatchTests.UntilAsync(gateway, id, _ => stuck.Task.IsCompleted);
            await second.StopAsync(CancellationToken.None);
        }
        gateway.Script.Answer = (call, _) => Script.Say(call, "at last");
        using BatchRunner third = new(gateway.Get<BatchTools>());
        await third.StartAsync(CancellationToken.None);
        JsonNode batch = await BatchTests.UntilAsync(gateway, id, BatchTests.HasEnded);
        Assert.Equal([false, true, true], gateway.Script.Calls.Select(call => call.IsWaived));
        Money lost = (await gateway.Store.ReadUsageAsync(new UsageQuery(Period.All), TestContext.Current.CancellationToken)).Select(record => record.Charge).OfType<Money>().Single(charge => !charge.IsZero);
        string line = await gateway.Http.GetStringAsync($"/v1/files/{batch["output_file_id"]}/content", TestContext.Current.CancellationToken);
        // The script's bill knows nothing of what is waived; what was charged before is beside it.
        Money told = Money.Parse((string)JsonNode.Parse(line)!["response"]!["body"]!["usage"]!["x_qanat"]!["charge"]!, Currency.Usd);
        Assert.Equal((told + lost).ToDecimalText(), (string?)batch["usage"]!["x_qanat"]!["charge"]);
        await third.StopAsync(CancellationToken.None);
    }

    /// <summary>A row of two prompts, of which the second is refused at first: the first was charged then, and is not again.</summary>
    [Fact]
    public async Task Of_a_row_that_is_tried_again_what_was_charged_is_not_charged_again()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int firsts = 0, seconds = 0;
        gateway.Script.Answer = (call, _) =>
        {
            bool isFirst = ScriptedModel.TextOf(call.Prompt).Contains("first", StringComparison.Ordinal);
            if (Interlocked.Increment(ref isFirst ? ref firsts : ref seconds) > 1) return Script.Say(call, "at last");
            return isFirst ? SettledAsync(call) : RefusedAsync();
        };
        const string row = """
            {"custom_id":"a","method":"POST","url":"/v1/completions","body":{"model":"scripted-1","prompt":["first","second"],"max_tokens":8}}
            """;
        string id = (string)(await BatchTests.CreateAsync(gateway, row, "/v1/completions")).Body["id"]!;
        JsonNode batch = await BatchTests.UntilAsync(gateway, id, BatchTests.HasEnded);
        Assert.Equal(("completed", 1), ((string?)batch["status"], (int)batch["request_counts"]!["completed"]!));
        Assert.Equal(["first False", "first True", "second False", "second False"],
            gateway.Script.Calls.Select(call => $"{(ScriptedModel.TextOf(call.Prompt).Contains("first", StringComparison.Ordinal) ? "first" : "second")} {call.IsWaived}").Order(StringComparer.Ordinal));

        async IAsyncEnumerable<CallEvent> SettledAsync(Call call)
        {
            await SettleAsync(gateway, call.Id!.Value);
            settled.SetResult();
            await foreach (CallEvent happened in Script.Say(call, "lost")) yield return happened;
        }

        async IAsyncEnumerable<CallEvent> RefusedAsync()
        {
            await settled.Task;
            if (settled.Task.IsCompleted) throw new ApiException(429, "rate_limit_error", "queue_full", "Busy.", retryAfter: TimeSpan.FromMilliseconds(1));
            yield break;
        }
    }

    /// <summary>What was answered and charged before the rest of its row failed is charged: the row says so, and so does the batch, however it ends.</summary>
    [Theory]
    [InlineData("fails")]
    [InlineData("is cancelled")]
    public async Task What_stays_charged_of_a_row_that_is_not_answered_is_in_the_usage_of_its_batch(string how)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        TaskCompletionSource settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) => ScriptedModel.TextOf(call.Prompt).Contains("first", StringComparison.Ordinal) ? SettledAsync(call) : SecondAsync(call, cancel);
        const string row = """
            {"custom_id":"a","method":"POST","url":"/v1/completions","body":{"model":"scripted-1","prompt":["first","second"],"max_tokens":8}}
            """;
        string id = (string)(await BatchTests.CreateAsync(gateway, row, "/v1/completions")).Body["id"]!;
        await settled.Task;
        if (how == "is cancelled") Assert.Equal(200, (await gateway.PostAsync($"/v1/batches/{id}/cancel", "{}")).Status);
        JsonNode batch = await BatchTests.UntilAsync(gateway, id, BatchTests.HasEnded);
        string charged = (await gateway.Store.ReadUsageAsync(new UsageQuery(Period.All), TestContext.Current.CancellationToken)).Single().Charge!.Value.ToDecimalText();
        Assert.Equal(charged, (string?)batch["usage"]!["x_qanat"]!["charge"]);
        if (how == "is cancelled")
        {
            Assert.Equal(("cancelled", null), ((string?)batch["status"], (string?)batch["error_file_id"]));
            return;
        }
        JsonNode line = JsonNode.Parse(await gateway.Http.GetStringAsync($"/v1/files/{batch["error_file_id"]}/content", TestContext.Current.CancellationToken))!;
        Assert.Equal((400, charged, "USD"), ((int)line["response"]!["status_code"]!, (string?)line["x_qanat"]!["charge"], (string?)line["x_qanat"]!["currency"]));

        async IAsyncEnumerable<CallEvent> SettledAsync(Call call)
        {
            await SettleAsync(gateway, call.Id!.Value);
            settled.SetResult();
            await foreach (CallEvent happened in Script.Say(call, "lost")) yield return happened;
        }

        async IAsyncEnumerable<CallEvent> SecondAsync(Call call, [EnumeratorCancellation] CancellationToken cancel)
        {
            await settled.Task;
            if (how == "fails") throw new ApiException(400, "invalid_request_error", "context_length_exceeded", "Too long.");
            await foreach (CallEvent happened in Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel)) yield return happened;
        }
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
        await BatchTests.UntilAsync(gateway, id, _ => begun.Task.IsCompleted);
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
