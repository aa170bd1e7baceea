using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Posts what is due at the end of a period from what was declared. Every posting brings an account to where it must be, so that this may be run again at any time.</summary>
public static class PeriodEnd
{
    /// <summary>Posts everything due up to an instant, dated just before it: at the end of a month, in that month. What is dated later already does not count, so that months may be posted in any order.
    /// Pool time that is posted only later is cut off there and taken back at the instant itself.</summary>
    /// <exception cref="InvalidOperationException">The period is closed.</exception>
    /// <exception cref="StoreException">A posting could not be written; those before it are.</exception>
    public static async Task<int> PostAsync(IBookStore store, Instant through, CancellationToken cancel = default)
    {
        IBookSnapshot books = await store.SnapshotAsync(cancel).ConfigureAwait(false);
        await using (books.ConfigureAwait(false))
            return await PostAsync(store, books, through, cancel).ConfigureAwait(false);
    }

    /// <param name="books">What is due follows from these; nobody else may have posted since.</param>
    internal static async Task<int> PostAsync(IBookStore store, IBookReader books, Instant through, CancellationToken cancel)
    {
        Declarations declared = await Declarations.ReadAsync(books, cancel).ConfigureAwait(false);
        if (through <= declared.ClosedThrough) throw new InvalidOperationException($"Everything before {declared.ClosedThrough} is closed: post through a later instant, and what has changed is adjusted there.");
        var costs = new CostBook(await books.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        ImmutableArray<Due> cutOff = await CostDues.CutOffAsync(books, costs, through, cancel).ConfigureAwait(false);
        ImmutableArray<Due> dues = await DuesAsync(books, through, cancel).ConfigureAwait(false);
        var last = new Instant(through.UnixNanoseconds - 1);
        int count = await PostAsync(store, dues, new Period(Period.All.From, through), last, cancel).ConfigureAwait(false);
        count += await PostAsync(store, cutOff, new Period(Period.All.From, through), last, cancel).ConfigureAwait(false);
        return count + await PostAsync(store, cutOff.Select(d => d with { Memo = d.Memo + ", taken back", Balance = Money.Zero(d.Balance.Currency) }), Period.All, through, cancel).ConfigureAwait(false);
    }

    /// <summary>Everything due at an instant, posted or not.</summary>
    public static async Task<ImmutableArray<Due>> DuesAsync(IBookReader store, Instant at, CancellationToken cancel = default)
    {
        Declarations declared = await Declarations.ReadAsync(store, cancel).ConfigureAwait(false);
        var prices = new PriceBook(await store.ReadPricesAsync(cancel).ConfigureAwait(false));
        var costs = new CostBook(await store.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        return
        [
            .. await ContractDues.ReadAsync(store, declared, prices, at, cancel).ConfigureAwait(false),
            .. await Rerating.DuesAsync(store, declared, prices, at, cancel).ConfigureAwait(false),
            .. await CostDues.ReadAsync(store, declared, costs, at, cancel).ConfigureAwait(false),
            .. await TrainingCosts.DuesAsync(store, declared, at, cancel).ConfigureAwait(false),
            .. InvoiceRegister.Dues(declared, at),
            .. declared.Exchanges.Where(e => e.At < at).SelectMany(e => e.Dues()),
            .. await Consolidation.DuesAsync(store, declared, at, cancel).ConfigureAwait(false),
        ];
    }

    /// <param name="posted">Which postings count as made.</param>
    private static async Task<int> PostAsync(IBookStore store, IEnumerable<Due> dues, Period posted, Instant at, CancellationToken cancel)
    {
        ImmutableArray<EntrySum> sums = await store.SumEntriesAsync(new SumQuery(posted, GroupBy.Tenant | GroupBy.Model | GroupBy.Pool), cancel).ConfigureAwait(false);
        ImmutableArray<TransactionPosted> postings = Due.Post(dues, sums, at);
        foreach (TransactionPosted posting in postings)
            await store.AppendAsync(posting, cancel).ConfigureAwait(false);
        return postings.Length;
    }
}
