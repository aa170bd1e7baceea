namespace Qanat.Books;

/// <summary>A point in time: nanoseconds since 1970-01-01 UTC.</summary>
public readonly record struct Instant(long UnixNanoseconds) : IComparable<Instant>
{
    public const long NanosecondsPerHour = 3_600_000_000_000;

    public static Instant From(DateTimeOffset time) => new((time.UtcTicks - DateTime.UnixEpoch.Ticks) * 100);
    public static Instant Now(TimeProvider clock) => From(clock.GetUtcNow());

    /// <summary>The same instant as a DateTimeOffset, truncated to 100 ns.</summary>
    public DateTimeOffset ToDateTimeOffset() => new(DateTime.UnixEpoch.Ticks + UnixNanoseconds / 100, TimeSpan.Zero);

    /// <summary>The start of the UTC hour that holds this instant.</summary>
    public Instant HourStart => new(UnixNanoseconds - FloorRemainder(NanosecondsPerHour));

    /// <summary>The start of the UTC day that holds this instant.</summary>
    public Instant DayStart => new(UnixNanoseconds - FloorRemainder(24 * NanosecondsPerHour));

    public int CompareTo(Instant other) => UnixNanoseconds.CompareTo(other.UnixNanoseconds);
    public static bool operator <(Instant left, Instant right) => left.UnixNanoseconds < right.UnixNanoseconds;
    public static bool operator >(Instant left, Instant right) => left.UnixNanoseconds > right.UnixNanoseconds;
    public static bool operator <=(Instant left, Instant right) => left.UnixNanoseconds <= right.UnixNanoseconds;
    public static bool operator >=(Instant left, Instant right) => left.UnixNanoseconds >= right.UnixNanoseconds;
    public override string ToString() => ToDateTimeOffset().ToString("O", System.Globalization.CultureInfo.InvariantCulture);

    private long FloorRemainder(long unit) => (UnixNanoseconds % unit + unit) % unit;
}

/// <summary>A half-open interval [From, To).</summary>
public readonly record struct Period(Instant From, Instant To)
{
    public static readonly Period All = new(new Instant(0), new Instant(long.MaxValue));
    public bool Contains(Instant at) => at >= From && at < To;
}

/// <summary>Tokens by class. Input is the whole prompt; CacheRead and CacheWrite are parts of Input. Output is everything generated; Reasoning is a part of Output.</summary>
public readonly record struct TokenCounts(long Input, long CacheRead, long CacheWrite, long Output, long Reasoning)
{
    public static TokenCounts operator +(TokenCounts a, TokenCounts b) =>
        new(a.Input + b.Input, a.CacheRead + b.CacheRead, a.CacheWrite + b.CacheWrite, a.Output + b.Output, a.Reasoning + b.Reasoning);
}

/// <summary>Device time of one request by phase, in nanoseconds of step wall time attributed to it.</summary>
public readonly record struct DeviceTime(long PrefillNanoseconds, long DecodeNanoseconds)
{
    public long TotalNanoseconds => PrefillNanoseconds + DecodeNanoseconds;
    public static DeviceTime operator +(DeviceTime a, DeviceTime b) =>
        new(a.PrefillNanoseconds + b.PrefillNanoseconds, a.DecodeNanoseconds + b.DecodeNanoseconds);
}
