namespace Qanat.Gateway;

/// <summary>A limit per minute that refills evenly, so that what is left comes back all the time and not at the turn of a minute. Exact: the level is counted in units of one
/// 600-millionth (a tick's part of a minute). It may be overdrawn by what turned out to be more than was asked for; then nothing is given until it is above zero again.</summary>
/// <param name="burst">How many may be taken at once when nothing was for a while; null: a minute's worth.</param>
internal sealed class TokenBucket(long perMinute, long nowTicks, long? burst = null)
{
    private Int128 level = (Int128)(burst ?? perMinute) * TimeSpan.TicksPerMinute;
    private long filledAt = nowTicks;

    public long PerMinute { get; private set; } = perMinute;

    /// <summary>What it holds when it is full.</summary>
    public long Burst { get; private set; } = burst ?? perMinute;

    /// <summary>Whole units that may be taken now; 0 when overdrawn.</summary>
    public long Left(long nowTicks)
    {
        Fill(nowTicks);
        return level <= 0 ? 0 : (long)(level / TimeSpan.TicksPerMinute);
    }

    /// <summary>How long until <paramref name="amount"/> may be taken; zero: now. What is more than it holds is given when it is full.</summary>
    /// <param name="ahead">What others take before.</param>
    public TimeSpan WaitFor(long amount, long nowTicks, long ahead = 0)
    {
        Fill(nowTicks);
        Int128 missing = ((Int128)Math.Min(amount, Burst) + ahead) * TimeSpan.TicksPerMinute - level;
        return missing <= 0 ? TimeSpan.Zero : TimeSpan.FromTicks((long)Int128.Min((missing + PerMinute - 1) / PerMinute, TimeSpan.MaxValue.Ticks));
    }

    /// <param name="amount">Below zero: so much was taken too much. It never holds more than when it is full.</param>
    public void Take(long amount) => level = Int128.Min(Full, level - (Int128)amount * TimeSpan.TicksPerMinute);

    /// <summary>The same after what came back until now.</summary>
    public void Take(long amount, long nowTicks)
    {
        Fill(nowTicks);
        Take(amount);
    }

    /// <summary>How long until it is full again.</summary>
    public TimeSpan UntilFull(long nowTicks) => WaitFor(Burst, nowTicks);

    /// <summary>A new limit keeps what was taken.</summary>
    public void Change(long perMinute, long nowTicks, long? burst = null)
    {
        long holds = burst ?? perMinute;
        if (perMinute == PerMinute && holds == Burst) return;
        Fill(nowTicks);
        level += (Int128)(holds - Burst) * TimeSpan.TicksPerMinute;
        (PerMinute, Burst) = (perMinute, holds);
    }

    private Int128 Full => (Int128)Burst * TimeSpan.TicksPerMinute;

    private void Fill(long nowTicks)
    {
        // A clock set back must not take away what was there.
        if (nowTicks > filledAt)
            level = Int128.Min(Full, level + (Int128)(nowTicks - filledAt) * PerMinute);
        filledAt = nowTicks;
    }
}
