using Microsoft.Extensions.Logging;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Keeps meters and bookkeeping out of each other's way: what the bookkeeper reads belongs to one moment, because no meter commits meanwhile.</summary>
public sealed class CommitGate : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);

    public async Task<T> RunAsync<T>(Func<Task<T>> work, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(work);
        await turn.WaitAsync(cancel);
        try
        {
            return await work();
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();
}

/// <summary>Posts settled usage and capacity to the journal, every few seconds and whenever statements are asked for.</summary>
public sealed class BooksPoster(IBookStore store, CommitGate gate, TimeProvider clock, ILogger<BooksPoster> log) : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly Bookkeeper bookkeeper = new(store);
    private readonly CancellationTokenSource stopping = new();
    private Task running = Task.CompletedTask;

    public void Start() => running = Task.Run(RunAsync);

    /// <summary>Everything settled so far is in the journal when this completes.</summary>
    public Task<PostingSummary> PostNowAsync(CancellationToken cancel) => gate.RunAsync(() => bookkeeper.PostAsync(cancel), cancel);

    /// <summary>Posts, then reads the books at that same moment.</summary>
    public Task<T> PostThenAsync<T>(Func<IBookStore, Task<T>> read, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(read);
        return gate.RunAsync(async () =>
        {
            await bookkeeper.PostAsync(cancel);
            return await read(store);
        }, cancel);
    }

    /// <summary>Posts once more and ends. Call after the meters have ended.</summary>
    public async Task StopAsync()
    {
        await stopping.CancelAsync();
        await running;
    }

    public void Dispose() => stopping.Dispose();

    private async Task RunAsync()
    {
        using PeriodicTimer timer = new(Interval, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token)) await PostOnceAsync();
        }
        catch (OperationCanceledException)
        {
            await PostOnceAsync();
        }
    }

    /// <summary>A failure leaves records unposted; the next round posts them.</summary>
    private async Task PostOnceAsync()
    {
        try
        {
            await PostNowAsync(CancellationToken.None);
        }
        catch (StoreException error)
        {
            log.LogError(error, "Usage could not be posted to the journal; it will be tried again");
        }
    }
}
