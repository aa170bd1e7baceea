using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    private Task<Transaction[]> Journal(JournalQuery query) => Store.StreamJournalAsync(query, Cancel).ToArrayAsync(Cancel).AsTask();

    [Fact]
    public async Task A_transaction_is_posted_with_the_records_it_sums_up()
    {
        UsageRecord[] records = [.. Enumerable.Range(0, 3).Select(index => Facts.NewRecord(TestBooks.At(index)))];
        await Append(records.Select(record => new HoldSettled(record)));
        Transaction transaction = Facts.NewTransaction();
        TransactionPosted posted = new(transaction, [records[1].Id, records[0].Id]);
        await Append(posted);
        Assert.Equal([records[0].Id, records[1].Id], await Store.ReadPostedRecordsAsync(transaction.Id, Cancel));
        Assert.Equal([records[2].Id.Value], await Page(new UsageQuery(Period.All, Posted: false)));
        Transaction stored = Assert.Single(await Journal(new JournalQuery(Period.All)));
        Assert.Equal(transaction.Entries, stored.Entries);
        Assert.Equal(transaction, stored with { Entries = transaction.Entries });
        await ChangesNothing(posted);
        await IsRefused(posted with { Records = [records[2].Id] });
        await IsRefused(posted with { Transaction = transaction with { Memo = "another" } });
        await IsRefused(posted with { Transaction = transaction with { Entries = [] } });
    }

    [Fact]
    public async Task A_record_is_posted_once()
    {
        UsageRecord first = Facts.NewRecord(), second = Facts.NewRecord();
        await Append(new HoldSettled(first), new HoldSettled(second), new TransactionPosted(Facts.NewTransaction(), [first.Id]));
        await IsRefused(new TransactionPosted(Facts.NewTransaction(), [second.Id, first.Id]));
        await IsRefused(new TransactionPosted(Facts.NewTransaction(), [second.Id, new RequestId(Facts.NewId())]));
        await IsRefused(new TransactionPosted(Facts.NewTransaction(), [second.Id, second.Id]));
        Assert.Empty(await Store.ReadPostedRecordsAsync(new TransactionId(Facts.NewId()), Cancel));
    }

    [Fact]
    public async Task A_transaction_that_does_not_sum_to_zero_in_each_currency_is_refused()
    {
        Transaction good = Facts.NewTransaction();
        Entry debit = good.Entries[0];
        await IsRefused(new TransactionPosted(good with { Entries = [debit] }, []));
        await IsRefused(new TransactionPosted(good with { Entries = [debit, debit with { Amount = new Money(-debit.Amount.Picos, TestBooks.Eur) }] }, []));
        await IsRefused(new TransactionPosted(good with { Entries = [debit, debit with { Amount = -debit.Amount + TestBooks.Usd(1) }] }, []));
        await Append(new TransactionPosted(good with { Entries = [] }, []));
    }

    [Fact]
    public async Task Every_field_of_a_transaction_comes_back()
    {
        Dimensions all = new(Facts.Tenant.Id, Facts.Project.Id, TestBooks.Model, TestBooks.Deployment, TestBooks.Pool);
        Money[] amounts = [new(1, TestBooks.Eur), new(-1, TestBooks.Eur), TestBooks.Usd(-1_000_000_001), TestBooks.Usd(1_000_000_001), TestBooks.Usd(0)];
        Transaction transaction = new(new TransactionId(Facts.NewId()), TestBooks.At(-1), "", "mémo 漢", [.. amounts.Select((amount, index) =>
            new Entry(new Account("a:" + index), amount, index % 2 == 0 ? all : Dimensions.None))]);
        await Append(new TransactionPosted(transaction, []));
        Transaction stored = Assert.Single(await Journal(new JournalQuery(Period.All)));
        Assert.Equal(transaction.Entries, stored.Entries);
        Assert.Equal(transaction, stored with { Entries = transaction.Entries });
    }

    [Fact]
    public async Task The_journal_is_streamed_oldest_first_and_by_each_condition()
    {
        ApiKey other = await AnotherTenant();
        Transaction[] transactions = [.. Enumerable.Range(0, 12).Select(index => Facts.NewTransaction(TestBooks.At(100 - index / 2), TestBooks.Usd(index + 1),
            index % 2 == 0 ? other.Tenant : Facts.Tenant.Id, new ModelName("m" + index % 3)))];
        await Append(transactions.Select(transaction => new TransactionPosted(transaction, [])));
        await Finds(new JournalQuery(Period.All), _ => true);
        await Finds(new JournalQuery(Period.All, Account: new Account("revenue:usage")), _ => true);
        await Finds(new JournalQuery(Period.All, Account: new Account("revenue")), _ => false);
        await Finds(new JournalQuery(Period.All, Tenant: other.Tenant), index => index % 2 == 0);
        await Finds(new JournalQuery(Period.All, Model: new ModelName("m1")), index => index % 3 == 1);
        await Finds(new JournalQuery(Period.All, Project: Facts.Project.Id), _ => false);
        await Finds(new JournalQuery(new Period(TestBooks.At(96), TestBooks.At(99)), new Account("assets:receivables"), other.Tenant), index => index is 4 or 6 or 8);
        Transaction[] all = await Journal(new JournalQuery(Period.All));
        Assert.Equal(all[..5].Select(transaction => transaction.Id), (await Journal(new JournalQuery(Period.All, Limit: 5))).Select(transaction => transaction.Id));

        async Task Finds(JournalQuery query, Func<int, bool> expected)
        {
            IEnumerable<TransactionId> ids = transactions.Where((_, index) => expected(index)).OrderBy(transaction => transaction.At).ThenBy(transaction => transaction.Id.Value).Select(transaction => transaction.Id);
            Assert.Equal(ids, (await Journal(query)).Select(transaction => transaction.Id));
        }
    }

    [Fact]
    public async Task Entries_are_summed_exactly_by_account_currency_and_dimension()
    {
        ApiKey other = await AnotherTenant();
        Random random = new(11);
        List<Transaction> transactions = [];
        for (int index = 0; index < 120; index++)
        {
            Money amount = new(random.NextInt64(-5_000_000_000_000, 5_000_000_000_000), random.Next(3) == 0 ? TestBooks.Eur : Currency.Usd);
            transactions.Add(Facts.NewTransaction(TestBooks.At(random.Next(3 * 86_400)), amount, random.Next(2) == 0 ? other.Tenant : null, new ModelName("m" + random.Next(3))));
        }
        await Append(new Together([.. transactions.Select(transaction => new TransactionPosted(transaction, []))]));
        for (int by = 0; by < 64; by++)
        {
            Period period = by % 3 == 0 ? Period.All : new Period(TestBooks.At(random.Next(86_400)), TestBooks.At(random.Next(86_400, 3 * 86_400)));
            SumQuery query = new(period, (GroupBy)by, by % 5 == 0 ? other.Tenant : null, null, by % 7 == 0 ? new ModelName("m2") : null);
            Assert.Equal(Lines(Expected(query)), Lines(await Store.SumEntriesAsync(query, Cancel)));
        }

        IEnumerable<EntrySum> Expected(SumQuery query) => transactions.Where(transaction => query.Period.Contains(transaction.At))
            .SelectMany(transaction => transaction.Entries.Select(entry => (Entry: entry, transaction.At)))
            .Where(row => (query.Tenant is null || row.Entry.Dimensions.Tenant == query.Tenant) && (query.Model is null || row.Entry.Dimensions.Model == query.Model))
            .GroupBy(row => (Key: new GroupKey(query.By.HasFlag(GroupBy.Tenant) ? row.Entry.Dimensions.Tenant : null, query.By.HasFlag(GroupBy.Project) ? row.Entry.Dimensions.Project : null,
                query.By.HasFlag(GroupBy.Model) ? row.Entry.Dimensions.Model : null, query.By.HasFlag(GroupBy.Pool) ? row.Entry.Dimensions.Pool : null,
                query.By.HasFlag(GroupBy.Hour) ? row.At.HourStart : query.By.HasFlag(GroupBy.Day) ? row.At.DayStart : null), row.Entry.Account, row.Entry.Amount.Currency))
            .Select(group => new EntrySum(group.Key.Key, group.Key.Account, group.Aggregate(Money.Zero(group.Key.Currency), (sum, row) => sum + row.Entry.Amount), group.LongCount()));
    }
}
