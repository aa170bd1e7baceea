using Qanat.Books;
using Qanat.Books.Tests;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

/// <summary>Calls whose hold is not written in time are refused, and nothing of them stays: neither in the books nor in a budget.</summary>
public sealed class AbandonedHoldTests
{
    private static readonly Money s_budget = Money.Parse("0.002", Currency.Usd);
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_hold_whose_writing_takes_too_long_keeps_its_money_until_it_is_known_and_released(bool isWritten)
    {
        SlowStore? slow = null;
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(s_budget, clock: new ManualClock(), meter: new MeterOptions { HoldWriteMax = TimeSpan.Zero, RetryPause = TimeSpan.Zero }, before: store => slow = new SlowStore(store));
        await fixture.AddAsync("gpu-1", _ => new MockPlan { Tokens = 5 });
        // 60 tokens at 20 dollars a million: most of the budget.
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat(maxTokens: 60)));
        Assert.Equal((503, "books_unavailable"), (refused.Status, refused.Code));
        Money left = fixture.Limits.Available(fixture.Caller, Currency.Usd)!.Value;
        Assert.True(left < s_budget);

        slow!.Finish(isWritten);
        await slow.Released.WaitAsync(Cancel);
        while (fixture.Limits.Available(fixture.Caller, Currency.Usd) != s_budget) await Task.Yield();
        Assert.Equal(isWritten ? 2 : 0, slow.Releases);
        await fixture.AssertSoundAsync();
    }

    /// <summary>Nobody knows what becomes of the first hold until it is said. Its first release fails.</summary>
    private sealed class SlowStore(IBookStore inner) : ForwardingBookStore(inner)
    {
        private readonly TaskCompletionSource<bool> finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Released => released.Task;
        public int Releases { get; private set; }

        public void Finish(bool isWritten)
        {
            finished.SetResult(isWritten);
            if (!isWritten) released.SetResult();
        }

        public override async Task AppendAsync(Fact fact, CancellationToken cancel = default)
        {
            if (fact is HoldPlaced && !await finished.Task) throw new StoreException("lost");
            if (fact is HoldReleased && ++Releases == 1) throw new StoreException("not yet");
            await base.AppendAsync(fact, cancel);
            if (fact is HoldReleased) released.SetResult();
        }
    }
}
