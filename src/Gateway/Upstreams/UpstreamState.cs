using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What is known of an upstream from its calls and checks: how many run, whether it may be tried. A circuit breaker: after failures in a row it is left alone for a while, then one call tries it.</summary>
public sealed class UpstreamState(UpstreamSpec spec, UpstreamOptions options, TimeProvider clock)
{
    private readonly Lock gate = new();
    private UpstreamSpec current = spec;
    private int running;
    private int failuresInRow;
    private int restsInRow;
    private long restUntilTicks;
    private bool trying;
    private long served, failed;
    private string? lastFailure;
    private Instant? lastFailureAt, lastCheckAt;
    private bool? lastCheckOk;

    public UpstreamSpec Spec => Volatile.Read(ref current);
    public UpstreamFigures Figures { get; } = new();
    public int Running => Volatile.Read(ref running);

    /// <summary>The operator changed it. What is known of it stands, since it is the same engine.</summary>
    public void Apply(UpstreamSpec next) => Volatile.Write(ref current, next);

    /// <summary>Takes a place for a call if the upstream may have one now. Every place ends with one of Succeeded, Failed or Left.</summary>
    public bool TryEnter()
    {
        lock (gate)
        {
            if (running >= Spec.ConcurrentMax) return false;
            if (restUntilTicks > 0)
            {
                if (clock.GetUtcNow().UtcTicks < restUntilTicks || trying) return false;
                trying = true;
            }
            running++;
            return true;
        }
    }

    /// <summary>Whether <see cref="TryEnter"/> would be granted.</summary>
    public bool IsOpen
    {
        get
        {
            lock (gate) return running < Spec.ConcurrentMax && (restUntilTicks == 0 || (clock.GetUtcNow().UtcTicks >= restUntilTicks && !trying));
        }
    }

    public void Succeeded()
    {
        lock (gate)
        {
            running--;
            served++;
            Recover();
        }
    }

    /// <summary>The call ended without saying anything about the upstream: the client left, or the request was wrong.</summary>
    public void Left()
    {
        lock (gate)
        {
            running--;
            trying = false;
        }
    }

    /// <param name="restAtOnce">For how long it is to be left alone whatever went before: it said so itself, or its key or account is not in order.</param>
    public void Failed(string why, TimeSpan? restAtOnce = null)
    {
        lock (gate)
        {
            running--;
            failed++;
            Note(why);
            failuresInRow++;
            if (restAtOnce is { } rest) RestFor(rest);
            else if (trying || failuresInRow >= options.FailuresMax) RestFor(TimeSpan.FromTicks(Math.Min(options.RestMax.Ticks, options.Rest.Ticks << Math.Min(restsInRow++, 16))));
            trying = false;
        }
    }

    /// <summary>The result of an active check. One that succeeds ends a rest at once; one that fails begins one.</summary>
    public void Checked(string? failure)
    {
        lock (gate)
        {
            lastCheckAt = Instant.Now(clock);
            lastCheckOk = failure is null;
            if (failure is null)
            {
                if (restUntilTicks > 0) Recover();
                return;
            }
            Note(failure);
            RestFor(options.CheckInterval + options.CheckInterval);
        }
    }

    public UpstreamHealth Health
    {
        get
        {
            lock (gate)
            {
                bool resting = restUntilTicks > 0;
                return new UpstreamHealth(!resting, running, served, failed, lastFailure, lastFailureAt, lastCheckAt, lastCheckOk,
                    resting ? Instant.From(new DateTimeOffset(restUntilTicks, TimeSpan.Zero)) : null);
            }
        }
    }

    private void Note(string why)
    {
        lastFailure = why;
        lastFailureAt = Instant.Now(clock);
    }

    private void Recover()
    {
        failuresInRow = restsInRow = 0;
        restUntilTicks = 0;
        trying = false;
    }

    private void RestFor(TimeSpan rest) => restUntilTicks = Math.Max(restUntilTicks, (clock.GetUtcNow() + rest).UtcTicks);
}

/// <summary>A snapshot for pages and metrics. LastFailure is for the operator only.</summary>
public sealed record UpstreamHealth(bool IsUp, int Running, long Served, long Failed, string? LastFailure, Instant? LastFailureAt, Instant? LastCheckAt, bool? LastCheckOk, Instant? RestsUntil);
