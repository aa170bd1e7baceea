using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Books.Tests;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

/// <summary>Posting for those who look at figures that may be a little behind.</summary>
public sealed class GlanceTests
{
    private static readonly TimeSpan s_age = TimeSpan.FromSeconds(10);
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_looks_finds_what_was_settled_and_within_the_time_nothing_is_posted_again()
    {
        await using UpstreamFixture fixture = await StartAsync();
        WatchedStore store = new(fixture.Store);
        ManualClock clock = new();
        using BooksPoster poster = Poster(store, clock);
        await fixture.RunAsync(fixture.Chat());
        await poster.PostUnlessWithinAsync(s_age, Cancel);
        Assert.Empty(await UnpostedAsync(fixture));
        int postings = store.Postings;
        Assert.True(postings > 0);

        await fixture.RunAsync(fixture.Chat());
        clock.Advance(s_age - TimeSpan.FromMilliseconds(1));
        await poster.PostUnlessWithinAsync(s_age, Cancel);
        Assert.Equal((postings, 1), (store.Postings, (await UnpostedAsync(fixture)).Length));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        await poster.PostUnlessWithinAsync(s_age, Cancel);
        Assert.Empty(await UnpostedAsync(fixture));
    }

    [Fact]
    public async Task While_one_posts_others_read_at_once_and_if_it_leaves_the_posting_is_done_for_all()
    {
        await using UpstreamFixture fixture = await StartAsync();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        WatchedStore store = new(fixture.Store) { Gate = gate.Task };
        using BooksPoster poster = Poster(store, new ManualClock());
        await fixture.RunAsync(fixture.Chat());
        using CancellationTokenSource leaving = new();
        Task first = poster.PostUnlessWithinAsync(s_age, leaving.Token);
        await store.Entered.WaitAsync(Cancel);
        Assert.True(poster.PostUnlessWithinAsync(TimeSpan.Zero, Cancel).IsCompletedSuccessfully);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Assert.False(store.MayBeCut);
        gate.SetResult();
        // In turn: after what was begun.
        Assert.Equal(0, (await poster.PostNowAsync(Cancel)).Records);
        Assert.Empty(await UnpostedAsync(fixture));
    }

    [Fact]
    public async Task A_store_that_cannot_be_written_is_not_asked_again_by_everybody_who_looks_and_what_waits_is_posted_later()
    {
        await using UpstreamFixture fixture = await StartAsync();
        WatchedStore store = new(fixture.Store) { Failure = new StoreException("The disk is full.") };
        ManualClock clock = new();
        using BooksPoster poster = Poster(store, clock);
        await fixture.RunAsync(fixture.Chat());
        for (int viewer = 0; viewer < 3; viewer++) await poster.PostUnlessWithinAsync(s_age, Cancel);
        Assert.Equal((1, 1), (store.Tries, (await UnpostedAsync(fixture)).Length));
        store.Failure = null;
        clock.Advance(s_age);
        await poster.PostUnlessWithinAsync(s_age, Cancel);
        Assert.Empty(await UnpostedAsync(fixture));
    }

    [Fact]
    public async Task Who_has_left_already_posts_nothing_and_takes_nobodys_turn()
    {
        await using UpstreamFixture fixture = await StartAsync();
        WatchedStore store = new(fixture.Store);
        using BooksPoster poster = Poster(store, new ManualClock());
        await fixture.RunAsync(fixture.Chat());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => poster.PostUnlessWithinAsync(s_age, new CancellationToken(canceled: true)));
        Assert.Equal(0, store.Tries);
        await poster.PostUnlessWithinAsync(s_age, Cancel);
        Assert.Empty(await UnpostedAsync(fixture));
    }

    private static async Task<UpstreamFixture> StartAsync()
    {
        UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan { Tokens = 2 });
        return fixture;
    }

    private static BooksPoster Poster(IBookStore store, TimeProvider clock) => new(store, new LiveMeter(clock), clock, NullLogger<BooksPoster>.Instance);

    private static async Task<UsageRecord[]> UnpostedAsync(UpstreamFixture fixture) => [.. await fixture.Store.ReadUsageAsync(new UsageQuery(Period.All, Posted: false), Cancel)];

    /// <summary>Counts postings, and holds them up or refuses them.</summary>
    private sealed class WatchedStore(IBookStore inner) : ForwardingBookStore(inner)
    {
        private readonly TaskCompletionSource entered = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Gate { get; init; } = Task.CompletedTask;
        public StoreException? Failure { get; set; }
        public Task Entered => entered.Task;
        public int Tries { get; private set; }
        public int Postings { get; private set; }
        public bool MayBeCut { get; private set; }

        public override async Task AppendAsync(Fact fact, CancellationToken cancel = default)
        {
            if (fact is TransactionPosted)
            {
                Tries++;
                entered.TrySetResult();
                MayBeCut |= cancel.CanBeCanceled;
                await Gate;
                if (Failure is { } failure) throw failure;
                Postings++;
            }
            await base.AppendAsync(fact, cancel);
        }
    }
}
