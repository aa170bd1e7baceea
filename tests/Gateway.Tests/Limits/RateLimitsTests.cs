using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway.Tests;

public sealed class RateLimitsTests
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly ManualClock clock = new();

    [Fact]
    public async Task A_request_beyond_the_rate_is_told_exactly_when_to_come_again()
    {
        RateLimits limits = new(new RateOptions(), clock);
        Call call = CallOf(Tenant(new RateTerms { RequestsPerMinute = 2 }));
        for (int sent = 0; sent < 2; sent++) (await limits.EnterAsync(call, None)).Dispose();
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None));
        Assert.Equal((429, "rate_limit_exceeded", TimeSpan.FromSeconds(30)), (refused.Status, refused.Code, refused.RetryAfter));
        clock.Advance(TimeSpan.FromSeconds(30) - TimeSpan.FromTicks(1));
        await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None));
        clock.Advance(TimeSpan.FromTicks(1));
        (await limits.EnterAsync(call, None)).Dispose();
    }

    [Fact]
    public async Task No_more_come_at_once_than_the_burst_and_the_rate_goes_on_behind_it()
    {
        RateLimits limits = new(new RateOptions(), clock);
        Call call = CallOf(Tenant(new RateTerms { RequestsPerMinute = 60, RequestsBurst = 3 }));
        for (int sent = 0; sent < 3; sent++) (await limits.EnterAsync(call, None)).Dispose();
        Assert.Equal(TimeSpan.FromSeconds(1), (await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None))).RetryAfter);
        // After a long pause there are three again, not sixty.
        clock.Advance(TimeSpan.FromMinutes(10));
        for (int sent = 0; sent < 3; sent++) (await limits.EnterAsync(call, None)).Dispose();
        await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None));
        clock.Advance(TimeSpan.FromSeconds(1));
        (await limits.EnterAsync(call, None)).Dispose();
    }

    [Fact]
    public async Task Tokens_are_taken_for_the_worst_case_and_corrected_when_the_answer_is_known()
    {
        RateLimits limits = new(new RateOptions(), clock);
        Call call = CallOf(Tenant(new RateTerms { TokensPerMinute = 100 }), maxTokens: 70);
        RateLease lease = await limits.EnterAsync(call, None);
        Assert.Equal(20, limits.State(call).TokensLeft);
        await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None));
        TakenTokens taken = Assert.Single(lease.Calls);
        lease.Dispose();
        Assert.Equal(20, limits.State(call).TokensLeft);
        taken.Settle(15);
        taken.Settle(70);
        lease.Dispose();
        Assert.Equal(85, limits.State(call).TokensLeft);
    }

    [Fact]
    public async Task A_full_level_makes_others_wait_in_order_of_arrival_up_to_a_bound()
    {
        RateLimits limits = new(new RateOptions { QueueMax = 2 }, clock);
        Call call = CallOf(Tenant(new RateTerms { Concurrent = 1 }));
        RateLease first = await limits.EnterAsync(call, None);
        Task<RateLease> second = limits.EnterAsync(call, None);
        Task<RateLease> third = limits.EnterAsync(call, None);
        ApiException full = await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(call, None));
        Assert.Equal((429, "too_many_concurrent_requests"), (full.Status, full.Code));
        first.Dispose();
        RateLease admitted = await second;
        Assert.False(third.IsCompleted);
        admitted.Dispose();
        (await third).Dispose();
    }

    [Fact]
    public async Task Who_waited_as_long_as_allowed_or_left_takes_no_place()
    {
        RateLimits limits = new(new RateOptions { QueueWaitMax = TimeSpan.FromSeconds(5) }, clock);
        Call call = CallOf(Tenant(new RateTerms { Concurrent = 1 }));
        RateLease first = await limits.EnterAsync(call, None);
        Task<RateLease> late = limits.EnterAsync(call, None);
        using CancellationTokenSource leaves = new();
        Task<RateLease> left = limits.EnterAsync(call, leaves.Token);
        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(429, (await Assert.ThrowsAsync<ApiException>(() => late)).Status);
        first.Dispose();
        (await limits.EnterAsync(call, None)).Dispose();
    }

    [Fact]
    public async Task Users_and_models_are_counted_apart()
    {
        RateLimits limits = new(new RateOptions(), clock);
        PartTerms one = new() { RequestsPerMinute = 1 };
        Caller caller = Tenant(new TenantTerms { EachUser = one, Models = ImmutableDictionary<string, PartTerms>.Empty.Add("Big", one) });
        (await limits.EnterAsync(CallOf(caller, user: "ann"), None)).Dispose();
        (await limits.EnterAsync(CallOf(caller, user: "bob"), None)).Dispose();
        await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(CallOf(caller, user: "ann"), None));
        (await limits.EnterAsync(CallOf(caller, model: "big"), None)).Dispose();
        await Assert.ThrowsAsync<ApiException>(() => limits.EnterAsync(CallOf(caller, model: "big"), None));
        (await limits.EnterAsync(CallOf(caller), None)).Dispose();
    }

    [Fact]
    public async Task Two_hundred_callers_at_once_get_exactly_what_the_limit_gives()
    {
        RateLimits limits = new(new RateOptions(), clock);
        Call call = CallOf(Tenant(new RateTerms { RequestsPerMinute = 37 }));
        bool[] admitted = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(async () =>
        {
            try
            {
                (await limits.EnterAsync(call, None)).Dispose();
                return true;
            }
            catch (ApiException)
            {
                return false;
            }
        })));
        Assert.Equal(37, admitted.Count(each => each));
    }

    [Theory]
    [InlineData(0, "0ms")]
    [InlineData(119.2, "120ms")]
    [InlineData(1500, "1.5s")]
    [InlineData(360_000, "6m0s")]
    public void Resets_are_written_as_OpenAI_writes_them(double milliseconds, string text) => Assert.Equal(text, ToldRates.Duration(TimeSpan.FromMilliseconds(milliseconds)));

    private static Caller Tenant(RateTerms rates) => Tenant(new TenantTerms { Rates = rates });

    private static Caller Tenant(TenantTerms terms)
    {
        Caller caller = Callers.With();
        return caller with { Tenant = caller.Tenant with { Settings = terms.ToSettings() } };
    }

    private static Call CallOf(Caller caller, int? maxTokens = null, string? user = null, string model = "m") =>
        new(caller, Operation.Chat, new ModelName(model), [.. Enumerable.Range(0, 10)], 1, maxTokens, new SamplingOptions(), [], -1, IgnoreStopTokens: false, user);
}
