using Qanat.Books;
using Qanat.Engine;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

/// <summary>Upstreams and the built-in engine stand in for each other, under one hold.</summary>
public sealed class ChainTests
{
    private static readonly ModelName Tiny = new("tiny");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task When_no_upstream_of_a_model_serves_the_built_in_engine_stands_in_and_its_cost_is_device_time()
    {
        await using UpstreamFixture fixture = await StartAsync(_ => new MockPlan { Status = 503 });
        List<CallEvent> events = await fixture.RunAsync(fixture.Chat(maxTokens: 5));
        Admitted admitted = Assert.Single(events.OfType<Admitted>());
        Assert.Equal((Tiny, 2), (admitted.ServedModel, admitted.Attempts));
        Settled settled = Assert.IsType<Settled>(events[^1]);
        Assert.Equal(Tiny, settled.ServedModel);
        UsageRecord record = await fixture.OnlyRecordAsync();
        Assert.Equal((UpstreamFixture.Model, new DeploymentName("builtin/tiny"), UpstreamFixture.Pool, Outcome.Completed), (record.Model, record.Deployment, record.Pool, record.Outcome));
        Assert.Null(record.Upstream);
        Assert.Equal(5, record.Tokens.Output);
        Assert.True(record.Device.TotalNanoseconds > 0 && record.Cost > Money.Zero(Currency.Usd));
        // What the client asked for is what it pays for: USD 10 and 20 a million.
        Assert.Equal(Rating.Charge(TokenRates.PerMillion(Currency.Usd, "10", "20"), record.Tokens), record.Charge);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_resting_upstream_is_not_asked_before_the_built_in_engine_stands_in()
    {
        MockEngine? mock = null;
        await using UpstreamFixture fixture = await StartAsync(_ => new MockPlan { Status = 503 }, started => mock = started, new UpstreamOptions { Rest = TimeSpan.FromMinutes(5), FailuresMax = 1 });
        await fixture.RunAsync(fixture.Chat(maxTokens: 2));
        int asked = mock!.Requests;
        Admitted second = Assert.IsType<Admitted>((await fixture.RunAsync(fixture.Chat(maxTokens: 2)))[0]);
        Assert.Equal((asked, Tiny, 0), (mock.Requests, second.ServedModel, second.Attempts));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task What_a_silent_upstream_may_ask_for_is_a_record_of_its_own_that_nobody_is_charged()
    {
        await using UpstreamFixture fixture = await StartAsync(_ => new MockPlan { First = Timeout.InfiniteTimeSpan }, firstByte: TimeSpan.FromMilliseconds(50));
        Settled settled = Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat(maxTokens: 2)))[^1]);
        UsageRecord[] records = [.. await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel)];
        Assert.Equal(2, records.Length);
        UsageRecord lost = records.Single(record => record.Id != settled.Record.Id);
        Assert.Equal((Outcome.Failed, Money.Zero(Currency.Usd), new PoolName("upstream/a")), (lost.Outcome, lost.Charge, lost.Pool));
        Assert.True(lost.Cost > Money.Zero(Currency.Usd));
        Assert.Null(settled.Record.Upstream);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task Upstreams_and_the_built_in_engine_may_serve_the_same_name()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        bool isDown = false;
        await fixture.AddAsync("a", _ => isDown ? new MockPlan { Status = 500 } : new MockPlan { Tokens = 3 });
        await fixture.DeployAsync(UpstreamFixture.Model);
        Assert.Equal(new PoolName("upstream/a"), Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat(maxTokens: 3)))[^1]).Record.Pool);
        isDown = true;
        List<CallEvent> events = await fixture.RunAsync(fixture.Chat(maxTokens: 3));
        Assert.Null(Assert.IsType<Admitted>(events[0]).ServedModel);
        Assert.Equal(UpstreamFixture.Pool, Assert.IsType<Settled>(events[^1]).Record.Pool);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task When_the_built_in_engine_is_full_an_upstream_stands_in()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        using HeldSteps steps = new();
        Deployment deployment = await fixture.DeployAsync(Tiny, new EngineOptions { WaitingMax = 1, SequencesMax = 1 }, steps.Before);
        await fixture.AddAsync("spare", _ => new MockPlan { Tokens = 4 });
        await StandInAsync(fixture, Tiny, UpstreamFixture.Model);
        Call tiny = TinyChat(fixture);
        Task<List<CallEvent>> running = fixture.RunAsync(tiny);
        await Task.WhenAny(steps.Entered, running);
        Task<List<CallEvent>> waiting = fixture.RunAsync(tiny);
        while (deployment.Engine.Status.Waiting < 1 && !waiting.IsCompleted) await Task.Yield();
        List<CallEvent> events = await fixture.RunAsync(tiny);
        Admitted admitted = Assert.Single(events.OfType<Admitted>());
        Assert.Equal((UpstreamFixture.Model, 1), (admitted.ServedModel, admitted.Attempts));
        UsageRecord record = Assert.IsType<Settled>(events[^1]).Record;
        Assert.Equal((Tiny, new PoolName("upstream/spare"), 4L, UsageCheckState.Plausible), (record.Model, record.Pool, record.Tokens.Output, record.Upstream!.State));
        Assert.Equal(new TokenCounts(3, 0, 0, 4, 0), record.Tokens);
        steps.Release();
        Assert.All(await Task.WhenAll(running, waiting), each => Assert.Equal(UpstreamFixture.Pool, Assert.IsType<Settled>(each[^1]).Record.Pool));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task Calls_go_on_to_an_upstream_while_as_many_wait_in_the_engine_as_the_route_says()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        using HeldSteps steps = new();
        Deployment deployment = await fixture.DeployAsync(Tiny, behind: steps.Before);
        await fixture.AddAsync("spare", _ => new MockPlan { Tokens = 4 });
        UpstreamRoute route = new(Tiny, RoutePolicy.Prefix, [UpstreamFixture.Model]) { WaitingMax = 1 };
        await fixture.Directory_.SetRouteAsync(route, "test", Cancel);
        Assert.Equal(1, UpstreamJson.ReadRoute(System.Text.Encoding.UTF8.GetBytes(UpstreamJson.Of(route).ToJsonString())).WaitingMax);
        Task<List<CallEvent>> running = fixture.RunAsync(TinyChat(fixture));
        await Task.WhenAny(steps.Entered, running);
        Task<List<CallEvent>> waiting = fixture.RunAsync(TinyChat(fixture));
        while (deployment.Engine.Status.Waiting < 1 && !waiting.IsCompleted) await Task.Yield();
        Assert.Equal(UpstreamFixture.Model, Assert.IsType<Settled>((await fixture.RunAsync(TinyChat(fixture)))[^1]).ServedModel);
        steps.Release();
        await Task.WhenAll(running, waiting);
        while (deployment.Engine.Status.Waiting > 0) await Task.Yield();
        Assert.Null(Assert.IsType<Settled>((await fixture.RunAsync(TinyChat(fixture)))[^1]).ServedModel);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task When_the_built_in_engine_has_stopped_an_upstream_stands_in_also_for_completions()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        Deployment deployment = await fixture.DeployAsync(Tiny);
        await fixture.AddAsync("spare", _ => new MockPlan { Tokens = 4 });
        await StandInAsync(fixture, Tiny, UpstreamFixture.Model);
        await deployment.Engine.DisposeAsync();
        Call words = TinyChat(fixture) with { Conversation = null, Operation = Operation.Completion, PromptText = "one two" };
        Assert.Equal(2, Assert.IsType<Settled>((await fixture.RunAsync(words))[^1]).Record.Tokens.Input);
        // Tokens mean something to their own model only.
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(words with { PromptText = null }));
        Assert.Equal((503, "engine_stopped"), (refused.Status, refused.Code));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task When_nobody_along_the_chain_serves_the_last_reason_is_told_and_nothing_is_held_or_charged()
    {
        await using UpstreamFixture fixture = await StartAsync(_ => new MockPlan { Status = 429 }, null, null, null, deployment => deployment.Engine.DisposeAsync());
        ApiException error = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat()));
        Assert.Equal((503, "engine_stopped"), (error.Status, error.Code));
        Assert.NotNull(error.RetryAfter);
        Assert.Empty(await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel));
        await fixture.AssertSoundAsync();
    }

    [Theory]
    [InlineData(true, 502, "upstream_cut")]
    [InlineData(false, 400, "upstream_refused")]
    public async Task Nothing_stands_in_once_text_was_sent_or_for_a_request_that_is_wrong_itself(bool cuts, int status, string code)
    {
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using UpstreamFixture fixture = await StartAsync(_ => cuts ? new MockPlan { Tokens = 9, CutAfter = 4, PerToken = TimeSpan.FromMilliseconds(1), FailsWhen = begun.Task } : new MockPlan { Status = 400 });
        ApiException error = await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(), Cancel))
                if (happened is Delta) begun.TrySetResult();
        });
        Assert.Equal((status, code), (error.Status, error.Code));
        Assert.DoesNotContain(await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel), record => record.Pool == UpstreamFixture.Pool);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_call_that_was_admitted_early_is_admitted_once_and_its_end_names_who_stood_in()
    {
        TaskCompletionSource mayAnswer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using UpstreamFixture fixture = await StartAsync(_ => new MockPlan { Status = 500, FirstWhen = mayAnswer.Task }, null, new UpstreamOptions { AdmitAfter = TimeSpan.Zero });
        List<CallEvent> events = [];
        await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(maxTokens: 2), Cancel))
        {
            if (events.Count == 0) mayAnswer.SetResult();
            events.Add(happened);
        }
        Assert.Null(Assert.Single(events.OfType<Admitted>()).ServedModel);
        Assert.Equal(Tiny, Assert.IsType<Settled>(events[^1]).ServedModel);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_client_that_leaves_between_two_places_holds_nothing()
    {
        using CancellationTokenSource leaving = new();
        TaskCompletionSource mayAnswer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using UpstreamFixture fixture = await StartAsync(_ => new MockPlan { Status = 500, FirstWhen = mayAnswer.Task }, null, new UpstreamOptions { AdmitAfter = TimeSpan.Zero });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(maxTokens: 2), leaving.Token))
            {
                Assert.IsType<Admitted>(happened);
                await leaving.CancelAsync();
                mayAnswer.SetResult();
            }
        });
        Assert.DoesNotContain(await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel), record => record.Tokens.Output > 0);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_budget_that_paid_for_the_upstream_pays_for_no_more_of_the_built_in_engine()
    {
        Money budget = Money.Parse("0.002", Currency.Usd);
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(budget);
        await fixture.AddAsync("a", _ => new MockPlan { Status = 503 });
        await fixture.DeployAsync(Tiny);
        await StandInAsync(fixture, UpstreamFixture.Model, Tiny);
        UsageRecord record = Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat(maxTokens: null)))[^1]).Record;
        Assert.True(record.Charge > Money.Zero(Currency.Usd) && record.Charge <= budget, $"{record.Charge}");
        await fixture.AssertSoundAsync();
    }

    [Theory]
    [InlineData(Operation.Chat)]
    [InlineData(Operation.Batch)]
    public async Task A_call_of_the_built_in_engine_that_its_tenants_stop_ends_tells_all_that_is_charged_and_what_that_is(Operation operation)
    {
        using HeldSteps held = new();
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.DeployAsync(Tiny, behind: held.Before);
        using CancellationTokenSource stop = new();
        Call call = TinyChat(fixture) with { Operation = operation, IgnoreStopTokens = true, Stopping = stop.Token };
        List<CallEvent> told = [];
        await using IAsyncEnumerator<CallEvent> events = fixture.Pipeline.RunAsync(call, stop.Token).GetAsyncEnumerator(Cancel);
        Assert.True(await events.MoveNextAsync());
        await held.Entered;
        await stop.CancelAsync();
        ValueTask<bool> next = events.MoveNextAsync();
        held.Release();
        ApiException stopped = await Assert.ThrowsAsync<ApiException>(async () =>
        {
            for (; await next; next = events.MoveNextAsync()) told.Add(events.Current);
        });

        Assert.Equal((403, "tenant_stopped"), (stopped.Status, stopped.Code));
        UsageRecord record = Assert.IsType<Settled>(told[^1]).Record;
        Assert.Equal(await fixture.OnlyRecordAsync(), record);
        bool isBatch = operation == Operation.Batch;
        Assert.Equal((isBatch ? Outcome.Failed : Outcome.CutByLimit, isBatch), (record.Outcome, record.Charge == Money.Zero(Currency.Usd)));
        Assert.True(record.Tokens.Output > 0);
        Assert.Equal(record.Tokens.Output, told.OfType<Delta>().Sum(delta => delta.Tokens.Length));
        Assert.Empty(told.OfType<ChoiceFinished>());
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_call_that_the_engine_took_over_before_the_process_died_is_settled_as_the_engines()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.Tariffs.AddPoolRateAsync(new PoolRate(PoolRateId.New(TimeProvider.System), UpstreamFixture.Pool, new Instant(0), Money.Parse("0.36", Currency.Usd), 1_000, IsAssumption: false, "test", new Instant(0)), UpstreamFixture.Audit, Cancel);
        Hold hold = new(RequestId.New(TimeProvider.System), new Instant(1), new Party(fixture.Caller.Tenant.Id, fixture.Caller.Project.Id, fixture.Caller.Key.Id, null), UpstreamFixture.Model,
            UpstreamSpec.DeploymentOf("a"), Operation.Chat, fixture.Tariffs.Prices.Versions[0].Id, Money.Parse("1", Currency.Usd), UpstreamSpec.PoolOf("a"));
        DeviceTime device = new(600_000, 400_000);
        await fixture.Store.AppendAsync(new Together([new HoldPlaced(hold), new HoldMoved(hold.Id, new DeploymentName("builtin/tiny"), UpstreamFixture.Pool),
            new StepsMetered([new UsageProgress(hold.Id, new TokenCounts(10, 0, 0, 5, 0), device)], [new CapacityRecord(UpstreamFixture.Pool, new Instant(1), new Instant(5_000_001), CapacityState.Serving, device.TotalNanoseconds)])]), Cancel);
        await Recovery.SettleOpenHoldsAsync(fixture.Store, fixture.Tariffs, new ContractLimits(), UpstreamFixture.Pool, Instant.Now(TimeProvider.System), Cancel);
        UsageRecord record = await fixture.OnlyRecordAsync();
        Assert.Equal((Outcome.Recovered, UpstreamFixture.Pool, new DeploymentName("builtin/tiny"), device), (record.Outcome, record.Pool, record.Deployment, record.Device));
        Assert.True(record.Cost > Money.Zero(Currency.Usd));
        await fixture.AssertSoundAsync();
    }

    private static async Task<UpstreamFixture> StartAsync(Func<MockRequest, MockPlan> script, Action<MockEngine>? started = null, UpstreamOptions? options = null, TimeSpan? firstByte = null, Func<Deployment, ValueTask>? deployed = null)
    {
        UpstreamFixture fixture = await UpstreamFixture.StartAsync(options: options);
        MockEngine mock = await fixture.AddAsync("a", script, spec => spec with { FirstByteTimeout = firstByte ?? spec.FirstByteTimeout });
        started?.Invoke(mock);
        Deployment deployment = await fixture.DeployAsync(Tiny);
        if (deployed is not null) await deployed(deployment);
        await StandInAsync(fixture, UpstreamFixture.Model, Tiny);
        return fixture;
    }

    private static Task StandInAsync(UpstreamFixture fixture, ModelName model, ModelName standIn) =>
        fixture.Directory_.SetRouteAsync(new UpstreamRoute(model, RoutePolicy.Prefix, [standIn]), "test", Cancel);

    /// <summary>As the built-in engine is asked: with the tokens of the prompt.</summary>
    private static Call TinyChat(UpstreamFixture fixture) => fixture.Chat(maxTokens: 8) with { Model = Tiny, Prompt = [.. Enumerable.Range(1, 10)] };

    /// <summary>Keeps the engine in its first step until it is released, or the test has ended: an engine that is held cannot be disposed of.</summary>
    private sealed class HeldSteps : IStepSink, IDisposable
    {
        private IStepSink? sink;
        private readonly TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Entered => entered.Task;

        public IStepSink Before(IStepSink next)
        {
            sink = next;
            return this;
        }

        public void Release() => released.TrySetResult();
        public void Dispose() => Release();

        public void OnStep(StepFact step)
        {
            if (step.Sequences.Length > 0)
            {
                entered.TrySetResult();
                released.Task.Wait();
            }
            sink!.OnStep(step);
        }
    }
}
