using System.Globalization;
using Qanat.Books;

namespace Qanat.Console.Tests;

/// <summary>A clock that stands still until it is moved.</summary>
internal sealed class FixedClock(string now) : TimeProvider
{
    private DateTimeOffset current = DateTimeOffset.Parse(now, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    public static Instant At(string text) => Instant.From(DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal));

    public override DateTimeOffset GetUtcNow() => current;
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;
    public override long GetTimestamp() => current.UtcTicks;
    public void Advance(TimeSpan by) => current += by;
}
