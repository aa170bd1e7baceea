using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway.Tests;

public sealed class RateLevelsTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Users_who_are_named_anew_with_every_request_are_forgotten_and_nobody_else_is()
    {
        RateLimits limits = new(new RateOptions { LevelsMax = 100 }, new ManualClock());
        Caller caller = CallerOf(new TenantTerms { Rates = new RateTerms { RequestsPerMinute = 1_000_000 }, EachUser = new PartTerms { RequestsPerMinute = 10, Concurrent = 2 } });
        using RateLease running = await limits.EnterAsync(CallOf(caller, "who waits"), None);
        using RateLease another = await limits.EnterAsync(CallOf(caller, "who waits"), None);
        Task<RateLease> waits = limits.EnterAsync(CallOf(caller, "who waits"), None);
        Assert.False(waits.IsCompleted);
        for (int number = 0; number < 1000; number++)
        {
            (await limits.EnterAsync(CallOf(caller, $"user {number}"), None)).Dispose();
            Assert.InRange(limits.LevelsCount, 1, 100);
        }
        // All of the tenant's requests still count as they did, and so does who is here.
        Assert.Equal(1_000_000 - 1002, limits.State(CallOf(caller, null)).RequestsLeft);
        Assert.Equal(8, limits.State(CallOf(caller, "who waits")).RequestsLeft);
        running.Dispose();
        (await waits).Dispose();
    }

    private static Caller CallerOf(TenantTerms terms)
    {
        Caller caller = Callers.With();
        return caller with { Tenant = caller.Tenant with { Settings = terms.ToSettings() } };
    }

    private static Call CallOf(Caller caller, string? user) =>
        new(caller, Operation.Chat, new ModelName("m"), [1, 2], 1, null, new SamplingOptions(), [], -1, IgnoreStopTokens: false, user);
}
