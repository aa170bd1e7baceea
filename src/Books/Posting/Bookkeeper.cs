using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What one round of posting did.</summary>
public sealed record PostingSummary(int Transactions, long Records);

/// <summary>Keeps the journal up to date with the facts: posts settled usage, then each pool's cost and unused capacity.
/// One bookkeeper for a store, one call at a time; whoever meters goes on meanwhile. Safe to run again after any interruption.</summary>
public sealed class Bookkeeper(IBookStore store)
{
    /// <summary>Records of one round, and another being posted, are held in memory.</summary>
    public const int RecordsMax = 100_000;

    /// <summary>A round of so many ends with its hour.</summary>
    public const int RoundRecords = 20_000;

    private readonly Dictionary<PoolName, Instant> through = [];

    /// <summary>Posts everything that is due.</summary>
    /// <exception cref="StoreException">A posting could not be written; those before it are.</exception>
    public async Task<PostingSummary> PostAsync(CancellationToken cancel = default)
    {
        Instant closedThrough = (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).ClosedThrough;
        var (transactions, records) = await PostUsageAsync(closedThrough, cancel).ConfigureAwait(false);
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
        var (transactions, records) = await PostUsageAsync(closedThrough, cancel).ConfigureAwait(false);
        return new PostingSummary(transactions, records);
    }

    /// <summary>Posts a round while the next is read. Each round is a question of its own, so that the store never has to keep an old state for longer than one takes. Records are cut into rounds between
    /// two hours, so that a posting that was interrupted makes the same transactions when it is run again; only an hour with more records than may be held is cut in the middle.</summary>
    private async Task<(int Transactions, long Records)> PostUsageAsync(Instant closedThrough, CancellationToken cancel)
    {
        int transactions = 0;
        long records = 0;
        Task<int> posting = Task.FromResult(0);
        Instant? from = Period.All.From;
        try
        {
            while (from is { } start)
            {
                (List<UsageRecord> round, from) = await ReadRoundAsync(start, cancel).ConfigureAwait(false);
                records += round.Count;
                transactions += await posting.ConfigureAwait(false);
                posting = PostAsync(round, closedThrough, cancel);
                // The rest of an hour is told from what is posted of it only when that is posted.
                if (from is { } next && next.HourStart == round[^1].CompletedAt.HourStart) await posting.ConfigureAwait(false);
            }
        }
        finally
        {
            transactions += await posting.ConfigureAwait(false);
        }
        return (transactions, records);
    }

    /// <summary>Records to post together, and where the next ones begin; null: there are none.</summary>
    private async Task<(List<UsageRecord> Round, Instant? Next)> ReadRoundAsync(Instant from, CancellationToken cancel)
    {
        var round = new List<UsageRecord>();
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(new Period(from, Period.All.To), Posted: false), cancel).ConfigureAwait(false))
        {
            bool isNewHour = round.Count > 0 && record.CompletedAt.HourStart != round[^1].CompletedAt.HourStart;
            if (round.Count >= RecordsMax || round.Count >= RoundRecords && isNewHour) return (round, record.CompletedAt);
            round.Add(record);
        }
        return (round, null);
    }

    private Task<int> PostAsync(List<UsageRecord> round, Instant closedThrough, CancellationToken cancel) => round.Count == 0 ? Task.FromResult(0) : Task.Run(async () =>
    {
        ImmutableArray<TransactionPosted> postings = UsagePoster.Post(round, closedThrough);
        await Task.WhenAll(postings.Select(p => store.AppendAsync(p, cancel))).ConfigureAwait(false);
        return postings.Length;
    }, cancel);
}
