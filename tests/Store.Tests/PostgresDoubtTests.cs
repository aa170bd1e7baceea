using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>The connection to the server breaks at each message of a commit: whatever the caller is told is true, and he is told it as soon as it can be known.</summary>
public sealed class PostgresDoubtTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task What_a_caller_is_told_is_true_wherever_the_connection_breaks(bool answerIsLost, bool serverIsAway)
    {
        using CutWay way = new(PostgresServer.Shared.NewSchema());
        await using PostgresBookStore store = await OpenAsync(way);
        TestBooks facts = await FilledAsync(store);
        HashSet<bool> inDoubt = [], stored = [];
        for (int message = 1; ; message++)
        {
            Hold hold = facts.NewHold();
            way.CutAt(message, answerIsLost, serverIsAway);
            Task placing = store.AppendAsync(new HoldPlaced(hold), Cancel);
            await Task.WhenAny(way.WhenCut, placing);
            bool isInDoubt = false;
            if (serverIsAway && way.HasCut)
            {
                // It goes into a later commit: when it has its answer, the first one has it too, unless that is in doubt.
                await Assert.ThrowsAsync<StoreException>(() => store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel));
                isInDoubt = !placing.IsCompleted;
                way.Open();
            }
            bool isAccepted = await IsAcceptedAsync(placing), wasCut = way.HasCut;
            way.Open();
            Assert.Equal(isAccepted, (await store.ReadOpenHoldsAsync(Cancel)).Any(open => open.Hold.Id == hold.Id));
            if (!wasCut) break;
            inDoubt.Add(isInDoubt);
            stored.Add(isAccepted);
            // Sent again it is there once, whether it was there or not.
            await store.AppendAsync(new HoldPlaced(hold), Cancel);
            await store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel);
        }
        // The last message is the commit: the server has it or not.
        Assert.Equal(answerIsLost, stored.Contains(true));
        Assert.Contains(false, stored);
        Assert.Equal(serverIsAway, inDoubt.Contains(true));
        Assert.Empty(await store.VerifyAsync(Cancel));
    }

    [Fact]
    public async Task Who_waits_for_a_commit_in_doubt_is_answered_when_the_store_is_closed_before()
    {
        using CutWay way = new(PostgresServer.Shared.NewSchema());
        PostgresBookStore store = await OpenAsync(way);
        TestBooks facts = await FilledAsync(store);
        Task placing;
        for (int message = 1; ; message++)
        {
            way.CutAt(message, answerIsLost: true, away: true);
            placing = store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel);
            await Task.WhenAny(way.WhenCut, placing);
            Assert.True(way.HasCut, "No commit was ever in doubt.");
            Task after = store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel);
            await Assert.ThrowsAsync<StoreException>(() => after);
            if (!placing.IsCompleted) break;
            way.Open();
            // Connected again, so that the next hold takes the same messages.
            await store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel);
        }
        await store.DisposeAsync();
        StoreException unknown = await Assert.ThrowsAsync<StoreException>(() => placing);
        Assert.Contains("opened again", unknown.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StoreClosedException>(() => store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel));
    }

    [Fact]
    public async Task A_connection_that_breaks_while_it_is_made_again_leaves_no_session_that_keeps_the_books()
    {
        using CutWay way = new(PostgresServer.Shared.NewSchema());
        await using PostgresBookStore store = await OpenAsync(way);
        TestBooks facts = await FilledAsync(store);
        int cut = 0;
        for (int message = 1; ; message++)
        {
            way.CutAt(1, answerIsLost: false, away: false);
            await Assert.ThrowsAsync<StoreException>(() => store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel));
            way.CutAt(message, answerIsLost: false, away: false);
            Hold hold = facts.NewHold();
            bool isAccepted = await IsAcceptedAsync(store.AppendAsync(new HoldPlaced(hold), Cancel)), wasCut = way.HasCut;
            way.Open();
            await store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel);
            Assert.Equal(isAccepted, (await store.ReadOpenHoldsAsync(Cancel)).Any(open => open.Hold.Id == hold.Id));
            if (!wasCut) break;
            cut++;
        }
        Assert.NotEqual(0, cut);
        Assert.Empty(await store.VerifyAsync(Cancel));
    }

    private static Task<PostgresBookStore> OpenAsync(CutWay way) =>
        PostgresBookStore.OpenAsync(way.ConnectionString, TimeProvider.System, StoreOptions.Default with { ReconnectMax = TimeSpan.FromMilliseconds(200) });

    private static async Task<TestBooks> FilledAsync(PostgresBookStore store)
    {
        TestBooks facts = new();
        foreach (Fact fact in facts.Directory) await store.AppendAsync(fact, Cancel);
        // So that names are known: every later hold takes the same messages.
        await store.AppendAsync(new HoldPlaced(facts.NewHold()), Cancel);
        return facts;
    }

    private static async Task<bool> IsAcceptedAsync(Task appending)
    {
        try
        {
            await appending;
            return true;
        }
        catch (StoreException)
        {
            return false;
        }
    }
}
