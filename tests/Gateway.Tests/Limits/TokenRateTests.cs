using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.MockUpstream;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

/// <summary>Tokens a minute through the real pipeline: taken for what a call may use, and corrected to what its record says, however it ends.</summary>
public sealed class TokenRateTests
{
    private const int PerMinute = 100_000;

    /// <summary>What is counted for the text of <see cref="UpstreamFixture.Chat"/> where nobody knows its tokens.</summary>
    private const int Prompt = 12;
    private const int Unasked = 256;
    private static readonly ModelName Tiny = new("tiny");
    private readonly ManualClock clock = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Streams_that_name_no_limit_are_let_in_for_what_their_hold_pays_for_and_no_more_of_them()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { PerToken = TimeSpan.FromHours(1) });
        using RateLimits rates = new(new RateOptions(), clock);
        RunCall run = fixture.Behind(rates);
        Call call = fixture.Chat(maxTokens: null, caller: fixture.Caller.Within(new RateTerms { TokensPerMinute = 3 * (Prompt + Unasked) + 100 }));
        List<IAsyncEnumerator<CallEvent>> running = [];
        for (int sent = 0; sent < 3; sent++) running.Add(await BeginAsync(run, call));
        Assert.Equal(100, rates.State(call).TokensLeft);
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => BeginAsync(run, call));
        Assert.Equal((429, "tokens"), (refused.Status, refused.Type));
        Assert.Contains($"up to {Prompt + Unasked}.", refused.Message, StringComparison.Ordinal);
        // They leave: what each was given until then is used, and nothing else is.
        foreach (IAsyncEnumerator<CallEvent> each in running) await each.DisposeAsync();
        await AssertUsedAsync(fixture, rates, call, records: 3);
    }

    [Fact]
    public async Task What_a_running_stream_may_use_is_taken_before_it_uses_it()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(meter: new MeterOptions { HoldOutputTokens = 8, ExtendWithTokensLeft = 2 });
        TaskCompletionSource ends = new();
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 50, CutAfter = 40, FailsWhen = ends.Task });
        using RateLimits rates = new(new RateOptions(), clock);
        Call call = fixture.Chat(maxTokens: null, caller: fixture.Caller.Within(new RateTerms { TokensPerMinute = PerMinute }));
        int words = 0;
        await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Behind(rates)(call, Cancel))
            {
                if (happened is not Delta delta) continue;
                words += delta.Pieces.OfType<TextPiece>().Sum(piece => piece.Text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);
                Assert.InRange(PerMinute - rates.State(call).TokensLeft, Prompt + words, Prompt + 50);
                if (words == 40) ends.SetResult();
            }
        });
        Assert.Equal(40, words);
        await AssertUsedAsync(fixture, rates, call, records: 1);
    }

    [Theory]
    [InlineData(30_000)]
    [InlineData(null)]
    public async Task A_client_that_leaves_the_built_in_engine_has_used_what_was_made_for_it(int? maxTokens)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.DeployAsync(Tiny);
        using RateLimits rates = new(new RateOptions(), clock);
        Call call = fixture.Tokens(10, 1, fixture.Caller.Within(new RateTerms { TokensPerMinute = PerMinute })) with { Model = Tiny, MaxTokens = maxTokens, IgnoreStopTokens = true, Whole = false };
        await foreach (CallEvent happened in fixture.Behind(rates)(call, Cancel))
        {
            if (happened is Delta) break;
        }
        // The meter settles it on its own time.
        while (!fixture.Limits.Use(call.Caller.Tenant.Id.Value, Currency.Usd).Held.IsZero) await Task.Yield();
        await AssertUsedAsync(fixture, rates, call, records: 1);
    }

    [Theory]
    [InlineData(Operation.Chat)]
    [InlineData(Operation.Batch)]
    public async Task A_call_that_is_served_to_its_end_has_used_what_its_record_says(Operation operation)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 5, Lies = 2 });
        using RateLimits rates = new(new RateOptions(), clock);
        Call call = fixture.Chat(maxTokens: 20_000, caller: fixture.Caller.Within(new RateTerms { TokensPerMinute = PerMinute })) with { Operation = operation };
        List<CallEvent> events = await RunAsync(fixture.Behind(rates), call);
        UsageRecord record = Assert.IsType<Settled>(events[^1]).Record;
        Assert.Equal(7, record.Tokens.Output);
        await AssertUsedAsync(fixture, rates, call, records: 1);
    }

    /// <summary>By its prompt, by its budget, by upstreams that do not serve it, and by books that do not answer.</summary>
    [Theory]
    [InlineData(400)]
    [InlineData(402)]
    [InlineData(503)]
    [InlineData(0)]
    public async Task A_call_that_is_refused_before_it_is_served_has_used_nothing(int status)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(Money.Parse("0.01", Currency.Usd),
            meter: status == 0 ? new MeterOptions { HoldWriteMax = TimeSpan.Zero } : null, before: store => status == 0 ? new SilentStore(store) : store);
        await fixture.AddAsync("a", _ => new MockPlan { Status = 500 });
        using RateLimits rates = new(new RateOptions(), clock);
        Caller caller = fixture.Caller.Within(new RateTerms { TokensPerMinute = PerMinute });
        Call call = status switch
        {
            400 => fixture.Tokens(UpstreamModel.ContextLengthDefault + 1, 10, caller),
            402 => fixture.Tokens(10_000, 20_000, caller),
            _ => fixture.Chat(maxTokens: 20, caller: caller),
        };
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => RunAsync(fixture.Behind(rates), call));
        Assert.Equal(status == 0 ? 503 : status, refused.Status);
        await AssertUsedAsync(fixture, rates, call, records: 0);
    }

    [Fact]
    public async Task A_call_that_a_budget_cuts_has_used_what_it_was_given()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(Money.Parse("0.0004", Currency.Usd), meter: new MeterOptions { HoldOutputTokens = 4, ExtendWithTokensLeft = 2 });
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 1_000 });
        using RateLimits rates = new(new RateOptions(), clock);
        Call call = fixture.Chat(maxTokens: null, caller: fixture.Caller.Within(new RateTerms { TokensPerMinute = PerMinute }));
        Assert.Equal(Outcome.CutByLimit, Assert.IsType<Settled>((await RunAsync(fixture.Behind(rates), call))[^1]).Record.Outcome);
        await AssertUsedAsync(fixture, rates, call, records: 1);
    }

    [Fact]
    public async Task A_call_that_is_passed_on_has_used_what_its_stand_in_made_of_it()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { Status = 503 });
        await fixture.DeployAsync(Tiny);
        await fixture.Directory_.SetRouteAsync(new UpstreamRoute(UpstreamFixture.Model, RoutePolicy.Prefix, [Tiny]), "test", Cancel);
        using RateLimits rates = new(new RateOptions(), clock);
        Call call = fixture.Chat(maxTokens: 5, caller: fixture.Caller.Within(new RateTerms { TokensPerMinute = PerMinute }));
        Assert.Equal(Tiny, Assert.IsType<Settled>((await RunAsync(fixture.Behind(rates), call))[^1]).ServedModel);
        await AssertUsedAsync(fixture, rates, call, records: 1);
    }

    [Fact]
    public async Task A_prompt_beside_one_that_fails_has_used_what_was_made_for_it_until_then()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { PerToken = TimeSpan.FromHours(1) });
        using RateLimits rates = new(new RateOptions(), clock);
        Call first = fixture.Chat(maxTokens: null, caller: fixture.Caller.Within(new RateTerms { TokensPerMinute = PerMinute })) with { Id = RequestId.New(TimeProvider.System) };
        Call second = first with { Id = RequestId.New(TimeProvider.System) };
        TaskCompletionSource said = new();
        RunCall run = fixture.Behind(rates, (call, cancel) => call.Id == first.Id ? fixture.Pipeline.RunAsync(call, cancel) : FailAsync(said.Task, cancel));
        await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (PromptEvent next in CallGroup.RunAsync(run, [first, second], Cancel))
            {
                if (next.Happened is Delta) said.TrySetResult();
            }
        });
        await AssertUsedAsync(fixture, rates, first, records: 1);
    }

    /// <summary>What is left is the limit without the tokens of all records, and every place is free.</summary>
    private static async Task AssertUsedAsync(UpstreamFixture fixture, RateLimits rates, Call call, int records)
    {
        IReadOnlyList<UsageRecord> all = await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel);
        Assert.Equal(records, all.Count);
        RateState state = rates.State(call);
        Assert.Equal(state.TokenLimit - all.Sum(record => record.Tokens.Input + record.Tokens.Output), state.TokensLeft);
    }

    /// <summary>A call that has begun to answer.</summary>
    private static async Task<IAsyncEnumerator<CallEvent>> BeginAsync(RunCall run, Call call)
    {
        IAsyncEnumerator<CallEvent> events = run(call, Cancel).GetAsyncEnumerator(Cancel);
        while (await events.MoveNextAsync() && events.Current is not Delta)
        {
        }
        return events;
    }

    private static async Task<List<CallEvent>> RunAsync(RunCall run, Call call)
    {
        List<CallEvent> events = [];
        await foreach (CallEvent happened in run(call, Cancel)) events.Add(happened);
        return events;
    }

    private static async IAsyncEnumerable<CallEvent> FailAsync(Task moment, [EnumeratorCancellation] CancellationToken cancel)
    {
        await moment.WaitAsync(cancel);
        if (moment.IsCompleted) throw new ApiException(503, "server_error", "scripted", "As the test wants it.");
        yield break;
    }

    /// <summary>Never says whether a hold is written.</summary>
    private sealed class SilentStore(IBookStore inner) : Books.Tests.ForwardingBookStore(inner)
    {
        public override Task AppendAsync(Fact fact, CancellationToken cancel = default) => fact is HoldPlaced ? Task.Delay(Timeout.Infinite, Cancel) : base.AppendAsync(fact, cancel);
    }
}
