using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Calls that upstreams serve: admitted like all others, with our own count of the prompt for want of its tokens.</summary>
public sealed partial class CallPipeline
{
    // Admitted within the upstreams' own sequence: one around it would be awaited once more for each of its events.
    private IAsyncEnumerable<CallEvent> RunOutsideAsync(Call call, UpstreamSet set, CancellationToken cancel) => upstreams!.RunAsync(ending => AdmitOutsideAsync(call, set, ending), set, cancel);

    private async Task<UpstreamCall> AdmitOutsideAsync(Call call, UpstreamSet set, CancellationToken cancel)
    {
        OwnCount own = CountOf(call, set);
        (Hold hold, Admission admission) = await HoldAsync(call, own, set, cancel);
        return new UpstreamCall(hold, call, admission.Reservation, MostOf(call, own, set), admission.Allowed, own) { Within = call.Reads ? [set] : null };
    }

    /// <summary>Our own count of a call that upstreams may serve.</summary>
    /// <exception cref="ApiException">They may not.</exception>
    private OwnCount CountOf(Call call, UpstreamSet set)
    {
        // Those of a chat are passed on as they are told; completions tell them by tokens.
        if (call.TopLogprobs >= 0 && call.Conversation is null) throw Qanat.Gateway.Refusal.Unsupported("logprobs", $"{call.Model} is served by an engine whose tokens are not known here.");
        if (routing.Upstreams!.IsStalled)
            throw new ApiException(503, "server_error", "books_unavailable", "Usage cannot be written at the moment, so nothing is served. Try again soon.", retryAfter: TimeSpan.FromSeconds(5));
        OwnCount own = new(call, routing.CountAs(set));
        if (own.Input >= set.ContextLength && own.IsExact)
            throw new ApiException(400, "invalid_request_error", "context_length_exceeded",
                $"The prompt has {own.Input} tokens; {call.Model} has room for {set.ContextLength} tokens, prompt and answer together. Shorten it.", "messages");
        return own;
    }

    private async Task<(Hold Hold, Admission Admission)> HoldAsync(Call call, OwnCount own, UpstreamSet set, CancellationToken cancel)
    {
        Admission admission = await AdmitAsync(call, own.Input, MostOf(call, own, set) ?? ContextLeft(own, set), cancel);
        string first = set.Targets[0].Spec.Name;
        Hold hold = HoldOf(call, admission, UpstreamSpec.DeploymentOf(first), UpstreamSpec.PoolOf(first));
        await PlaceAsync(hold, admission.Reservation, cancel);
        Keep(call, admission, own.Input);
        return (hold, admission);
    }

    private static int ContextLeft(OwnCount own, UpstreamSet set) => Math.Max(1, set.ContextLength - own.Input);

    /// <summary>Tokens that a choice may have; null: as many as the upstream likes.</summary>
    private static int? MostOf(Call call, OwnCount own, UpstreamSet set) => call.MaxTokens is { } most ? Math.Min(most, ContextLeft(own, set)) : null;
}
