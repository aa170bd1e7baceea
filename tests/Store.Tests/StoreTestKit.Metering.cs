using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    [Fact]
    public async Task A_hold_is_placed_makes_progress_and_becomes_a_usage_record()
    {
        Hold hold = Facts.NewHold() with { Pool = TestBooks.Pool };
        UsageRecord record = Facts.RecordOf(hold);
        await Append(new HoldPlaced(hold));
        Assert.Equal(new OpenHold(hold, new UsageProgress(hold.Id, default, default)), Assert.Single(await Store.ReadOpenHoldsAsync(Cancel)));
        await Append(TestBooks.Steps([TestBooks.ProgressOf(hold, 4)], TestBooks.Stretch(0, 1, busy: 7_800)));
        Assert.Equal(new OpenHold(hold, TestBooks.ProgressOf(hold, 4)), Assert.Single(await Store.ReadOpenHoldsAsync(Cancel)));
        await Append(new HoldSettled(record));
        Assert.Empty(await Store.ReadOpenHoldsAsync(Cancel));
        Assert.Equal(record, await Only(Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel)));
    }

    [Fact]
    public async Task A_hold_placed_twice_is_one_hold()
    {
        Hold hold = Facts.NewHold();
        await Append(new HoldPlaced(hold));
        await ChangesNothing(new HoldPlaced(hold));
        await Append(new HoldExtended(hold.Id, TestBooks.Usd(9_000_000)));
        await ChangesNothing(new HoldPlaced(hold));
        await IsRefused(new HoldPlaced(hold with { Model = new ModelName("other") }));
        await Append(new HoldSettled(Facts.RecordOf(hold)));
        await ChangesNothing(new HoldPlaced(hold));
        await IsRefused(new HoldPlaced(hold with { PlacedAt = TestBooks.At(1) }));
    }

    [Fact]
    public async Task A_hold_is_extended_to_a_larger_amount()
    {
        Hold hold = Facts.NewHold();
        await Append(new HoldPlaced(hold), new HoldExtended(hold.Id, TestBooks.Usd(3_000_000_000)));
        Assert.Equal(TestBooks.Usd(3_000_000_000), Assert.Single(await Store.ReadOpenHoldsAsync(Cancel)).Hold.Amount);
        await ChangesNothing(new HoldExtended(hold.Id, TestBooks.Usd(2_000_000)));
        await IsRefused(new HoldExtended(hold.Id, new Money(4_000_000_000, TestBooks.Eur)));
        await IsRefused(new HoldExtended(new RequestId(Facts.NewId()), TestBooks.Usd(1)));
        await Append(new HoldSettled(Facts.RecordOf(hold)));
        await ChangesNothing(new HoldExtended(hold.Id, TestBooks.Usd(5_000_000_000)));
    }

    [Fact]
    public async Task A_hold_is_moved_to_another_deployment_until_device_time_was_used_under_it()
    {
        Hold hold = Facts.NewHold();
        HoldMoved moved = new(hold.Id, new DeploymentName("builtin/other"), new PoolName("other-pool"));
        await Append(new HoldPlaced(hold), moved);
        Hold open = Assert.Single(await Store.ReadOpenHoldsAsync(Cancel)).Hold;
        Assert.Equal(hold with { Deployment = moved.Deployment, Pool = moved.Pool }, open);
        await ChangesNothing(moved);
        await ChangesNothing(new HoldPlaced(hold));
        await IsRefused(moved with { Id = new RequestId(Facts.NewId()) });
        await Append(TestBooks.Steps([TestBooks.ProgressOf(open, 1)]));
        await IsRefused(new HoldMoved(hold.Id, hold.Deployment, new PoolName("a third")));
        await Append(new HoldSettled(Facts.RecordOf(open)));
        await ChangesNothing(moved);
    }

    [Fact]
    public async Task Progress_only_grows_and_needs_an_open_hold()
    {
        Hold hold = Facts.NewHold();
        await Append(new HoldPlaced(hold), TestBooks.Steps([TestBooks.ProgressOf(hold, 9)]));
        await ChangesNothing(TestBooks.Steps([TestBooks.ProgressOf(hold, 3)]));
        await ChangesNothing(TestBooks.Steps([TestBooks.ProgressOf(Facts.NewHold(), 3)]));
        await Append(new HoldSettled(Facts.RecordOf(hold)));
        await ChangesNothing(TestBooks.Steps([TestBooks.ProgressOf(hold, 30)]));
    }

    [Fact]
    public async Task Progress_keeps_what_was_bought_from_upstreams_and_an_older_one_does_not_bring_back_the_past()
    {
        Hold hold = Facts.NewHold();
        UsageProgress later = TestBooks.ProgressOf(hold, 9) with { Upstream = TestBooks.Bought };
        await Append(new HoldPlaced(hold), TestBooks.Steps([later]));
        Assert.Equal(TestBooks.Bought, Assert.Single(await Store.ReadOpenHoldsAsync(Cancel)).Progress.Upstream);
        await ChangesNothing(TestBooks.Steps([TestBooks.ProgressOf(hold, 3) with { Upstream = TestBooks.Bought with { State = UsageCheckState.Missing } }]));
        await ChangesNothing(TestBooks.Steps([TestBooks.ProgressOf(hold, 9)]));
    }

    [Fact]
    public async Task A_fact_that_need_not_wait_for_the_disk_is_there_when_its_append_completes()
    {
        Hold hold = Facts.NewHold();
        await Store.AppendAsync(new HoldPlaced(hold), Durability.Process, Cancel);
        Assert.Equal(hold, Assert.Single(await Store.ReadOpenHoldsAsync(Cancel)).Hold);
        await Store.AppendAsync(new HoldReleased(hold.Id, TestBooks.At(1), "unused"), Durability.Power, Cancel);
        Assert.Empty(await Store.ReadOpenHoldsAsync(Cancel));
    }

    [Fact]
    public async Task Progress_and_capacity_are_written_together_or_not_at_all()
    {
        Hold hold = Facts.NewHold();
        await Append(new HoldPlaced(hold), TestBooks.Steps([], TestBooks.Stretch(0, 1)));
        await IsRefused(TestBooks.Steps([TestBooks.ProgressOf(hold, 9)], TestBooks.Stretch(1, 2), TestBooks.Stretch(3, 4)));
    }

    [Fact]
    public async Task A_request_is_settled_exactly_once()
    {
        Hold hold = Facts.NewHold();
        UsageRecord record = Facts.RecordOf(hold);
        await Append(new HoldPlaced(hold), new HoldSettled(record));
        await ChangesNothing(new HoldSettled(record));
        await IsRefused(new HoldSettled(record with { Tokens = record.Tokens with { Output = 11 } }));
        await IsRefused(new HoldReleased(hold.Id, TestBooks.At(1), "late"));
        Assert.Equal(1, (await Total()).Requests);
    }

    [Fact]
    public async Task Usage_from_outside_needs_no_hold()
    {
        UsageRecord record = Facts.NewRecord();
        await Append(new HoldSettled(record));
        await ChangesNothing(new HoldSettled(record));
        Assert.Equal(record, await Only(Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel)));
    }

    [Fact]
    public async Task Every_field_of_a_record_comes_back()
    {
        UsageRecord record = Facts.NewRecord(TestBooks.At(1)) with
        {
            FirstTokenAt = TestBooks.At(2),
            CompletedAt = new Instant(TestBooks.At(3).UnixNanoseconds + 1),
            Party = Facts.Party with { UserTag = "" },
            Pool = new PoolName("gpu"),
            Operation = Operation.Train,
            Outcome = Outcome.Recovered,
            Tokens = new TokenCounts(1, 2, 3, long.MaxValue, 5),
            Device = new DeviceTime(6, 7),
            Charge = new Money(-1, TestBooks.Eur),
            Basis = new ChargeBasis(CacheMode.Explicit, new Money(5, TestBooks.Eur), new Money(2, TestBooks.Eur), 1_000, new Money(4, TestBooks.Eur), "acme 2026"),
            Cost = new Money(1_000_000_000, Currency.Usd),
            Upstream = TestBooks.Bought,
        };
        UsageRecord bare = Facts.NewRecord() with { Price = null, Charge = null, PoolRate = null, Cost = null, Party = Facts.Party };
        await Append(new HoldSettled(record));
        await Append(new HoldSettled(bare with { Tokens = default }));
        Assert.Equal(record, await Only(Store.ReadUsageAsync(new UsageQuery(Period.All, Id: record.Id), Cancel)));
        await IsRefused(new HoldSettled(Facts.NewRecord() with { Charge = null, Basis = record.Basis }));
        Assert.Equal(bare with { Tokens = default }, await Only(Store.ReadUsageAsync(new UsageQuery(Period.All, Id: bare.Id), Cancel)));
    }

    [Fact]
    public async Task An_unused_hold_is_released()
    {
        Hold hold = Facts.NewHold();
        HoldReleased released = new(hold.Id, TestBooks.At(1), "upstream refused");
        await IsRefused(released);
        await Append(new HoldPlaced(hold), released);
        Assert.Empty(await Store.ReadOpenHoldsAsync(Cancel));
        Assert.Empty(await Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel));
        await ChangesNothing(released);
        await ChangesNothing(new HoldPlaced(hold));
        await ChangesNothing(new HoldExtended(hold.Id, TestBooks.Usd(9_000_000)));
        await IsRefused(new HoldSettled(Facts.RecordOf(hold)));
    }

    [Fact]
    public async Task A_hold_under_which_something_was_used_is_not_released()
    {
        Hold hold = Facts.NewHold();
        await Append(new HoldPlaced(hold), TestBooks.Steps([new UsageProgress(hold.Id, default, new DeviceTime(1, 0))]));
        Assert.Contains("settle", await IsRefused(new HoldReleased(hold.Id, TestBooks.At(1), "unused?")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_facts_are_durable_together_or_not_at_all()
    {
        Hold hold = Facts.NewHold();
        Together whole = new([new HoldPlaced(hold), new Together([new HoldExtended(hold.Id, TestBooks.Usd(2_000_000)), new HoldSettled(Facts.RecordOf(hold))])]);
        await IsRefused(new Together([whole, TestBooks.Steps([], TestBooks.Stretch(0, 1)), new ProjectSaved(new TestBooks(seed: 5).Project)]));
        await Append(whole);
        Assert.Single(await Store.ReadUsageAsync(new UsageQuery(Period.All), Cancel));
        await ChangesNothing(whole);
        await ChangesNothing(new Together([]));
    }

    [Fact]
    public async Task Facts_handed_over_at_once_are_written_in_their_order_and_a_refused_one_fails_alone()
    {
        const int Count = 300;
        Task[] placed = new Task[Count], settled = new Task[Count], refused = new Task[Count];
        Hold[] holds = [.. Enumerable.Range(0, Count).Select(index => Facts.NewHold(TestBooks.At(index)))];
        for (int index = 0; index < Count; index++)
        {
            placed[index] = Store.AppendAsync(new HoldPlaced(holds[index]), Cancel);
            refused[index] = Store.AppendAsync(new HoldReleased(new RequestId(Facts.NewId()), TestBooks.At(0), "never placed"), Cancel);
            settled[index] = Store.AppendAsync(new HoldSettled(Facts.RecordOf(holds[index])), Cancel);
        }
        await Task.WhenAll([.. placed, .. settled]);
        foreach (Task task in refused) await Assert.ThrowsAsync<StoreException>(() => task);
        Assert.Empty(await Store.ReadOpenHoldsAsync(Cancel));
        Assert.Equal(Count, (await Total()).Requests);
        Assert.Equal(holds.Select(hold => hold.Id), (await Store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel)).Select(record => record.Id));
    }

    [Fact]
    public async Task A_cancelled_caller_that_has_no_place_yet_writes_nothing()
    {
        using CancellationTokenSource cancelled = new();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.AppendAsync(new HoldPlaced(Facts.NewHold()), cancelled.Token));
        Assert.Empty(await Store.ReadOpenHoldsAsync(Cancel));
    }

    [Fact]
    public async Task An_amount_comes_back_exactly_whatever_its_size()
    {
        Int128 most = (Int128)long.MaxValue * 1_000_000_000 + 999_999_999;
        Int128[] amounts = [0, 1, -1, 999_999_999, 1_000_000_000, -1_000_000_000, -1_000_000_001, most];
        for (int day = 0; day < amounts.Length; day++)
        {
            UsageRecord record = Facts.NewRecord(charge: new Money(amounts[day], TestBooks.Eur)) with { Cost = new Money(-amounts[day], TestBooks.Eur), CompletedAt = TestBooks.At(86_400 * day) };
            await Append(new HoldSettled(record));
            UsageRecord stored = await Only(Store.ReadUsageAsync(new UsageQuery(Period.All, Id: record.Id), Cancel));
            Assert.Equal(record.Charge, stored.Charge);
            Assert.Equal(record.Cost, stored.Cost);
        }
    }

    [Fact]
    public async Task A_fact_that_is_refused_at_its_very_end_leaves_the_request_it_settled_open()
    {
        Hold hold = Facts.NewHold();
        await Append(new HoldPlaced(hold));
        Together unposted = new([new HoldSettled(Facts.RecordOf(hold)), new TransactionPosted(Facts.NewTransaction(), [new RequestId(Facts.NewId())])]);
        // Handed over at once with others, so that it is written, refused and undone among facts that stay.
        Task[] before = Others(0), refused = [Store.AppendAsync(unposted, Cancel)], after = Others(20);
        await Task.WhenAll(before);
        await Assert.ThrowsAsync<StoreException>(() => refused[0]);
        await Task.WhenAll(after);
        await Append(TestBooks.Steps([TestBooks.ProgressOf(hold, 5)]));
        Assert.Equal(5, (await Only(Store.ReadOpenHoldsAsync(Cancel))).Progress.Tokens.Output);
        await Append(new HoldSettled(Facts.RecordOf(hold)));
        Assert.Empty(await Store.ReadOpenHoldsAsync(Cancel));
        Assert.Equal(1, (await Total()).Requests);

        Task[] Others(int from) => [.. Enumerable.Range(from, 20).Select(index => Store.AppendAsync(new Audited(new AuditEntry(TestBooks.At(index), "test", "beside", "it", null, null)), Cancel))];
    }
}
