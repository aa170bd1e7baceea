using Npgsql;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>The database server goes away in the middle of whatever is being committed, and comes back: what was acknowledged is there, nothing is there twice, and what was refused can be sent again.</summary>
public sealed class PostgresFaultTests
{
    private const int Callers = 8;
    private const int RequestsEach = 40;
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
        int done = 0, refused = 0;
        Task[] callers = [.. Enumerable.Range(1, Callers).Select(caller => Task.Run(() => Requests(new TestBooks(seed: caller)), Cancel))];
        foreach (int after in (int[])[60, 200])
        {
            while (Volatile.Read(ref done) < after) await Task.Yield();
            server.Stop();
            int before = Volatile.Read(ref refused);
            // Someone must have met the absence, so that this tests what it says.
            while (Volatile.Read(ref refused) == before) await Task.Yield();
            server.Start();
        }
        await Task.WhenAll(callers);
        Assert.Equal(Callers * RequestsEach, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
        Assert.Empty(await store.ReadOpenHoldsAsync(Cancel));
        Assert.Empty(await store.VerifyAsync(Cancel));

        async Task Requests(TestBooks facts)
        {
            for (int request = 0; request < RequestsEach; request++)
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
                    Interlocked.Increment(ref refused);
                }
            }
        }
    }
}
