using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Makes room: deletes documents that have expired (responses, files, rows of batches), now and then and a few at a time, because the writer has more urgent work.</summary>
internal sealed class ExpiredDocuments(IDocumentStore documents, GatewayOptions options, TimeProvider clock, ILogger<ExpiredDocuments> log) : BackgroundService
{
    private const int DocumentsAtOnce = 100;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            try
            {
                while (await documents.DeleteExpiredAsync(DocumentsAtOnce, stoppingToken) == DocumentsAtOnce) { }
            }
            catch (StoreException error)
            {
                log.LogWarning(error, "Expired documents could not be deleted; they are tried again");
            }
            await Task.Delay(options.ExpiredDocumentsInterval, clock, stoppingToken);
        }
    }
}
