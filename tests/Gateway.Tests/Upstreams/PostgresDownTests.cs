using Qanat.Books;
using Qanat.MockUpstream;
using Qanat.Store;
using Qanat.Store.Tests;

namespace Qanat.Gateway.Tests;

/// <summary>The database server of the books is stopped and started while calls are served: each call is served and billed, or refused, and nothing is served unbilled.</summary>
public sealed class PostgresDownTests
{
    private const int Callers = 6;
    private const int CallsEach = 15;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_under_way_when_the_books_go_away_are_served_and_billed_or_refused()
    {
        PostgresServer.SkipUnlessInstalled();
        using PostgresServer server = new(durable: true);
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(connection: server.ConnectionString, meter: new MeterOptions { HoldWriteMax = TimeSpan.FromMilliseconds(200), RetryPauseMax = TimeSpan.FromMilliseconds(200) });
        MockEngine mock = await fixture.AddAsync("gpu-1", _ => new MockPlan { Tokens = 8 });
        int served = 0;
        SemaphoreSlim servedNow = new(0);
        TaskCompletionSource? away = null;
        Task[] callers = [.. Enumerable.Range(0, Callers).Select(_ => Task.Run(CallAsync, Cancel))];
        foreach (int calls in (int[])[Callers * CallsEach / 5, Callers * CallsEach / 3, Callers * CallsEach / 5])
        {
            for (int call = 0; call < calls; call++) await servedNow.WaitAsync(Cancel);
            Volatile.Write(ref away, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            server.Stop();
            // Those under way wait for their books; whoever comes now is refused.
            Assert.Equal(503, (await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat()))).Status);
            server.Start();
            Interlocked.Exchange(ref away, null)!.SetResult();
        }
        await Task.WhenAll(callers);

        Assert.Equal(Callers * CallsEach, served);
        UsageRecord[] records = await fixture.Store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel);
        // The upstream keeps its own count by request id: whatever it sent is in the books, as often and as much.
        Assert.Equal(mock.Counts.Where(count => count.Value.Sent > 0).Select(count => (count.Key, (long)count.Value.Sent)).Order(), records.Select(record => (record.Id.ToString(), record.Tokens.Output)).Order());
        Assert.All(records, record => Assert.NotNull(record.Charge));
        // Calls that were refused while nobody knew whether their hold was stored: it is released as soon as that is known.
        while (!(await fixture.Store.ReadOpenHoldsAsync(Cancel)).IsEmpty) await Task.Yield();
        await fixture.AssertSoundAsync();

        async Task CallAsync()
        {
            int call = 0;
            try
            {
                while (call < CallsEach)
                {
                    try
                    {
                        Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat()))[^1]);
                        Interlocked.Increment(ref served);
                        servedNow.Release();
                        call++;
                    }
                    catch (ApiException refusal) when (refusal.Status == 503)
                    {
                        if (Volatile.Read(ref away) is { } absence) await absence.Task;
                        else await Task.Yield();
                    }
                }
            }
            finally
            {
                // Nobody waits for calls that will not come: why they do not is told at the end.
                if (call < CallsEach) servedNow.Release(Callers * CallsEach);
            }
        }
    }
}
