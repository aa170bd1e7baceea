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
    private readonly ConcurrentDictionary<Task, byte> running = [];
    private readonly CancellationTokenSource stopping = new();

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach ((TenantId tenant, BatchState batch) in await tools.Batches.ListAsync(null, cancellationToken))
        {
            if (!batch.HasEnded) Begin(tenant, batch);
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await stopping.CancelAsync();
        await Task.WhenAll(running.Keys).WaitAsync(cancellationToken);
    }

    public void Begin(TenantId tenant, BatchState batch)
    {
        BatchWork work = new(tools, tenant, batch, stopping.Token);
        works[batch.Id] = work;
        Task task = Task.Run(() => RunAsync(work));
        running.TryAdd(task, 0);
        _ = task.ContinueWith(ended => running.TryRemove(ended, out _), TaskScheduler.Default);
    }

    /// <summary>A batch as it is at this moment; null: it is not being worked on.</summary>
    public JsonObject? Show(string id) => works.TryGetValue(id, out BatchWork? work) ? work.Show() : null;

    public async Task CancelAsync(string id)
    {
        if (works.TryGetValue(id, out BatchWork? work)) await work.CancelAsync();
    }

    public void Dispose() => stopping.Dispose();

    private async Task RunAsync(BatchWork work)
    {
        try
        {
            await work.RunAsync();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The next process goes on from here.
        }
        catch (ApiException refused)
        {
            await work.FailAsync(new BatchRowError(null, refused.Code, refused.Message, refused.Param));
        }
        catch (Exception error)
        {
            // Not marked as failed: the next start tries again from what is kept.
            tools.Log.LogError(error, "Batch {Batch} stopped; it goes on at the next start", work.Batch.Id);
        }
        finally
        {
            works.TryRemove(work.Batch.Id, out _);
        }
    }
}
