using Qanat.Books;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

/// <summary>The clock of the machine jumps while calls are under way: no record ends before it began, nothing is posted twice, and periods are what the clock said when a call ended.</summary>
public sealed class ClockJumpTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_clock_that_jumps_a_day_forward_and_an_hour_back_neither_loses_nor_doubles_anything()
    {
        JumpingClock clock = new();
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(clock: clock);
        Queue<TimeSpan> jumps = new([TimeSpan.Zero, TimeSpan.FromDays(1), TimeSpan.Zero, -TimeSpan.FromHours(1), -TimeSpan.FromHours(1), TimeSpan.FromDays(1), TimeSpan.Zero]);
        int calls = jumps.Count;
        // The jump comes while the upstream answers: after the hold, before the settlement.
        await fixture.AddAsync("gpu-1", _ =>
        {
            clock.Jump(jumps.Dequeue());
            return new MockPlan { Tokens = 5 };
        });
        Bookkeeper bookkeeper = new(fixture.Store);
        for (int call = 0; call < calls; call++)
        {
            Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat()))[^1]);
            await bookkeeper.PostAsync(Cancel);
        }
        UsageRecord[] records = await fixture.Store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel);
        Assert.Equal(calls, records.Length);
        Assert.All(records, record => Assert.True(record.PlacedAt <= record.FirstTokenAt && record.FirstTokenAt <= record.CompletedAt, $"{record.PlacedAt} {record.FirstTokenAt} {record.CompletedAt}"));
        Assert.Equal(records.CountBy(record => record.CompletedAt.DayStart).OrderBy(day => day.Key),
            (await fixture.Store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Day), Cancel)).Select(day => KeyValuePair.Create(day.Key.Start!.Value, (int)day.Requests)).OrderBy(day => day.Key));
        Money charged = records.Aggregate(Money.Zero(Currency.Usd), (sum, record) => sum + record.Charge!.Value);
        Assert.Equal(charged, Assert.Single((await Statements.ProfitAndLossAsync(fixture.Store, Period.All, GroupBy.None, Cancel)).Totals).Revenue);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_call_that_the_clock_puts_back_into_a_closed_period_is_posted_behind_it()
    {
        JumpingClock clock = new();
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(clock: clock);
        await fixture.AddAsync("gpu-1", _ => new MockPlan { Tokens = 5 });
        await fixture.RunAsync(fixture.Chat());
        clock.Jump(TimeSpan.FromHours(2));
        Instant hour = Instant.Now(clock).HourStart;
        ClosingResult closed = await PeriodClosing.CloseAsync(fixture.Store, new Bookkeeper(fixture.Store), "hour", hour, hour, "test", Cancel);
        Assert.NotNull(closed.Closed);
        clock.Jump(-TimeSpan.FromHours(3));
        await fixture.RunAsync(fixture.Chat());
        await fixture.AssertSoundAsync();
        Transaction late = Assert.Single(await fixture.Store.StreamJournalAsync(new JournalQuery(new Period(hour, Period.All.To)), Cancel).ToArrayAsync(Cancel));
        Assert.Equal(hour, late.At);
    }

    private sealed class JumpingClock : TimeProvider
    {
        private long ticks = new DateTimeOffset(2026, 3, 1, 22, 30, 0, TimeSpan.Zero).UtcTicks;

        /// <summary>A little later each time it is asked.</summary>
        public override DateTimeOffset GetUtcNow() => new(Interlocked.Add(ref ticks, TimeSpan.TicksPerMillisecond), TimeSpan.Zero);
        public void Jump(TimeSpan by) => Interlocked.Add(ref ticks, by.Ticks);
    }
}
