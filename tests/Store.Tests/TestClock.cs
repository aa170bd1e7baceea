namespace Qanat.Store.Tests;

/// <summary>A clock that stands at the first day of <see cref="TestBooks"/> until a test moves it, to either side.</summary>
public sealed class TestClock : TimeProvider
{
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => _now;
    public void Move(TimeSpan by) => _now += by;
}
