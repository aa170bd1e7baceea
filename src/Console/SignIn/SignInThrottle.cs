namespace Qanat.Console;

/// <summary>Counts wrong keys and passwords over the last minute, by address and by account, so that neither many accounts from one place nor one account from many can be tried.
/// A right one is never counted, so whoever shares the address is held up for a minute at most.</summary>
public sealed class SignInThrottle(ConsoleOptions options, TimeProvider clock)
{
    /// <summary>Addresses and accounts remembered at once; beyond it the oldest window is dropped first.</summary>
    public const int SubjectsMax = 10_000;
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private readonly Dictionary<string, Failures> bySubject = [];

    /// <summary>How long this address or account has to wait before the next try; zero when it may try now.</summary>
    public TimeSpan WaitFor(string subject)
    {
        lock (gate)
        {
            if (!bySubject.TryGetValue(subject, out Failures failures)) return TimeSpan.Zero;
            TimeSpan left = failures.Since + Window - clock.GetUtcNow();
            return failures.Count >= options.SignInFailuresPerMinuteMax && left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    public void CountFailure(string subject)
    {
        lock (gate)
        {
            DateTimeOffset now = clock.GetUtcNow();
            bool running = bySubject.TryGetValue(subject, out Failures failures) && failures.Since + Window > now;
            bySubject[subject] = running ? failures with { Count = failures.Count + 1 } : new Failures(now, 1);
            if (bySubject.Count > SubjectsMax)
                bySubject.Remove(bySubject.MinBy(pair => pair.Value.Since).Key);
        }
    }

    private readonly record struct Failures(DateTimeOffset Since, int Count);
}
