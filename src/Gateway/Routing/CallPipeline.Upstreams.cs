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
        if (call.TopLogprobs >= 0) throw Qanat.Gateway.Refusal.Unsupported("logprobs", $"{call.Model} is served by an engine whose tokens are not known here.");
        if (routing.Upstreams!.IsStalled)
            throw new ApiException(503, "server_error", "books_unavailable", "Usage cannot be written at the moment, so nothing is served. Try again soon.", retryAfter: TimeSpan.FromSeconds(5));
        OwnCount own = new(call, CountAs(set));
        if (own.Input >= set.ContextLength && own.IsExact)
            throw new ApiException(400, "invalid_request_error", "context_length_exceeded",
                $"The prompt has {own.Input} tokens; {call.Model} has room for {set.ContextLength} tokens, prompt and answer together. Shorten it.", "messages");

        int contextLeft = Math.Max(1, set.ContextLength - own.Input);
        int maxNew = Math.Min(call.MaxTokens ?? contextLeft, contextLeft);
        PriceVersion? price = tariffs.Prices.Find(call.Model, call.Caller.Tenant.Id, Instant.Now(clock));
        int allowed = FirstAllowance(call, price, own.Input, maxNew);
        Money amount = price is null ? Money.Zero(Currency.Usd) : Rating.WorstCase(price, own.Input, (long)allowed * call.Choices, call.Operation);
        Reservation reservation = await limits.PlaceAsync(call.Caller, amount, cancel);
        string first = set.Targets[0].Spec.Name;
        Hold hold = new(call.Id ?? RequestId.New(clock), Instant.Now(clock), new Party(call.Caller.Tenant.Id, call.Caller.Project.Id, call.Caller.Key.Id, call.UserTag),
            call.Model, UpstreamSpec.DeploymentOf(first), call.Operation, price?.Id, amount, UpstreamSpec.PoolOf(first));
        await PlaceAsync(hold, reservation, cancel);
        return new UpstreamCall(hold, call, price, reservation, call.MaxTokens is null ? null : maxNew, allowed, own);
    }

    /// <summary>A model of the built-in engine that counts as the upstream's does.</summary>
    private LoadedModel? CountAs(UpstreamSet set)
    {
        if (set.Targets[0].Model.CountAs is not { } name) return null;
        foreach (Deployment deployment in routing.Deployments)
        {
            if (deployment.Name == name) return deployment.Model;
        }
        return null;
    }
}
