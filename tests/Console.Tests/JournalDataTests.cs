using System.Collections.Immutable;
using System.Globalization;
using Qanat.Books;
using Qanat.Books.Tests;

namespace Qanat.Console.Tests;

public sealed class JournalDataTests : IAsyncDisposable
{
    private static readonly FixedClock Clock = new("2026-11-01T12:00:00Z");
    private static readonly Instant Start = Instant.Now(Clock);
    private static readonly TenantId Acme = TenantId.New(Clock);
    private static readonly TenantId Other = TenantId.New(Clock);
    private readonly MemoryBookStore store = new();

    public ValueTask DisposeAsync() => store.DisposeAsync();

    [Fact]
    public async Task The_entries_behind_a_figure_sum_to_it()
    {
        await PostAsync(0, Acme, "0.3", "0.1");
        await PostAsync(1, Other, "5", "1");
        await PostAsync(2, Acme, "0.04", "0.02");
        JournalPage page = await new JournalData(store).NewestAsync(new JournalFilter(Period.All, Accounts.Revenue, Acme), TestContext.Current.CancellationToken);
        Assert.Equal([Usd("-0.34")], page.Sums);
        Assert.Equal(2, page.EntryCount);
        Assert.All(page.Transactions.SelectMany(transaction => transaction.Entries), entry => Assert.Equal((Accounts.UsageRevenue, Acme), (entry.Account, entry.Dimensions.Tenant!.Value)));
    }

    [Fact]
    public async Task Pages_of_the_journal_meet_without_gap_or_overlap_even_where_many_share_an_instant()
    {
        for (int i = 0; i < 3 * JournalData.PageSize; i++) await PostAsync(i / 7, Acme, "1", "1", salt: i);
        List<TransactionId> seen = [];
        Instant to = Period.All.To;
        for (bool more = true; more;)
        {
            JournalPage page = await new JournalData(store).NewestAsync(new JournalFilter(new Period(Period.All.From, to)), TestContext.Current.CancellationToken);
            Assert.InRange(page.Transactions.Length, 1, JournalData.PageSize + 7);
            seen.AddRange(page.Transactions.Select(transaction => transaction.Id));
            to = page.Transactions[^1].At;
            more = page.HasOlder;
        }
        Assert.Equal(3 * JournalData.PageSize, seen.Count);
        Assert.Equal(seen.Count, seen.Distinct().Count());
    }

    [Fact]
    public async Task A_transaction_is_found_by_its_id_alone()
    {
        Transaction posted = await PostAsync(3, Acme, "1", "1");
        var journal = new JournalData(store);
        Assert.Equal(posted.Id, (await journal.FindAsync(posted.Id, TestContext.Current.CancellationToken))?.Id);
        Assert.Null(await journal.FindAsync(TransactionId.New(Clock), TestContext.Current.CancellationToken));
        Assert.Null(await journal.FindAsync(new TransactionId(Guid.AllBitsSet), TestContext.Current.CancellationToken));
    }

    private async Task<Transaction> PostAsync(int second, TenantId tenant, string charge, string cost, int salt = 0)
    {
        Instant at = new(Start.UnixNanoseconds + second * 1_000_000_000L);
        TransactionId id = TransactionId.OfContent(at, string.Create(CultureInfo.InvariantCulture, $"{tenant} {salt}"));
        Transaction transaction = Templates.Usage(id, at, "test", new Dimensions(tenant, Pool: new PoolName("pool")), Usd(charge), Usd(cost));
        await store.AppendAsync(new TransactionPosted(transaction, ImmutableArray<RequestId>.Empty));
        return transaction;
    }

    private static Money Usd(string text) => Money.Parse(text, Currency.Usd);
}
