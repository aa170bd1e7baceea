using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Calls that upstreams serve: admitted like all others, with our own count of the prompt for want of its tokens.</summary>
public sealed partial class CallPipeline
{
    private async IAsyncEnumerable<CallEvent> RunOutsideAsync(Call call, UpstreamSet set, [EnumeratorCancellation] CancellationToken cancel)
    {
        UpstreamCall running = await AdmitAsync(call, set, cancel);
        await foreach (CallEvent happened in upstreams!.RunAsync(running, set, cancel)) yield return happened;
    }

    private async Task<UpstreamCall> AdmitAsync(Call call, UpstreamSet set, CancellationToken cancel)
    {
        // Those of a chat are passed on as they are told; completions tell them by tokens.
        if (call.TopLogprobs >= 0 && call.Conversation is null) throw Qanat.Gateway.Refusal.Unsupported("logprobs", $"{call.Model} is served by an engine whose tokens are not known here.");
        if (routing.Upstreams!.IsStalled)
            throw new ApiException(503, "server_error", "books_unavailable", "Usage cannot be written at the moment, so nothing is served. Try again soon.", retryAfter: TimeSpan.FromSeconds(5));
        OwnCount own = new(call, routing.CountAs(set));
        if (own.Input >= set.ContextLength && own.IsExact)
            throw new ApiException(400, "invalid_request_error", "context_length_exceeded",
                $"The prompt has {own.Input} tokens; {call.Model} has room for {set.ContextLength} tokens, prompt and answer together. Shorten it.", "messages");

        int contextLeft = Math.Max(1, set.ContextLength - own.Input);
        int maxNew = Math.Min(call.MaxTokens ?? contextLeft, contextLeft);
        Admission admission = await AdmitAsync(call, own.Input, maxNew, cancel);
        string first = set.Targets[0].Spec.Name;
        Hold hold = HoldOf(call, admission, UpstreamSpec.DeploymentOf(first), UpstreamSpec.PoolOf(first));
        await PlaceAsync(hold, admission.Reservation, cancel);
        return new UpstreamCall(hold, call, admission.Reservation, call.MaxTokens is null ? null : maxNew, admission.Allowed, own);
    }
}
