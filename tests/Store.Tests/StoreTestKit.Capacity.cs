using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store.Tests;

public abstract partial class StoreTestKit
{
    private Task<CapacityRecord[]> Capacity(long fromSeconds, long toSeconds, PoolName? pool = null) =>
        Store.StreamCapacityAsync(pool ?? TestBooks.Pool, new Period(TestBooks.At(fromSeconds), TestBooks.At(toSeconds)), Cancel).ToArrayAsync(Cancel).AsTask();

    [Fact]
    public async Task Capacity_of_a_pool_comes_in_time_order_without_gap_or_overlap()
    {
        CapacityRecord[] day = [TestBooks.Stretch(0, 30, CapacityState.Loading), TestBooks.Stretch(30, 90, busy: 5), TestBooks.Stretch(90, 7_290, CapacityState.Down), TestBooks.Stretch(7_290, 7_300, busy: 10_000_000_000)];
        await Append(day.Select(record => TestBooks.Steps([], record)));
        Assert.Equal(day, await Capacity(0, 10_000));
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(7_301, 7_302)));
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(7_299, 7_302)));
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(0, 7_302)));
        Assert.Contains("gap", await IsRefused(TestBooks.Steps([], TestBooks.Stretch(-1, 0))), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Capacity_belongs_to_every_period_it_overlaps()
    {
        CapacityRecord loading = TestBooks.Stretch(0, 100, CapacityState.Loading), serving = TestBooks.Stretch(100, 200, busy: 5), down = TestBooks.Stretch(200, 5_000, CapacityState.Down);
        await Append(TestBooks.Steps([], loading, serving, down));
        Assert.Equal([serving], await Capacity(100, 200));
        Assert.Equal([loading, serving, down], await Capacity(99, 201));
        Assert.Equal([down], await Capacity(1_000, 1_001));
        Assert.Empty(await Capacity(5_000, 9_000));
        Assert.Empty(await Capacity(-100, 0));
        Assert.Empty(await Capacity(0, 5_000, new PoolName("unknown")));
    }

    [Fact]
    public async Task The_same_capacity_record_again_changes_nothing()
    {
        CapacityRecord first = TestBooks.Stretch(0, 1, busy: 4), second = TestBooks.Stretch(1, 2, busy: 6);
        await Append(TestBooks.Steps([], first));
        await ChangesNothing(TestBooks.Steps([], first));
        await Append(TestBooks.Steps([], second));
        await ChangesNothing(TestBooks.Steps([], second));
        await IsRefused(TestBooks.Steps([], second with { BusyNanoseconds = 7 }));
        await IsRefused(TestBooks.Steps([], second with { State = CapacityState.Loading, BusyNanoseconds = 0 }));
    }

    [Fact]
    public async Task A_capacity_record_is_a_stretch_of_time_with_no_more_use_than_it_serves()
    {
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(1, 1)));
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(2, 1)));
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(0, 1, busy: -1)));
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(0, 1, busy: 1_000_000_001)));
        await IsRefused(TestBooks.Steps([], TestBooks.Stretch(0, 1, CapacityState.Loading, busy: 1)));
        await Append(TestBooks.Steps([], TestBooks.Stretch(0, 1, busy: 1_000_000_000)));
    }

    [Fact]
    public async Task Pools_have_their_own_time()
    {
        PoolName gpu = new("gpu");
        await Append(TestBooks.Steps([], TestBooks.Stretch(0, 1)), TestBooks.Steps([], TestBooks.Stretch(500, 501) with { Pool = gpu }), TestBooks.Steps([], TestBooks.Stretch(1, 2, CapacityState.Down)));
        Assert.Equal([TestBooks.Stretch(500, 501) with { Pool = gpu }], await Capacity(0, 1_000, gpu));
        Assert.Equal(2, (await Capacity(0, 1_000)).Length);
    }

    [Fact]
    public async Task Many_short_stretches_keep_their_sums_by_the_minute()
    {
        List<CapacityRecord> sent = [];
        Instant at = TestBooks.At(30);
        for (int step = 1; step <= 500; step++)
        {
            CapacityRecord record = new(TestBooks.Pool, at, new Instant(at.UnixNanoseconds + step * 1_000_003), CapacityState.Serving, step * 997);
            sent.Add(record);
            at = record.To;
        }
        await Append(sent.Chunk(7).Select(chunk => TestBooks.Steps([], [.. chunk])));
        CapacityRecord[] stored = await Capacity(0, 1_000);
        Assert.Equal(Joined(sent), Joined(stored));
        Assert.Equal(ByMinute(sent), ByMinute(stored));
    }

    private static ImmutableSortedDictionary<long, long> ByMinute(IEnumerable<CapacityRecord> records) => records
        .GroupBy(record => record.From.UnixNanoseconds / 60_000_000_000).ToImmutableSortedDictionary(minute => minute.Key, minute => minute.Sum(record => record.BusyNanoseconds));
}
