using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Deletes what is kept for longer than its tenant wants by now: each transcript expires by the days that held when it was kept, and fewer days hold for older ones too.</summary>
internal sealed class TranscriptSweep(DirectoryState directory, TranscriptStore store, GatewayOptions options, TimeProvider clock, ILogger<TranscriptSweep> log) : BackgroundService
{
    public async Task RunOnceAsync(CancellationToken cancel)
    {
        foreach (Tenant tenant in directory.Current.Tenants)
        {
            if (TenantTerms.Of(tenant).KeepDays is { } days) await store.DeleteAllAsync(tenant.Id, Instant.From(clock.GetUtcNow().AddDays(-days)), cancel);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using PeriodicTimer timer = new(options.ExpiredDocumentsInterval, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                try
                {
                    await RunOnceAsync(stoppingToken);
                }
                catch (StoreException error)
                {
                    log.LogWarning(error, "Kept transcripts could not be deleted; they are tried again.");
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process ends.
        }
    }
}
