using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Passes calls on, and keeps what was said of those tenants that want it kept. Of all others it keeps nothing, not even in memory.</summary>
internal sealed class TranscriptKeeping(RunCall inner, TranscriptStore store, ServedModels models, ILogger<TranscriptKeeping> log)
{
    public IAsyncEnumerable<CallEvent> RunAsync(Call call, CancellationToken cancel) =>
        TenantTerms.Of(call.Caller.Tenant).KeepDays is { } days && !call.Reads ? KeepAsync(call, days, cancel) : inner(call, cancel);

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

    /// <summary>What was asked, when it was no chat: the text, or what its tokens say. Null: nobody here can read them.</summary>
    private string? PromptOf(Call call)
    {
        if (call.Conversation is not null || call.PromptText is not null) return call.PromptText;
        if (models.All.FirstOrDefault(each => each.Name == call.Model) is not { } model) return null;
        ArrayBufferWriter<byte> bytes = new();
        foreach (int token in call.Prompt)
        {
            if (model.SpecialTextOf(token) is { } special) bytes.Write(Encoding.UTF8.GetBytes(special));
            else bytes.Write(model.Bytes(token));
        }
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>An answer is not taken back because it could not be kept.</summary>
    private async Task WriteAsync(Call call, TranscriptDraft draft, int days)
    {
        if (draft.Id is not { } id) return;
        try
        {
            await store.KeepAsync(call.Caller.Tenant.Id, id, draft.Finish(PromptOf(call)), days, CancellationToken.None);
        }
        catch (StoreException error)
        {
            log.LogWarning("The transcript of request {Request} could not be kept: {Failure}", id, error.Message);
        }
    }
}
