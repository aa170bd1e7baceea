using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.Engine;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

/// <summary>Requests that several calls serve, of which one fails while another ends (ADR 47): the real pipeline, and every order of these events.</summary>
public sealed class FailsTogetherTests
{
    /// <summary>More turns than whoever does not wait takes to end.</summary>
    private const int TurnsMany = 2_000;

    private static readonly ModelName Tiny = new("tiny");
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    [InlineData(400)]
    public async Task A_row_of_a_batch_has_ended_only_when_it_is_known_what_each_of_its_prompts_was_charged(int status)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        HeldEnd? held = null;
        await fixture.DeployAsync(Tiny, behind: sink => held = new HeldEnd(sink));
        try
        {
            Call first = Prompt(fixture, Operation.Batch);
            Task<ApiException> row = RefusedAsync(fixture, first, held!.Reached, status);
            await held.Reached;
            // The first prompt is answered, the second is refused meanwhile, and nothing of the first is in the books.
            for (int turn = 0; turn < TurnsMany; turn++) await Task.Yield();
            Assert.False(row.IsCompleted);
            held.Release();
            Assert.Equal(status, (await row).Status);
            UsageRecord record = Assert.Single(await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All, Id: first.Id), Cancel));
            Assert.Equal((Outcome.Failed, Money.Zero(Currency.Usd)), (record.Outcome, record.Charge));
            Assert.True(record.Cost > Money.Zero(Currency.Usd));
            await fixture.AssertSoundAsync();
        }
        finally
        {
            held!.Release();
        }
    }

    [Theory]
    [InlineData(503, false, true)]
    [InlineData(429, true, true)]
    [InlineData(429, false, false)]
    [InlineData(402, true, false)]
    public async Task What_is_not_settled_when_a_request_fails_is_charged_only_where_the_client_is_the_reason_or_was_given_it(int status, bool whole, bool isFree)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        HeldEnd? held = null;
        await fixture.DeployAsync(Tiny, behind: sink => held = new HeldEnd(sink));
        try
        {
            Call first = Prompt(fixture, Operation.Completion) with { Whole = whole };
            Assert.Equal(status, (await RefusedAsync(fixture, first, held!.Reached, status)).Status);
            held.Release();
            while ((await fixture.Store.ReadOpenHoldsAsync(Cancel)).Length > 0) await Task.Yield();
            UsageRecord record = Assert.Single(await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All, Id: first.Id), Cancel));
            Assert.Equal((isFree, isFree), (record.Outcome == Outcome.Failed, record.Charge == Money.Zero(Currency.Usd)));
            await fixture.AssertSoundAsync();
        }
        finally
        {
            held!.Release();
        }
    }

    [Fact]
    public async Task A_prompt_that_was_settled_before_another_fails_stays_charged_once()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.DeployAsync(Tiny);
        TaskCompletionSource settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Call first = Prompt(fixture, Operation.Batch);
        await RefusedAsync(fixture, first, settled.Task, 503, happened =>
        {
            if (happened is Settled) settled.TrySetResult();
        });
        UsageRecord record = await fixture.OnlyRecordAsync();
        Assert.Equal((Outcome.Completed, true), (record.Outcome, record.Charge > Money.Zero(Currency.Usd)));
        await fixture.AssertSoundAsync();
    }

    [Theory]
    [InlineData(Operation.Batch, true)]
    [InlineData(Operation.Chat, false)]
    public async Task A_row_that_is_ended_while_an_upstream_answers_is_not_charged_and_a_client_that_leaves_is(Operation operation, bool isFree)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { PerToken = TimeSpan.FromHours(1) });
        using CancellationTokenSource leaving = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat() with { Operation = operation }, leaving.Token))
            {
                if (happened is Delta) await leaving.CancelAsync();
                leaving.Token.ThrowIfCancellationRequested();
            }
        });
        UsageRecord record = await fixture.OnlyRecordAsync();
        Assert.Equal((isFree ? Outcome.Failed : Outcome.AbortedByClient, isFree), (record.Outcome, record.Charge == Money.Zero(Currency.Usd)));
        Assert.True(record.Cost > Money.Zero(Currency.Usd));
        await fixture.AssertSoundAsync();
    }

    /// <summary>Serves a request of two prompts, whose second is refused at a moment.</summary>
    private static Task<ApiException> RefusedAsync(UpstreamFixture fixture, Call first, Task moment, int status, Action<CallEvent>? seen = null)
    {
        Call second = first with { Id = RequestId.New(TimeProvider.System) };
        return Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (PromptEvent next in CallGroup.RunAsync(Run, [first, second], Cancel)) seen?.Invoke(next.Happened);
        });

        IAsyncEnumerable<CallEvent> Run(Call call, CancellationToken cancel) => call.Id == first.Id ? fixture.Pipeline.RunAsync(call, cancel) : RefuseAsync(moment, status, cancel);
    }

    private static async IAsyncEnumerable<CallEvent> RefuseAsync(Task moment, int status, [EnumeratorCancellation] CancellationToken cancel)
    {
        await moment.WaitAsync(cancel);
        if (moment.IsCompleted) throw new ApiException(status, "server_error", "scripted", "As the test wants it.");
        yield break;
    }

    /// <summary>One that the first step of the engine answers.</summary>
    private static Call Prompt(UpstreamFixture fixture, Operation operation) => fixture.Tokens(10, maxTokens: 1) with { Model = Tiny, Operation = operation, Id = RequestId.New(TimeProvider.System) };

    /// <summary>Keeps the step in which a sequence ends from being metered until it is released.</summary>
    private sealed class HeldEnd(IStepSink sink) : IStepSink
    {
        private readonly TaskCompletionSource reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Reached => reached.Task;

        public void Release() => released.TrySetResult();

        public void OnStep(StepFact step)
        {
            if (step.Sequences.Any(sequence => sequence.Finish is not null))
            {
                reached.TrySetResult();
                released.Task.Wait();
            }
            sink.OnStep(step);
        }
    }
}
