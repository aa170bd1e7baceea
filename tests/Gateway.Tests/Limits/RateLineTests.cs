using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway.Tests;

/// <summary>What happens when a rate is used up and its level lets requests wait.</summary>
public sealed class RateLineTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly ManualClock clock = new();

    [Fact]
    public async Task A_request_waits_for_the_rate_and_is_admitted_the_moment_it_has_refilled()
    {
        using RateLimits limits = new(new RateOptions(), clock);
        Call call = CallOf(With(new RateTerms { RequestsPerMinute = 60, RequestsBurst = 1, WaitSeconds = 10 }));
        (await limits.EnterAsync(call, None)).Dispose();
        Task<RateLease> second = limits.EnterAsync(call, None), third = limits.EnterAsync(call, None);
        clock.Advance(TimeSpan.FromSeconds(1) - TimeSpan.FromTicks(1));
        Assert.False(second.IsCompleted);
        clock.Advance(TimeSpan.FromTicks(1));
        (await second).Dispose();
        Assert.False(third.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));
        (await third).Dispose();
    }

    [Fact]
    public async Task What_cannot_fit_within_the_wait_is_refused_at_once_with_the_time_after_which_it_would()
    {
        using RateLimits limits = new(new RateOptions(), clock);
        Call call = CallOf(With(new RateTerms { RequestsPerMinute = 6, RequestsBurst = 1, WaitSeconds = 15 }));
        (await limits.EnterAsync(call, None)).Dispose();
        Task<RateLease> waits = limits.EnterAsync(call, None);
        // 10 s until the one that waits is served, 20 until this one would be.
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None));
        Assert.Equal((429, "rate_limit_exceeded", TimeSpan.FromSeconds(20)), (refused.Status, refused.Code, refused.RetryAfter));
        clock.Advance(TimeSpan.FromSeconds(10));
        (await waits).Dispose();
    }

    [Fact]
    public async Task As_many_wait_as_the_level_says_and_the_next_is_told_when_to_come()
    {
        using RateLimits limits = new(new RateOptions { QueueMax = 50 }, clock);
        Call call = CallOf(With(new RateTerms { RequestsPerMinute = 60, RequestsBurst = 1, WaitSeconds = 60, WaitingMax = 2 }));
        (await limits.EnterAsync(call, None)).Dispose();
        Task<RateLease>[] waiting = [limits.EnterAsync(call, None), limits.EnterAsync(call, None)];
        Assert.Equal(TimeSpan.FromSeconds(3), (await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None))).RetryAfter);
        for (int second = 0; second < waiting.Length; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            (await waiting[second]).Dispose();
        }
    }

    [Fact]
    public async Task Who_leaves_the_line_takes_nothing_and_lets_the_next_forward()
    {
        using RateLimits limits = new(new RateOptions(), clock);
        Caller caller = With(new RateTerms { TokensPerMinute = 60, WaitSeconds = 300 });
        (await limits.EnterAsync(CallOf(caller, tokens: 60), None)).Dispose();
        using CancellationTokenSource leaves = new();
        Task<RateLease> large = limits.EnterAsync(CallOf(caller, tokens: 60), leaves.Token), small = limits.EnterAsync(CallOf(caller, tokens: 5), None);
        clock.Advance(TimeSpan.FromSeconds(30));
        // There is enough for the small one, but the large one came first.
        Assert.False(small.IsCompleted);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => large);
        (await small).Dispose();
        Assert.Equal(25, limits.State(CallOf(caller)).TokensLeft);
    }

    [Fact]
    public async Task A_large_request_is_not_kept_out_by_small_ones_that_come_later()
    {
        using RateLimits limits = new(new RateOptions(), clock);
        Caller caller = With(new RateTerms { TokensPerMinute = 60, WaitSeconds = 300 });
        (await limits.EnterAsync(CallOf(caller, tokens: 60), None)).Dispose();
        Task<RateLease> large = limits.EnterAsync(CallOf(caller, tokens: 60), None);
        List<Task<RateLease>> small = [];
        for (int second = 0; second < 60; second++)
        {
            Assert.False(large.IsCompleted);
            small.Add(limits.EnterAsync(CallOf(caller, tokens: 1), None));
            clock.Advance(TimeSpan.FromSeconds(1));
        }
        (await large).Dispose();
        Assert.All(small, each => Assert.False(each.IsCompleted));
        clock.Advance(TimeSpan.FromMinutes(1));
        foreach (RateLease lease in await Task.WhenAll(small)) lease.Dispose();
    }

    [Fact]
    public async Task Keys_take_turns_whoever_sent_more()
    {
        using RateLimits limits = new(new RateOptions(), clock);
        Caller first = With(new RateTerms { RequestsPerMinute = 60, RequestsBurst = 1, WaitSeconds = 60 });
        Caller second = first with { Key = first.Key with { Id = KeyId.New(TimeProvider.System) } };
        (await limits.EnterAsync(CallOf(first), None)).Dispose();
        Dictionary<string, Task<RateLease>> waiting = [];
        foreach (int number in (int[])[1, 2, 3]) waiting[$"many {number}"] = limits.EnterAsync(CallOf(first), None);
        waiting["few 1"] = limits.EnterAsync(CallOf(second), None);
        List<string> order = [];
        while (waiting.Count > 0)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(waiting.Values);
            KeyValuePair<string, Task<RateLease>> next = Assert.Single(waiting, each => each.Value.IsCompleted);
            order.Add(next.Key);
            waiting.Remove(next.Key);
            (await next.Value).Dispose();
        }
        Assert.Equal(["many 1", "few 1", "many 2", "many 3"], order);
    }

    [Fact]
    public async Task Who_waits_elsewhere_stands_in_nobodys_way()
    {
        using RateLimits limits = new(new RateOptions(), clock);
        Caller caller = Tenant(new TenantTerms { Rates = new RateTerms { RequestsPerMinute = 600 }, EachUser = new PartTerms { RequestsPerMinute = 1, WaitSeconds = 90 } });
        (await limits.EnterAsync(CallOf(caller, user: "ann"), None)).Dispose();
        Task<RateLease> waits = limits.EnterAsync(CallOf(caller, user: "ann"), None);
        (await limits.EnterAsync(CallOf(caller, user: "bob"), None)).Dispose();
        Assert.False(waits.IsCompleted);
        clock.Advance(TimeSpan.FromMinutes(1));
        (await waits).Dispose();
    }

    [Fact]
    public async Task Who_waited_as_long_as_the_level_lets_it_is_refused_with_when_to_come_again()
    {
        using RateLimits limits = new(new RateOptions(), clock);
        Caller caller = With(new RateTerms { TokensPerMinute = 60, WaitSeconds = 60 });
        RateLease first = await limits.EnterAsync(CallOf(caller, tokens: 30), None);
        Task<RateLease> waits = limits.EnterAsync(CallOf(caller, tokens: 60), None);
        // The first used more than it had asked for.
        first.Calls[0].Settle(90);
        first.Dispose();
        clock.Advance(TimeSpan.FromSeconds(60));
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => waits);
        Assert.Equal((429, "rate_limit_exceeded", TimeSpan.FromSeconds(30)), (refused.Status, refused.Code, refused.RetryAfter));
    }

    [Fact]
    public async Task A_level_may_refuse_at_once_what_the_server_lets_wait_and_the_other_way_round()
    {
        using RateLimits limits = new(new RateOptions { RateWaitMax = TimeSpan.FromSeconds(60) }, clock);
        Call patient = CallOf(With(new RateTerms { RequestsPerMinute = 1 })), hasty = CallOf(With(new RateTerms { RequestsPerMinute = 1, Concurrent = 1, WaitSeconds = 0 }));
        (await limits.EnterAsync(patient, None)).Dispose();
        Task<RateLease> waits = limits.EnterAsync(patient, None);
        RateLease runs = await limits.EnterAsync(hasty, None);
        Assert.Equal("rate_limit_exceeded", (await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(hasty, None))).Code);
        clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("too_many_concurrent_requests", (await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(hasty, None))).Code);
        runs.Dispose();
        (await waits).Dispose();
    }

    [Fact]
    public async Task However_many_wait_and_leave_each_is_admitted_once_or_refused_and_the_rate_is_never_exceeded()
    {
        const int seed = 20261126, waitSeconds = 20;
        Random random = new(seed);
        using RateLimits limits = new(new RateOptions { QueueMax = 20 }, clock);
        Caller tenant = With(new RateTerms { RequestsPerMinute = 30, RequestsBurst = 3, TokensPerMinute = 600, Concurrent = 4, WaitSeconds = waitSeconds });
        Caller[] keys = [.. Enumerable.Range(0, 3).Select(_ => tenant with { Key = tenant.Key with { Id = KeyId.New(TimeProvider.System) } })];
        List<Entering> open = [];
        TimeSpan elapsed = TimeSpan.Zero;
        int admitted = 0, sent = 0;
        for (int step = 0; step < 600; step++)
        {
            if (random.Next(3) == 0)
            {
                CancellationTokenSource leaves = new();
                open.Add(new Entering(limits.EnterAsync(CallOf(keys[random.Next(3)], tokens: random.Next(1, 60)), leaves.Token), leaves, elapsed));
                sent++;
            }
            if (open.Count > 0 && random.Next(10) == 0) await open[random.Next(open.Count)].Leaves.CancelAsync();
            await DecidedAsync();
            TimeSpan pause = TimeSpan.FromMilliseconds(random.Next(1_000));
            clock.Advance(pause);
            elapsed += pause;
            await DecidedAsync();
            foreach (Entering each in open.Where(each => each.Task.IsCompleted && random.Next(3) == 0).ToArray())
            {
                if (await EndAsync(each.Task)) admitted++;
                open.Remove(each);
            }
            await DecidedAsync();
        }
        foreach (Entering each in open)
        {
            await each.Leaves.CancelAsync();
            if (await EndAsync(each.Task)) admitted++;
            await DecidedAsync();
        }
        Assert.True(admitted > 50 && admitted < sent && admitted <= 3 + elapsed.TotalSeconds / 2, $"seed {seed}: {admitted} of {sent} admitted in {elapsed}");
        // All that was taken has come back, and every place is free.
        clock.Advance(TimeSpan.FromMinutes(2));
        RateState state = limits.State(CallOf(tenant));
        Assert.Equal((3L, 600L), (state.RequestsLeft, state.TokensLeft));
        for (int place = 0; place < 3; place++) await limits.EnterAsync(CallOf(tenant), None);

        // Who has left, has waited as long as it may or is in line no more knows how it ended: else a pool that is late would keep places, and others out.
        async Task DecidedAsync()
        {
            foreach (Entering each in open.Where(each => each.Leaves.IsCancellationRequested || elapsed - each.Since >= TimeSpan.FromSeconds(waitSeconds))) await Task.WhenAny(each.Task);
            while (open.Count(each => !each.Task.IsCompleted) > limits.WaitingCount) await Task.Yield();
        }
    }

    private sealed record Entering(Task<RateLease> Task, CancellationTokenSource Leaves, TimeSpan Since);

    private static async Task<bool> EndAsync(Task<RateLease> entering)
    {
        try
        {
            (await entering).Dispose();
            return true;
        }
        catch (Exception error) when (error is ApiException or OperationCanceledException)
        {
            return false;
        }
    }

    private static Caller With(RateTerms rates) => Tenant(new TenantTerms { Rates = rates });

    private static Caller Tenant(TenantTerms terms)
    {
        Caller caller = Callers.With();
        return caller with { Tenant = caller.Tenant with { Settings = terms.ToSettings() } };
    }

    private static Call CallOf(Caller caller, int tokens = 1, string? user = null) =>
        new(caller, Operation.Chat, new ModelName("m"), [.. Enumerable.Range(0, tokens)], 1, null, new SamplingOptions(), [], -1, IgnoreStopTokens: false, user);
}
