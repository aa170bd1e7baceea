using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Finds out where each pool stands.</summary>
internal static class PoolPositions
{
    /// <summary>Each pool with a rate.</summary>
    /// <param name="books">All of one commit.</param> <param name="through">Up to where pools are known to be posted; what has to be looked up is added.</param>
    public static async Task<ImmutableArray<PoolPosition>> ReadAsync(IBookReader books, Dictionary<PoolName, Instant> through, CancellationToken cancel = default)
    {
        var book = new CostBook(await books.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        ImmutableArray<EntrySum> sums = await books.SumEntriesAsync(new SumQuery(Period.All, GroupBy.Pool), cancel).ConfigureAwait(false);
        var positions = ImmutableArray.CreateBuilder<PoolPosition>();
        foreach (PoolName pool in book.Pools)
        {
            Currency currency = book.Rates.First(r => r.Pool == pool).HourlyCost.Currency;
            Accrual accrual = await AccrueAsync(books, through, book, pool, PostedCost(sums, pool, currency), currency, cancel).ConfigureAwait(false);
            Money clearing = Balance(sums, Accounts.CapacityClearing, pool, currency);
            Money inProgress = await WorkInProgress.ReadAsync(books, book, pool, currency, accrual.Through, cancel).ConfigureAwait(false);
            positions.Add(new PoolPosition(pool, accrual.Since, accrual.Through, accrual.Amount, clearing, inProgress));
        }
        return positions.ToImmutable();
    }

    /// <summary>Pool cost from where the last posting ended; or all of it less what is posted, when a rate was added since that takes effect before that point.</summary>
    private static async Task<Accrual> AccrueAsync(IBookReader books, Dictionary<PoolName, Instant> through, CostBook book, PoolName pool, Money posted, Currency currency, CancellationToken cancel)
    {
        Instant last = await LastPostedAsync(books, through, pool, cancel).ConfigureAwait(false);
        // Time of a closed period that was posted when the period was already closed: the posting's date does not say how far it went.
        Instant closedThrough = (await Declarations.ReadAsync(books, cancel).ConfigureAwait(false)).ClosedThrough;
        bool restated = last == closedThrough && closedThrough > new Instant(0) || book.Rates.Any(r => r.Pool == pool && r.EffectiveFrom < last && r.AddedAt >= last);
        Instant from = restated ? new Instant(0) : last;
        Money total = restated ? -posted : Money.Zero(currency);
        Instant end = last;
        await foreach (CapacityRecord record in books.StreamCapacityAsync(pool, new Period(from, Period.All.To), cancel).ConfigureAwait(false))
        {
            Instant start = record.From > from ? record.From : from;
            if (record.To <= start) continue;
            if (record.To > end) end = record.To;
            if (record.State != CapacityState.Down) total += book.RunningCost(pool, start, record.To)!.Amount;
        }
        return new Accrual(last, end, total);
    }

    /// <summary>The instant of the pool's last capacity posting; the beginning of time when there is none.</summary>
    private static async Task<Instant> LastPostedAsync(IBookReader books, Dictionary<PoolName, Instant> through, PoolName pool, CancellationToken cancel)
    {
        if (through.TryGetValue(pool, out Instant known)) return known;
        ImmutableArray<EntrySum> days = await books.SumEntriesAsync(new SumQuery(Period.All, GroupBy.Pool | GroupBy.Day), cancel).ConfigureAwait(false);
        var last = new Instant(0);
        Instant? day = days.Where(s => s.Key.Pool == pool && s.Account == Accounts.AccruedCapacity).Max(s => s.Key.Start);
        if (day is { } start)
        {
            await foreach (Transaction transaction in books.StreamJournalAsync(new JournalQuery(new Period(start, Period.All.To), Accounts.AccruedCapacity), cancel).ConfigureAwait(false))
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
