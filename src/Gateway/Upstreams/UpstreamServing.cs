using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Serves calls from upstreams: one attempt after the other until one answers, every piece metered before it is delivered, settled once however it ends.</summary>
public sealed class UpstreamServing(UpstreamDirectory directory, TariffState tariffs, BudgetLimits limits, IBookStore store, LiveMeter live, MeterOptions meter,
    TimeProvider clock, ILogger<UpstreamServing> log)
{
    private readonly UpstreamOptions options = directory.Options;
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(50);

    /// <summary>Runs a call. Ending the enumeration early closes the upstream's connection and settles what was read until then.</summary>
    /// <param name="admit">Places its hold, unless that was done before.</param>
    /// <exception cref="ApiException">It is not admitted, nobody could serve it, or the answer was cut midway.</exception>
    internal async IAsyncEnumerable<CallEvent> RunAsync(Func<CancellationToken, Task<UpstreamCall>> admit, UpstreamSet set, [EnumeratorCancellation] CancellationToken cancel)
    {
        UpstreamCall call = await admit(cancel);
        List<UpstreamEvent> events = [];
        List<CallEvent> tell = [];
        UpstreamAnswer? answer = null;
        bool settled = false, begun = false, admitted = call.IsAdmitted;
        // Only who is told something before the answer has begun can leave meanwhile.
        bool mayBeLeft = !admitted && !call.Call.Whole;
        using CancellationTokenSource? ending = mayBeLeft ? CancellationTokenSource.CreateLinkedTokenSource(cancel) : null;
        live.Started();
        Task<UpstreamAnswer> beginning = BeginAsync(call, set, events, ending?.Token ?? cancel);
        try
        {
            // Headers must be ready before the first heartbeat: a slow upstream is not waited for. Who serves is then not known yet and not told there.
            if (mayBeLeft && await IsSlowAsync(beginning))
            {
                admitted = true;
                yield return AdmittedAt(call);
            }
            if ((answer = call.MayPassOn ? await BegunAsync(beginning, call) : await beginning) is null) yield break;
            UpstreamException? cut = null;
            while (true)
            {
                tell.Clear();
                bool done = !call.IsStopped && call.Take(events, tell);
                events.Clear();
                bool exhausted = !done && cut is null && (call.IsStopped || !TryExtend(call));
                if (exhausted || cut is not null)
                {
                    call.Break(exhausted ? AttemptEnd.Closed : AttemptEnd.Cut);
                    answer.Dispose();
                    if (exhausted && !call.IsStopped) tell.AddRange(call.EndRest(AnswerEnd.Budget));
                }
                UsageRecord? record = null;
                if (done || exhausted || cut is not null)
                {
                    record = await SettleAsync(call, done ? Outcome.Completed : exhausted ? Outcome.CutByLimit : Outcome.Failed);
                    settled = true;
                }
                else await CheckpointAsync(call);
                begun = true;
                if (!admitted)
                {
                    admitted = true;
                    yield return AdmittedAt(call) with { ServedModel = call.ServedModel, Attempts = call.Attempts };
                }
                foreach (CallEvent happened in tell) yield return happened;
                if (cut is not null) throw CutMidway(call, cut);
                if (record is not null)
                {
                    yield return new Settled(record) { ServedModel = call.ServedModel };
                    if (call.IsStopped) throw TenantStops.Stopped();
                    yield break;
                }
                cut = await ReadAsync(answer, call, events, cancel);
            }
        }
        finally
        {
            answer ??= await LeaveAsync(beginning, ending);
            bool complete = settled && call.End == AttemptEnd.Served;
            if (complete) _ = answer!.EndAsync();
            else answer?.Dispose();
            if (call.Serving is { State: { } state })
            {
                if (complete) state.Succeeded();
                else if (call.End == AttemptEnd.Cut) state.Failed("Its answer was cut midway.");
                else state.Left();
            }
            if (!settled && call.NotServed is null) await EndAsync(call, call.Call.Stopping.IsCancellationRequested ? Outcome.CutByLimit : cancel.IsCancellationRequested || begun ? Outcome.AbortedByClient : Outcome.Failed);
            live.Finished();
        }
    }

    private static Admitted AdmittedAt(UpstreamCall call) =>
        new(call.Hold.Id, call.Hold.PlacedAt, call.Hold.Amount, call.Terms.Price is { } price ? Rating.RatesFor(price, call.InputTokens) : null);

    /// <summary>Of a call that another place may serve. Null: nobody here does. A request that is wrong itself is not passed on.</summary>
    private static async Task<UpstreamAnswer?> BegunAsync(Task<UpstreamAnswer> beginning, UpstreamCall call)
    {
        try
        {
            return await beginning;
        }
        catch (ApiException refusal) when (refusal.Status != 400)
        {
            call.NotServed = refusal;
            return null;
        }
    }

    private async Task<bool> IsSlowAsync(Task beginning)
    {
        if (beginning.IsCompleted) return false;
        await beginning.WaitAsync(options.AdmitAfter, clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !beginning.IsCompleted;
    }

    /// <summary>Nobody waits for the answer any more: it is not begun, or what has begun is handed over to be closed.</summary>
    private static async Task<UpstreamAnswer?> LeaveAsync(Task<UpstreamAnswer> beginning, CancellationTokenSource? ending)
    {
        if (ending is not null) await ending.CancelAsync();
        await beginning.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return beginning.IsCompletedSuccessfully ? await beginning : null;
    }

    /// <summary>Attempts until an answer has begun; its first events are added.</summary>
    private async Task<UpstreamAnswer> BeginAsync(UpstreamCall call, UpstreamSet first, List<UpstreamEvent> events, CancellationToken cancel)
    {
        UpstreamException? last = null;
        foreach (UpstreamSet set in call.Within ?? directory.Current.WithFallbacks(first))
        {
            ulong affinity = set.UsesAffinity ? Affinity.Of(call.Call, options.PrefixChars) : 0;
            List<UpstreamTarget> tried = new(1);
            bool again = true;
            while (call.Attempts < options.AttemptsMax)
            {
                if (set.Enter(affinity, tried) is not { } target)
                {
                    // Once more from the beginning, after a moment, when what failed may have been passing.
                    if (!again || tried.Count == 0 || last?.Kind != UpstreamFailure.Unavailable) break;
                    again = false;
                    tried.Clear();
                    await Task.Delay(RetryPause, clock, cancel);
                    continue;
                }
                tried.Add(target);
                (UpstreamAnswer? answer, last) = await TryAsync(call, target, events, cancel);
                if (answer is not null) return answer;
                if (last!.Kind == UpstreamFailure.Refused) throw Refusal(call, last);
            }
        }
        throw last is null ? Unavailable(call, TimeSpan.FromSeconds(5)) : Refusal(call, last);
    }

    /// <summary>The answer, begun, or why there is none.</summary>
    private async Task<(UpstreamAnswer? Answer, UpstreamException? Failure)> TryAsync(UpstreamCall call, UpstreamTarget target, List<UpstreamEvent> events, CancellationToken cancel)
    {
        UpstreamAnswer? answer = null;
        try
        {
            // What comes as a whole cannot be ended midway: only where the hold pays for all of it.
            // And its first byte is its last: only where it is there in time from an engine that takes a second for a token.
            bool stream = !(call.Call.Whole && call.MaxNewTokens is { } most && most <= call.AllowedNewTokens && most <= target.Spec.FirstByteTimeout.TotalSeconds);
            long asked = clock.GetTimestamp();
            answer = await target.Link.AskAsync(call.Call, target.Model, call.Hold.Id, call.MaxNewTokens, stream, cancel);
            await answer.ReadAsync(events);
            target.State.Figures.Began(clock.GetElapsedTime(asked));
            call.Serve(target, Instant.Now(clock));
            return (answer, null);
        }
        catch (UpstreamException failure)
        {
            answer?.Dispose();
            events.Clear();
            log.LogWarning("Request {Request}: {Upstream} failed ({Kind}): {Failure}", call.Hold.Id, target.Spec.Name, failure.Kind, failure.Message);
            if (failure.Kind == UpstreamFailure.Refused) target.State.Left();
            else target.State.Failed($"{failure.Kind}: {failure.Message}", RestOf(failure));
            call.Fail(target, EndOf(failure.Kind, answer is not null));
            return (null, failure);
        }
        catch
        {
            answer?.Dispose();
            target.State.Left();
            call.Fail(target, AttemptEnd.Closed);
            throw;
        }
    }

    private static AttemptEnd EndOf(UpstreamFailure kind, bool hadBegun) => kind switch
    {
        UpstreamFailure.TimedOut => AttemptEnd.TimedOut,
        UpstreamFailure.Cut when hadBegun => AttemptEnd.Cut,
        _ => AttemptEnd.Refused,
    };

    private TimeSpan? RestOf(UpstreamException failure) => failure.Kind switch
    {
        UpstreamFailure.NotInOrder => options.RestMax,
        UpstreamFailure.Busy when failure.RetryAfter is { } wait => wait < options.RestMax ? wait : options.RestMax,
        _ => null,
    };

    /// <summary>Reads on; a cut is given back, because what was read before it is still to be settled and told. So is what came before its tenant was stopped.</summary>
    private async Task<UpstreamException?> ReadAsync(UpstreamAnswer answer, UpstreamCall call, List<UpstreamEvent> events, CancellationToken cancel)
    {
        try
        {
            await answer.ReadAsync(events);
            if (options.CheckpointTokens > 1) await GatherAsync(answer, events, cancel);
            return null;
        }
        catch (UpstreamException failure)
        {
            log.LogWarning("Request {Request}: {Upstream} cut its answer: {Failure}", call.Hold.Id, call.Serving!.Spec.Name, failure.Message);
            return failure;
        }
        catch (OperationCanceledException) when (call.Call.Stopping.IsCancellationRequested)
        {
            call.IsStopped = true;
            return null;
        }
    }

    /// <summary>Waits for more pieces, so that one commit carries several.</summary>
    private async Task GatherAsync(UpstreamAnswer answer, List<UpstreamEvent> events, CancellationToken cancel)
    {
        long began = clock.GetTimestamp();
        while (events.Count < options.CheckpointTokens && events is not [.., UpstreamDone] && clock.GetElapsedTime(began) < options.CheckpointInterval && !cancel.IsCancellationRequested)
            await answer.ReadAsync(events);
    }

    /// <summary>False: no budget pays for more than was generated.</summary>
    private bool TryExtend(UpstreamCall call)
    {
        if (call.MaxNewTokens is { } most && call.AllowedNewTokens >= most) return true;
        if (call.AllowedNewTokens - call.MostGenerated > meter.ExtendWithTokensLeft) return true;
        int wanted = Math.Min(meter.HoldOutputTokens, (call.MaxNewTokens ?? int.MaxValue) - call.AllowedNewTokens);
        QuotaHold quota = call.Reservation.Quota;
        long free = limits.Contracts.Quotas.Extend(quota, (long)wanted * call.Call.Choices);
        if (quota.Contract is { Free.Then: WhenExhausted.Stop }) wanted = (int)(free / call.Call.Choices);
        if (wanted <= 0) return call.MostGenerated < call.AllowedNewTokens;
        if (call.Terms.Price is not null)
        {
            Money held = call.Reservation.Amount;
            if (limits.Available(call.Reservation) is { } left)
                wanted = (int)Math.Min(wanted, call.Terms.AffordableOutput(call.InputTokens, held + left, quota.Tokens, call.Call.Operation) / call.Call.Choices - call.AllowedNewTokens);
            Money extra = call.Terms.WorstCase(call.InputTokens, ((long)call.AllowedNewTokens + Math.Max(0, wanted)) * call.Call.Choices, quota.Tokens, call.Call.Operation) - held;
            if (wanted <= 0 || !limits.TryExtend(call.Reservation, extra)) return HasLeft(call);
        }
        call.AllowedNewTokens += wanted;
        call.Reservation.Tokens?.Reach(call.InputTokens + (long)Math.Max(call.AllowedNewTokens, call.MostGenerated) * call.Call.Choices);
        return true;
    }

    /// <summary>Whether its hold pays for more, when no budget does.</summary>
    private bool HasLeft(UpstreamCall call)
    {
        if (call.MostGenerated < call.AllowedNewTokens) return true;
        limits.Ended(call.Reservation, call.Terms.WorstCase(call.InputTokens, (call.AllowedNewTokens + 1L) * call.Call.Choices, call.Reservation.Quota.Tokens, call.Call.Operation));
        return false;
    }

    /// <summary>What follows is delivered only once this is durable.</summary>
    private Task CheckpointAsync(UpstreamCall call)
    {
        StepsMetered progress = new([call.Progress], []);
        if (call.Reservation.Amount == call.AmountWritten) return AppendAsync(progress);
        call.AmountWritten = call.Reservation.Amount;
        return AppendAsync(new Together([new HoldExtended(call.Hold.Id, call.AmountWritten), progress]));
    }

    private async Task<UsageRecord> SettleAsync(UpstreamCall call, Outcome outcome)
    {
        Instant now = Instant.Now(clock);
        // Costed only, as what failed here: an answer that was charged before and lost, what failed beside it, and a row of a batch that was ended.
        bool isEnded = outcome == Outcome.AbortedByClient || outcome == Outcome.CutByLimit && call.Call.Stopping.IsCancellationRequested;
        if (call.Call.IsUncharged || isEnded && call.Call.Operation == Operation.Batch) outcome = Outcome.Failed;
        BilledUsage billed = BilledUsage.Within(call, outcome, limits);
        UsageProgress used = call.Progress with { Tokens = billed.Tokens };
        UsageRecord record = Settlement.Record(call.Hold, used, outcome, call.FirstTokenAt ?? now, now, call.Hold.Pool ?? UpstreamSpec.PoolOf("none"), call.Terms, call.Call.Cache, billed.FreeTokens, tariffs.Costs);
        await AppendAsync(new HoldSettled(record));
        limits.Settle(call.Reservation, record);
        call.Serving?.State.Figures.Settled(call.State);
        live.Worked(record.Tokens.Input, record.Tokens.Output, 0);
        return record;
    }

    /// <summary>The call ended before its answer did.</summary>
    internal async Task EndAsync(UpstreamCall call, Outcome outcome)
    {
        call.Break(AttemptEnd.Closed);
        if (call.Serving is not null || call.IsCostly)
        {
            await SettleAsync(call, outcome);
            return;
        }
        await AppendAsync(new HoldReleased(call.Hold.Id, Instant.Now(clock), "no upstream served it"));
        limits.Release(call.Reservation);
    }

    /// <summary>Tries until it is stored: what was read from an upstream is never given up unmetered.</summary>
    private async Task AppendAsync(Fact fact)
    {
        TimeSpan pause = meter.RetryPause;
        while (true)
        {
            try
            {
                await store.AppendAsync(fact, meter.Durability, CancellationToken.None);
                directory.IsStalled = false;
                return;
            }
            catch (StoreException error)
            {
                if (directory.IsStopping) throw;
                directory.IsStalled = true;
                log.LogError(error, "Usage could not be written; answers of upstreams wait and nothing new is admitted until it can");
                await Task.Delay(pause, clock);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, meter.RetryPauseMax.Ticks));
            }
        }
    }

    private static ApiException CutMidway(UpstreamCall call, UpstreamException cut) => new(502, "server_error", cut.Kind == UpstreamFailure.TimedOut ? "upstream_timeout" : "upstream_cut",
        $"The answer of {call.Call.Model} broke off midway. It is not charged; what was generated until then is in the books. Try again.", retryAfter: TimeSpan.FromSeconds(1));

    /// <summary>Our own words: what an upstream says of itself, its account or our key is the operator's business.</summary>
    private static ApiException Refusal(UpstreamCall call, UpstreamException last) => last.Kind switch
    {
        UpstreamFailure.Refused => new ApiException(400, "invalid_request_error", "upstream_refused", $"The engine behind {call.Call.Model} cannot take this request: a parameter, or the length of the prompt, does not suit it."),
        UpstreamFailure.Busy => new ApiException(429, "rate_limit_error", "upstream_busy", $"{call.Call.Model} is busy. Try again in a moment.", retryAfter: last.RetryAfter ?? TimeSpan.FromSeconds(2)),
        UpstreamFailure.TimedOut => new ApiException(504, "server_error", "upstream_timeout", $"{call.Call.Model} did not answer in time. Try again.", retryAfter: TimeSpan.FromSeconds(5)),
        _ => Unavailable(call, TimeSpan.FromSeconds(2)),
    };

    private static ApiException Unavailable(UpstreamCall call, TimeSpan wait) =>
        new(503, "server_error", "upstream_unavailable", $"{call.Call.Model} cannot be served at the moment. Try again soon.", retryAfter: wait);
}

/// <summary>What of a call's usage is billed, and how many of its tokens are free.</summary>
internal sealed record BilledUsage(TokenCounts Tokens, long FreeTokens)
{
    /// <summary>All of it, if the budgets pay for it; else as many tokens as they do, so that no budget is ever exceeded by what an upstream claims. The cost stays whole.</summary>
    public static BilledUsage Within(UpstreamCall call, Outcome outcome, BudgetLimits limits)
    {
        RequestTerms terms = call.Terms;
        Operation operation = call.Call.Operation;
        TokenCounts used = call.Tokens;
        RatedUsage usage = new(used, operation, outcome, call.Call.Cache);
        QuotaHold quota = call.Reservation.Quota;
        bool stops = quota.Contract is { Free.Then: WhenExhausted.Stop };
        long free = limits.Contracts.Quotas.Settle(quota, usage, call.Hold.PlacedAt);
        // What a transfer price at cost makes of it is not limited by tokens.
        if (terms.Price is null || terms.Contract is { Transfer: not null } || outcome == Outcome.Failed) return new BilledUsage(used, free);
        if (stops) return new BilledUsage(Cut(used, Math.Min(used.Input, free), Math.Max(0, free - used.Input)), free);
        Money held = call.Reservation.Amount;
        Money charge = terms.Rate(usage, free, null)?.Charge ?? held;
        if (charge <= held || limits.TryExtend(call.Reservation, charge - held)) return new BilledUsage(used, free);
        if (limits.Available(call.Reservation) is { } left && limits.TryExtend(call.Reservation, left)) held = call.Reservation.Amount;
        long input = Most(used.Input, count => terms.WorstCase(count, 0, free, operation) <= held);
        long output = input < used.Input ? 0 : terms.AffordableOutput(input, held, free, operation);
        TokenCounts cut = Cut(used, input, output);
        long kept = Math.Min(free, cut.Input + cut.Output);
        limits.Contracts.Quotas.GiveBack(terms, free - kept);
        return new BilledUsage(cut, kept);
    }

    private static TokenCounts Cut(TokenCounts used, long inputMost, long outputMost)
    {
        long input = Math.Min(used.Input, inputMost), output = Math.Min(used.Output, outputMost), cacheRead = Math.Min(used.CacheRead, input);
        return new TokenCounts(input, cacheRead, Math.Min(used.CacheWrite, input - cacheRead), output, Math.Min(used.Reasoning, output));
    }

    /// <summary>The largest count up to a limit that fits, by halving; 0 when none does.</summary>
    private static long Most(long limit, Func<long, bool> fits)
    {
        if (fits(limit)) return limit;
        long low = 0, high = limit;
        while (high - low > 1)
        {
            long middle = low + (high - low) / 2;
            if (fits(middle)) low = middle;
            else high = middle;
        }
        return low;
    }
}
