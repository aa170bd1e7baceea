using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What one round of posting did.</summary>
public sealed record PostingSummary(int Transactions, long Records);

/// <summary>Keeps the journal up to date with the facts: posts settled usage, then each pool's cost and unused capacity.
/// One bookkeeper for a store, one call at a time, called by the one who meters it and between its writes: what it reads must belong together; only <see cref="PostUsageAsync(CancellationToken)"/> may run beside them.
/// Safe to run again after any interruption.</summary>
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
            through[position.Pool] = position.Through;
            if (CapacityPoster.Post(position, closedThrough) is not { } posting) continue;
            await store.AppendAsync(posting, cancel).ConfigureAwait(false);
            transactions++;
        }
        return new PostingSummary(transactions, records);
    }

    /// <summary>Posts settled usage only. What is settled meanwhile is posted by the next call.</summary>
    /// <exception cref="StoreException">A posting could not be written; those before it are.</exception>
    public async Task<PostingSummary> PostUsageAsync(CancellationToken cancel = default)
    {
        Instant closedThrough = (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).ClosedThrough;
        var (transactions, records) = await PostUsageAsync(closedThrough, cancel).ConfigureAwait(false);
        return new PostingSummary(transactions, records);
    }

    /// <summary>Where each pool stands now, before anything is posted.</summary>
    public async Task<ImmutableArray<PoolPosition>> ReadPositionsAsync(CancellationToken cancel = default)
    {
        var book = new CostBook(await store.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        ImmutableArray<EntrySum> sums = await store.SumEntriesAsync(new SumQuery(Period.All, GroupBy.Pool), cancel).ConfigureAwait(false);
        var positions = ImmutableArray.CreateBuilder<PoolPosition>();
        foreach (PoolName pool in book.Pools)
        {
            Currency currency = book.Rates.First(r => r.Pool == pool).HourlyCost.Currency;
            Accrual accrual = await AccrueAsync(book, pool, PostedCost(sums, pool, currency), currency, cancel).ConfigureAwait(false);
            Money clearing = Balance(sums, Accounts.CapacityClearing, pool, currency);
            Money inProgress = await WorkInProgress.ReadAsync(store, book, pool, currency, accrual.Through, cancel).ConfigureAwait(false);
            positions.Add(new PoolPosition(pool, accrual.Since, accrual.Through, accrual.Amount, clearing, inProgress));
        }
        return positions.ToImmutable();
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

    /// <summary>Pool cost from where the last posting ended; or all of it less what is posted, when a rate was added since that takes effect before that point.</summary>
    private async Task<Accrual> AccrueAsync(CostBook book, PoolName pool, Money posted, Currency currency, CancellationToken cancel)
    {
        Instant last = await LastPostedAsync(pool, cancel).ConfigureAwait(false);
        // Time of a closed period that was posted when the period was already closed: the posting's date does not say how far it went.
        Instant closedThrough = (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).ClosedThrough;
        bool restated = last == closedThrough && closedThrough > new Instant(0) || book.Rates.Any(r => r.Pool == pool && r.EffectiveFrom < last && r.AddedAt >= last);
        Instant from = restated ? new Instant(0) : last;
        Money total = restated ? -posted : Money.Zero(currency);
        Instant end = last;
        await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, new Period(from, Period.All.To), cancel).ConfigureAwait(false))
        {
            Instant start = record.From > from ? record.From : from;
            if (record.To <= start) continue;
            if (record.To > end) end = record.To;
            if (record.State != CapacityState.Down) total += book.RunningCost(pool, start, record.To)!.Amount;
        }
        return new Accrual(last, end, total);
    }

    /// <summary>The instant of the pool's last capacity posting; the beginning of time when there is none.</summary>
    private async Task<Instant> LastPostedAsync(PoolName pool, CancellationToken cancel)
    {
        if (through.TryGetValue(pool, out Instant known)) return known;
        ImmutableArray<EntrySum> days = await store.SumEntriesAsync(new SumQuery(Period.All, GroupBy.Pool | GroupBy.Day), cancel).ConfigureAwait(false);
        var last = new Instant(0);
        Instant? day = days.Where(s => s.Key.Pool == pool && s.Account == Accounts.AccruedCapacity).Max(s => s.Key.Start);
        if (day is { } start)
        {
            await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(new Period(start, Period.All.To), Accounts.AccruedCapacity), cancel).ConfigureAwait(false))
                if (transaction.Entries.Any(e => e.Dimensions.Pool == pool) && transaction.At > last) last = transaction.At;
        }
        through[pool] = last;
        return last;
    }

    private static Money PostedCost(ImmutableArray<EntrySum> sums, PoolName pool, Currency currency) => -Balance(sums, Accounts.AccruedCapacity, pool, currency);

    private static Money Balance(ImmutableArray<EntrySum> sums, Account account, PoolName pool, Currency currency) =>
        sums.Where(s => s.Account == account && s.Key.Pool == pool && s.Amount.Currency == currency).Aggregate(Money.Zero(currency), (sum, s) => sum + s.Amount);

    private sealed record Accrual(Instant Since, Instant Through, Money Amount);
}
