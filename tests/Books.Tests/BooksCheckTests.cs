using System.Collections.Immutable;

namespace Qanat.Books.Tests;

/// <summary>Each identity must notice when its books are falsified; sound books fail none.</summary>
public class BooksCheckTests
{
    private static readonly CancellationToken Cancel = CancellationToken.None;

    [Fact]
    public async Task Sound_books_pass_and_every_identity_is_listed()
    {
        BooksReport report = await BooksCheck.RunAsync(await RecordAsync(), Cancel);
        ReferenceTests.AssertSound(report);
        Assert.Equal(
        [
            "every transaction balances", "trial balance", "sums are the journal's", "every posted record is in one posting", "postings re-derive from their records", "receivables are the charges",
            "charges re-rate", "no free quota is exceeded", "costs re-derive", "no request is settled twice", "no hold is both open and settled", "daily sums are the records'",
            "capacity has no gap and no overlap", "device time is conserved", "pool cost is its running time at its rates", "compute cost is the cost of the posted records", "used + unused + in progress = pool cost",
            "closed periods are unchanged", "invoices re-derive", "store is sound",
        ], report.Identities.Select(i => i.Name));
        Identity trial = report.Identities.Single(i => i.Name == "trial balance");
        Assert.Equal("0 USD", trial.LeftText);
        Assert.Equal("3 records", report.Identities.Single(i => i.Name == "charges re-rate").LeftText);
    }

    [Fact]
    public async Task An_empty_store_is_sound() => ReferenceTests.AssertSound(await BooksCheck.RunAsync(new MemoryBookStore(), Cancel));

    [Fact]
    public async Task A_transaction_out_of_balance_is_found() => await FailsAsync("every transaction balances",
        store => new JournalChanged(store, t => t with { Entries = [.. t.Entries.Select((e, i) => i == 0 ? e with { Amount = e.Amount + new Money(1, Currency.Usd) } : e)] }));

    [Fact]
    public async Task A_posting_that_differs_from_its_records_is_found() => await FailsAsync("postings re-derive from their records",
        store => new JournalChanged(store, t => t with { Entries = [.. t.Entries.Select(e => e with { Dimensions = e.Dimensions with { Project = null } })] }));

    [Fact]
    public async Task Sums_that_are_not_the_entries_are_found() => await FailsAsync("sums are the journal's", store => new SumsDropped(store));

    [Fact]
    public async Task A_record_listed_by_two_postings_is_found() => await FailsAsync("every posted record is in one posting", store => new PostedListed(store));

    [Fact]
    public async Task A_charge_that_does_not_re_rate_is_found() => await FailsAsync("charges re-rate", store => new UsageChanged(store, r => r with { Charge = r.Charge! + new Money(1, Currency.Usd) }));

    [Fact]
    public async Task A_charge_that_vanished_is_found() => await FailsAsync("charges re-rate", store => new UsageChanged(store, r => r with { Charge = null }));

    [Fact]
    public async Task Receivables_that_are_not_the_charges_are_found() => await FailsAsync("receivables are the charges", store => new UsageChanged(store, r => r with { Charge = r.Charge! + new Money(1, Currency.Usd) }));

    [Fact]
    public async Task A_cost_that_does_not_re_derive_is_found() => await FailsAsync("costs re-derive", store => new UsageChanged(store, r => r with { Cost = r.Cost! - new Money(1, Currency.Usd) }));

    [Fact]
    public async Task Device_time_that_was_lost_is_found() => await FailsAsync("device time is conserved", store => new UsageChanged(store, r => r with { Device = new DeviceTime(0, 0) }));

    [Fact]
    public async Task A_request_settled_twice_is_found() => await FailsAsync("no request is settled twice", store => new UsageDoubled(store));

    [Fact]
    public async Task A_hold_that_is_open_and_settled_is_found() => await FailsAsync("no hold is both open and settled", store => new HoldsKept(store));

    [Fact]
    public async Task Daily_sums_that_are_not_the_records_are_found() => await FailsAsync("daily sums are the records'", store => new UsageChanged(store, r => r with { Tokens = r.Tokens with { Output = r.Tokens.Output + 1 } }));

    [Fact]
    public async Task A_gap_in_the_capacity_is_found() => await FailsAsync("capacity has no gap and no overlap", store => new CapacityChanged(store, c => c with { To = c.To.Plus(-1) }));

    [Fact]
    public async Task Capacity_busier_than_its_wall_time_is_found() => await FailsAsync("capacity has no gap and no overlap", store => new CapacityChanged(store, c => c with { BusyNanoseconds = c.WallNanoseconds + 1 }));

    [Fact]
    public async Task Capacity_that_was_lost_after_posting_is_found() => await FailsAsync("pool cost is its running time at its rates", store => new CapacityChanged(store, c => c with { State = CapacityState.Down, BusyNanoseconds = 0 }));

    [Fact]
    public async Task Unused_capacity_posted_wrongly_is_found()
    {
        MemoryBookStore store = await RecordAsync();
        Instant at = Sample.Start.Plus(Instant.NanosecondsPerHour * 3);
        await store.AppendAsync(new TransactionPosted(Templates.Capacity(new TransactionId(Sample.Id("wrong")), at, "wrong", Sample.Pool, Sample.Usd("0"), Sample.Usd("0.1")), []), Cancel);
        BooksReport report = await BooksCheck.RunAsync(store, Cancel);
        Assert.Contains("used + unused + in progress = pool cost", report.Identities.Where(i => !i.IsOk).Select(i => i.Name));
    }

    [Fact]
    public async Task What_the_store_finds_in_itself_is_told()
    {
        Identity identity = (await BooksCheck.RunAsync(new Unsound(await RecordAsync()), Cancel)).Identities.Single(i => i.Name == "store is sound");
        Assert.False(identity.IsOk);
        Assert.Equal(["row 7 is missing"], identity.Findings);
    }

    private static async Task FailsAsync(string identity, Func<MemoryBookStore, IBookStore> falsify)
    {
        BooksReport report = await BooksCheck.RunAsync(falsify(await RecordAsync()), Cancel);
        Assert.Contains(identity, report.Identities.Where(i => !i.IsOk).Select(i => i.Name));
    }

    /// <summary>Three requests in two hours on one pool, one more still open, all posted.</summary>
    private static async Task<MemoryBookStore> RecordAsync()
    {
        var store = new MemoryBookStore();
        PriceVersion price = Sample.Price("list", Sample.Start, Sample.Rates());
        PoolRate rate = Sample.Rate("rate", Sample.Start, "1");
        await store.AppendAsync(new PriceAdded(price), Cancel);
        await store.AppendAsync(new PoolRateAdded(rate), Cancel);
        for (int i = 0; i < 4; i++)
        {
            Instant at = Sample.Start.Plus(i * (Instant.NanosecondsPerHour / 2));
            var id = new RequestId(Sample.Id("request" + "0123"[i]));
            var tokens = new TokenCounts(100 + i, 0, 0, 50, 0);
            var device = new DeviceTime(1_000_000_007, 2_000_000_000);
            await store.AppendAsync(new HoldPlaced(new Hold(id, at, Sample.Party(), Sample.Model, Sample.Deployment, Operation.Chat, price.Id, Sample.Usd("1"), Sample.Pool)), Cancel);
            await store.AppendAsync(new StepsMetered([new UsageProgress(id, tokens, device)], [new CapacityRecord(Sample.Pool, at, at.Plus(Instant.NanosecondsPerHour / 2), CapacityState.Serving, device.TotalNanoseconds)]), Cancel);
            if (i == 3) break;
            UsageCost cost = new CostBook([rate]).Cost(Sample.Pool, at, device)!;
            await store.AppendAsync(new HoldSettled(new UsageRecord(id, at, at, at, Sample.Party(), Sample.Model, Sample.Deployment, Sample.Pool, Operation.Chat, Outcome.Completed, tokens, device,
                price.Id, Rating.Charge(price.Rates, tokens), cost.Rate, cost.Amount)), Cancel);
        }
        await new Bookkeeper(store).PostAsync(Cancel);
        return store;
    }

    private static async IAsyncEnumerable<T> ChangeAsync<T>(IAsyncEnumerable<T> items, Func<T, T> change)
    {
        bool first = true;
        await foreach (T item in items)
        {
            yield return first ? change(item) : item;
            first = false;
        }
    }

    private sealed class JournalChanged(IBookStore inner, Func<Transaction, Transaction> change) : ForwardingBookStore(inner)
    {
        public override IAsyncEnumerable<Transaction> StreamJournalAsync(JournalQuery query, CancellationToken cancel = default) => ChangeAsync(base.StreamJournalAsync(query, cancel), change);
    }

    private sealed class UsageChanged(IBookStore inner, Func<UsageRecord, UsageRecord> change) : ForwardingBookStore(inner)
    {
        public override IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, CancellationToken cancel = default) => ChangeAsync(base.StreamUsageAsync(query, cancel), change);
    }

    private sealed class UsageDoubled(IBookStore inner) : ForwardingBookStore(inner)
    {
        public override async IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel = default)
        {
            await foreach (UsageRecord record in base.StreamUsageAsync(query, cancel))
            {
                yield return record;
                yield return record;
            }
        }
    }

    private sealed class CapacityChanged(IBookStore inner, Func<CapacityRecord, CapacityRecord> change) : ForwardingBookStore(inner)
    {
        public override IAsyncEnumerable<CapacityRecord> StreamCapacityAsync(PoolName pool, Period period, CancellationToken cancel = default) => ChangeAsync(base.StreamCapacityAsync(pool, period, cancel), change);
    }

    private sealed class SumsDropped(IBookStore inner) : ForwardingBookStore(inner)
    {
        public override async Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default) => (await base.SumEntriesAsync(query, cancel)).RemoveAt(0);
    }

    private sealed class PostedListed(IBookStore inner) : ForwardingBookStore(inner)
    {
        public override async Task<ImmutableArray<RequestId>> ReadPostedRecordsAsync(TransactionId transaction, CancellationToken cancel = default)
        {
            ImmutableArray<RequestId> ids = await base.ReadPostedRecordsAsync(transaction, cancel);
            return ids.IsEmpty ? [new RequestId(Sample.Id("request0"))] : ids;
        }
    }

    private sealed class HoldsKept(IBookStore inner) : ForwardingBookStore(inner)
    {
        public override async Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default) =>
            [.. (await base.ReadOpenHoldsAsync(cancel)).Select(o => o with { Hold = o.Hold with { Id = new RequestId(Sample.Id("request0")) } })];
    }

    private sealed class Unsound(IBookStore inner) : ForwardingBookStore(inner)
    {
        public override Task<ImmutableArray<string>> VerifyAsync(CancellationToken cancel = default) => Task.FromResult<ImmutableArray<string>>(["row 7 is missing"]);
    }
}
