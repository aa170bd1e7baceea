using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Admission, generation, metering and settlement of a call: the one way in which anything is served.</summary>
public sealed partial class CallPipeline(RoutingState routing, TariffState tariffs, BudgetLimits limits, IBookStore store, MeterOptions options, TimeProvider clock, UpstreamServing? upstreams = null)
{
    private readonly AbandonedHolds abandoned = new(store, limits, options, clock);

    /// <summary>Runs a call. Cancelling the token ends its sequences within one step; what was generated until then is settled.</summary>
    /// <exception cref="ApiException">Refused before anything was served (nothing charged), or failed midway (what was served is settled).</exception>
    public IAsyncEnumerable<CallEvent> RunAsync(Call call, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(call);
        // Vectors and scores of another model are no answer: what reads is served under its own name only.
        if (!call.Reads && routing.ChainOf(call.Model) is { } chain) return RunChainAsync(call, chain, cancel);
        return routing.FindUpstreams(call.Model) is { } set ? RunOutsideAsync(call, set, cancel) : RunInsideAsync(call, cancel);
    }

    private async IAsyncEnumerable<CallEvent> RunInsideAsync(Call call, [EnumeratorCancellation] CancellationToken cancel)
    {
        Deployment deployment = routing.Find(call.Model);
        RunningCall running = await AdmitAsync(call, deployment, cancel);
        if (TrySubmit(running, deployment) is { } refusal)
        {
            await ReleaseAsync(running.Hold, running.Reservation, refusal.Message);
            throw refusal;
        }
        await foreach (CallEvent happened in FollowAsync(running, deployment, cancel)) yield return happened;
    }

    /// <summary>Tells of a call that was submitted, to its end.</summary>
    private async IAsyncEnumerable<CallEvent> FollowAsync(RunningCall running, Deployment deployment, [EnumeratorCancellation] CancellationToken cancel)
    {
        bool settled = false, stopped = false;
        await using IAsyncEnumerator<CallEvent> events = running.Events.ReadAllAsync(cancel).GetAsyncEnumerator(CancellationToken.None);
        try
        {
            yield return new Admitted(running.Hold.Id, running.Hold.PlacedAt, running.Hold.Amount, running.Terms.Price is { } price ? Rating.RatesFor(price, running.Call.Prompt.Length) : null);
            while (!stopped)
            {
                try
                {
                    if (!await events.MoveNextAsync()) yield break;
                }
                catch (OperationCanceledException) when (running.Call.Stopping.IsCancellationRequested)
                {
                    stopped = true;
                    continue;
                }
                settled |= events.Current is Settled;
                yield return events.Current;
            }
            await foreach (CallEvent happened in StopAsync(running, deployment))
            {
                settled |= happened is Settled;
                yield return happened;
                if (happened is Settled { Record.Outcome: Outcome.Completed }) yield break;
            }
            throw TenantStops.Stopped();
        }
        finally
        {
            // The client is gone or stopped reading: the sequences end before their next step, and the meter settles them.
            if (!settled)
            {
                EndAll(running, deployment);
                // A row of a batch may be tried again: only when it is known what this try was charged.
                if (running.Call.Operation == Operation.Batch) await running.EndAsync();
            }
        }
    }

    /// <summary>Ends a call whose tenant was stopped, and tells the rest of what it is charged for, and what that is. Books that are away are not waited for longer than a hold would be.</summary>
    private async IAsyncEnumerable<CallEvent> StopAsync(RunningCall running, Deployment deployment)
    {
        running.IsStopped = true;
        EndAll(running, deployment);
        using CancellationTokenSource patience = new(options.HoldWriteMax, clock);
        await using IAsyncEnumerator<CallEvent> rest = running.Events.ReadAllAsync(patience.Token).GetAsyncEnumerator(CancellationToken.None);
        while (true)
        {
            try
            {
                if (!await rest.MoveNextAsync()) yield break;
            }
            catch (OperationCanceledException)
            {
                yield break;
            }
            // That it was ended is told by the error that follows.
            if (rest.Current is not ChoiceFinished { Reason: AnswerEnd.Cancelled }) yield return rest.Current;
        }
    }

    /// <summary>Places the hold of a call that the built-in engine is to serve.</summary>
    private async Task<RunningCall> AdmitAsync(Call call, Deployment deployment, CancellationToken cancel)
    {
        RequireAbility(call, deployment);
        int contextLeft = deployment.Engine.ContextLength - call.Prompt.Length;
        if (contextLeft < (call.Reading is null ? 1 : 0))
            throw new ApiException(400, "invalid_request_error", "context_length_exceeded",
                $"The prompt has {call.Prompt.Length} tokens; {call.Model} has room for {deployment.Engine.ContextLength} tokens, prompt and answer together. Shorten it.", "messages");
        if (deployment.Meter.Stalled)
            throw new ApiException(503, "server_error", "books_unavailable", "Usage cannot be written at the moment, so nothing is served. Try again soon.", retryAfter: TimeSpan.FromSeconds(5));

        AnswerConstraint? constraint = Constrain(call, deployment.Model.Chat);
        int maxNew = Math.Min(call.MaxTokens ?? contextLeft, contextLeft);
        Admission admission = await AdmitAsync(call, call.Prompt.Length, maxNew, cancel);
        Hold hold = HoldOf(call, admission, deployment.Meter.Deployment, deployment.Meter.Pool);
        RunningCall running = new(hold, call, admission.Reservation, maxNew, admission.Allowed, choice => Reader(hold.Id, call, choice, deployment.Model.Chat)) { Constraint = constraint };
        await PlaceAsync(hold, admission.Reservation, cancel);
        Keep(call, admission, call.Prompt.Length);
        return running;
    }

    /// <exception cref="ApiException">The model is to generate, and its file has nothing to generate with.</exception>
    private static void RequireAbility(Call call, Deployment deployment)
    {
        if (!call.Reads && !deployment.Model.Generates)
            throw new ApiException(400, "invalid_request_error", "unsupported_model", $"{deployment.Name} {LoadedModel.ReadsOnly}", "model");
    }

    /// <summary>Output tokens per choice that the first hold pays for. A limit the caller named is held whole up to the option; without one, the hold shrinks to what the budget can pay.</summary>
    private int FirstAllowance(Call call, RequestTerms terms, int inputTokens, int maxNew)
    {
        PriceVersion? price = terms.Price;
        int allowed = Math.Min(maxNew, options.HoldOutputTokens);
        if (price is null)
        {
            if (limits.BudgetsOf(call.Caller, Currency.Usd, CallParts.Of(call)).FirstOrDefault(budget => budget.Limit is not null) is { } budget)
                throw new ApiException(402, "insufficient_quota", "unpriced_model",
                    $"{call.Model} has no price, so the {budget.Level}'s budget could not hold. Add a price (qanat price set), or remove the budget.", "model");
            return allowed;
        }
        if (call.MaxTokens is not null || limits.Available(call.Caller, price.Rates.OutputPerToken.Currency, CallParts.Of(call)) is not { } left) return allowed;
        long free = terms.Quota is { } contract ? limits.Contracts.Quotas.Left(contract) : 0;
        long affordable = terms.AffordableOutput(inputTokens, left, free, call.Operation) / call.Choices;
        return (int)Math.Clamp(affordable, 1, allowed);
    }

    /// <summary>Free tokens for the first allowance. Where nothing may be charged beyond them, the allowance shrinks to what is left.</summary>
    /// <exception cref="ApiException">402: the quota is used up. 429: other requests hold the rest of it.</exception>
    private QuotaHold HoldQuota(Call call, RequestTerms terms, int inputTokens, ref int allowed, Instant placed)
    {
        FreeQuotas quotas = limits.Contracts.Quotas;
        QuotaHold hold = quotas.Hold(terms, inputTokens + (long)allowed * call.Choices, call.Operation, placed);
        if (terms.Quota is not { } contract || ContractRating.AllowedOutput(contract, inputTokens, placed, hold.Tokens, call.Operation) is not { } output) return hold;
        allowed = (int)Math.Min(allowed, output / call.Choices);
        if (allowed > 0 || call.Reads && hold.Tokens >= inputTokens) return hold;
        quotas.Release(hold);
        bool usedUp = placed >= contract.Free!.Until || call.Operation == Operation.Batch || quotas.Used(contract) + inputTokens + call.Choices > contract.Free.Tokens;
        throw usedUp
            ? new ApiException(402, "insufficient_quota", "free_quota_exhausted", $"The free quota of contract '{contract.Name}' has no tokens left for this request, and the contract allows nothing beyond it.")
            : new ApiException(429, "insufficient_quota", "free_quota_held", $"Requests that are still running hold the rest of the free quota of contract '{contract.Name}'. Try again in a moment.", retryAfter: TimeSpan.FromSeconds(1));
    }

    /// <summary>Holds what a call may use, in free tokens and in money, under the terms of this instant.</summary>
    /// <exception cref="ApiException">Refused: a budget, a quota or a credit does not suffice, or is held by other requests.</exception>
    private async Task<Admission> AdmitAsync(Call call, int inputTokens, int maxNew, CancellationToken cancel)
    {
        await KnowPartsAsync(call.Caller);
        Instant placed = Instant.Now(clock);
        RequestTerms terms = RequestTerms.Find(tariffs.Prices, tariffs.Declared, call.Caller.Tenant.Id, call.Model, placed);
        int allowed = FirstAllowance(call, terms, inputTokens, maxNew);
        QuotaHold quota = HoldQuota(call, terms, inputTokens, ref allowed, placed);
        Money amount = terms.Price is null ? Money.Zero(Currency.Usd) : terms.WorstCase(inputTokens, (long)allowed * call.Choices, quota.Tokens, call.Operation);
        try
        {
            Reservation reservation = await limits.PlaceAsync(call.Caller, amount, cancel, CallParts.Of(call));
            (reservation.Terms, reservation.Quota) = (terms, quota);
            return new Admission(placed, allowed, amount, reservation);
        }
        catch
        {
            limits.Contracts.Quotas.Release(quota);
            throw;
        }
    }

    /// <exception cref="ApiException">503: the books cannot be read.</exception>
    private async Task KnowPartsAsync(Caller caller)
    {
        try
        {
            await limits.KnowPartsAsync(caller);
        }
        catch (StoreException error)
        {
            throw BooksUnavailable(error.Message);
        }
    }

    private Hold HoldOf(Call call, Admission admission, DeploymentName deployment, PoolName pool) => new(call.Id ?? RequestIds.New(clock), admission.Placed,
        new Party(call.Caller.Tenant.Id, call.Caller.Project.Id, call.Caller.Key.Id, call.UserTag), call.Model, deployment, call.Operation, admission.Reservation.Terms.Price?.Id, admission.Amount, pool);

    /// <summary>What is held for a call, and by what terms.</summary>
    /// <param name="Allowed">Output tokens per choice that it pays for.</param>
    private sealed record Admission(Instant Placed, int Allowed, Money Amount, Reservation Reservation);

    /// <exception cref="ApiException">503: the hold is not written, or nobody knows yet whether it is.</exception>
    private async Task PlaceAsync(Hold hold, Reservation reservation, CancellationToken cancel)
    {
        Task placing = store.AppendAsync(new HoldPlaced(hold), options.Durability, CancellationToken.None);
        try
        {
            await placing.WaitAsync(options.HoldWriteMax, clock, CancellationToken.None);
        }
        catch (StoreException error)
        {
            limits.Release(reservation);
            throw BooksUnavailable(error.Message);
        }
        catch (TimeoutException)
        {
            _ = abandoned.ReleaseAsync(placing, hold, reservation, "refused, because the books did not answer in time");
            throw BooksUnavailable("the books do not answer.");
        }
        if (!cancel.IsCancellationRequested) return;
        await ReleaseAsync(hold, reservation, "the client left before generation began");
        cancel.ThrowIfCancellationRequested();
    }

    /// <summary>From here on whoever settles the hold says what the call used.</summary>
    private static void Keep(Call call, Admission admission, int inputTokens)
    {
        admission.Reservation.Keep(call.Tokens);
        call.Tokens?.Reach(inputTokens + (long)admission.Allowed * call.Choices);
    }

    private static ApiException BooksUnavailable(string reason) =>
        new(503, "server_error", "books_unavailable", $"The hold for this request could not be written, so it is not served: {reason}", retryAfter: TimeSpan.FromSeconds(5));

    /// <summary>Null: it is submitted. Else why nothing of it could be; its hold is still open.</summary>
    /// <exception cref="ApiException">Some of its choices could be: they end, and the meter settles them.</exception>
    private static ApiException? TrySubmit(RunningCall running, Deployment deployment)
    {
        deployment.Meter.Register(running);
        int submitted = 0;
        try
        {
            for (; submitted < running.Choices; submitted++)
                deployment.Engine.Submit(Request(running, submitted, deployment.Model.Chat));
            return null;
        }
        catch (Exception error) when (error is QueueFullException or ArgumentException or InvalidOperationException)
        {
            if (submitted > 0)
            {
                running.AbandonFrom(submitted);
                EndAll(running, deployment);
                throw Refusal(running.Hold.Model, error);
            }
            deployment.Meter.Withdraw(running);
            return Refusal(running.Hold.Model, error);
        }
    }

    private static ApiException Refusal(ModelName model, Exception error) => error switch
    {
        QueueFullException => new ApiException(429, "rate_limit_error", "queue_full", $"{model} is busy: {error.Message}", retryAfter: TimeSpan.FromSeconds(2)),
        ArgumentException => new ApiException(400, "invalid_request_error", "context_length_exceeded", error.Message, "messages"),
        _ => new ApiException(503, "server_error", "engine_stopped", $"{model} cannot answer: {error.Message}", retryAfter: TimeSpan.FromSeconds(5)),
    };

    /// <summary>What an answer must be is promised only when it can be kept: a caller who relies on it is told otherwise at once.</summary>
    private static AnswerConstraint? Constrain(Call call, ChatFormat format)
    {
        if (call.Conversation is not { } conversation) return null;
        try
        {
            return format.Constraint(conversation);
        }
        catch (GrammarException error)
        {
            throw new ApiException(400, "invalid_request_error", "invalid_schema", error.Message, conversation.Format is TextFormat ? "tools" : "response_format");
        }
    }

    private static AnswerReader Reader(RequestId request, Call call, int choice, ChatFormat format) => call.Conversation is { } conversation
        ? format.Reader(conversation, index => ToolCallIds.Of(request, choice, index))
        : AnswerReader.Plain();

    private static SequenceRequest Request(RunningCall running, int choice, ChatFormat format)
    {
        Call call = running.Call;
        if (call.Reading is { } reading) return SequenceRequest.ToRead(reading, running.Sequence(choice), call.Prompt, call.Caller.Tenant.Id.ToString());
        return new SequenceRequest(running.Sequence(choice), call.Prompt, running.MaxNewTokens, running.AllowedNewTokens, call.Sampling,
            call.Stop, call.TopLogprobs, call.IgnoreStopTokens, call.Caller.Tenant.Id.ToString())
        {
            Constraint = running.Constraint,
            Thinking = call.Conversation is { } conversation && format.ThoughtOf(conversation) is { } thought
                ? new ThinkingOptions(thought.Open, thought.Close, thought.IsOpen) { Call = thought.Call, TokensMax = thought.TokensMax, Ending = thought.Ending }
                : null,
            LoopTokensMax = call.LoopTokensMax,
        };
    }

    /// <summary>What follows does not wait for books that are away.</summary>
    private Task ReleaseAsync(Hold hold, Reservation reservation, string reason) =>
        abandoned.ReleaseAsync(Task.CompletedTask, hold, reservation, reason).WaitAsync(options.HoldWriteMax, clock).ContinueWith(static _ => { }, TaskScheduler.Default);

    private static void EndAll(RunningCall running, Deployment deployment)
    {
        for (int choice = 0; choice < running.Choices; choice++)
            deployment.Engine.End(running.Sequence(choice), FinishReason.Cancelled);
    }
}
