using Microsoft.Extensions.Logging;

namespace Qanat.Gateway;

/// <summary>Asks every upstream from time to time whether it answers, so that one that is down is known before a call finds out, and one that is back is used again at once.</summary>
public sealed class UpstreamHealthChecks(UpstreamDirectory directory, TimeProvider clock, ILogger<UpstreamHealthChecks> log) : IAsyncDisposable
{
    private readonly CancellationTokenSource stopping = new();
    private Task running = Task.CompletedTask;

    public void Start() => running = Task.Run(RunAsync);

    /// <summary>Checks all that are on once.</summary>
    public Task CheckAsync(CancellationToken cancel) => Task.WhenAll(directory.Current.All.Where(upstream => !upstream.Spec.IsOff).Select(upstream => CheckAsync(upstream, cancel)));

    private async Task CheckAsync(Upstream upstream, CancellationToken cancel)
    {
        bool wasUp = upstream.State.Health.IsUp;
        string? failure = await upstream.CheckAsync(cancel);
        if (failure is not null && wasUp) log.LogWarning("Upstream {Upstream} is down: {Failure}", upstream.Spec.Name, failure);
        else if (failure is null && !wasUp) log.LogWarning("Upstream {Upstream} is up again", upstream.Spec.Name);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
        stopping.Dispose();
    }

    private async Task RunAsync()
    {
        using PeriodicTimer timer = new(directory.Options.CheckInterval, clock);
        try
        {
            do await CheckAsync(stopping.Token);
            while (await timer.WaitForNextTickAsync(stopping.Token));
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The server stops.
        }
    }
}
