using Qanat.Books;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

/// <summary>Calls through the pipeline to mock upstreams that keep their own count.</summary>
public sealed class UpstreamServingTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_answer_is_told_as_it_comes_and_billed_and_costed_by_the_usage_that_was_told()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        MockEngine mock = await fixture.AddAsync("gpu-1", _ => new MockPlan { Tokens = 5 }, secret: "sk-theirs");
        List<CallEvent> events = await fixture.RunAsync(fixture.Chat());
        Assert.IsType<Admitted>(events[0]);
        Assert.Equal("w0 w1 w2 w3 w4 ", UpstreamFixture.TextOf(events));
        Assert.Equal(AnswerEnd.Stop, Assert.Single(events.OfType<ChoiceFinished>()).Reason);

        UsageRecord record = await fixture.OnlyRecordAsync();
        Assert.Equal(record, Assert.IsType<Settled>(events[^1]).Record);
        Assert.Equal((new TokenCounts(3, 0, 0, 5, 0), UsageCheckState.Plausible, new PoolName("upstream/gpu-1")), (record.Tokens, record.Upstream!.State, record.Pool));
        Assert.Equal(Money.Parse("0.00013", Currency.Usd), record.Charge);
        Assert.Equal(Money.Parse("0.000013", Currency.Usd), record.Cost);
        Assert.Equal(5, mock.Counts[record.Id.ToString()].Sent);
        Assert.True(mock.LastBody.GetProperty("stream_options").GetProperty("include_usage").GetBoolean());
        Assert.Equal("theirs", mock.LastBody.GetProperty("model").GetString());
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task Usage_that_is_missing_or_not_what_came_is_a_state_of_the_record_and_never_zero()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("gpu-1", request => new MockPlan { Tokens = 5, TellsUsage = request.Number != 0, Lies = request.Number == 1 ? 1_000 : 0 });
        UsageRecord missing = Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat()))[^1]).Record;
        Assert.Equal((UsageCheckState.Missing, 5L), (missing.Upstream!.State, missing.Tokens.Output));
        Assert.True(missing.Tokens.Input > 0 && missing.Charge > Money.Zero(Currency.Usd) && missing.Cost > Money.Zero(Currency.Usd));
        UsageRecord lied = Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat()))[^1]).Record;
        Assert.Equal((UsageCheckState.Differs, 1_005L, 5L), (lied.Upstream!.State, lied.Tokens.Output, lied.Upstream.Counted.Output));
        string metrics = await fixture.MetricsAsync();
        foreach (string line in (string[])["_up{upstream=\"gpu-1\"} 1", "_calls_total{upstream=\"gpu-1\",result=\"served\"} 2", "_usage_total{upstream=\"gpu-1\",state=\"missing\"} 1",
            "_usage_total{upstream=\"gpu-1\",state=\"differs\"} 1", "_first_token_milliseconds_bucket{upstream=\"gpu-1\",le=\"+Inf\"} 2", "_first_token_milliseconds_count{upstream=\"gpu-1\"} 2"])
            Assert.Contains("\nqanat_upstream" + line + "\n", metrics, StringComparison.Ordinal);
        System.Text.Json.Nodes.JsonObject shown = UpstreamJson.Of(fixture.Directory_.Find("gpu-1")!);
        Assert.Equal((1L, 1L, 0L), ((long)shown["usage"]!["missing"]!, (long)shown["usage"]!["differs"]!, (long)shown["usage"]!["agrees"]!));
        await fixture.AssertSoundAsync();
        BooksReport report = await BooksCheck.RunAsync(fixture.Store, Cancel);
        Assert.Equal((1L, 1L), (report.UsageMissing, report.UsageDiffers));
    }

    [Theory]
    [InlineData(503)]
    [InlineData(429)]
    [InlineData(401)]
    public async Task What_one_upstream_cannot_serve_another_does_and_it_is_billed_once(int status)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        MockEngine broken = await fixture.AddAsync("a", _ => new MockPlan { Status = status });
        MockEngine sound = await fixture.AddAsync("b", _ => new MockPlan { Tokens = 3 }, spec => spec with { Rank = 1 });
        List<CallEvent> events = await fixture.RunAsync(fixture.Chat());
        Assert.Equal(2, Assert.IsType<Admitted>(events[0]).Attempts);
        UsageRecord record = await fixture.OnlyRecordAsync();
        Assert.Equal([("a", AttemptEnd.Refused), ("b", AttemptEnd.Served)], record.Upstream!.Attempts.Select(attempt => (attempt.Upstream, attempt.End)));
        Assert.Equal(new DeploymentName("upstream/b"), record.Deployment);
        Assert.Equal((1, 1), (broken.Requests, sound.Requests));
        await fixture.AssertSoundAsync();
    }

    [Theory]
    [InlineData(401, """{"error":{"message":"Incorrect API key sk-THEIRS"}}""", 503, "upstream_unavailable")]
    [InlineData(402, """{"error":{"message":"sk-THEIRS owes money"}}""", 503, "upstream_unavailable")]
    [InlineData(400, """{"code":"Arrearage","message":"sk-THEIRS owes money"}""", 503, "upstream_unavailable")]
    [InlineData(400, """{"error":{"message":"sk-THEIRS: bad temperature"}}""", 400, "upstream_refused")]
    [InlineData(500, "sk-THEIRS stack trace", 503, "upstream_unavailable")]
    [InlineData(503, """{"error":{"message":"one two three sk-THEIRS","type":"overloaded","code":17}}""", 503, "upstream_unavailable")]
    [InlineData(429, "sk-THEIRS", 429, "upstream_busy")]
    public async Task What_an_upstream_says_of_itself_reaches_no_client(int status, string body, int ours, string code)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { Status = status, ErrorBody = body });
        ApiException error = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat()));
        Assert.Equal((ours, code), (error.Status, error.Code));
        Assert.DoesNotContain("THEIRS", error.Message, StringComparison.Ordinal);
        // Nor the log or a page: the operator is told its status and its names.
        string? told = fixture.Directory_.Find("a")!.State.Health.LastFailure;
        if (code != "upstream_refused") Assert.Contains(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"It answered {status}"), told, StringComparison.Ordinal);
        Assert.DoesNotContain("THEIRS", told ?? "", StringComparison.Ordinal);
        if (ours >= 429) Assert.NotNull(error.RetryAfter);
        Assert.Empty(await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel));
        await fixture.AssertSoundAsync();
    }

    /// <summary>The first byte of what comes as a whole is its last.</summary>
    [Theory]
    [InlineData(20, false)]
    [InlineData(21, true)]
    public async Task What_may_take_longer_than_the_time_to_a_first_byte_is_fetched_in_pieces_though_its_client_wants_it_whole(int maxTokens, bool inPieces)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(clock: new ManualClock());
        bool? asked = null;
        await fixture.AddAsync("a", request =>
        {
            asked = request.Stream;
            return new MockPlan { Tokens = 3 };
        }, spec => spec with { FirstByteTimeout = TimeSpan.FromSeconds(20) });
        Assert.Equal("w0 w1 w2 ", UpstreamFixture.TextOf(await fixture.RunAsync(fixture.Chat(maxTokens: maxTokens) with { Whole = true })));
        Assert.Equal(inPieces, asked);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task An_upstream_that_says_nothing_in_time_is_left_and_may_have_cost()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("slow", _ => new MockPlan { First = Timeout.InfiniteTimeSpan }, spec => spec with { FirstByteTimeout = TimeSpan.FromMilliseconds(50) });
        await fixture.AddAsync("quick", _ => new MockPlan { Tokens = 2 }, spec => spec with { Rank = 1 });
        await fixture.RunAsync(fixture.Chat());
        UsageRecord record = await fixture.OnlyRecordAsync();
        UpstreamAttempt late = record.Upstream!.Attempts[0];
        Assert.Equal(AttemptEnd.TimedOut, late.End);
        Assert.True(late.Tokens.Input > 0);
        Assert.Equal(record.Cost, late.Cost! + record.Upstream.Attempts[1].Cost!);
        await fixture.AssertSoundAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_answer_that_is_cut_ends_with_an_error_and_costs_what_came_but_is_not_charged(bool aborts)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        // What comes in one piece with its failure has never begun, and is tried again.
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        MockPlan plan = new() { Tokens = 9, PerToken = TimeSpan.FromMilliseconds(1), FailsWhen = begun.Task };
        await fixture.AddAsync("a", _ => aborts ? plan with { CutAfter = 4 } : plan with { ErrorAfter = 4 });
        List<CallEvent> events = [];
        ApiException error = await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(), Cancel))
            {
                events.Add(happened);
                if (happened is Delta) begun.TrySetResult();
            }
        });
        Assert.Equal((502, "upstream_cut"), (error.Status, error.Code));
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
        UsageRecord record = await fixture.OnlyRecordAsync();
        int delivered = UpstreamFixture.TextOf(events).Split(' ', StringSplitOptions.RemoveEmptyEntries).Length;
        Assert.Equal((Outcome.Failed, (long)delivered, Money.Zero(Currency.Usd)), (record.Outcome, record.Tokens.Output, record.Charge!.Value));
        Assert.True(delivered is > 0 and <= 4);
        Assert.True(record.Cost > Money.Zero(Currency.Usd));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_clean_end_without_a_finish_reason_is_no_answer()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 2, ForgetsFinish = true, PerToken = TimeSpan.FromMilliseconds(1) });
        ApiException error = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat()));
        Assert.True(error.Status >= 500);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_client_that_leaves_closes_the_upstreams_connection_and_pays_for_what_came()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        MockEngine mock = await fixture.AddAsync("a", _ => new MockPlan { Tokens = 1_000_000, PerToken = TimeSpan.FromMilliseconds(1) });
        using CancellationTokenSource leaving = new();
        int received = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(maxTokens: null), leaving.Token))
            {
                if (happened is not Delta) continue;
                if (++received == 5) await leaving.CancelAsync();
            }
        });
        UsageRecord record = await fixture.OnlyRecordAsync();
        MockCount count = mock.Counts[record.Id.ToString()];
        while (count.Left == 0) await Task.Yield();
        Assert.Equal(Outcome.AbortedByClient, record.Outcome);
        Assert.True(record.Tokens.Output >= received && record.Tokens.Output <= count.Sent + 1, $"{received} received, {record.Tokens.Output} metered, {count.Sent} sent");
        Assert.Equal(AttemptEnd.Closed, record.Upstream!.Attempts[0].End);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task When_no_upstream_of_a_model_serves_another_model_stands_in_and_is_named()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        ModelName other = new("other");
        await fixture.AddAsync("a", _ => new MockPlan { Status = 500 });
        await fixture.AddAsync("b", _ => new MockPlan { Tokens = 2 }, model: other);
        await fixture.Directory_.SetRouteAsync(new UpstreamRoute(UpstreamFixture.Model, RoutePolicy.Weighted, [other]), "test", Cancel);
        List<CallEvent> events = await fixture.RunAsync(fixture.Chat());
        Assert.Equal(other, Assert.IsType<Admitted>(events[0]).ServedModel);
        Assert.Equal(UpstreamFixture.Model, (await fixture.OnlyRecordAsync()).Model);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task An_upstream_that_is_off_is_kept_and_asked_for_nothing()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        MockEngine off = await fixture.AddAsync("a", _ => new MockPlan(), spec => spec with { IsOff = true });
        MockEngine on = await fixture.AddAsync("b", _ => new MockPlan { Tokens = 2 }, spec => spec with { Rank = 1 });
        await fixture.RunAsync(fixture.Chat());
        Assert.Equal((0, 1), (off.Requests, on.Requests));
        UpstreamSpec kept = fixture.Directory_.Find("a")!.Spec;
        System.Text.Json.Nodes.JsonObject stored = UpstreamJson.Of(kept);
        Assert.True(UpstreamJson.Read(stored).IsOff);
        // As those were stored that could not be turned off yet.
        stored.Remove("enabled");
        Assert.False(UpstreamJson.Read(stored).IsOff);
        await fixture.Directory_.SaveAsync(kept with { IsOff = false }, null, "test", Cancel);
        await fixture.RunAsync(fixture.Chat());
        Assert.Equal((1, 1), (off.Requests, on.Requests));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_budget_ends_a_stream_and_is_not_exceeded_even_by_what_the_upstream_claims()
    {
        Money budget = Money.Parse("0.01", Currency.Usd);
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(budget);
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 100_000, PerToken = TimeSpan.FromTicks(1) });
        List<CallEvent> events = await fixture.RunAsync(fixture.Chat(maxTokens: null));
        Assert.Equal(AnswerEnd.Budget, Assert.Single(events.OfType<ChoiceFinished>()).Reason);
        UsageRecord cut = await fixture.OnlyRecordAsync();
        Assert.Equal(Outcome.CutByLimit, cut.Outcome);
        Assert.True(cut.Charge <= budget && cut.Tokens.Output > 400, $"{cut.Charge}, {cut.Tokens}");
        Assert.True(cut.Charge == budget || fixture.Limits.IsUsedUp(fixture.Caller.Key.Id, SpanKind.Month, budget) || fixture.Limits.IsUsedUp(fixture.Caller.Tenant.Id, SpanKind.Month, budget));

        Caller poor = await fixture.AddCallerAsync(budget);
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 3, Lies = 1_000_000 });
        UsageRecord lied = Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat(caller: poor)))[^1]).Record;
        Assert.True(lied.Charge <= budget);
        Assert.Equal(1_000_003, lied.Upstream!.Attempts[0].Tokens.Output);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_credit_of_one_cent_that_pays_for_exactly_N_requests_admits_exactly_N_of_200_at_once()
    {
        // 100 input and 20 output tokens at USD 10 and 20 a million: 0.0014 a request, 7 of them in a cent.
        // In one month, and however long they wait for each other.
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(Money.Parse("0.01", Currency.Usd), clock: new ManualClock());
        MockEngine mock = await fixture.AddAsync("a", _ => new MockPlan { Tokens = 20 });
        Outcome?[] outcomes = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(() => TryAsync(fixture, fixture.Tokens(100, 20)))));
        Assert.Equal(7, outcomes.Count(outcome => outcome == Outcome.Completed));
        Assert.Equal(193, outcomes.Count(outcome => outcome is null));
        Assert.Equal(7, mock.Requests);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task Five_at_once_whose_worst_case_exceeds_the_budget_but_whose_use_fits_are_all_served()
    {
        // Worst case 0.005 each, and 0.025 together; used 0.0012 each.
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(Money.Parse("0.01", Currency.Usd), clock: new ManualClock());
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 10 });
        Outcome?[] outcomes = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => Task.Run(() => TryAsync(fixture, fixture.Tokens(100, 200)))));
        Assert.All(outcomes, outcome => Assert.Equal(Outcome.Completed, outcome));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_call_is_told_to_be_admitted_before_a_slow_upstream_has_answered()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(options: new UpstreamOptions { AdmitAfter = TimeSpan.Zero });
        TaskCompletionSource mayAnswer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        MockEngine mock = await fixture.AddAsync("slow", _ => new MockPlan { Tokens = 4, FirstWhen = mayAnswer.Task });
        List<CallEvent> events = [];
        await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(), Cancel))
        {
            if (events.Count == 0) mayAnswer.SetResult();
            events.Add(happened);
        }
        // Who serves was not known yet.
        Assert.Equal((null, 1), (Assert.Single(events.OfType<Admitted>()).ServedModel, mock.Requests));
        Assert.IsType<Admitted>(events[0]);
        Assert.Equal((Outcome.Completed, 4L), ((await fixture.OnlyRecordAsync()).Outcome, (await fixture.OnlyRecordAsync()).Tokens.Output));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task Who_leaves_before_a_slow_upstream_has_answered_holds_nothing_and_is_never_charged_for_an_answer()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(options: new UpstreamOptions { AdmitAfter = TimeSpan.Zero });
        await fixture.AddAsync("slow", _ => new MockPlan { First = Timeout.InfiniteTimeSpan });
        using CancellationTokenSource leaving = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(), leaving.Token))
            {
                Assert.IsType<Admitted>(happened);
                await leaving.CancelAsync();
            }
        });
        foreach (UsageRecord record in await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel))
            Assert.Equal((Outcome.AbortedByClient, 0L), (record.Outcome, record.Tokens.Output));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task When_nobody_serves_a_call_that_was_admitted_early_it_fails_and_costs_nothing()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(options: new UpstreamOptions { AdmitAfter = TimeSpan.Zero });
        TaskCompletionSource mayAnswer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await fixture.AddAsync("broken", _ => new MockPlan { Status = 500, FirstWhen = mayAnswer.Task });
        ApiException error = await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (CallEvent happened in fixture.Pipeline.RunAsync(fixture.Chat(), Cancel))
            {
                Assert.IsType<Admitted>(happened);
                mayAnswer.SetResult();
            }
        });
        Assert.Equal(503, error.Status);
        Assert.Empty(await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel));
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task Pieces_may_be_gathered_so_that_one_commit_carries_several_and_none_is_lost()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(options: new UpstreamOptions { CheckpointTokens = 8, CheckpointInterval = TimeSpan.FromSeconds(5) });
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 20, PerToken = TimeSpan.FromMilliseconds(1) });
        List<CallEvent> events = await fixture.RunAsync(fixture.Chat());
        Assert.Equal(20, UpstreamFixture.TextOf(events).Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task Open_holds_of_a_dead_process_are_settled_with_what_was_bought()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        Hold hold = new(RequestId.New(TimeProvider.System), new Instant(1), new Party(fixture.Caller.Tenant.Id, fixture.Caller.Project.Id, fixture.Caller.Key.Id, null), UpstreamFixture.Model,
            UpstreamSpec.DeploymentOf("first"), Operation.Chat, fixture.Tariffs.Prices.Versions[0].Id, Money.Parse("1", Currency.Usd), UpstreamSpec.PoolOf("first"));
        TokenCounts tokens = new(10, 0, 0, 5, 0);
        UpstreamUse use = new([new UpstreamAttempt("first", AttemptEnd.Refused, default, UpstreamFixture.Asked), new UpstreamAttempt("second", AttemptEnd.Closed, tokens, UpstreamFixture.Asked)], UsageCheckState.Missing, tokens);
        await fixture.Store.AppendAsync(new Together([new HoldPlaced(hold), new StepsMetered([new UsageProgress(hold.Id, tokens, default, use)], [])]), Cancel);
        await Recovery.SettleOpenHoldsAsync(fixture.Store, fixture.Tariffs, new ContractLimits(), new PoolName("this-machine"), Instant.Now(TimeProvider.System), Cancel);
        UsageRecord record = await fixture.OnlyRecordAsync();
        Assert.Equal((Outcome.Recovered, new PoolName("upstream/second"), use, use.Cost), (record.Outcome, record.Pool, record.Upstream, record.Cost));
        await fixture.AssertSoundAsync();
    }

    private static async Task<Outcome?> TryAsync(UpstreamFixture fixture, Call call)
    {
        try
        {
            return Assert.IsType<Settled>((await fixture.RunAsync(call))[^1]).Record.Outcome;
        }
        catch (ApiException error)
        {
            Assert.Equal(402, error.Status);
            return null;
        }
    }
}
