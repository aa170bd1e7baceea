using System.Collections.Immutable;
using CsCheck;

namespace Qanat.Books.Tests;

public class ClosingTests
{
    private static readonly CancellationToken Cancel = CancellationToken.None;

    [Fact]
    public async Task Re_rating_there_and_back_restores_every_balance() => await Gen.Select(RandomMonth.Gen, PricingTests.AnyRates).SampleAsync(async (month, rates) =>
    {
        await using MemoryBookStore store = await RecordAsync(month);
        PriceVersion other = Sample.Price("other", Sample.Start.Plus(1), rates, new ModelName("nothing uses this"));
        await store.AppendAsync(new PriceAdded(other));
        Instant end = await EndAsync(store);
        await PeriodEnd.PostAsync(store, end);
        var before = await BalancesAsync(store);

        await DeclareAsync(store, $"rerate there from {FactValue.Text(Sample.Start)} to {FactValue.Text(end)} price {other.Id} reason test", 1);
        await PeriodEnd.PostAsync(store, Hours(end, 1));
        ReferenceTests.AssertSound(await BooksCheck.RunAsync(store));
        Money expected = Sample.Usd("0");
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All)))
            if (record.Charge is not null) expected += Rating.Charge(other, record.Rated);
        Money revenue = (await Statements.ProfitAndLossAsync(store, Period.All, GroupBy.None)).Totals.Aggregate(Sample.Usd("0"), (sum, t) => sum + t.Revenue);
        Assert.Equal(expected, revenue);

        await DeclareAsync(store, $"rerate back from {FactValue.Text(Sample.Start)} to {FactValue.Text(end)} price own reason test", 2);
        await PeriodEnd.PostAsync(store, Hours(end, 2));
        Assert.Equal(before, await BalancesAsync(store));
    }, iter: 15);

    [Fact]
    public async Task Closing_that_dies_anywhere_ends_as_if_it_had_not() => await Gen.Select(RandomMonth.Gen, Gen.Int[1, 7]).SampleAsync(async (month, patience) =>
    {
        await using MemoryBookStore calm = await RecordAsync(month), killed = await RecordAsync(month);
        foreach (MemoryBookStore store in new[] { calm, killed })
        {
            await DeclareAsync(store, $"bill rent pool {Sample.Pool} for rent amount 100 from 2026-11-01 to 2026-12-01", 1);
            await DeclareAsync(store, $"credit paid tenant {RandomMonth.Tenant(1).Tenant} amount 0.5 paid 2026-11-01 expires 2026-11-20 then charge", 2);
        }
        Instant end = await EndAsync(calm);
        await EndAsync(killed);
        ClosingResult result = await PeriodClosing.CloseAsync(calm, new Bookkeeper(calm), "month", end, end, "test");
        Assert.NotNull(result.Closed);

        ClosingResult? again = null;
        while (again is null)
        {
            var dying = new DyingStore(killed, patience++);
            try
            {
                again = await PeriodClosing.CloseAsync(dying, new Bookkeeper(dying), "month", end, end, "test");
            }
            catch (StoreException)
            {
                // Died: started again with a new bookkeeper.
            }
        }
        Assert.Equal(result.Closed, again.Closed);
        Assert.Equal(await BalancesAsync(calm), await BalancesAsync(killed));
        ReferenceTests.AssertSound(await BooksCheck.RunAsync(killed));
        Assert.Single(await killed.ReadAuditAsync(10));
    }, iter: 10);

    [Fact]
    public async Task A_late_record_of_a_closed_period_is_one_posting_and_the_period_stays_as_it_was() => await Gen.Select(RandomMonth.Gen, Gen.Long[0, 1_000_000], PricingTests.AnyTokens).SampleAsync(async (month, at, tokens) =>
    {
        await using MemoryBookStore store = await RecordAsync(month);
        Instant end = await EndAsync(store);
        var bookkeeper = new Bookkeeper(store);
        Assert.NotNull((await PeriodClosing.CloseAsync(store, bookkeeper, "month", end, end, "test")).Closed);
        TrialBalance closed = await Statements.TrialBalanceAsync(store, end);

        var prices = new PriceBook(await store.ReadPricesAsync());
        OutsideUsage late = Outside("late", Sample.Start.Plus(at), tokens);
        UsageRecord record = late.ToRecord(prices, Declarations.Empty, 0);
        Assert.Equal(IngestDecision.New, Ingest.Decide(null, late));
        await store.AppendAsync(new HoldSettled(record));
        await store.AppendAsync(new HoldSettled(record));
        await bookkeeper.PostAsync();
        await bookkeeper.PostAsync();

        Assert.Equal(closed.Accounts, (await Statements.TrialBalanceAsync(store, end)).Accounts);
        int postings = 0;
        await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(Period.All)))
            if (transaction.Template == Templates.LateUsageName) postings++;
        Assert.Equal(1, postings);
        Assert.Equal(IngestDecision.Same, Ingest.Decide(record, late));
        ReferenceTests.AssertSound(await BooksCheck.RunAsync(store));
    }, iter: 15);

    [Fact]
    public void The_same_id_is_the_same_fact_or_a_conflict()
    {
        OutsideUsage first = Outside("a", Sample.Start, new TokenCounts(10, 0, 0, 5, 0));
        UsageRecord record = first.ToRecord(PriceBook.Empty, Declarations.Empty, 0);
        Assert.Equal(IngestDecision.Same, Ingest.Decide(record, first with { }));
        Assert.Equal(IngestDecision.Conflict, Ingest.Decide(record, first with { Tokens = new TokenCounts(11, 0, 0, 5, 0) }));
        Assert.Equal(IngestDecision.Conflict, Ingest.Decide(record, first with { CompletedAt = first.CompletedAt.Plus(1) }));
        Assert.NotEqual(first.RequestId, (first with { Source = "farm/" + first.Source }).RequestId);
        Assert.NotEqual(first.RequestId, (first with { Source = first.Source + " a", Id = "" }).RequestId);
        Assert.Null(record.Charge);
    }

    [Fact]
    public async Task A_change_in_a_closed_period_is_found()
    {
        await using var store = new MemoryBookStore();
        Assert.NotNull((await PeriodClosing.CloseAsync(store, new Bookkeeper(store), "month", Hours(Sample.Start, 24), Sample.Start, "test", Cancel)).Closed);
        ReferenceTests.AssertSound(await BooksCheck.RunAsync(store, Cancel));
        var transaction = Templates.Adjustment(new TransactionId(Sample.Id("x")), Sample.Start, "forged", new Dimensions(Sample.Party().Tenant), Sample.Usd("1"), null);
        await store.AppendAsync(new TransactionPosted(transaction, []), Cancel);
        Assert.False((await BooksCheck.RunAsync(store, Cancel)).Identities.Single(i => i.Name == "closed periods are unchanged").IsOk);
        await Assert.ThrowsAsync<InvalidOperationException>(() => PeriodEnd.PostAsync(store, Hours(Sample.Start, 24), Cancel));
    }

    [Fact]
    public async Task A_balance_assertion_that_does_not_hold_is_found()
    {
        await using var store = new MemoryBookStore();
        await DeclareAsync(store, $"credit c tenant {Sample.Party().Tenant} amount 10 paid 2026-11-01 then charge", 1);
        await PeriodEnd.PostAsync(store, Sample.At("2026-12-01"), Cancel);
        await DeclareAsync(store, "assert bank account assets:cash at 2026-12-01 balance 10", 2);
        await DeclareAsync(store, "assert wrong account assets:cash at 2026-12-01 balance 9", 3);
        BooksReport report = await BooksCheck.RunAsync(store, Cancel);
        Assert.True(report.Identities.Single(i => i.Subject == "bank").IsOk);
        Assert.Equal("1 USD", report.Identities.Single(i => i.Subject == "wrong").DifferenceText);
    }

    private static OutsideUsage Outside(string id, Instant at, TokenCounts tokens) =>
        new("urn:farm", id, at, at.Plus(5), Sample.Party(), Sample.Model, new DeploymentName("farm/1"), new PoolName("farm"), Operation.Chat, Outcome.Completed, tokens);

    private static async Task<MemoryBookStore> RecordAsync(RandomMonth month)
    {
        var store = new MemoryBookStore();
        await month.RecordAsync(store);
        await new Bookkeeper(store).PostAsync();
        return store;
    }

    /// <summary>The first full hour after everything, up to which every pool's time is recorded as down.</summary>
    private static async Task<Instant> EndAsync(MemoryBookStore store)
    {
        var ends = new Dictionary<PoolName, Instant>();
        foreach (PoolName pool in RandomMonth.Pools)
            await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, Period.All)) ends[pool] = record.To;
        Instant end = Hours(ends.Values.DefaultIfEmpty(Sample.Start).Max().HourStart, 1);
        foreach (var (pool, last) in ends)
            await store.AppendAsync(new StepsMetered([], [new CapacityRecord(pool, last, end, CapacityState.Down, 0)]));
        return end;
    }

    private static Instant Hours(Instant at, int hours) => at.Plus(hours * Instant.NanosecondsPerHour);

    private static Task DeclareAsync(IBookStore store, string text, long at) => store.AppendAsync(new Declared(Declaration.Of(text, new Instant(at))));

    private static async Task<ImmutableArray<(Account, Money)>> BalancesAsync(IBookStore store) =>
        [.. (await Statements.TrialBalanceAsync(store, Period.All.To)).Accounts.Where(a => !a.Amount.IsZero).Select(a => (a.Account, a.Amount))];

    /// <summary>Dies at the append after so many.</summary>
    private sealed class DyingStore(IBookStore inner, int appends) : ForwardingBookStore(inner)
    {
        private int left = appends;

        public override Task AppendAsync(Fact fact, CancellationToken cancel = default) => Interlocked.Decrement(ref left) < 0 ? throw new StoreException("killed") : base.AppendAsync(fact, cancel);
    }
}
