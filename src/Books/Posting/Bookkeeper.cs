using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What one round of posting did.</summary>
public sealed record PostingSummary(int Transactions, long Records);

/// <summary>Keeps the journal up to date with the facts: posts settled usage, then each pool's cost and unused capacity.
/// One bookkeeper for a store, one call at a time; whoever meters goes on meanwhile. Safe to run again after any interruption.</summary>
public sealed class Bookkeeper(IBookStore store)
{
    /// <summary>Of the records of one round, and of another being posted, ids and sums are held in memory.</summary>
    public const int RecordsMax = 100_000;

    /// <summary>A round of so many ends with its hour.</summary>
    public const int RoundRecords = 20_000;

    /// <summary>Records of postings that are on their way to the store at the same time, while others are served by it.</summary>
    private const int RecordsBesideMax = UsagePoster.RecordsMax;

    /// <summary>Records that are read between two rests: about what the store reads in one go.</summary>
    private const int ReadRecordsPart = 256;

    /// <summary>With more in one round posting has fallen behind, and does not rest.</summary>
    private const int RestingRecordsMax = 2 * RoundRecords;

    /// <summary>A posting takes as long as so many records besides, however few it has.</summary>
    private const int RecordsPerPosting = 16;

    private readonly Dictionary<PoolName, Instant> through = [];

    /// <summary>Posts everything that is due.</summary>
    /// <exception cref="StoreException">A posting could not be written; those before it are.</exception>
    public Task<PostingSummary> PostAsync(CancellationToken cancel = default) => PostAsync(Pace.Full, cancel);

    /// <summary>The same, a few postings at a time: whoever is served meanwhile finds the store busy with those only, and free between them.</summary>
    public Task<PostingSummary> PostBesideOthersAsync(CancellationToken cancel = default) => PostAsync(new Pace(RecordsBesideMax, null), cancel);

    /// <summary>The same where nobody waits for it: one part of the work after the other, and a rest between any two.</summary>
    /// <param name="rest">Called after each part that is read or posted, never twice at the same time; the next begins when it completes.</param>
    public Task<PostingSummary> PostAtLeisureAsync(Func<Task> rest, CancellationToken cancel = default) => PostAsync(new Pace(RecordsBesideMax, rest), cancel);

    private async Task<PostingSummary> PostAsync(Pace pace, CancellationToken cancel)
    {
        Instant closedThrough = (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).ClosedThrough;
        var (transactions, records) = await PostUsageAsync(closedThrough, pace, cancel).ConfigureAwait(false);
        foreach (PoolPosition position in await ReadPositionsAsync(cancel).ConfigureAwait(false))
        {
            if (CapacityPoster.Post(position, closedThrough) is { } posting)
            {
                await store.AppendAsync(posting, cancel).ConfigureAwait(false);
                transactions++;
            }
            through[position.Pool] = position.Through;
        }
        return new PostingSummary(transactions, records);
    }

    private async Task<ImmutableArray<PoolPosition>> ReadPositionsAsync(CancellationToken cancel)
    {
        IBookSnapshot books = await store.SnapshotAsync(cancel).ConfigureAwait(false);
        await using (books.ConfigureAwait(false))
            return await PoolPositions.ReadAsync(books, through, cancel).ConfigureAwait(false);
    }

    /// <summary>Posts settled usage only. What is settled meanwhile is posted by the next call.</summary>
    /// <exception cref="StoreException">A posting could not be written; those before it are.</exception>
    public async Task<PostingSummary> PostUsageAsync(CancellationToken cancel = default)
    {
        Instant closedThrough = (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).ClosedThrough;
        var (transactions, records) = await PostUsageAsync(closedThrough, Pace.Full, cancel).ConfigureAwait(false);
        return new PostingSummary(transactions, records);
    }

    /// <summary>Posts a round while the next is read. Each round is a question of its own, so that the store never has to keep an old state for longer than one takes. Records are cut into rounds between
    /// two hours, so that a posting that was interrupted makes the same transactions when it is run again; only an hour with more records than may be held is cut in the middle.</summary>
    private async Task<(int Transactions, long Records)> PostUsageAsync(Instant closedThrough, Pace pace, CancellationToken cancel)
    {
        int transactions = 0;
        long records = 0;
        Task<int> posting = Task.FromResult(0);
        Instant? from = Period.All.From;
        try
        {
            while (from is { } start)
            {
                Round round = await ReadRoundAsync(start, closedThrough, pace, cancel).ConfigureAwait(false);
                from = round.Next;
                records += round.Records;
                transactions += await posting.ConfigureAwait(false);
                posting = PostAsync(round, pace, cancel);
                // The rest of an hour is told from what is posted of it only when that is posted. Who rests does one thing at a time.
                if (pace.Rest is not null || from is { } next && next.HourStart == round.Last.HourStart) await posting.ConfigureAwait(false);
            }
        }
        finally
        {
            transactions += await posting.ConfigureAwait(false);
        }
        return (transactions, records);
    }

    /// <summary>Reads records to post together. They are summed up as they come: to hold them all would give the collector as much to move as everything that is being served.</summary>
    private async Task<Round> ReadRoundAsync(Instant from, Instant closedThrough, Pace pace, CancellationToken cancel)
    {
        var poster = new UsagePoster(closedThrough);
        int count = 0;
        Instant last = default;
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(new Period(from, Period.All.To), Posted: false), cancel).ConfigureAwait(false))
        {
            bool isNewHour = count > 0 && record.CompletedAt.HourStart != last.HourStart;
            if (count >= RecordsMax || count >= RoundRecords && isNewHour) return new Round(poster.Finish(), count, last, record.CompletedAt);
            poster.Add(record);
            (count, last) = (count + 1, record.CompletedAt);
            if (count % ReadRecordsPart == 0) await pace.RestAsync(count).ConfigureAwait(false);
        }
        return new Round(poster.Finish(), count, last, null);
    }

    private Task<int> PostAsync(Round round, Pace pace, CancellationToken cancel) => round.Postings.IsEmpty ? Task.FromResult(0) : Task.Run(async () =>
    {
        ImmutableArray<TransactionPosted> postings = round.Postings;
        for (int begin = 0; begin < postings.Length;)
        {
            int end = EndOfTurn(postings, begin, pace.RecordsAtOnceMax);
            await Task.WhenAll(postings[begin..end].Select(p => store.AppendAsync(p, cancel))).ConfigureAwait(false);
            begin = end;
            await pace.RestAsync(round.Records).ConfigureAwait(false);
        }
        return postings.Length;
    }, cancel);

    /// <summary>Where the postings end that go to the store together: at least one.</summary>
    private static int EndOfTurn(ImmutableArray<TransactionPosted> postings, int begin, int recordsMax)
    {
        int end = begin;
        long records = 0;
        while (end < postings.Length)
        {
            records += postings[end].Records.Length + RecordsPerPosting;
            if (end > begin && records > recordsMax) break;
            end++;
        }
        return end;
    }

    /// <summary>How fast to post.</summary>
    /// <param name="RecordsAtOnceMax">Records of postings that go to the store together.</param> <param name="Rest">Null: without a rest.</param>
    private sealed record Pace(int RecordsAtOnceMax, Func<Task>? Rest)
    {
        public static readonly Pace Full = new(int.MaxValue, null);

        public Task RestAsync(int roundRecords) => Rest is null || roundRecords > RestingRecordsMax ? Task.CompletedTask : Rest();
    }

    /// <summary>Records that are posted together.</summary>
    /// <param name="Last">When the last of them was completed.</param> <param name="Next">When the next one after them was; null: there is none.</param>
    private sealed record Round(ImmutableArray<TransactionPosted> Postings, int Records, Instant Last, Instant? Next);
}
