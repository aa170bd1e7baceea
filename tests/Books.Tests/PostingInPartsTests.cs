using System.Collections.Immutable;

namespace Qanat.Books.Tests;

/// <summary>Very many records of one kind, and postings while others use the store.</summary>
public sealed class PostingInPartsTests
{
    private const int Records = 2 * UsagePoster.RecordsMax + 200;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Very_many_records_of_one_kind_become_transactions_of_bounded_size_with_the_same_sum()
    {
        UsageRecord[] records = [.. Enumerable.Range(0, Records).Select(Record)];
        ImmutableArray<TransactionPosted> postings = UsagePoster.Post(records);
        Assert.Equal([200, UsagePoster.RecordsMax, UsagePoster.RecordsMax], postings.Select(p => p.Records.Length).Order());
        Assert.Equal(records.Select(r => r.Id.Value).Order(), postings.SelectMany(p => p.Records).Select(id => id.Value).Order());
        Assert.Equal(Sample.Usd("0.001") * Records, postings.SelectMany(p => p.Transaction.Entries).Where(e => e.Account == Accounts.Receivables).Aggregate(Money.Zero(Currency.Usd), (sum, e) => sum + e.Amount));
    }

    [Fact]
    public void When_any_of_the_parts_are_posted_the_rest_is_cut_as_before()
    {
        UsageRecord[] records = [.. Enumerable.Range(0, Records).Select(Record)];
        ImmutableArray<TransactionPosted> all = UsagePoster.Post(records);
        for (int done = 1; done < 1 << all.Length; done++)
        {
            TransactionPosted[] posted = [.. all.Where((_, index) => (done >> index & 1) == 1)];
            HashSet<RequestId> gone = [.. posted.SelectMany(p => p.Records)];
            // In another order, too.
            ImmutableArray<TransactionPosted> rest = UsagePoster.Post(records.Reverse().Where(r => !gone.Contains(r.Id)));
            Assert.Equal(all.Except(posted).Select(p => p.Transaction.Id), rest.Select(p => p.Transaction.Id));
        }
    }

    [Fact]
    public async Task Beside_others_a_few_postings_at_a_time_are_on_their_way_and_in_the_end_all_are_there()
    {
        await using var memory = new MemoryBookStore();
        await memory.AppendAsync(new PriceAdded(Sample.Price("list", Sample.Start, Sample.Rates("input 1 output 1"))), Cancel);
        await using var store = new CountingStore(memory);
        for (int index = 0; index < Records; index++) await memory.AppendAsync(new HoldSettled(Record(index)), Cancel);
        // Kinds of a single record: their postings are counted, too.
        for (int index = 0; index < 100; index++) await memory.AppendAsync(new HoldSettled(Record(Records + index) with { Model = new ModelName($"m{index}") }), Cancel);

        PostingSummary summary = await new Bookkeeper(store).PostBesideOthersAsync(Cancel);

        Assert.Equal((103, Records + 100L), (summary.Transactions, summary.Records));
        Assert.InRange(store.MostPostings, 2, 50);
        Assert.InRange(store.MostRecords, UsagePoster.RecordsMax, UsagePoster.RecordsMax);
        ReferenceTests.AssertSound(await BooksCheck.RunAsync(memory, Cancel));
    }

    [Fact]
    public async Task At_leisure_postings_go_one_by_one_with_a_rest_after_each_during_which_the_store_is_free()
    {
        await using var memory = new MemoryBookStore();
        await memory.AppendAsync(new PriceAdded(Sample.Price("list", Sample.Start, Sample.Rates("input 1 output 1"))), Cancel);
        await using var store = new CountingStore(memory);
        for (int index = 0; index < Records; index++) await memory.AppendAsync(new HoldSettled(Record(index)), Cancel);
        int rests = 0, busy = 0;

        PostingSummary summary = await new Bookkeeper(store).PostAtLeisureAsync(async () =>
        {
            rests++;
            busy = Math.Max(busy, store.Underway);
            await Task.Yield();
            busy = Math.Max(busy, store.Underway);
        }, Cancel);

        Assert.Equal((3, (long)Records), (summary.Transactions, summary.Records));
        Assert.Equal((1, UsagePoster.RecordsMax), (store.MostPostings, store.MostRecords));
        Assert.Equal(0, busy);
        // While records were read, too.
        Assert.InRange(rests, summary.Transactions + 1, int.MaxValue);
        Assert.Equal(0, (await new Bookkeeper(store).PostAsync(Cancel)).Records);
        ReferenceTests.AssertSound(await BooksCheck.RunAsync(memory, Cancel));
    }

    /// <summary>A thousandth of a dollar each, one a millisecond.</summary>
    private static UsageRecord Record(int index)
    {
        Instant at = Sample.Start.Plus(index * 1_000_000L);
        return new UsageRecord(new RequestId(Sample.Id($"part {index}")), at, at, at, Sample.Party(), Sample.Model, Sample.Deployment, Sample.Pool, Operation.Chat, Outcome.Completed,
            new TokenCounts(600, 0, 0, 400, 0), default, new PriceVersionId(Sample.Id("price list")), Sample.Usd("0.001"), null, null);
    }

    /// <summary>Counts what is on its way: a fact is there only after whoever hands over more had the chance to.</summary>
    private sealed class CountingStore(IBookStore inner) : ForwardingBookStore(inner)
    {
        private readonly Lock gate = new();
        private int postings, records;

        public int MostPostings { get; private set; }
        public int MostRecords { get; private set; }

        /// <summary>Facts that are on their way now.</summary>
        public int Underway
        {
            get
            {
                lock (gate) return postings;
            }
        }

        public override async Task AppendAsync(Fact fact, CancellationToken cancel = default)
        {
            int its = fact is TransactionPosted posted ? posted.Records.Length : 0;
            lock (gate)
            {
                MostPostings = Math.Max(MostPostings, ++postings);
                MostRecords = Math.Max(MostRecords, records += its);
            }
            await Task.Yield();
            await base.AppendAsync(fact, cancel);
            lock (gate) (postings, records) = (postings - 1, records - its);
        }
    }
}
