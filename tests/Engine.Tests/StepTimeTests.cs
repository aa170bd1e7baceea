using CsCheck;

namespace Qanat.Engine.Tests;

public sealed class StepTimeTests
{
    [Fact]
    public void Shares_sum_to_the_step_and_none_is_a_nanosecond_off_its_quota()
    {
        Gen.Select(Gen.Long[0, 1L << 45], Gen.Long[0, 1L << 50].Array[1, 200]).Where((_, work) => work.Any(w => w > 0)).Sample((ns, work) =>
        {
            var shares = new long[work.Length];
            StepTime.Split(ns, work, shares);
            Assert.Equal(ns, shares.Sum());
            Int128 total = work.Aggregate((Int128)0, (sum, w) => sum + w);
            for (int i = 0; i < work.Length; i++)
            {
                Int128 quota = (Int128)ns * work[i] / total;
                Assert.True(shares[i] >= quota && shares[i] <= quota + 1);
                if (work[i] == 0) Assert.Equal(0, shares[i]);
            }
        }, iter: 2000);
    }

    [Fact]
    public void The_largest_remainders_get_the_nanoseconds_that_are_left()
    {
        var shares = new long[3];
        StepTime.Split(10, [5, 3, 3], shares);
        Assert.Equal([4, 3, 3], shares);
        StepTime.Split(2, [1, 1, 2], shares);
        Assert.Equal(2, shares.Sum());
        Assert.Equal(1, shares[2]);
    }

    [Fact]
    public void Time_without_work_is_refused()
    {
        var shares = new long[1];
        Assert.Throws<ArgumentException>(() => StepTime.Split(1, [0], shares));
        StepTime.Split(0, [0], shares);
        Assert.Equal(0, shares[0]);
    }

    [Fact]
    public void Work_of_rows_is_the_sum_of_the_work_of_each_row()
    {
        var work = new StepWork(100, 3, 7);
        long sum = 0;
        for (int position = 5; position < 12; position++) sum += work.OfRows(position, 1);
        Assert.Equal(sum, work.OfRows(5, 7));
        Assert.Equal(100 + 3 * 6, work.OfRows(5, 1));
        Assert.Equal(0, work.OfRows(9, 0));
    }

    [Fact]
    public void Seconds_and_nanoseconds_of_the_clock_agree_at_any_frequency()
    {
        foreach (long frequency in new[] { 1_000_000_000L, 10_000_000L, 3_000_000L, 7L })
        {
            var clock = new ManualClock(0, frequency);
            var engineClock = new EngineClock(clock);
            clock.NextTicks = () => 3 * frequency + 1;
            Assert.Equal(3_000_000_000 + 1_000_000_000 / frequency, engineClock.NowNs);
        }
    }
}
