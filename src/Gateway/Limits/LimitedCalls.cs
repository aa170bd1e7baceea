using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Qanat.Gateway;

/// <summary>Stands before the pipeline, whatever API a call came in by: is the model in the key's scope, is the tenant not stopped, do its rates allow it, does the process stay. What is refused here has no hold and no cost.</summary>
internal sealed class LimitedCalls(RunCall inner, RateLimits rates, CallEstimates estimates, TenantStops stops, DrainState drain, TimeProvider clock)
{
    // One iterator for all of it: what is awaited at each step of an answer is awaited once.
    public async IAsyncEnumerable<CallEvent> RunAsync(Call call, [EnumeratorCancellation] CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(call);
        using GenAiTelemetry.CallSpan span = GenAiTelemetry.Begin(call, clock);
        using Place place = await EnterAsync(call, span, cancel);
        await using IAsyncEnumerator<CallEvent> events = inner(place.Call with { Stopping = place.Stop }, place.Token).GetAsyncEnumerator(place.Token);
        while (true)
        {
            try
            {
                if (!await events.MoveNextAsync()) break;
            }
            catch (Exception error)
            {
                if (Failed(error, span, place.Stop) is { } stopped) throw stopped;
                throw;
            }
            span.Note(events.Current);
            yield return events.Current;
        }
    }

    private async Task<Place> EnterAsync(Call call, GenAiTelemetry.CallSpan span, CancellationToken cancel)
    {
        IDisposable? running = null;
        CancellationTokenSource? either = null;
        CancellationToken stop = default;
        try
        {
            running = drain.Enter();
            call.Caller.DemandModel(call.Model);
            stop = stops.Watch(call.Caller.Tenant.Id);
            either = CancellationTokenSource.CreateLinkedTokenSource(cancel, stop);
            (RateLease lease, Call entered) = await LeaseAsync(call, either.Token);
            // A place that several calls have together is their request's to leave.
            return new Place(entered, running, either, call.Fate is null ? lease : null, stop);
        }
        catch (Exception error)
        {
            either?.Dispose();
            running?.Dispose();
            if (Failed(error, span, stop) is { } stopped) throw stopped;
            throw;
        }
    }

    /// <summary>The place of its request under its limits, and the call with what was taken for it.</summary>
    private async Task<(RateLease Lease, Call Call)> LeaseAsync(Call call, CancellationToken either)
    {
        RateLease lease;
        try
        {
            lease = await (call.Fate is { } request ? request.EnterAsync(EnterRatesAsync, either) : RateLimits.CountsTokens(call) ? EnterRatesAsync([call], either) : rates.EnterAsync(call, [], either));
        }
        catch
        {
            call.Caller.Told?.Note(rates.State(call));
            throw;
        }
        if (lease.Levels.Count > 0) call.Caller.Told?.Note(rates.State(call));
        return (lease, lease.Calls.IsEmpty ? call : call with { Tokens = lease.Calls[call.Part] });
    }

    /// <summary>One request, however many calls serve it.</summary>
    private async Task<RateLease> EnterRatesAsync(ImmutableArray<Call> calls, CancellationToken cancel)
    {
        if (!RateLimits.CountsTokens(calls[0])) return await rates.EnterAsync(calls[0], [], cancel);
        PromptCount?[] counted = new PromptCount?[calls.Length];
        RateLease lease = await rates.EnterAsync(calls[0], [.. calls.Select((call, part) => estimates.MostOf(call, out counted[part]))], cancel);
        for (int part = 0; part < counted.Length; part++) lease.Calls[part].Counted = counted[part];
        return lease;
    }

    /// <summary>Notes a failure. Not null: it came of the tenant's being stopped, and this is to be told instead.</summary>
    private static ApiException? Failed(Exception error, GenAiTelemetry.CallSpan span, CancellationToken stop)
    {
        ApiException? stopped = error is OperationCanceledException && stop.IsCancellationRequested ? TenantStops.Stopped() : null;
        span.Fail((stopped ?? error) is ApiException told ? told.Code : error.GetType().Name);
        return stopped;
    }

    /// <summary>What a call has while it runs: it is counted as running, under the token that ends it, and in its rates.</summary>
    private sealed class Place(Call call, IDisposable running, CancellationTokenSource either, RateLease? lease, CancellationToken stop) : IDisposable
    {
        public Call Call => call;
        public CancellationToken Token => either.Token;
        public CancellationToken Stop => stop;

        public void Dispose()
        {
            lease?.Dispose();
            either.Dispose();
            running.Dispose();
        }
    }
}
