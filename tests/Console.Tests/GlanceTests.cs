using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Books.Tests;
using Qanat.Gateway;

namespace Qanat.Console.Tests;

/// <summary>The figures of the first page.</summary>
public sealed class GlanceTests : IAsyncDisposable
{
    private readonly FixedClock clock = new("2026-11-01T12:00:00Z");
    private readonly MemoryBookStore store = new();
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => store.DisposeAsync();

    [Fact]
    public async Task The_overview_shows_what_was_settled_a_moment_ago()
    {
        using BooksPoster poster = Poster(store);
        ConsoleData data = await DataAsync(store, poster);
        Assert.Empty((await data.GlanceAsync(Period.All, Cancel)).Totals);
        await SettleAsync("0.25");
        clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(Usd("0.25"), Assert.Single((await data.GlanceAsync(Period.All, Cancel)).Totals).Revenue);
    }

    [Fact]
    public async Task A_store_that_cannot_be_written_is_still_shown_as_its_journal_stands()
    {
        await SettleAsync("0.25");
        await new Bookkeeper(store).PostAsync(Cancel);
        await SettleAsync("1");
        using BooksPoster poster = Poster(new FullStore(store));
        ConsoleData data = await DataAsync(store, poster);
        Assert.Equal(Usd("0.25"), Assert.Single((await data.GlanceAsync(Period.All, Cancel)).Totals).Revenue);
    }

    private BooksPoster Poster(IBookStore books) => new(books, new LiveMeter(clock), clock, NullLogger<BooksPoster>.Instance);

    private async Task<ConsoleData> DataAsync(IBookStore books, BooksPoster poster) =>
        new(books, await DirectoryState.LoadAsync(books, clock, Cancel), await TariffState.LoadAsync(books, Cancel), poster, clock);

    private async Task SettleAsync(string charge)
    {
        Instant now = Instant.Now(clock);
        Party party = new(TenantId.New(clock), ProjectId.New(clock), KeyId.New(clock), null);
        Hold hold = new(RequestId.New(clock), now, party, new ModelName("model"), new DeploymentName("here"), Operation.Chat, null, Usd("2"), new PoolName("pool"));
        await store.AppendAsync(new HoldPlaced(hold), Cancel);
        await store.AppendAsync(new HoldSettled(new UsageRecord(hold.Id, now, now, now, party, hold.Model, hold.Deployment, new PoolName("pool"), Operation.Chat, Outcome.Completed, new TokenCounts(10, 0, 0, 5, 0),
            new DeviceTime(1, 1), null, Usd(charge), null, Usd("0.1"))), Cancel);
    }

    private static Money Usd(string text) => Money.Parse(text, Currency.Usd);

    /// <summary>Takes no posting.</summary>
    private sealed class FullStore(IBookStore inner) : ForwardingBookStore(inner)
    {
        public override Task AppendAsync(Fact fact, CancellationToken cancel = default) =>
            fact is TransactionPosted ? throw new StoreException("The disk is full.") : base.AppendAsync(fact, cancel);
    }
}
