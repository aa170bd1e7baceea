namespace Qanat.Gateway;

/// <summary>Whether this process is about to end: then it takes nothing new, says so to whoever asks whether it is ready, and lets what runs finish.</summary>
public sealed class DrainState
{
    public const string Code = "shutting_down";

    private static readonly TimeSpan ComeAgain = TimeSpan.FromSeconds(5);
    private readonly Lock gate = new();
    private readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int running;

    public bool IsDraining { get; private set; }

    public int Running
    {
        get
        {
            lock (gate) return running;
        }
    }

    public void Begin()
    {
        lock (gate)
        {
            IsDraining = true;
            if (running == 0) idle.TrySetResult();
        }
    }

    /// <summary>Counts a call until it is disposed.</summary>
    /// <exception cref="ApiException">503: the process is about to end.</exception>
    public IDisposable Enter()
    {
        lock (gate)
        {
            if (IsDraining) throw new ApiException(503, "server_error", Code, "This server is about to stop and takes nothing new. Try again in a moment.", retryAfter: ComeAgain);
            running++;
        }
        return new Entered(this);
    }

    /// <summary>Waits until nothing runs any more, or as long as it may. Returns whether nothing runs.</summary>
    public async Task<bool> WaitAsync(TimeSpan most, TimeProvider clock)
    {
        try
        {
            await idle.Task.WaitAsync(most, clock);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private void Leave()
    {
        lock (gate)
        {
            running--;
            if (running == 0 && IsDraining) idle.TrySetResult();
        }
    }

    private sealed class Entered(DrainState state) : IDisposable
    {
        private DrainState? state = state;

        public void Dispose() => Interlocked.Exchange(ref state, null)?.Leave();
    }
}
