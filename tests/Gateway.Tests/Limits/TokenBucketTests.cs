using CsCheck;

namespace Qanat.Gateway.Tests;

public sealed class TokenBucketTests
{
    private const long Second = TimeSpan.TicksPerSecond;

    [Fact]
    public void A_minutes_limit_comes_back_evenly_and_not_at_the_turn_of_a_minute()
    {
        TokenBucket bucket = new(60, 0);
        bucket.Take(60);
        Assert.Equal(0, bucket.Left(0));
        Assert.Equal(TimeSpan.FromSeconds(1), bucket.WaitFor(1, 0));
        Assert.Equal((0L, 1L, 10L), (bucket.Left(Second - 1), bucket.Left(Second), bucket.Left(10 * Second)));
        Assert.Equal(60, bucket.Left(3600 * Second));
    }

    [Fact]
    public void What_was_overdrawn_is_waited_for_and_what_was_taken_too_much_comes_back()
    {
        TokenBucket bucket = new(60, 0);
        bucket.Take(90);
        Assert.Equal((0L, TimeSpan.FromSeconds(31)), (bucket.Left(0), bucket.WaitFor(1, 0)));
        bucket.Take(-80);
        Assert.Equal(50, bucket.Left(0));
    }

    [Fact]
    public void More_than_a_whole_minutes_is_given_when_the_bucket_is_full()
    {
        TokenBucket bucket = new(60, 0);
        Assert.Equal(TimeSpan.Zero, bucket.WaitFor(1000, 0));
        bucket.Take(1);
        Assert.Equal(TimeSpan.FromSeconds(1), bucket.WaitFor(1000, 0));
    }

    [Fact]
    public void A_clock_set_back_takes_nothing_away_and_a_changed_limit_keeps_what_was_taken()
    {
        TokenBucket bucket = new(60, 100 * Second);
        bucket.Take(10);
        Assert.Equal(50, bucket.Left(0));
        bucket.Change(100, 0);
        Assert.Equal(90, bucket.Left(0));
        bucket.Change(5, 0);
        Assert.Equal(0, bucket.Left(0));
    }

    /// <summary>Whatever is asked when: in any stretch of time no more is given than the limit and what came back meanwhile, to the last unit; and a wait that was told is enough.</summary>
    [Fact]
    public void No_more_is_given_than_the_limit_and_what_came_back() => Gen.Select(Gen.Long[1, 1_000_000], Gen.Select(Gen.Long[0, 90 * Second], Gen.Long[1, 2_000_000]).Array[1, 60]).Sample((perMinute, asks) =>
    {
        TokenBucket bucket = new(perMinute, 0);
        long now = 0;
        Int128 given = 0;
        foreach ((long pause, long amount) in asks)
        {
            now += pause;
            TimeSpan wait = bucket.WaitFor(amount, now);
            if (wait > TimeSpan.Zero)
            {
                Assert.NotEqual(TimeSpan.Zero, bucket.WaitFor(amount, now + wait.Ticks - 1));
                now += wait.Ticks;
                Assert.Equal(TimeSpan.Zero, bucket.WaitFor(amount, now));
            }
            long taken = Math.Min(amount, perMinute);
            bucket.Take(taken);
            given += taken;
            Assert.True(given * TimeSpan.TicksPerMinute <= (Int128)perMinute * (TimeSpan.TicksPerMinute + now));
        }
    }, iter: 500);
}
