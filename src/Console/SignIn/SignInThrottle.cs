using System.Net;

namespace Qanat.Console;

/// <summary>Counts wrong keys by address over the last minute. A right key is never counted, so an owner behind a shared address is held up for a minute at most.</summary>
public sealed class SignInThrottle(ConsoleOptions options, TimeProvider clock)
{
    /// <summary>Addresses remembered at once; beyond it the oldest window is dropped first.</summary>
    public const int AddressesMax = 10_000;
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private readonly Dictionary<IPAddress, Failures> byAddress = [];

    /// <summary>How long this address has to wait before the next try; zero when it may try now.</summary>
    public TimeSpan WaitFor(IPAddress address)
    {
        lock (gate)
        {
            if (!byAddress.TryGetValue(address, out Failures failures)) return TimeSpan.Zero;
            TimeSpan left = failures.Since + Window - clock.GetUtcNow();
            return failures.Count >= options.SignInFailuresPerMinuteMax && left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    public void CountFailure(IPAddress address)
    {
        lock (gate)
        {
            DateTimeOffset now = clock.GetUtcNow();
            bool running = byAddress.TryGetValue(address, out Failures failures) && failures.Since + Window > now;
            byAddress[address] = running ? failures with { Count = failures.Count + 1 } : new Failures(now, 1);
            if (byAddress.Count > AddressesMax)
                byAddress.Remove(byAddress.MinBy(pair => pair.Value.Since).Key);
        }
    }

    private readonly record struct Failures(DateTimeOffset Since, int Count);
}
