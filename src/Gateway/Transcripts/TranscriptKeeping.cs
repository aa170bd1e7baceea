using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Passes calls on, and keeps what was said of those tenants that want it kept. Of all others it keeps nothing, not even in memory.</summary>
internal sealed class TranscriptKeeping(RunCall inner, TranscriptStore store, ILogger<TranscriptKeeping> log)
{
    public IAsyncEnumerable<CallEvent> RunAsync(Call call, CancellationToken cancel) =>
        TenantTerms.Of(call.Caller.Tenant).KeepDays is { } days && call.Reading is null ? KeepAsync(call, days, cancel) : inner(call, cancel);

    private async IAsyncEnumerable<CallEvent> KeepAsync(Call call, int days, [EnumeratorCancellation] CancellationToken cancel)
    {
        TranscriptDraft draft = new(call);
        try
        {
            await foreach (CallEvent happened in inner(call, cancel).WithCancellation(cancel))
            {
                draft.Take(happened);
                yield return happened;
            }
        }
        finally
        {
            // Also when the client has left or it failed midway: what was delivered was said.
            await WriteAsync(call, draft, days);
        }
    }

    /// <summary>An answer is not taken back because it could not be kept.</summary>
    private async Task WriteAsync(Call call, TranscriptDraft draft, int days)
    {
        if (draft.Id is not { } id) return;
        try
        {
            await store.KeepAsync(call.Caller.Tenant.Id, id, draft.Finish(), days, CancellationToken.None);
        }
        catch (StoreException error)
        {
            log.LogWarning("The transcript of request {Request} could not be kept: {Failure}", id, error.Message);
        }
    }
}
