using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Books.Tests;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    [Fact]
    public async Task A_snapshot_answers_as_of_its_beginning_whatever_is_written_meanwhile()
    {
        Hold open = Facts.NewHold();
        await Append([new HoldPlaced(open), .. Enumerable.Range(0, 600).Select(_ => new HoldSettled(Facts.NewRecord()))]);
        string before = await Everything(Store), after;
        await using (IBookSnapshot snapshot = await Store.SnapshotAsync(Cancel))
        {
            await Append(new HoldSettled(Facts.RecordOf(open)), new TenantSaved(Facts.NewTenant("Late")));
            int read = 0;
            await foreach (UsageRecord record in snapshot.StreamUsageAsync(new UsageQuery(Period.All), Cancel))
            {
                if (read++ % 200 != 0) continue;
                await Append(new HoldSettled(Facts.NewRecord()));
                Assert.Equal(record, Assert.Single(await snapshot.ReadUsageAsync(new UsageQuery(Period.All, Id: record.Id), Cancel)));
            }
            Assert.Equal(600, read);
            Assert.Equal(before, await Everything(snapshot));
            Assert.Empty(await snapshot.VerifyAsync(Cancel));
            after = await Everything(Store);
            Assert.NotEqual(before, after);
        }
        Assert.Equal(after, await Everything(Store));
    }

    [Fact]
    public async Task A_snapshot_streams_one_thing_at_a_time_and_answers_no_more_after_its_end()
    {
        await Append(new HoldSettled(Facts.NewRecord()));
        IBookSnapshot snapshot = await Store.SnapshotAsync(Cancel);
        await foreach (UsageRecord _ in snapshot.StreamUsageAsync(new UsageQuery(Period.All), Cancel))
            await Assert.ThrowsAsync<InvalidOperationException>(async () => await snapshot.StreamJournalAsync(new JournalQuery(Period.All), Cancel).ToArrayAsync(Cancel));
        Assert.Single(await snapshot.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel));
        await snapshot.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => snapshot.ReadPricesAsync(Cancel));
    }

    [Fact]
    public async Task A_check_and_a_close_hold_while_facts_are_written_between_any_two_of_their_questions()
    {
        MonthBooks month = new();
        await Append(month.Before());
        Queue<Fact> hours = new(month.HourByHour(recordsPerHour: 5));
        while (hours.Count > MonthBooks.Hours / 2) await Append(hours.Dequeue());
        int written = 0;
        TestBooks outside = new(seed: 7);
        Instant noon = TestBooks.At(12 * 3_600);
        InterruptedStore store = new(Store, async () =>
        {
            // Usage from outside, of no pool that is metered here, also comes late.
            written++;
            await Append(new HoldSettled(outside.NewRecord(new Instant(noon.UnixNanoseconds + written), Facts.Key) with { Pool = new PoolName("elsewhere"), PoolRate = null, Cost = null, Charge = null, Price = null, Device = default }));
            if (written % 10 == 0 && hours.TryDequeue(out Fact? hour)) await Append(hour);
        });
        Bookkeeper bookkeeper = new(store);
        await bookkeeper.PostAsync(Cancel);
        int beforeCheck = written;
        await using (IBookSnapshot snapshot = await store.SnapshotAsync(Cancel)) AssertSound(await BooksCheck.RunAsync(snapshot, Cancel));
        Assert.True(written > beforeCheck);

        int beforeClose = written;
        Instant end = TestBooks.At(24 * 3_600);
        ClosingResult closing = await PeriodClosing.CloseAsync(store, bookkeeper, "day", end, end, "test", Cancel);
        Assert.True(closing.Closed is not null, string.Join('\n', closing.Problems));
        Assert.True(written > beforeClose + 10);

        await Append(hours);
        await new Bookkeeper(Store).PostAsync(Cancel);
        AssertSound(await BooksCheck.RunAsync(Store, Cancel));
        Assert.Equal(written, (await Store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Pool), Cancel)).Where(sum => sum.Key.Pool == new PoolName("elsewhere")).Sum(sum => sum.Requests));
    }

    private static void AssertSound(BooksReport report) => Assert.True(report.IsOk, string.Join('\n', report.Identities.Where(identity => !identity.IsOk)));

    /// <summary>Its snapshots let somebody write before each question and each posting they show.</summary>
    private sealed class InterruptedStore(IBookStore inner, Func<Task> between) : ForwardingBookStore(inner)
    {
        public override async Task<IBookSnapshot> SnapshotAsync(CancellationToken cancel = default) => new Interrupted(await Inner.SnapshotAsync(cancel), between);
    }

    private sealed class Interrupted(IBookSnapshot snapshot, Func<Task> between) : ForwardingBookReader(snapshot), IBookSnapshot, IBookReader
    {
        private readonly IBookSnapshot _snapshot = snapshot;

        public override async Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default)
        {
            await between();
            return await base.ReadOpenHoldsAsync(cancel);
        }

        public override async Task<ImmutableArray<UsageSum>> SumUsageAsync(SumQuery query, CancellationToken cancel = default)
        {
            await between();
            return await base.SumUsageAsync(query, cancel);
        }

        public override async Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default)
        {
            await between();
            return await base.SumEntriesAsync(query, cancel);
        }

        async IAsyncEnumerable<Posting> IBookReader.StreamPostingsAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
        {
            await foreach (Posting posting in _snapshot.StreamPostingsAsync(cancel))
            {
                await between();
                yield return posting;
            }
        }

        public ValueTask DisposeAsync() => _snapshot.DisposeAsync();
    }
}
