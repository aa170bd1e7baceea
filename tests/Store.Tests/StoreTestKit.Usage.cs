using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    private async Task<Guid[]> Page(UsageQuery query) => [.. (await Store.ReadUsageAsync(query, Cancel)).Select(record => record.Id.Value)];
    private async Task<Guid[]> Stream(UsageQuery query) => [.. (await Store.StreamUsageAsync(query, Cancel).ToArrayAsync(Cancel)).Select(record => record.Id.Value)];

    /// <summary>Another tenant with a project and a key.</summary>
    private async Task<ApiKey> AnotherTenant(bool isDemo = false)
    {
        Tenant tenant = Facts.NewTenant("Other", isDemo);
        Project project = Facts.NewProject(tenant);
        ApiKey key = Facts.NewKey(project);
        await Append(new TenantSaved(tenant), new ProjectSaved(project), new KeySaved(key));
        return key;
    }

    [Fact]
    public async Task Usage_is_read_newest_first_in_pages()
    {
        // Completed in another order than placed.
        UsageRecord[] records = [.. Enumerable.Range(0, 25).Select(index => Facts.NewRecord(TestBooks.At(index)) with { CompletedAt = TestBooks.At(100 + index * 7 % 25) })];
        await Append(records.Select(record => new HoldSettled(record)));
        Guid[] newest = [.. records.Select(record => record.Id.Value).Reverse()];
        Assert.Equal(newest, await Page(new UsageQuery(Period.All)));
        Assert.Equal(newest[..10], await Page(new UsageQuery(Period.All, Limit: 10)));
        Assert.Equal(newest[10..20], await Page(new UsageQuery(Period.All, Limit: 10, Before: new RequestId(newest[9]))));
        Assert.Equal(newest[20..], await Page(new UsageQuery(Period.All, Limit: 10, Before: new RequestId(newest[19]))));
        Assert.Empty(await Page(new UsageQuery(Period.All, Before: new RequestId(newest[^1]))));
        Assert.Empty(await Page(new UsageQuery(Period.All, Limit: 0)));
    }

    [Fact]
    public async Task Pages_of_a_period_go_by_id_whether_ids_tell_their_time_or_not()
    {
        Random random = new(3);
        List<UsageRecord> records = [];
        for (int index = 0; index < 300; index++)
        {
            Instant placed = TestBooks.At(random.Next(20 * 86_400));
            Instant completed = new(placed.UnixNanoseconds + random.NextInt64(random.Next(3) == 0 ? 3 * 24 * Instant.NanosecondsPerHour : 1_000_000_000));
            Guid id = Guid.CreateVersion7(placed.ToDateTimeOffset().AddHours(random.Next(8) == 0 ? random.Next(-100, 100) : 0));
            // Some ids are made by others, without a time in them.
            if (random.Next(8) == 0) id = new Guid(random.Next(), 0, 0, new byte[8]);
            records.Add(Facts.NewRecord(placed) with { Id = new RequestId(id), CompletedAt = completed, Model = new ModelName("m" + random.Next(2)) });
        }
        await Append(new Together([.. records.Select(record => new HoldSettled(record))]));
        Guid[] newest = [.. records.Select(record => record.Id.Value).OrderDescending()];
        for (int round = 0; round < 60; round++)
        {
            Period period = new(TestBooks.At(random.Next(22 * 86_400)), TestBooks.At(random.Next(22 * 86_400)));
            UsageQuery query = new(period, Model: round % 3 == 0 ? new ModelName("m1") : null, Before: round % 2 == 0 ? new RequestId(newest[random.Next(newest.Length)]) : null, Limit: random.Next(1, 60));
            IEnumerable<Guid> expected = records.Where(record => period.Contains(record.CompletedAt) && (query.Model is null || record.Model == query.Model)
                && (query.Before is null || record.Id.Value.CompareTo(query.Before.Value.Value) < 0)).Select(record => record.Id.Value).OrderDescending().Take(query.Limit);
            Assert.Equal(expected, await Page(query));
        }
    }

    [Fact]
    public async Task Usage_is_streamed_whole_and_oldest_completion_first()
    {
        UsageRecord[] records = [.. Enumerable.Range(0, 700).Select(index => Facts.NewRecord(TestBooks.At(index)) with { CompletedAt = TestBooks.At(1_000 + index * 7 % 350) })];
        await Append(new Together([.. records.Select(record => new HoldSettled(record))]));
        Guid[] oldest = [.. records.OrderBy(record => record.CompletedAt).ThenBy(record => record.Id.Value).Select(record => record.Id.Value)];
        Assert.Equal(oldest, await Stream(new UsageQuery(Period.All, Limit: 10)));
        Assert.Equal(oldest, await Stream(new UsageQuery(Period.All, Tenant: Facts.Tenant.Id, Posted: false)));
        await foreach (UsageRecord record in Store.StreamUsageAsync(new UsageQuery(Period.All), Cancel))
        {
            Assert.Equal(oldest[0], record.Id.Value);
            break;
        }
    }

    [Fact]
    public async Task A_stream_shows_the_books_as_they_were_when_it_began()
    {
        await Append(new Together([.. Enumerable.Range(0, 600).Select(index => new HoldSettled(Facts.NewRecord(TestBooks.At(index))))]));
        int seen = 0;
        await foreach (UsageRecord record in Store.StreamUsageAsync(new UsageQuery(Period.All), Cancel))
        {
            if (seen++ == 0) await Append(new HoldSettled(Facts.NewRecord(TestBooks.At(10_000))));
            Assert.NotEmpty(await Store.ReadUsageAsync(new UsageQuery(Period.All, Id: record.Id), Cancel));
        }
        Assert.Equal(600, seen);
    }

    [Fact]
    public async Task Usage_is_found_by_each_condition_and_by_all_together()
    {
        ApiKey other = await AnotherTenant();
        UsageRecord[] records = [.. Enumerable.Range(0, 24).Select(index => Facts.NewRecord(TestBooks.At(index), index % 2 == 0 ? Facts.Key : other) with { Model = new ModelName(index % 3 == 0 ? "a" : "b") })];
        await Append(records.Select(record => new HoldSettled(record)));
        Transaction transaction = Facts.NewTransaction();
        await Append(new TransactionPosted(transaction, [.. records.Where((_, index) => index % 4 == 0).Select(record => record.Id)]));

        await Finds(new UsageQuery(Period.All, Tenant: other.Tenant), index => index % 2 == 1);
        await Finds(new UsageQuery(Period.All, Project: Facts.Project.Id), index => index % 2 == 0);
        await Finds(new UsageQuery(Period.All, Model: new ModelName("a")), index => index % 3 == 0);
        await Finds(new UsageQuery(Period.All, Transaction: transaction.Id), index => index % 4 == 0);
        await Finds(new UsageQuery(Period.All, Posted: true), index => index % 4 == 0);
        await Finds(new UsageQuery(Period.All, Posted: false), index => index % 4 != 0);
        await Finds(new UsageQuery(Period.All, Id: records[5].Id), index => index == 5);
        await Finds(new UsageQuery(new Period(TestBooks.At(3), TestBooks.At(9))), index => index is >= 3 and < 9);
        await Finds(new UsageQuery(new Period(TestBooks.At(3), TestBooks.At(20)), other.Tenant, other.Project, new ModelName("b"), Before: records[12].Id, Posted: false), index => index is 5 or 7 or 11);
        await Finds(new UsageQuery(Period.All, Tenant: new TenantId(Facts.NewId())), _ => false);
        await Finds(new UsageQuery(Period.All, Model: new ModelName("unknown")), _ => false);
        await Finds(new UsageQuery(Period.All, Pool: new PoolName("unknown")), _ => false);
        await Finds(new UsageQuery(Period.All, Model: new ModelName("a"), Pool: records[0].Pool), index => index % 3 == 0);
        await Finds(new UsageQuery(Period.All, Transaction: new TransactionId(Facts.NewId())), _ => false);

        async Task Finds(UsageQuery query, Func<int, bool> expected)
        {
            Guid[] ids = [.. records.Where((_, index) => expected(index)).Select(record => record.Id.Value)];
            Assert.Equal(ids, await Stream(query));
            Assert.Equal(ids.Reverse(), await Page(query));
        }
    }

    [Fact]
    public async Task Sums_of_any_period_equal_the_sums_of_its_records()
    {
        ApiKey other = await AnotherTenant();
        Random random = new(7);
        List<UsageRecord> records = [];
        for (int index = 0; index < 400; index++)
        {
            Money charge = new(random.NextInt64(-1_000_000_000_000, 1_000_000_000_000), random.Next(4) == 0 ? TestBooks.Eur : Currency.Usd);
            records.Add(Facts.NewRecord(TestBooks.At(0), random.Next(2) == 0 ? other : Facts.Key) with
            {
                CompletedAt = new Instant(TestBooks.Day.UnixNanoseconds + random.NextInt64(4 * 24 * Instant.NanosecondsPerHour)),
                Model = new ModelName("m" + random.Next(3)),
                Pool = new PoolName("p" + random.Next(2)),
                Charge = random.Next(5) == 0 ? null : charge,
                Cost = random.Next(5) == 0 ? null : new Money(random.NextInt64(2_000_000_000), random.Next(6) == 0 ? TestBooks.Eur : Currency.Usd),
                Tokens = new TokenCounts(random.Next(1000), random.Next(100), random.Next(100), random.Next(1000), random.Next(100)),
            });
        }
        await Append(new Together([.. records.Select(record => new HoldSettled(record))]));
        for (int round = 0; round < 60; round++)
        {
            // Whole days, whole hours, and anything.
            long grain = round % 3 == 0 ? 24 * Instant.NanosecondsPerHour : round % 3 == 1 ? Instant.NanosecondsPerHour : 1;
            long from = random.NextInt64(5 * 24 * Instant.NanosecondsPerHour) / grain * grain, to = random.NextInt64(5 * 24 * Instant.NanosecondsPerHour) / grain * grain;
            Period period = round == 0 ? Period.All : new Period(new Instant(TestBooks.Day.UnixNanoseconds + from), new Instant(TestBooks.Day.UnixNanoseconds + to));
            SumQuery query = new(period, (GroupBy)random.Next(64), round % 4 == 1 ? other.Tenant : null, round % 8 == 1 ? other.Project : null, round % 5 == 4 ? new ModelName("m1") : null);
            Assert.Equal(Lines(ExpectedSums.Of(records, query)), Lines(await Store.SumUsageAsync(query, Cancel)));
            Assert.Equal(Lines(ExpectedSums.Spend(records, period)), Lines((await Store.ReadSpendAsync(period, Cancel)).Where(row => !row.Charge.IsZero)));
        }
    }

    private static IEnumerable<string> Lines<T>(IEnumerable<T> rows) => rows.Select(row => row!.ToString()!).Order(StringComparer.Ordinal);
}

/// <summary>Sums of usage made plainly from the records.</summary>
internal static class ExpectedSums
{
    public static IEnumerable<UsageSum> Of(IEnumerable<UsageRecord> records, SumQuery query) => records
        .Where(record => query.Period.Contains(record.CompletedAt) && (query.Tenant is null || record.Party.Tenant == query.Tenant)
            && (query.Project is null || record.Party.Project == query.Project) && (query.Model is null || record.Model == query.Model))
        .SelectMany(Parts)
        .GroupBy(part => (Key: KeyOf(part.Record, query.By), part.Currency))
        .Select(group => new UsageSum(group.Key.Key, group.LongCount(part => part.Counts), group.LongCount(part => part.Counts && part.Record.Charge is null), group.LongCount(part => part.Counts && part.Record.Cost is null),
            group.Where(part => part.Counts).Aggregate(default(TokenCounts), (sum, part) => sum + part.Record.Tokens), group.Where(part => part.Counts).Aggregate(default(DeviceTime), (sum, part) => sum + part.Record.Device),
            Sum(group.Key.Currency, group.Where(part => part.Counts).Select(part => part.Record.Charge)), Sum(group.Key.Currency, group.Select(part => part.Record.Cost))));

    public static IEnumerable<SpendRow> Spend(IEnumerable<UsageRecord> records, Period period) => records
        .Where(record => period.Contains(record.CompletedAt) && record.Charge is not null)
        .GroupBy(record => (record.Party.Tenant, record.Party.Project, record.Party.Key, record.Charge!.Value.Currency))
        .Select(group => new SpendRow(group.Key.Tenant, group.Key.Project, group.Key.Key, Sum(group.Key.Currency, group.Select(record => record.Charge))))
        .Where(row => !row.Charge.IsZero);

    /// <summary>A record counts in the currency of its charge, or else of its cost, or else of the books; a cost in another currency adds to that one's row.</summary>
    private static IEnumerable<(UsageRecord Record, Currency Currency, bool Counts)> Parts(UsageRecord record)
    {
        Currency own = record.Charge?.Currency ?? record.Cost?.Currency ?? Currency.Usd;
        yield return (record, own, true);
        if (record.Cost is Money cost && cost.Currency != own) yield return (record, cost.Currency, false);
    }

    private static Money Sum(Currency currency, IEnumerable<Money?> amounts) =>
        amounts.Where(amount => amount?.Currency == currency).Aggregate(Money.Zero(currency), (sum, amount) => sum + amount!.Value);

    private static GroupKey KeyOf(UsageRecord record, GroupBy by) => new(by.HasFlag(GroupBy.Tenant) ? record.Party.Tenant : null, by.HasFlag(GroupBy.Project) ? record.Party.Project : null,
        by.HasFlag(GroupBy.Model) ? record.Model : null, by.HasFlag(GroupBy.Pool) ? record.Pool : null,
        by.HasFlag(GroupBy.Hour) ? record.CompletedAt.HourStart : by.HasFlag(GroupBy.Day) ? record.CompletedAt.DayStart : null);
}
