using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>What becomes of a request that several calls serve together. It enters its rates once, for all of them, and leaves when this is disposed.</summary>
internal sealed class RequestFate : IDisposable
{
    private const int Open = 0, Ended = 1, Failed = 2;
    private readonly Lock gate = new();
    private Task<RateLease>? entering;
    private int state;

    private RequestFate(IReadOnlyList<Call> calls) => Calls = [.. calls.Select((call, part) => call with { Fate = this, Part = part })];

    /// <summary>All of its calls, in order.</summary>
    public ImmutableArray<Call> Calls { get; }

    /// <summary>Its answer failed for a reason that is not the client's to pay for: what is not settled yet is not charged (ADR 47).</summary>
    public bool HasFailed => Volatile.Read(ref state) == Failed;

    /// <summary>Makes calls one request.</summary>
    public static RequestFate Of(IReadOnlyList<Call> calls) => new(calls);

    /// <summary>The request's place under its limits: whichever of its calls comes first enters for all.</summary>
    public Task<RateLease> EnterAsync(Func<ImmutableArray<Call>, CancellationToken, Task<RateLease>> enter, CancellationToken cancel)
    {
        lock (gate) return entering ??= enter(Calls, cancel);
    }

    /// <summary>It ends without an answer. The first reason is the one that counts: those that follow come of it.</summary>
    public void End(bool isUncharged) => Interlocked.CompareExchange(ref state, isUncharged ? Failed : Ended, Open);

    /// <summary>Once all of its calls have ended.</summary>
    public void Dispose()
    {
        if (entering is { IsCompletedSuccessfully: true } entered) entered.Result.Dispose();
    }
}
