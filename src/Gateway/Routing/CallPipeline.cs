using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Admission, generation, metering and settlement of a call: the one way in which anything is served.</summary>
public sealed partial class CallPipeline(RoutingState routing, TariffState tariffs, BudgetLimits limits, IBookStore store, MeterOptions options, TimeProvider clock, UpstreamServing? upstreams = null)
{
    /// <summary>Runs a call. Cancelling the token ends its sequences within one step; what was generated until then is settled.</summary>
    /// <exception cref="ApiException">Refused before anything was served (nothing charged), or failed midway (what was served is settled).</exception>
    public IAsyncEnumerable<CallEvent> RunAsync(Call call, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(call);
        return routing.FindUpstreams(call.Model) is { } set ? RunOutsideAsync(call, set, cancel) : RunInsideAsync(call, cancel);
    }

    private async IAsyncEnumerable<CallEvent> RunInsideAsync(Call call, [EnumeratorCancellation] CancellationToken cancel)
    {
        Deployment deployment = routing.Find(call.Model);
        RunningCall running = await AdmitAsync(call, deployment, cancel);
        bool settled = false;
        try
        {
            yield return new Admitted(running.Hold.Id, running.Hold.PlacedAt, running.Hold.Amount, running.Price is { } price ? Rating.RatesFor(price, call.Prompt.Length) : null);
            await foreach (CallEvent happened in running.Events.ReadAllAsync(cancel))
            {
                settled |= happened is Settled;
                yield return happened;
            }
        }
        finally
        {
            // The client is gone or stopped reading: the sequences end before their next step, and the meter settles them.
            if (!settled) EndAll(running, deployment);
        }
    }

    private async Task<RunningCall> AdmitAsync(Call call, Deployment deployment, CancellationToken cancel)
    {
        int contextLeft = deployment.Engine.ContextLength - call.Prompt.Length;
        if (contextLeft < (call.Reading is null ? 1 : 0))
            throw new ApiException(400, "invalid_request_error", "context_length_exceeded",
                $"The prompt has {call.Prompt.Length} tokens; {call.Model} has room for {deployment.Engine.ContextLength} tokens, prompt and answer together. Shorten it.", "messages");
        if (deployment.Meter.Stalled)
            throw new ApiException(503, "server_error", "books_unavailable", "Usage cannot be written at the moment, so nothing is served. Try again soon.", retryAfter: TimeSpan.FromSeconds(5));

        int maxNew = Math.Min(call.MaxTokens ?? contextLeft, contextLeft);
        PriceVersion? price = tariffs.Prices.Find(call.Model, call.Caller.Tenant.Id, Instant.Now(clock));
        int allowed = FirstAllowance(call, price, call.Prompt.Length, maxNew);
        Money amount = price is null ? Money.Zero(Currency.Usd) : Rating.WorstCase(price, call.Prompt.Length, (long)allowed * call.Choices, call.Operation);
        Reservation reservation = await limits.PlaceAsync(call.Caller, amount, cancel);
        Hold hold = new(call.Id ?? RequestId.New(clock), Instant.Now(clock), new Party(call.Caller.Tenant.Id, call.Caller.Project.Id, call.Caller.Key.Id, call.UserTag),
            call.Model, deployment.Meter.Deployment, call.Operation, price?.Id, amount, deployment.Meter.Pool);
        RunningCall running = new(hold, call, price, reservation, maxNew, allowed, choice => Reader(hold.Id, call, choice, deployment.Model.Chat));
        await PlaceAsync(hold, reservation, cancel);
        await SubmitAsync(running, deployment);
        return running;
    }

    /// <summary>Output tokens per choice that the first hold pays for. A limit the caller named is held whole up to the option; without one, the hold shrinks to what the budget can pay.</summary>
    private int FirstAllowance(Call call, PriceVersion? price, int inputTokens, int maxNew)
    {
        int allowed = Math.Min(maxNew, options.HoldOutputTokens);
        IReadOnlyList<Budget> budgets = limits.BudgetsOf(call.Caller, price?.Rates.OutputPerToken.Currency ?? Currency.Usd);
        if (price is null)
        {
            if (budgets.FirstOrDefault(budget => budget.Limit is not null) is { } budget)
                throw new ApiException(402, "insufficient_quota", "unpriced_model",
                    $"{call.Model} has no price, so the {budget.Level}'s budget could not hold. Add a price (qanat price set), or remove the budget.", "model");
            return allowed;
        }
        if (call.MaxTokens is not null || limits.Available(call.Caller, price.Rates.OutputPerToken.Currency) is not { } left) return allowed;
        long affordable = Rating.AffordableOutput(price, inputTokens, left, call.Operation) / call.Choices;
        return (int)Math.Clamp(affordable, 1, allowed);
    }

    private async Task PlaceAsync(Hold hold, Reservation reservation, CancellationToken cancel)
    {
        try
        {
            await store.AppendAsync(new HoldPlaced(hold), options.Durability, CancellationToken.None);
        }
        catch (StoreException error)
        {
            limits.Release(reservation);
            throw new ApiException(503, "server_error", "books_unavailable", $"The hold for this request could not be written, so it is not served: {error.Message}", retryAfter: TimeSpan.FromSeconds(5));
        }
        if (!cancel.IsCancellationRequested) return;
        await ReleaseAsync(hold, reservation, "the client left before generation began");
        cancel.ThrowIfCancellationRequested();
    }

    private async Task SubmitAsync(RunningCall running, Deployment deployment)
    {
        deployment.Meter.Register(running);
        int submitted = 0;
        try
        {
            for (; submitted < running.Choices; submitted++)
                deployment.Engine.Submit(Request(running, submitted));
        }
        catch (Exception error) when (error is QueueFullException or ArgumentException or InvalidOperationException)
        {
            if (submitted > 0)
            {
                running.AbandonFrom(submitted);
                EndAll(running, deployment);
            }
            else
            {
                deployment.Meter.Withdraw(running);
                await ReleaseAsync(running.Hold, running.Reservation, error.Message);
            }
            throw Refusal(running, error);
        }
    }

    private static ApiException Refusal(RunningCall running, Exception error) => error switch
    {
        QueueFullException => new ApiException(429, "rate_limit_error", "queue_full", $"{running.Hold.Model} is busy: {error.Message}", retryAfter: TimeSpan.FromSeconds(2)),
        ArgumentException => new ApiException(400, "invalid_request_error", "context_length_exceeded", error.Message, "messages"),
        _ => new ApiException(503, "server_error", "engine_stopped", $"{running.Hold.Model} cannot answer: {error.Message}", retryAfter: TimeSpan.FromSeconds(5)),
    };

    private static AnswerReader Reader(RequestId request, Call call, int choice, ChatFormat format) => call.Conversation is { } conversation
        ? format.Reader(conversation, index => ToolCallIds.Of(request, choice, index))
        : AnswerReader.Plain();

    private static SequenceRequest Request(RunningCall running, int choice)
    {
        Call call = running.Call;
        if (call.Reading is { } reading) return SequenceRequest.ToRead(reading, running.Sequence(choice), call.Prompt, call.Caller.Tenant.Id.ToString());
        return new SequenceRequest(running.Sequence(choice), call.Prompt, running.MaxNewTokens, running.AllowedNewTokens, call.Sampling,
            call.Stop, call.TopLogprobs, call.IgnoreStopTokens, call.Caller.Tenant.Id.ToString());
    }

    private async Task ReleaseAsync(Hold hold, Reservation reservation, string reason)
    {
        limits.Release(reservation);
        await store.AppendAsync(new HoldReleased(hold.Id, Instant.Now(clock), reason), options.Durability, CancellationToken.None);
    }

    private static void EndAll(RunningCall running, Deployment deployment)
    {
        for (int choice = 0; choice < running.Choices; choice++)
            deployment.Engine.End(running.Sequence(choice), FinishReason.Cancelled);
    }
}
