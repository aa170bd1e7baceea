using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Works on all batches that have not ended: those that are asked for, and at the start of the process those that it finds.</summary>
internal sealed class BatchRunner(BatchTools tools) : IHostedService, IDisposable
{
    private readonly ConcurrentDictionary<string, BatchWork> works = new(StringComparer.Ordinal);

    /// <summary>Those that an error of our own stopped: the next start goes on with them, or whoever cancels them.</summary>
    private readonly ConcurrentDictionary<string, BatchWork> stopped = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Task, byte> running = [];
    private readonly CancellationTokenSource stopping = new();
    private readonly TenantPlaces underWay = new(tools.Options.Kept.BatchesUnderWayMax);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach ((TenantId tenant, BatchState batch) in await tools.Batches.ListAsync(null, cancellationToken))
        {
            if (!batch.HasEnded) Begin(tenant, batch, underWay.Take(tenant));
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await stopping.CancelAsync();
        await Task.WhenAll(running.Keys).WaitAsync(cancellationToken);
    }

    /// <summary>Keeps a new one, and begins it.</summary>
    /// <exception cref="ApiException">429: the tenant has as many under way, or keeps as many, as it may.</exception>
    public async Task BeginAsync(TenantId tenant, BatchState batch)
    {
        IDisposable place = underWay.TryTake(tenant) ?? throw KeptRefusal.TooMany(FormattableString.Invariant(
            $"This tenant has {tools.Options.Kept.BatchesUnderWayMax} batches under way, as many as it may. Wait until one has ended, or cancel one (POST /v1/batches/ID/cancel)."));
        try
        {
            await tools.Batches.AddAsync(tenant, batch, CancellationToken.None);
        }
        catch
        {
            place.Dispose();
            throw;
        }
        Begin(tenant, batch, place);
    }

    private void Begin(TenantId tenant, BatchState batch, IDisposable place)
    {
        BatchWork work = new(tools, tenant, batch, place, stopping.Token);
        works[batch.Id] = work;
        Task task = Task.Run(() => RunAsync(work, place));
        running.TryAdd(task, 0);
        _ = task.ContinueWith(ended => running.TryRemove(ended, out _), TaskScheduler.Default);
    }

    /// <summary>A batch as it is at this moment; null: it is not being worked on.</summary>
    public JsonObject? Show(string id) => works.TryGetValue(id, out BatchWork? work) ? work.Show() : null;

    /// <summary>A batch as it is at this moment, whether it is being worked on or not.</summary>
    /// <param name="read">As it was read before.</param>
    public async Task<JsonObject> LatestAsync(TenantId tenant, BatchState read, CancellationToken cancel)
    {
        if (Show(read.Id) is { } now) return now;
        // It may have ended since it was read: its end is stored before it counts as worked on no more.
        return (read.HasEnded ? read : await tools.Batches.FindAsync(tenant, read.Id, cancel) ?? read).ToJson();
    }

    public async Task CancelAsync(string id)
    {
        if (works.TryGetValue(id, out BatchWork? work)) await work.CancelAsync();
        await EndStoppedAsync(id);
    }

    public void Dispose() => stopping.Dispose();

    private async Task RunAsync(BatchWork work, IDisposable place)
    {
        string id = work.Batch.Id;
        try
        {
            await RunToItsEndAsync(work);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The next process goes on from here.
        }
        catch (Exception error)
        {
            // Not marked as failed: the next start tries again from what is kept.
            tools.Log.LogError(error, "Batch {Batch} stopped; it goes on at the next start", id);
            stopped[id] = work;
        }
        finally
        {
            // Another work on it may have begun since it counts as stopped.
            works.TryRemove(KeyValuePair.Create(id, work));
            place.Dispose();
        }
        if (work.IsCancelled) await EndIfStoppedAsync(id);
    }

    /// <summary>Whoever cancelled a batch while it stopped has found it working, and not stopped yet.</summary>
    private async Task EndIfStoppedAsync(string id)
    {
        try
        {
            await EndStoppedAsync(id);
        }
        catch (Exception error)
        {
            tools.Log.LogError(error, "Batch {Batch} could not be ended; it can be cancelled again", id);
        }
    }

    private static async Task RunToItsEndAsync(BatchWork work)
    {
        try
        {
            await work.RunAsync();
        }
        catch (ApiException refused)
        {
            await work.FailAsync(new BatchRowError(null, refused.Code, refused.Message, refused.Param));
        }
    }

    /// <summary>Brings one that had stopped to its end: what was served is delivered, and no further row is served.</summary>
    private async Task EndStoppedAsync(string id)
    {
        // Whoever takes it out goes on with it, and nobody else.
        if (stopping.IsCancellationRequested || !stopped.TryRemove(id, out BatchWork? work)) return;
        try
        {
            // As it is kept: its last change may not have been.
            if (await tools.Batches.FindAsync(work.Tenant, id, CancellationToken.None) is not { HasEnded: false } batch) return;
            if (batch.Status is not (BatchStatus.Cancelling or BatchStatus.Finalizing))
            {
                batch.Enter(BatchStatus.Cancelling, tools.Clock.GetUtcNow().ToUnixTimeSeconds());
                await tools.Batches.SaveAsync(work.Tenant, batch, CancellationToken.None);
            }
            Begin(work.Tenant, batch, underWay.Take(work.Tenant));
        }
        catch
        {
            stopped[id] = work;
            throw;
        }
    }
}
