using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Deletes what is kept for longer than its tenant wants by now: each transcript and each response expires by the days that held when it was kept, and fewer days hold for older ones too.</summary>
internal sealed class RetentionSweep(DirectoryState directory, TranscriptStore transcripts, ResponseStore responses, GatewayOptions options, TimeProvider clock, ILogger<RetentionSweep> log) : BackgroundService
{
    public async Task RunOnceAsync(CancellationToken cancel)
    {
        await responses.SealPlainAsync(cancel);
        foreach (Tenant tenant in directory.Current.Tenants)
        {
            if (TenantTerms.Of(tenant).KeepDays is { } days) await transcripts.DeleteAllAsync(tenant.Id, Before(days), cancel);
            await responses.DeleteAllAsync(tenant.Id, Before(StoringTerms.Of(tenant).Days), cancel);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using PeriodicTimer timer = new(options.ExpiredDocumentsInterval, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken)) await TryAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            // The process ends.
        }
    }

    private Instant Before(int days) => Instant.From(clock.GetUtcNow().AddDays(-days));

    private async Task TryAsync(CancellationToken cancel)
    {
        try
        {
            await RunOnceAsync(cancel);
        }
        catch (StoreException error)
        {
            log.LogWarning(error, "What is kept of prompts and answers could not be sealed or deleted; it is tried again.");
        }
    }
}
