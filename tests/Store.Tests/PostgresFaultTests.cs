using Npgsql;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>The database server goes away in the middle of whatever is being committed, and comes back: what was acknowledged is there, nothing is there twice, and what was refused can be sent again.</summary>
public sealed class PostgresFaultTests
{
    private const int Callers = 8;
    private const int RequestsBetween = 100;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void A_server_of_tests_that_were_killed_ends_and_leaves_no_files()
    {
        PostgresServer.SkipUnlessInstalled();
        PostgresServer server = new(durable: false);
        server.Execute("SELECT 1");
        server.Abandon();
        Assert.False(Directory.Exists(server.Folder));
        Assert.ThrowsAny<NpgsqlException>(() => server.Execute("SELECT 1"));
    }

    [Fact]
    public async Task Requests_under_way_when_the_server_stops_and_starts_are_each_billed_once()
    {
        PostgresServer.SkipUnlessInstalled();
        using PostgresServer server = new(durable: true);
        TestBooks shared = new();
        await using PostgresBookStore store = await PostgresBookStore.OpenAsync(server.ConnectionString, TimeProvider.System);
        foreach (Fact fact in shared.Directory) await store.AppendAsync(fact, Cancel);
        int done = 0;
        bool isOver = false;
        Task[] callers = [.. Enumerable.Range(1, Callers).Select(caller => Task.Run(() => Requests(new TestBooks(seed: caller)), Cancel))];
        // The callers go on until both absences are over, however fast they are.
        await UntilDone(RequestsBetween);
        for (int absence = 1; absence <= 2; absence++)
        {
            server.Stop();
            // The callers may all wait for a commit in doubt, and then none is refused before the server is back; whoever comes now is.
            await Assert.ThrowsAsync<StoreException>(() => store.AppendAsync(new HoldPlaced(shared.NewHold()), Cancel));
            server.Start();
            await UntilDone(Volatile.Read(ref done) + RequestsBetween);
        }
        Volatile.Write(ref isOver, true);
        await Task.WhenAll(callers);
        Assert.Equal(done, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
        Assert.Empty(await store.ReadOpenHoldsAsync(Cancel));
        Assert.Empty(await store.VerifyAsync(Cancel));

        async Task UntilDone(int count)
        {
            // Callers end before their time only by a failure, which is then told below.
            while (Volatile.Read(ref done) < count && !Array.Exists(callers, caller => caller.IsCompleted)) await Task.Yield();
        }

        async Task Requests(TestBooks facts)
        {
            while (!Volatile.Read(ref isOver))
            {
                Hold hold = facts.NewHold(key: shared.Key) with { Price = shared.Price.Id };
                await UntilAccepted(new HoldPlaced(hold));
                await UntilAccepted(new HoldSettled(facts.RecordOf(hold) with { PoolRate = shared.Rate.Id }));
                Interlocked.Increment(ref done);
            }
        }

        async Task UntilAccepted(Fact fact)
        {
            while (true)
            {
                try
                {
                    await store.AppendAsync(fact, Cancel);
                    return;
                }
                catch (StoreException)
                {
                    await Task.Yield();
                }
            }
        }
    }
}
