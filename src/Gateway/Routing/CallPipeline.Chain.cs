using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Calls that upstreams or the built-in engine may serve (ADR 32): one hold, one place after the other until one begins to answer, and none once anything was delivered.</summary>
public sealed partial class CallPipeline
{
    private async IAsyncEnumerable<CallEvent> RunChainAsync(Call call, ImmutableArray<ServingPlace> places, [EnumeratorCancellation] CancellationToken cancel)
    {
        HeldCall held = await HoldAsync(call, places[0], cancel);
        try
        {
            for (int index = 0; index < places.Length && held.IsOpen; index++)
            {
                bool mayPassOn = index < places.Length - 1;
                IAsyncEnumerable<CallEvent> served = places[index] switch
                {
                    OutsidePlace outside => ServeOutsideAsync(held, outside, mayPassOn, cancel),
                    InsidePlace inside => ServeInsideAsync(held, inside.Deployment, mayPassOn ? inside.WaitingMax : null, cancel),
                    _ => throw new InvalidOperationException($"{places[index].GetType().Name} serves nothing."),
                };
                await foreach (CallEvent happened in served) yield return happened;
            }
            if (held.IsOpen) throw held.NotServed ?? new ApiException(503, "server_error", "upstream_unavailable", $"{call.Model} cannot be served at the moment. Try again soon.", retryAfter: TimeSpan.FromSeconds(5));
        }
        finally
        {
            if (held.IsOpen) await CloseAsync(held);
        }
    }

    /// <exception cref="ApiException">The first place finds the request itself wrong, or no budget pays for it.</exception>
    private async Task<HeldCall> HoldAsync(Call call, ServingPlace first, CancellationToken cancel)
    {
        if (first is InsidePlace { Deployment: var deployment })
        {
            // Where it stands in for a model that is turned off, the prompt is not in its tokens yet.
            Call asked = PromptFor(call, deployment) is { } prompt ? call with { Prompt = prompt } : call;
            RunningCall running = await AdmitAsync(asked, deployment, cancel);
            return new HeldCall(call, running.Hold, running.Reservation, running.AllowedNewTokens);
        }
        UpstreamSet set = ((OutsidePlace)first).Sets[0];
        (Hold hold, Admission admission) = await HoldAsync(call, CountOf(call, set), set, cancel);
        return new HeldCall(call, hold, admission.Reservation, admission.Allowed);
    }

    private async IAsyncEnumerable<CallEvent> ServeOutsideAsync(HeldCall held, OutsidePlace place, bool mayPassOn, [EnumeratorCancellation] CancellationToken cancel)
    {
        if (PlanOutside(held, place, mayPassOn) is not { } running) yield break;
        held.IsOpen = false;
        await foreach (CallEvent happened in upstreams!.RunAsync(_ => Task.FromResult(running), place.Sets[0], cancel))
        {
            held.IsAdmitted |= happened is Admitted;
            yield return happened;
        }
        if (running.NotServed is { } refusal) (held.IsOpen, held.NotServed, held.Tried) = (true, refusal, running);
    }

    /// <summary>Null: the call does not suit upstreams.</summary>
    private UpstreamCall? PlanOutside(HeldCall held, OutsidePlace place, bool mayPassOn)
    {
        UpstreamSet set = place.Sets[0];
        Call call = held.Call;
        // Another model reads the text its own way; tokens mean something to their own model only.
        if (set.Name != call.Model && !call.Prompt.IsEmpty)
        {
            if (call.Conversation is null && call.PromptText is null) return null;
            call = call with { Prompt = [], CacheTokens = 0 };
        }
        try
        {
            OwnCount own = CountOf(call, set);
            return new UpstreamCall(held.Hold, call, held.Reservation, MostOf(call, own, set), held.Allowed, own)
            {
                Within = place.Sets,
                MayPassOn = mayPassOn,
                IsAdmitted = held.IsAdmitted,
                Before = held.Tried?.Failed ?? [],
            };
        }
        catch (ApiException unsuited)
        {
            held.NotServed ??= unsuited;
            return null;
        }
    }

    private async IAsyncEnumerable<CallEvent> ServeInsideAsync(HeldCall held, Deployment deployment, int? waitingMax, [EnumeratorCancellation] CancellationToken cancel)
    {
        if (waitingMax is { } most && deployment.Engine.Status.Waiting >= most)
        {
            held.NotServed = Refusal(held.Hold.Model, new QueueFullException(FormattableString.Invariant($"{most} sequences are waiting already.")));
            yield break;
        }
        int attempts = held.Tried?.Attempts ?? 0;
        if (PlanInside(held, deployment) is not { } running || !await TryMoveAsync(held, running, deployment)) yield break;
        // Whatever of it is submitted is the meter's to settle.
        held.IsOpen = false;
        if (TrySubmit(running, deployment) is { } refusal)
        {
            (held.IsOpen, held.NotServed) = (true, refusal);
            yield break;
        }
        ModelName? standIn = deployment.Name == held.Call.Model ? null : deployment.Name;
        await foreach (CallEvent happened in FollowAsync(running, deployment, cancel))
        {
            if (happened is Admitted admitted)
            {
                if (!held.IsAdmitted) yield return admitted with { ServedModel = standIn, Attempts = attempts };
            }
            else yield return happened is Settled settled ? settled with { ServedModel = standIn } : happened;
        }
    }

    /// <summary>The call as the built-in engine serves it; null: it does not suit it.</summary>
    private RunningCall? PlanInside(HeldCall held, Deployment deployment)
    {
        Call asked = held.Call;
        // Where upstreams come first, nobody can tell the client which token is which.
        if (deployment.Meter.Stalled || asked.TopLogprobs >= 0 && asked.Prompt.IsEmpty || PromptFor(asked, deployment) is not { } prompt) return null;
        int contextLeft = deployment.Engine.ContextLength - prompt.Length;
        if (contextLeft < 1) return null;
        Call call = asked with { Prompt = prompt };
        int maxNew = Math.Min(asked.MaxTokens ?? contextLeft, contextLeft);
        try
        {
            RequireAbility(call, deployment);
            AnswerConstraint? constraint = Constrain(call, deployment.Model.Chat);
            int allowed = AllowedUnder(held, prompt.Length, Math.Min(maxNew, held.Allowed));
            if (allowed < 1) return null;
            held.Reservation.Tokens?.Reach(prompt.Length + (long)allowed * call.Choices);
            Hold hold = held.Hold with { Deployment = deployment.Meter.Deployment, Pool = deployment.Meter.Pool, Amount = held.Reservation.Amount };
            return new RunningCall(hold, call, held.Reservation, maxNew, allowed, choice => Reader(hold.Id, call, choice, deployment.Model.Chat)) { Constraint = constraint };
        }
        catch (ApiException unsuited)
        {
            held.NotServed ??= unsuited;
            return null;
        }
    }

    private static ImmutableArray<int>? PromptFor(Call call, Deployment deployment)
    {
        if (!call.Prompt.IsEmpty && deployment.Name == call.Model) return call.Prompt;
        try
        {
            if (call.Conversation is { } conversation) return [.. deployment.Model.Chat.Render(conversation)];
            return call.PromptText is { } text ? [.. deployment.Model.Tokenizer.Encode(text, SpecialText.AsPlainText)] : null;
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Output tokens per choice that the hold pays for, which is raised if the prompt has more tokens here than were counted for it.</summary>
    private int AllowedUnder(HeldCall held, int inputTokens, int wanted)
    {
        (Reservation reservation, Operation operation, int choices) = (held.Reservation, held.Call.Operation, held.Call.Choices);
        (RequestTerms terms, QuotaHold quota) = (reservation.Terms, reservation.Quota);
        limits.Contracts.Quotas.Extend(quota, inputTokens + (long)wanted * choices - quota.Tokens);
        if (ContractRating.AllowedOutput(quota.Contract, inputTokens, held.Hold.PlacedAt, quota.Tokens, operation) is { } output) wanted = (int)Math.Min(wanted, output / choices);
        if (wanted < 1 || terms.Price is null) return wanted;
        Money worst = terms.WorstCase(inputTokens, (long)wanted * choices, quota.Tokens, operation);
        if (worst <= reservation.Amount || limits.TryExtend(reservation, worst - reservation.Amount)) return wanted;
        return (int)Math.Clamp(terms.AffordableOutput(inputTokens, reservation.Amount, quota.Tokens, operation) / choices, 0, wanted);
    }

    /// <summary>Makes durable that the hold is this engine's now, and what upstreams may ask for although they served nothing. False: it could not be written.</summary>
    private async Task<bool> TryMoveAsync(HeldCall held, RunningCall running, Deployment deployment)
    {
        ImmutableArray<Fact>.Builder facts = ImmutableArray.CreateBuilder<Fact>();
        if (running.Hold.Deployment != held.Hold.Deployment || running.Hold.Pool != held.Hold.Pool) facts.Add(new HoldMoved(held.Hold.Id, deployment.Meter.Deployment, deployment.Meter.Pool));
        if (running.Hold.Amount != held.Hold.Amount) facts.Add(new HoldExtended(held.Hold.Id, running.Hold.Amount));
        if (held.Tried is { IsCostly: true } tried) facts.Add(new HoldSettled(InVain(held, tried)));
        try
        {
            if (facts.Count > 0) await store.AppendAsync(new Together(facts.DrainToImmutable()), options.Durability, CancellationToken.None);
            (held.Hold, held.Tried) = (running.Hold, null);
            return true;
        }
        catch (StoreException error)
        {
            held.NotServed = new ApiException(503, "server_error", "books_unavailable", $"Usage cannot be written at the moment, so nothing is served: {error.Message}", retryAfter: TimeSpan.FromSeconds(5));
            return false;
        }
    }

    /// <summary>What attempts cost that served nothing, in a record of its own: costed and not charged. The request's own record has the cost of who served it, which must be made again from the device time alone.</summary>
    private UsageRecord InVain(HeldCall held, UpstreamCall tried)
    {
        Instant now = Instant.Now(clock);
        Hold hold = held.Hold with { Id = RequestId.New(clock) };
        UsageProgress used = new(hold.Id, default, default, tried.Use);
        return Settlement.Record(hold, used, Outcome.Failed, now, now, UpstreamSpec.PoolOf(tried.Use.Attempts[^1].Upstream), held.Reservation.Terms, held.Call.Cache, 0, tariffs.Costs);
    }

    /// <summary>Nobody served it.</summary>
    private Task CloseAsync(HeldCall held) => held.Tried is { IsCostly: true } tried
        ? upstreams!.EndAsync(tried, Outcome.Failed)
        : ReleaseAsync(held.Hold, held.Reservation, held.NotServed?.Message ?? "the client left before generation began");

    /// <summary>A call on its way along the places of its chain.</summary>
    private sealed class HeldCall(Call call, Hold hold, Reservation reservation, int allowed)
    {
        public Call Call { get; } = call;
        public Hold Hold { get; set; } = hold;
        public Reservation Reservation { get; } = reservation;

        /// <summary>Output tokens per choice that the hold paid for when it was placed.</summary>
        public int Allowed { get; } = allowed;

        /// <summary>Nobody has taken the hold over: it is to be closed by whoever has this.</summary>
        public bool IsOpen { get; set; } = true;

        /// <summary>The client was told of its admission.</summary>
        public bool IsAdmitted { get; set; }

        /// <summary>Why the last place that could be asked did not serve it.</summary>
        public ApiException? NotServed { get; set; }

        /// <summary>The call as upstreams tried it last, until what they may ask for is in the books.</summary>
        public UpstreamCall? Tried { get; set; }
    }
}
