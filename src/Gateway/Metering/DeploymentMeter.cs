using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>Turns the steps of one engine into facts, and lets tokens go to the client only once the facts that count them are durable. So what a client received is
/// always metered, whenever the process dies. Steps that end while a commit is under way go into the next one together: the batch comes from the fsync itself.</summary>
public sealed class DeploymentMeter : IStepSink, IAsyncDisposable
{
    private readonly IBookStore store;
    private readonly TariffState tariffs;
    private readonly BudgetLimits limits;
    private readonly LiveMeter live;
    private readonly MeterOptions options;
    private readonly TimeProvider clock;
    private readonly ILogger log;
    private readonly Channel<StepFact> steps;
    private readonly ConcurrentDictionary<Guid, RunningCall> calls = [];
    private readonly CancellationTokenSource stopping = new();
    private InferenceEngine? engine;
    private Instant origin;
    private Instant recordedTo;
    private Task running = Task.CompletedTask;

    public DeploymentMeter(DeploymentName deployment, PoolName pool, IBookStore store, TariffState tariffs, BudgetLimits limits, LiveMeter live, MeterOptions options, TimeProvider clock, ILogger<DeploymentMeter> log)
    {
        ArgumentNullException.ThrowIfNull(options);
        (Deployment, Pool, this.store, this.tariffs, this.limits, this.live, this.options, this.clock, this.log) = (deployment, pool, store, tariffs, limits, live, options, clock, log);
        steps = Channel.CreateBounded<StepFact>(new BoundedChannelOptions(options.StepsWaitingMax) { SingleReader = true, SingleWriter = true });
    }

    public DeploymentName Deployment { get; }
    public PoolName Pool { get; }

    /// <summary>Commits are failing: nothing new is admitted until one succeeds.</summary>
    public bool Stalled { get; private set; }

    /// <summary>Begins metering an engine whose clock reads 0 at <paramref name="engineStart"/>; the pool's wall time is recorded up to <paramref name="recorded"/> already.</summary>
    public void Start(InferenceEngine metered, Instant engineStart, Instant recorded)
    {
        engine = metered;
        origin = engineStart;
        recordedTo = recorded;
        running = Task.Run(MeterAsync);
    }

    public void Register(RunningCall call)
    {
        ArgumentNullException.ThrowIfNull(call);
        calls[call.Hold.Id.Value] = call;
        live.Started();
    }

    /// <summary>Takes back a call of which no sequence was submitted.</summary>
    public void Withdraw(RunningCall call)
    {
        ArgumentNullException.ThrowIfNull(call);
        if (calls.TryRemove(call.Hold.Id.Value, out _)) live.Finished();
    }

    /// <summary>On the engine's thread. Waits when commits fall far behind, so that what is not yet durable stays bounded.</summary>
    public void OnStep(StepFact step)
    {
        if (!steps.Writer.TryWrite(step))
            steps.Writer.WriteAsync(step).AsTask().GetAwaiter().GetResult();
    }

    /// <summary>Call after the engine has ended: commits what is left.</summary>
    public async ValueTask DisposeAsync()
    {
        steps.Writer.TryComplete();
        await stopping.CancelAsync();
        await running;
        foreach (RunningCall call in calls.Values)
            call.Complete(new ApiException(503, "server_error", "shutting_down", "The server is shutting down.", retryAfter: TimeSpan.FromSeconds(5)));
        stopping.Dispose();
    }

    private async Task MeterAsync()
    {
        List<StepFact> batch = [];
        while (await steps.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < options.StepsWaitingMax && steps.Reader.TryRead(out StepFact? step)) batch.Add(step);
            MeterPlan plan = Plan(batch);
            if (!await CommitAsync(plan)) return;
            Apply(plan);
        }
    }

    /// <summary>Folds steps into one atomic fact: progress and busy time together, then extensions of holds, then the end of finished calls.</summary>
    private MeterPlan Plan(List<StepFact> batch)
    {
        MeterPlan plan = new();
        long busy = 0;
        foreach (StepFact step in batch)
        {
            Instant at = new(origin.UnixNanoseconds + step.EndNs);
            foreach (SequenceStep part in step.Sequences)
            {
                busy += part.PrefillNanoseconds + part.DecodeNanoseconds;
                if (part.Failure is { } failure) log.LogError("Request {Request} failed in the engine: {Failure}", part.Id.Request, failure);
                if (calls.TryGetValue(part.Id.Request, out RunningCall? call)) plan.Add(call, part, at);
            }
        }
        Instant to = new(Math.Max(recordedTo.UnixNanoseconds, origin.UnixNanoseconds + batch[^1].EndNs));
        if (to > recordedTo) plan.Capacity = new CapacityRecord(Pool, recordedTo, to, CapacityState.Serving, busy);
        plan.BusyNanoseconds = busy;
        foreach (RunningCall call in plan.Touched.Where(call => !call.Finished)) PlanExtension(plan, call);
        foreach (RunningCall call in plan.Touched.Where(call => call.Finished)) PlanEnd(plan, call, to);
        return plan;
    }

    private void PlanExtension(MeterPlan plan, RunningCall call)
    {
        if (call.BudgetExhausted || call.AllowedNewTokens >= call.MaxNewTokens || call.AllowedNewTokens - call.MostGenerated > options.ExtendWithTokensLeft) return;
        int wanted = Math.Min(options.HoldOutputTokens, call.MaxNewTokens - call.AllowedNewTokens);
        long free = limits.Contracts.Quotas.Extend(call.Quota, (long)wanted * call.Choices);
        if (call.Quota.Contract is { Free.Then: WhenExhausted.Stop }) wanted = (int)(free / call.Choices);
        if (wanted <= 0 || call.Terms.Price is not null && !TryExtendHold(plan, call, ref wanted))
        {
            call.BudgetExhausted = true;
            return;
        }
        call.AllowedNewTokens += wanted;
        call.Reservation.Tokens?.Reach(call.Call.Prompt.Length + (long)call.AllowedNewTokens * call.Choices);
        plan.Extended.Add(call);
    }

    /// <summary>Holds the money for more output tokens per choice: as many as wanted, or what the budgets can still pay.</summary>
    private bool TryExtendHold(MeterPlan plan, RunningCall call, ref int wanted)
    {
        Operation operation = call.Call.Operation;
        Money held = call.Reservation.Amount;
        if (limits.Available(call.Reservation) is { } left)
            wanted = (int)Math.Min(wanted, call.Terms.AffordableOutput(call.Call.Prompt.Length, held + left, call.Quota.Tokens, operation) / call.Choices - call.AllowedNewTokens);
        Money extra = call.Terms.WorstCase(call.Call.Prompt.Length, ((long)call.AllowedNewTokens + Math.Max(0, wanted)) * call.Choices, call.Quota.Tokens, operation) - held;
        if (wanted <= 0 || !limits.TryExtend(call.Reservation, extra)) return false;
        plan.Facts.Add(new HoldExtended(call.Hold.Id, call.Reservation.Amount));
        return true;
    }

    private void PlanEnd(MeterPlan plan, RunningCall call, Instant at)
    {
        if (call.Tokens == default && call.Device.TotalNanoseconds == 0)
        {
            plan.Facts.Add(new HoldReleased(call.Hold.Id, at, "ended before anything was computed"));
            plan.Released.Add(call);
            return;
        }
        Outcome outcome = call.Outcome;
        long free = limits.Contracts.Quotas.Settle(call.Quota, new RatedUsage(call.Tokens, call.Hold.Operation, outcome, call.Call.Cache), call.Hold.PlacedAt);
        UsageRecord record = Settlement.Record(call.Hold, call.Progress, outcome, call.FirstTokenAt ?? at, at, Pool, call.Terms, call.Call.Cache, free, tariffs.Costs);
        plan.Facts.Add(new HoldSettled(record));
        plan.Settled.Add((call, record));
    }

    /// <summary>Tries until it is durable: nothing is handed out before, and the engine waits rather than generate what cannot be metered.</summary>
    private async Task<bool> CommitAsync(MeterPlan plan)
    {
        TimeSpan pause = options.RetryPause;
        while (true)
        {
            try
            {
                await store.AppendAsync(plan.ToFact(), options.Durability);
                Stalled = false;
                if (plan.Capacity is { } capacity) recordedTo = capacity.To;
                return true;
            }
            catch (StoreException error)
            {
                Stalled = true;
                log.LogError(error, "Usage could not be written; streams wait and nothing new is admitted until it can");
                if (stopping.IsCancellationRequested) return false;
                await Task.Delay(pause, clock).WaitAsync(CancellationToken.None);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, options.RetryPauseMax.Ticks));
            }
        }
    }

    private void Apply(MeterPlan plan)
    {
        live.Worked(plan.PromptTokens, plan.GeneratedTokens, plan.BusyNanoseconds);
        foreach ((RunningCall call, CallEvent happened) in plan.Events) call.Hand(happened);
        foreach (RunningCall call in plan.Extended)
        {
            for (int choice = 0; choice < call.Choices; choice++) engine!.Allow(call.Sequence(choice), call.AllowedNewTokens);
        }
        foreach (RunningCall call in plan.Touched.Where(call => call.BudgetExhausted))
        {
            foreach (int choice in call.ChoicesAtTheirLimit())
            {
                engine!.End(call.Sequence(choice), FinishReason.Budget);
                if (call.Terms.Price is not null) limits.Ended(call.Reservation, call.Terms.WorstCase(call.Call.Prompt.Length, (call.AllowedNewTokens + 1L) * call.Choices, call.Quota.Tokens, call.Call.Operation));
            }
        }
        foreach (RunningCall call in plan.Released)
        {
            limits.Release(call.Reservation);
            Close(call);
        }
        foreach ((RunningCall call, UsageRecord record) in plan.Settled)
        {
            limits.Settle(call.Reservation, record);
            call.Hand(new Settled(record));
            Close(call);
        }
    }

    private void Close(RunningCall call)
    {
        calls.TryRemove(call.Hold.Id.Value, out _);
        live.Finished();
        call.Complete();
    }
}
